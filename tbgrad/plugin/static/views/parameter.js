/** The selected parameter: its curve, and the distribution of its gradient at one step. */

import { closest, Curves } from "../curves.js";
import { element, fill } from "../dom.js";
import { clean, count, percent } from "../format.js";
import { toNumber } from "../model.js";
import { addTools, explain, panel } from "../panel.js";
import { plainTicks } from "../pure/axes.js";
import { layoutBins, usedRange } from "../pure/bins.js";
import { statistic } from "../tables.js";
import { colors } from "../theme.js";
import { XYPlot } from "../xyplot.js";

/** @typedef {import("../../types.d.ts").App} App */
/** @typedef {import("../../types.d.ts").Histogram} Histogram */
/** @typedef {import("../../types.d.ts").Layers} Layers */
/** @typedef {import("../../types.d.ts").OneParameter} OneParameter */

export class ParameterView {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.select = element("select", { "aria-label": "parameter" });
    this.select.addEventListener("change", () => app.change({ parameter: this.select.value }));
    const parts = panel("parameter", "Parameter");
    parts.heading.replaceChildren(this.select);
    this.box = parts.box;
    this.hint = parts.hint;
    /** What is drawn. @type {OneParameter | undefined} */
    this.drawn = undefined;
    this.needsParameter = true;
    const left = element("div", { class: "half" });
    const right = element("div", { class: "half", id: "histogram" });
    parts.body.append(left, right);
    this.curveTitle = element("h3", {});
    const told = element("span", { class: "legend" });
    const row = element("div", { class: "title-row" }, this.curveTitle, told);
    left.append(row);
    this.legend = told;
    this.curve = new Curves(left, { label: "Statistic of the selected parameter over the steps", timeline: app.timeline, id: "parameter", onFlip: app.flip });
    row.append(this.curve.switch);
    this.slider = /** @type {HTMLInputElement} */ (element("input", { type: "range", min: "0", step: "1", "aria-label": "step of the histogram" }));
    this.when = element("output", {});
    right.append(element("h3", {}, "Distribution ", this.when));
    this.words = element("p", { class: "words" });
    right.append(this.words);
    this.bars = new XYPlot(right, { label: "Histogram of the gradient of the selected parameter" });
    right.append(this.slider);
    addTools(parts, { name: () => `${app.run} ${app.parameter} ${app.state.statistic}`, table: () => this.curve.table() });
    /** @type {number[]} */
    this.steps = [];
    this.slider.addEventListener("input", () => {
      const at = Number(this.slider.value);
      app.change({ cursor: at === this.steps.length - 1 ? null : this.steps[at] });
    });
  }

  /** @param {App} app */
  wants(app) {
    return app.parameter === null ? { layers: app.ask.layers() } : { layers: app.ask.layers(), parameter: app.ask.parameter(), histogram: app.ask.histogram() };
  }

  /** What it shows of the state beside its answers. @param {{state: App["state"], parameter: string | null}} given */
  variant({ state, parameter }) {
    return [state.cursor, state.statistic, parameter, state.alert];
  }

  /** @param {App} app @param {{layers: Layers, parameter?: OneParameter, histogram: Histogram}} answers */
  draw(app, { layers, parameter, histogram }) {
    const { parameters } = layers;
    fill(this.select, parameters.map(({ name }) => ({ value: name, label: clean(name) })), app.parameter ?? "");
    if (!parameter) return this.curve.say("This run has no statistics of parameters yet.");
    const { shape, size, role, dtype } = parameter.parameter;
    const shown = shape.length ? `${shape.join(" × ")} = ` : "";
    this.hint.textContent = [clean(role), `${shown}${count(size)} values`, clean(dtype)].filter(Boolean).join(" · ");
    const key = `${app.run} ${app.parameter}`;
    if (this.drawn !== parameter || this.alert !== app.state.alert || this.statistic !== app.state.statistic || this.theme !== colors()) this.drawCurve(parameter, app.state.statistic, key);
    this.drawn = parameter;
    this.statistic = app.state.statistic;
    this.theme = colors();
    this.alert = app.state.alert;
    this.drawHistogram(histogram, app.state.cursor);
  }

  /** @param {OneParameter} data @param {string} name @param {string} key */
  drawCurve(data, name, key) {
    const { label, scale } = statistic(name);
    /** @param {string} of */
    const logged = (of) => (data.statistics[of] ?? []).map(toNumber);
    /** @param {string} of */
    const column = (of) => (of === "update_ratio" ? ratio(logged("update_norm"), logged("weight_norm")) : logged(of));
    const every = name === "norm" && data.norms.steps.length > 0;
    const values = every ? data.norms.values.map(toNumber) : column(name);
    this.curveTitle.textContent = clean(label);
    explain(this.legend, []);
    if (!values.some((v) => !Number.isNaN(v))) return this.curve.say(`“${clean(label)}” was not computed for this parameter.`);
    const c = colors();
    const steps = every ? data.norms.steps : data.steps;
    const curves = [];
    if (name === "norm" && !every && data.statistics.norm_max) curves.push({ name: "peak", color: c.faint, width: 1.2, steps, values: column("norm_max"), quiet: true });
    curves.push({ name: name === "norm" ? "norm" : clean(label), color: c.orange, steps, values, quiet: !every });
    const counts = column("nonfinite");
    const lostSteps = every ? [] : steps.filter((_, i) => counts[i] > 0);
    const axis = scale === "count" ? "auto" : scale === "log" || scale === "unit" ? scale : "linear";
    this.curve.draw({ curves, scale: axis, lost: "NaN or infinite values", lostSteps, smooth: true, thresholds: this.app.chosen.thresholds(name) }, `${key} ${name}`);
    const zeros = this.curve.zeroCount;
    explain(this.legend, zeros ? [{ label: `exactly 0 (${count(values.filter((v) => v === 0).length)})`, color: c.orange, look: "zero" }] : []);
    return undefined;
  }

  /** @param {Histogram} data @param {number | null} cursor */
  drawHistogram(data, cursor) {
    this.steps = data.steps;
    const last = data.steps.length - 1;
    this.slider.hidden = last < 1;
    this.words.hidden = last < 0;
    this.when.textContent = "";
    if (last < 0) return this.bars.say("No histograms in this run yet.");
    const at = cursor === null ? last : closest(data.steps, cursor);
    this.slider.max = String(last);
    this.slider.value = String(at);
    this.when.textContent = `at step ${count(data.steps[at])}${at === last ? ", the newest" : ""}`;
    const bins = layoutBins(data.edges, data.counts[at], usedRange(data));
    this.words.textContent = bins.words;
    if (bins.total === 0) return this.bars.say("This histogram is empty.");
    this.bars.draw(histogramPicture(bins));
    return undefined;
  }
}

