/** Layers × steps: one statistic of every parameter, in colour. */

import { Chart, colors, labelWidth, logTicks } from "../chart.js";
import { element, explain, fill, panel } from "../dom.js";
import { clean, count, number, plotText, shorten } from "../format.js";
import { toNumber } from "../model.js";
import { openByParameter } from "../severity.js";
import { statistic } from "../tables.js";
import { flagged, GUTTER, marks } from "./marks.js";

const LABEL_LENGTH = 26;
const ROW_PIXELS = 15;

export class LayersView {
  /** @param {{onSelect: (name: string) => void, onStatistic: (name: string) => void}} events */
  constructor({ onSelect, onStatistic }) {
    this.select = element("select", { "aria-label": "statistic shown as colour" });
    this.select.addEventListener("change", () => onStatistic(this.select.value));
    const { box, body, hint, legend } = panel("layers", "Layers", this.select);
    this.box = box;
    this.legend = legend;
    this.hint = hint;
    this.chart = new Chart(body, { label: "Heat map of parameters by step" });
    this.tip = element("div", { class: "tip", hidden: true });
    box.append(this.tip);
    this.onSelect = onSelect;
    this.data = null;
    this.selected = null;
    this.flags = new Map();
    body.tabIndex = 0;
    body.setAttribute("aria-label", "Heat map: arrow up and down select a parameter");
    body.addEventListener("keydown", (event) => this.key(event));
    body.addEventListener("click", (event) => this.clickLabel(event));
    body.addEventListener("mousemove", (event) => this.showFlag(event));
    body.addEventListener("mouseleave", () => this.hideTip());
  }

  draw(data, selected, revision) {
    this.data = data;
    this.selected = selected;
    this.revision = revision;
    this.hideTip();
    const options = data.statistics.map((name) => {
      const { label, meaning } = statistic(name);
      return { value: name, label: clean(label), title: meaning };
    });
    fill(this.select, options, data.statistic);
    this.hint.textContent = clean(statistic(data.statistic).meaning);
    if (data.parameters.length === 0) return this.chart.say("This model has no trainable parameters.");
    if (data.steps.length === 0) return this.chart.say("No statistics of the parameters yet.");
    const { trace, missing } = this.trace();
    if (missing) {
      return this.chart.say(`“${clean(statistic(data.statistic).label)}” was not computed in this run.`);
    }
    const zeros = zeroCells(trace);
    explain(this.legend, [
      ...(zeros ? [{ label: "exactly 0", color: colors().zero, look: "box" }] : []),
      ...(data.nonfinite.length ? [{ label: "NaN or infinite", color: colors().red, look: "cross" }] : []),
    ]);
    const traces = [trace, ...(zeros ? [zeros] : []), this.crosses()];
    const first = this.chart.draw(traces, this.layout(), `${revision} ${data.statistic}`);
    if (first) {
      this.chart.node.on("plotly_click", ({ points }) => this.choose(points[0].y));
      this.chart.node.on("plotly_hover", ({ points, event }) => this.showTip(points[0], event));
      this.chart.node.on("plotly_unhover", () => this.hideTip());
    }
  }

  /** Marks another row without drawing the map anew. */
  mark(selected) {
    this.selected = selected;
    this.relayout();
  }

  /** Marks the rows that have open alerts. */
  flag(alerts) {
    this.flags = openByParameter(alerts);
    this.relayout();
  }

  relayout() {
    if (this.data && this.chart.drawn && !this.chart.node.hidden) {
      const { shapes, yaxis } = this.layout();
      Plotly.relayout(this.chart.node, { shapes, "yaxis.ticktext": yaxis.ticktext });
    }
  }

  choose(row) {
    const chosen = this.data?.parameters[Math.round(row)];
    if (chosen) this.onSelect(chosen.name);
  }

  key(event) {
    const move = { ArrowUp: -1, ArrowDown: 1, Home: -Infinity, End: Infinity }[event.key];
    if (move === undefined || !this.data?.parameters.length) return;
    event.preventDefault();
    const rows = this.data.parameters;
    const now = Math.max(0, rows.findIndex(({ name }) => name === this.selected));
    this.choose(Math.min(rows.length - 1, Math.max(0, now + move)));
  }

