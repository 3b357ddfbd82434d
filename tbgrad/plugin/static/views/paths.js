/** Where trainings went: all chosen runs on the two axes along which they moved most. */

import { Chart, colors, logTicks } from "../chart.js";
import { element, fill, sentences } from "../dom.js";
import { explain } from "../panel.js";
import { clean, count, number, plotText } from "../format.js";
import * as model from "../model.js";
import { natural } from "../pure/natural.js";
import { runColors } from "../runcolors.js";

/** Of the ends of runs, in their order: told apart without colours, too, and as in the terminal. */
const ENDS = [
  ["●", "circle"], ["■", "square"], ["▲", "triangle-up"], ["◆", "diamond"],
  ["★", "star"], ["✚", "cross"], ["▼", "triangle-down"], ["◉", "circle-dot"],
];
/** @typedef {{color: string, end: string[]}} Look */
const TINTS = [
  { value: "run", label: "by run" }, { value: "loss", label: "by loss" }, { value: "step", label: "by step" },
];

export class PathsView {
  /** @param {{onChange: () => void}} events */
  constructor({ onChange }) {
    this.onChange = onChange;
    this.layer = element("select", { "aria-label": "of which layer" });
    this.tint = element("select", { "aria-label": "what the colours are" });
    this.controls = element("span", { class: "controls", hidden: true }, this.layer, this.tint);
    fill(this.tint, TINTS, "run");
    const charts = element("div", { class: "half" });
    this.count = element("p", { class: "quiet" });
    this.runs = element("ul", { class: "runs" });
    this.words = element("ul", { class: "plain-list" });
    this.box = element("div", { class: "finding", hidden: true }, charts, element("div", { class: "told", tabindex: "0", role: "group", "aria-label": "runs that have a path" }, this.count, this.runs, this.words));
    this.chart = new Chart(charts, { label: "The paths of trainings in the plane of their principal components", alongSteps: false });
    this.layer.addEventListener("change", () => {
      this.wantedLayer = this.layer.value;
      onChange();
    });
    this.tint.addEventListener("change", () => this.again());
    this.again = () => {};
    this.wantedLayer = "";
    /** Which others are chosen; null: all. @type {string[] | null} */
    this.others = null;
    this.clear();
  }

  /** Of another run all others are shown, and the whole model. */
  clear() {
    this.wantedLayer = "";
    this.others = null;
  }

  /** @returns {unknown[]} */
  key() {
    return [this.wantedLayer, this.others];
  }

  /** @param {string} run */
  async fetch(run) {
    // Without others a run stands for itself: of none at all the server would take all.
    const others = this.others === null ? [] : [run, ...this.others];
    const [answer, colorOf] = await Promise.all([model.trajectories(run, others, this.wantedLayer), runColors()]);
    return { ...answer, colorOf };
  }

  /** @param {import("../../types.d.ts").Trajectories & {colorOf: (name: string, theme: string) => string}} data @param {{legend: HTMLElement, revision: string}} given */
  draw(data, { legend, revision }) {
    this.again = () => this.draw(data, { legend, revision });
    const layers = [{ value: "", label: "whole model" }, ...data.layers.map((name) => ({ value: name, label: clean(name) }))];
    fill(this.layer, layers, data.layer);
    this.layer.hidden = data.layers.length < 2;
    const looks = data.runs.map(({ name }, i) => ({ color: data.colorOf(name, document.documentElement.dataset.theme ?? "light"), end: ENDS[i % ENDS.length] }));
    this.list(data, looks);
    const left = data.left_out.map(({ name, reason }) => ({ text: `${name} ${reason}`, look: "quiet" }));
    const thinned = data.thinned ? [{ text: "some places of these paths are left out", look: "quiet" }] : [];
    sentences(this.words, [...data.words, ...thinned, ...left]);
    const tint = this.tint.value;
    explain(legend, []);
    this.chart.draw(
      [...data.runs.flatMap((run, i) => traces(run, looks[i], tint, scaleOf(data, tint))), ...bar(data, tint)],
      {
        margin: { l: 52, r: tint === "run" ? 20 : 72, t: 8, b: 36 },
        hovermode: "closest",
        xaxis: { title: { text: plotText(data.axes[0]), standoff: 2, font: { size: 11 } }, nticks: 8 },
        yaxis: { title: { text: plotText(data.axes[1]), standoff: 0, font: { size: 11 } }, nticks: 6 },
      },
      `${revision} ${data.layer} ${data.runs.length}`,
    );
  }