/** @param {number[]} above @param {number[]} below */
const ratio = (above, below) => above.map((v, i) => (below[i] > 0 ? v / below[i] : NaN));

/** Bars over a signed logarithmic axis. @returns {import("../plot.js").Picture} @param {ReturnType<typeof layoutBins>} bins */
export function histogramPicture(bins) {
  const c = colors();
  return {
    traces: [{
      name: "share of values", look: "bars", x: bins.centers, y: bins.shares, widths: bins.widths, words: bins.labels, color: c.bars,
      colors: bins.isZero.map((zero) => (zero ? c.zero : c.bars)),
    }],
    x: { low: bins.range[0], high: bins.range[1], title: "gradient, log scale both ways", ticks: (low, high, most) => thinned(bins.ticks, most) },
    y: { low: 0, high: 1.05 * Math.max(...bins.shares), ticks: (low, high, most) => plainTicks(low, high, most).map((v) => [v, v === 0 ? "0" : percent(v)]) },
  };
}

/** Ticks about the middle, the same on both sides of it. @param {[number, string][]} ticks @param {number} most */
export function thinned(ticks, most) {
  const right = ticks.filter(([at]) => at > 0).sort(([a], [b]) => a - b);
  const each = Math.max(1, Math.ceil(right.length / Math.max(1, (most - 1) / 2)));
  const kept = new Set(right.filter((_, i) => (right.length - 1 - i) % each === 0).map(([at]) => at));
  return ticks.filter(([at]) => at === 0 || kept.has(Math.abs(at))).sort(([a], [b]) => a - b);
}