  /** The names beside the map select as well as its rows do. */
  clickLabel(event) {
    const row = this.labelAt(event);
    if (row !== null) this.choose(row);
  }

  /** The row beside whose name or mark the mouse is. */
  labelAt(event) {
    const layout = this.chart.node._fullLayout;
    if (!layout?.yaxis || !this.data || this.chart.node.hidden) return null;
    const box = this.chart.node.getBoundingClientRect();
    const x = event.clientX - box.left;
    const y = event.clientY - box.top - layout.margin.t;
    const beside = x >= 0 && x < layout.margin.l && y >= 0 && y <= layout.yaxis._length;
    return beside ? Math.round(layout.yaxis.p2d(y)) : null;
  }

  trace() {
    const { values, statistic: name } = this.data;
    const raw = values.map((row) => row.map(toNumber));
    const finite = raw.flat().filter(Number.isFinite);
    const missing = finite.length === 0 && this.data.nonfinite.length === 0;
    const look = { ...scale(statistic(name).scale, finite) };
    const z = raw.map((row) => row.map((value) => look.place(value)));
    const trace = {
      type: "heatmap", x: edges(this.data), y: raw.map((_, i) => i), z, customdata: raw,
      colorscale: look.colorscale, zmin: look.low, zmax: look.high, hoverinfo: "none",
      hoverongaps: true, xgap: 0, ygap: raw.length <= 40 ? 1 : 0,
      colorbar: {
        thickness: 10, len: 1, lenmode: "fraction", outlinewidth: 0, x: 1.01, xpad: 4, ypad: 0,
        tickvals: look.ticks.map(([at]) => at), ticktext: look.ticks.map(([, words]) => words),
        tickfont: { size: 11 }, ticks: "outside", ticklen: 3,
      },
    };
    return { trace, missing };
  }

  /** Red crosses where values were NaN or infinite, thinned so that they stay crosses. */
  crosses() {
    const centers = this.data.steps.map((step, i) => (step + this.data.first_steps[i]) / 2);
    const cells = this.data.nonfinite;
    return {
      type: "scatter", mode: "markers", hoverinfo: "none", name: "NaN or infinite values",
      x: cells.map(([, column]) => centers[column]), y: cells.map(([row]) => row),
      marker: { symbol: "x", size: 6, color: colors().red, line: { color: "#fff", width: 0.5 } },
    };
  }

  layout() {
    const names = this.data.parameters.map(({ name }) => name);
    const height = Math.max(80, this.chart.node.clientHeight - 50);
    const every = Math.max(1, Math.ceil((names.length * ROW_PIXELS) / height));
    const wide = this.chart.node.clientWidth > 480 ? LABEL_LENGTH : 16;
    const labels = names.map((name) => shorten(name, wide));
    const longest = Math.max(...labels.map(labelWidth));
    const row = names.indexOf(this.selected);
    const c = colors();
    const at = names.map((_, i) => i).filter((i) => i % every === 0);
    return {
      margin: { l: 11 + longest + GUTTER, r: 64, t: 6, b: 32 },
      hovermode: "closest",
      yaxis: {
        range: [names.length - 0.5, -0.5], fixedrange: true, showgrid: false, zeroline: false,
        tickvals: at, tickfont: { size: 11 }, ticklen: GUTTER, tickcolor: "rgba(0,0,0,0)",
        ticktext: at.map((i) => (i === row ? `<b>${plotText(labels[i])}</b>` : plotText(labels[i]))),
      },
      xaxis: { showgrid: false, nticks: 8 },
      shapes: [...marks(names, this.flags, height / names.length), ...(row < 0 ? [] : [{
        type: "rect", name: "selected", xref: "paper", x0: 0, x1: 1, y0: row - 0.5, y1: row + 0.5,
        line: { color: c.selected, width: 2.5 }, fillcolor: "rgba(0,0,0,0)",
      }])],
    };
  }

  /** What is wrong with a row, where the mouse is beside its mark. */
  showFlag(event) {
    const beside = this.data?.parameters[this.labelAt(event) ?? -1];
    const flags = beside && this.flags.get(beside.name);
    if (flags) this.tell(event, element("b", {}, clean(beside.name)), ...flags.map(flagged));
    else if (beside) this.hideTip();
  }

