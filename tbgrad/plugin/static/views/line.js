/** The loss along a line through the weights, and how high it rises between two of them. */

import { Chart, colors } from "../chart.js";
import { element, sentences } from "../dom.js";
import { explain } from "../panel.js";
import { number, plotText, shorten } from "../format.js";
import { toNumber } from "../model.js";

export class LineView {
  constructor() {
    const charts = element("div", { class: "half" });
    this.words = element("ul", { class: "told" });
    this.box = element("div", { class: "finding", hidden: true }, charts, this.words);
    this.chart = new Chart(charts, { label: "The loss along a line through the weights", alongSteps: false });
  }

  /** @param {import("../../types.d.ts").Line} data @param {{legend: HTMLElement, revision: string}} given */
  draw(data, { legend, revision }) {
    const c = colors();
    const [{ label, coordinates: x, length }] = data.axes;
    const guessed = new Set(data.interpolated.map(([i]) => i));
    /** @param {import("../../types.d.ts").Num[]} values @param {string} name @param {string} color @param {string} yaxis */
    const curve = (values, name, color, yaxis) => {
      const y = values.map(toNumber);
      return {
        type: "scatter", mode: "lines+markers", name, x, y: y.map((v) => (Number.isFinite(v) ? v : null)), yaxis,
        line: { color, width: 1.6 },
        marker: { color, size: 4, symbol: x.map((_, i) => (guessed.has(i) ? "circle-open" : "circle")) },
        customdata: y.map((v, i) => number(v, 4) + (guessed.has(i) ? ", interpolated" : "")),
        hovertemplate: `${name} %{customdata}<extra></extra>`,
      };
    };
    const norms = data.gradient_norm;
    /** @type {any[]} */
    const traces = [...(norms ? [curve(norms, "gradient norm", c.orange, "y2")] : []), curve(data.loss, "loss", c.blue, "y")];
    const chord = data.barrier === null ? null : between(x, data.loss.map(toNumber));
    if (chord) {
      traces.push({
        type: "scatter", mode: "lines", name: "straight line", ...chord, line: { color: c.red, width: 1.2, dash: "dash" },
        hovertemplate: "straight from 0 to 1: %{y:.4~g}<extra></extra>",
      });
    }
    explain(legend, [
      { label: `loss${data.log.loss ? " (log)" : ""}`, color: c.blue },
      ...(norms ? [{ label: `gradient norm${data.log.gradient_norm ? " (log)" : ""}, right`, color: c.orange }] : []),
      ...(chord ? [{ label: "straight from 0 to 1", color: c.red, look: "dash" }] : []),
    ]);
    const details = [
      `${data.points[0].toLocaleString("en-US")} points${data.samples ? `, over ${data.samples.toLocaleString("en-US")} samples` : ""}`,
      `1 is ${number(toNumber(length))} in units of the weights`,
      ...(x.length < data.points[0] ? [`${x.length.toLocaleString("en-US")} of them are drawn`] : []),
      ...(data.barrier === null ? [] : ["barrier: how far the loss rises above the straight line between its values at 0 and 1"]),
    ];
    sentences(this.words, [...data.words, ...details.map((text) => ({ text, look: "quiet" }))]);
    /** @param {boolean} log */
    const type = (log) => (log ? "log" : "linear");
    this.chart.draw(
      traces,
      {
        margin: { l: 52, r: norms ? 52 : 20, t: 8, b: 36 },
        xaxis: { title: { text: plotText(shorten(label, 60)), standoff: 2, font: { size: 11 } }, nticks: 8, hoverformat: ".4~g", zeroline: true, zerolinecolor: c.muted },
        yaxis: { type: type(data.log.loss), nticks: 6 },
        ...(norms ? { yaxis2: { type: type(data.log.gradient_norm), overlaying: "y", side: "right", showgrid: false, zeroline: false, nticks: 6, exponentformat: "power", tickfont: { color: c.orange } } } : {}),
      },
      revision,
    );
  }
}

/** The straight line between the values at 0 and 1, at the points between: what a barrier rises above. @param {number[]} x @param {number[]} loss */
function between(x, loss) {
  /** @param {number} end */
  const at = (end) => loss[x.findIndex((v) => Math.abs(v - end) < 1e-8)];
  const [start, stop] = [at(0), at(1)];
  if (!Number.isFinite(start) || !Number.isFinite(stop)) return null;
  const inside = x.filter((v) => v >= -1e-8 && v <= 1 + 1e-8);
  return { x: inside, y: inside.map((v) => start + v * (stop - start)) };
}