  /** Every run that has a path, those that are drawn with their ends and in words. @param {import("../../types.d.ts").Trajectories & {colorOf: (name: string, theme: string) => string}} data @param {Look[]} looks */
  list(data, looks) {
    const drawn = new Map(data.runs.map((run, i) => [run.name, { ...run, ...looks[i] }]));
    const others = [...new Set([...data.runs.map(({ name }) => name), ...data.with_path])].filter((name) => name !== data.run).sort(natural);
    const names = [data.run, ...others];
    this.count.textContent = drawn.size < names.length ? `${count(drawn.size)} of ${count(names.length)} runs are drawn` : `all ${count(names.length)} runs are drawn`;
    this.runs.replaceChildren(...names.map((name) => {
      const run = drawn.get(name);
      const box = element("input", { type: "checkbox", checked: run !== undefined, disabled: name === data.run });
      box.addEventListener("change", () => {
        const chosen = new Set([...drawn.keys()].filter((one) => one !== data.run));
        if (box.checked) chosen.add(name);
        else chosen.delete(name);
        this.others = [...chosen];
        this.onChange();
      });
      const sign = element("i", {}, run ? run.end[0] : "");
      if (run) sign.style.color = run.color;
      const text = element("span", { class: "name" }, clean(name));
      return element("li", {}, element("label", {}, box, sign, text), element("span", { class: "words" }, run ? clean(run.words) : ""));
    }));
  }
}

/** @param {import("../../types.d.ts").Path} run @param {string} tint */
const values = (run, tint) => (tint === "loss" ? run.losses.map(model.toNumber).map((v) => (v > 0 ? Math.log10(v) : NaN)) : run.steps.map((s) => Math.log10(s + 1)));

/** The ends of the scale of colours, over all runs. @returns {[number, number]} @param {{runs: import("../../types.d.ts").Path[]}} given @param {string} tint */
function scaleOf({ runs }, tint) {
  if (tint === "run") return [0, 1];
  const all = runs.flatMap((run) => values(run, tint)).filter(Number.isFinite);
  const [low, high] = [Math.min(...all), Math.max(...all)];
  return low < high ? [low, high] : [low - 0.5, low + 0.5];
}

/** @param {import("../../types.d.ts").Path} run @param {{color: string, end: string[]}} given @param {string} tint @param {[number, number]} beside */
function traces(run, { color, end }, tint, [low, high]) {
  const name = plotText(run.name);
  const losses = run.losses.map(model.toNumber);
  const [x, y] = [0, 1].map((axis) => run.places.map((place) => model.toNumber(place[axis])).map((v) => (Number.isFinite(v) ? v : null)));
  const told = run.steps.map((step, i) =>
    `<b>${name}</b><br>step ${step.toLocaleString("en-US")}, loss ${number(losses[i], 4)}<br>(${number(x[i] ?? NaN)}, ${number(y[i] ?? NaN)})`);
  const tinted = tint !== "run";
  const known = x.flatMap((v, i) => (v === null || y[i] === null ? [] : [i]));
  const marks = known.length ? [known[0], known[known.length - 1]] : [];
  return [
    {
      type: "scatter", mode: "lines+markers", name, x, y, customdata: told, hovertemplate: "%{customdata}<extra></extra>",
      line: { color, width: tinted ? 1 : 2 }, opacity: 1,
      marker: tinted
        ? { size: 6, color: values(run, tint).map((v) => (Number.isFinite(v) ? v : null)), colorscale: "Viridis", cmin: low, cmax: high }
        : { size: 3.5, color },
    },
    {
      type: "scatter", mode: "markers", name, x: marks.map((i) => x[i]), y: marks.map((i) => y[i]),
      customdata: marks.map((i) => told[i]), hovertemplate: "%{customdata}<extra></extra>",
      marker: { symbol: ["circle-open", end[1]], size: 11, color, line: { color: ["rgba(0,0,0,0)", colors().panel].map((c, i) => (i ? c : color)), width: [2, 1] } },
    },
  ];
}

/** Steps on a logarithmic scale that has 0 on it. @returns {[number, string][]} @param {number} low @param {number} high */
function stepTicks(low, high) {
  const steps = [0, ...[0, 1, 2, 3, 4, 5, 6, 7, 8].map((e) => 10 ** e)];
  return steps.map((step) => /** @type {[number, string]} */ ([Math.log10(step + 1), step.toLocaleString("en-US")])).filter(([at]) => at >= low - 1e-9 && at <= high + 1e-9);
}

/** A trace that holds nothing but the scale of colours. @param {import("../../types.d.ts").Trajectories & {colorOf: (name: string, theme: string) => string}} data @param {string} tint */
function bar(data, tint) {
  if (tint === "run") return [];
  const [low, high] = scaleOf(data, tint);
  if (!Number.isFinite(low)) return [];
  const ticks = tint === "loss" ? logTicks(low, high) : stepTicks(low, high);
  return [{
    type: "scatter", mode: "markers", x: [null], y: [null], hoverinfo: "skip",
    marker: {
      color: [low], cmin: low, cmax: high, colorscale: "Viridis", showscale: true,
      colorbar: { thickness: 10, outlinewidth: 0, title: { text: tint, font: { size: 11 } }, tickmode: "array", tickvals: ticks.map(([at]) => at), ticktext: ticks.map(([, label]) => label) },
    },
  }];
}