  showTip(point, event) {
    const row = Math.round(point.y);
    const parameter = this.data?.parameters[row];
    if (!parameter || !event) return;
    const column = nearest(this.data, point.x);
    const value = toNumber(this.data.values[row][column]);
    const bad = this.data.nonfinite.some(([r, k]) => r === row && k === column);
    const { first_steps: firsts, steps } = this.data;
    const when = firsts[column] === steps[column]
      ? `step ${count(steps[column])}`
      : `largest of steps ${count(firsts[column])} to ${count(steps[column])}`;
    this.tell(
      event,
      element("b", {}, clean(parameter.name)),
      element("span", {}, when),
      element("span", {}, `${clean(statistic(this.data.statistic).label)}: ${Number.isNaN(value) ? "none" : number(value, 4)}`),
      ...(bad ? [element("span", { class: "bad" }, "has NaN or infinite values")] : []),
      ...(this.flags.get(parameter.name) ?? []).map(flagged),
    );
  }

  /** Puts words beside the mouse. */
  tell(event, ...lines) {
    this.tip.replaceChildren(...lines);
    this.tip.hidden = false;
    const box = this.box.getBoundingClientRect();
    const left = Math.min(event.clientX - box.left + 14, box.width - this.tip.offsetWidth - 4);
    const top = event.clientY - box.top - this.tip.offsetHeight - 10;
    this.tip.style.left = `${Math.max(4, left)}px`;
    this.tip.style.top = `${top < 0 ? event.clientY - box.top + 16 : top}px`;
  }

  hideTip() {
    this.tip.hidden = true;
  }
}

/** Exact zeros have no place on a logarithmic scale: a colour of their own. */
function zeroCells({ x, y, z, customdata }) {
  const zeros = customdata.map((row, i) => row.map((value, k) => (value === 0 && z[i][k] === null ? 1 : null)));
  if (!zeros.some((row) => row.includes(1))) return null;
  const gray = colors().zero;
  return {
    type: "heatmap", x, y, z: zeros, showscale: false, hoverinfo: "none",
    zmin: 0, zmax: 1, colorscale: [[0, gray], [1, gray]],
  };
}

/** Borders of the columns: halfway between the records on both sides. */
function edges({ first_steps: firsts, steps }) {
  const inner = steps.slice(1).map((_, i) => (steps[i] + firsts[i + 1]) / 2);
  const last = steps.length - 1;
  if (last === 0) {
    const half = Math.max(0.5, (steps[0] - firsts[0]) / 2);
    return [firsts[0] - half, steps[0] + half];
  }
  const before = (firsts[1] - steps[0]) / 2;
  const after = (firsts[last] - steps[last - 1]) / 2;
  return [firsts[0] - before, ...inner, steps[last] + after];
}

function nearest({ first_steps: firsts, steps }, x) {
  let best = 0;
  let distance = Infinity;
  steps.forEach((step, i) => {
    const d = x < firsts[i] ? firsts[i] - x : Math.max(0, x - step);
    if (d < distance) [best, distance] = [i, d];
  });
  return best;
}

/** How values become colours, and what the legend says in numbers. */
function scale(kind, finite) {
  const extent = (list) => list.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
  if (kind === "log" || kind === "count") {
    let [low, high] = extent(finite.filter((v) => v > 0).map(Math.log10));
    if (!(low <= high)) [low, high] = [-1, 0];
    if (high - low < 0.2) [low, high] = [low - 0.1, high + 0.1];
    const place = (v) => {
      if (Number.isNaN(v)) return null;
      if (v === Infinity) return high;
      return v > 0 ? Math.log10(v) : null;
    };
    return { low, high, place, colorscale: "Viridis", ticks: logTicks(low, high) };
  }
  if (kind === "unit") {
    return { low: 0, high: 1, place: plain, colorscale: "Viridis", ticks: [0, 0.25, 0.5, 0.75, 1].map((v) => [v, `${100 * v} %`]) };
  }
  const reach = kind === "correlation" ? 1 : Math.max(...extent(finite).map(Math.abs), 1e-30);
  const bound = Number.isFinite(reach) ? reach : 1;
  return {
    low: -bound, high: bound, place: plain, colorscale: "RdBu",
    ticks: [-1, -0.5, 0, 0.5, 1].map((v) => [v * bound, number(v * bound, 2)]),
  };
}

const plain = (v) => (Number.isFinite(v) ? v : null);
