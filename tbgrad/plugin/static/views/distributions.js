/** The gradient of one parameter through time: a map or ridges of its histograms, and some beside one another. */

import { closest } from "../curves.js";
import { element, fill } from "../dom.js";
import { clean, count, percent } from "../format.js";
import { Heat } from "../heat.js";
import { addTools, explain, panel } from "../panel.js";
import { plainTicks, stepLabel } from "../pure/axes.js";
import { inWords, layoutBins, usedRange } from "../pure/bins.js";
import { scaleOf } from "../pure/colormap.js";
import { colors } from "../theme.js";
import { showTip } from "../tip.js";
import { XYPlot } from "../xyplot.js";
import { thinned } from "./parameter.js";

/** @typedef {import("../../types.d.ts").App} App */
/** @typedef {import("../../types.d.ts").Layers} Layers */
/** @typedef {import("../../types.d.ts").Histogram} Histogram */

const MOST_RIDGES = 24;
/** Histograms beside one another, at most; without a choice the first, one between, and the newest. */
const MOST_OVERLAID = 6;

export class RidgesView {
  /** @param {App} app */
  constructor(app) {
    this.select = element("select", { "aria-label": "parameter" });
    this.select.addEventListener("change", () => app.change({ parameter: this.select.value }));
    this.look = /** @type {HTMLSelectElement} */ (element("select", { "aria-label": "how it is drawn" }));
    fill(this.look, [{ value: "map", label: "map" }, { value: "ridges", label: "ridges" }], "map");
    const parts = panel("ridges", "Distributions", this.look);
    parts.heading.replaceChildren(this.select);
    this.box = parts.box;
    this.hint = parts.hint;
    this.legend = parts.legend;
    this.needsParameter = true;
    this.mapBody = element("div", { class: "body" });
    this.ridgeBody = element("div", { class: "body", hidden: true });
    parts.body.append(this.mapBody, this.ridgeBody);
    /** @type {Histogram | undefined} */
    this.data = undefined;
    /** Draws the same in another way. */
    this.again = () => {};
    this.heat = new Heat(this.mapBody, { label: "Histograms over the steps", timeline: app.timeline, least: 3, onRow: () => {}, onFold: () => {}, words: (event, row, column) => this.tell(event, row, column) });
    this.ridges = new XYPlot(this.ridgeBody, { label: "Histograms, one behind another" });
    this.look.addEventListener("change", () => this.again());
    addTools(parts, { name: () => `${app.run} ${app.parameter} histograms`, table: () => this.table() });
  }

  /** @param {App} app */
  wants(app) {
    return { layers: app.ask.layers(), ...(app.parameter === null ? {} : { histogram: app.ask.histogram() }) };
  }

  /** @param {App} app */
  variant({ parameter }) {
    return parameter;
  }

  /** @param {App} app @param {{layers: Layers, histogram?: Histogram}} answers */
  draw(app, { layers, histogram: data }) {
    this.again = () => this.draw(app, { layers, histogram: data });
    fill(this.select, layers.parameters.map(({ name }) => ({ value: name, label: clean(name) })), app.parameter ?? "");
    this.data = data;
    const nothing = !data || data.steps.length === 0;
    const asMap = this.look.value === "map" || nothing;
    this.mapBody.hidden = !asMap;
    this.ridgeBody.hidden = asMap;
    if (!data || nothing) return this.heat.say("No histograms in this run yet. GradientMonitor(…, histograms_every=100) logs them.");
    this.hint.textContent = "share of the values by size, log scale both ways";
    const range = usedRange(data);
    if (!asMap) return this.drawRidges(data, range);
    const rows = rowsOf(data, range);
    const shares = rows.flatMap(({ values }) => values.filter((v) => v > 0));
    this.heat.draw({ rows, firsts: data.steps, steps: data.steps, scale: scaleOf("log", shares.length ? shares : [1]), selected: null });
    return undefined;
  }

  /** @param {Histogram} data @param {[number, number]} range */
  drawRidges(data, range) {
    const c = colors();
    const each = Math.max(1, Math.ceil(data.steps.length / MOST_RIDGES));
    const chosen = data.steps.map((_, i) => i).filter((i) => (data.steps.length - 1 - i) % each === 0);
    const bins = chosen.map((i) => layoutBins(data.edges, data.counts[i], range, true));
    const peak = Math.max(...bins.flatMap(({ shares }) => shares), 1e-9);
    const tall = 3;
    /** @type {import("../plot.js").Trace[]} */
    const traces = bins.map(({ centers, shares }, k) => {
      const order = centers.map((_, i) => i).sort((a, b) => centers[a] - centers[b]);
      const base = k;
      return {
        name: `step ${count(data.steps[chosen[k]])}`, look: /** @type {const} */ ("ridge"), base, color: c.blue, x: order.map((i) => centers[i]), y: order.map((i) => base + (tall * shares[i]) / peak),
        words: order.map((i) => `step ${count(data.steps[chosen[k]])}: ${percent(shares[i])}`),
      };
    }).reverse();
    const { ticks, range: reach } = bins[0];
    this.ridges.draw({
      traces, x: { low: reach[0], high: reach[1], title: "gradient, log scale both ways", ticks: (a, b, most) => thinned(ticks, most) },
      y: { low: -0.3, high: bins.length - 1 + tall, ticks: (a, b, most) => { const skip = Math.ceil(bins.length / most); return chosen.flatMap((i, k) => (k % skip === 0 ? [[k, stepLabel(data.steps[i])]] : [])); } },
    });
  }

  /** @param {MouseEvent} event @param {import("../heat.js").Row} row @param {number | null} column */
  tell(event, row, column) {
    const { data } = this;
    if (column === null || !data) return;
    showTip(event, element("b", {}, `step ${count(data.steps[column])}`), element("span", {}, `${row.key}: ${percent(row.values[column])}`), element("span", {}, inWords(data.edges, data.counts[column], sum(data.counts[column]))));
  }

  table() {
    const { data } = this;
    if (!data) return [];
    const rows = rowsOf(data, usedRange(data));
    return [["values", ...data.steps.map((step) => `step ${step}`)], ...rows.map(({ key, values }) => [key, ...values])];
  }
}

/** @param {number[]} list */
const sum = (list) => list.reduce((a, b) => a + b, 0);

/** The columns of the histograms as rows of a map: the largest positive values on top. @param {Histogram} data @param {[number, number]} given */
function rowsOf(data, [low, high]) {
  const bins = data.edges.length - 1;
  const totals = data.counts.map(sum);
  /** @param {number} column */
  const of = (column) => data.counts.map((row, k) => (row[column] > 0 ? row[column] / totals[k] : NaN));
  /** @param {number} k @returns {number | null} */
  const power = (k) => { const e = Math.log10(data.edges[k]); return Math.ceil(e - 1e-9) < Math.log10(data.edges[k + 1]) - 1e-9 ? Math.ceil(e - 1e-9) : null; };
  /** @param {number} k @param {string} sign */
  const label = (k, sign) => { const e = power(k); return e === null || e % 2 !== 0 ? "" : `${sign}10${[...String(e)].map((d) => (d === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(d)])).join("")}`; };
  /** @param {string} key @param {string} words @param {number} column */
  const row = (key, words, column) => ({ key, label: words, depth: 0, values: of(column), lost: new Set() });
  const rows = [];
  for (let k = high; k >= low; k -= 1) rows.push(row(`from ${data.edges[k].toPrecision(3)}`, label(k, ""), bins + 4 + k));
  rows.push(row("exactly zero", "0", bins + 2));
  for (let k = low; k <= high; k += 1) rows.push(row(`from −${data.edges[k].toPrecision(3)}`, label(k, "−"), 1 + bins - 1 - k));
  return rows;
}

export class OverlayView {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.add = element("button", { type: "button", title: "keep the histogram at the cursor beside the others" }, "keep this step");
    this.clear = element("button", { type: "button", class: "plain" }, "clear");
    const parts = panel("overlay", "Chosen steps", this.add, this.clear);
    this.box = parts.box;
    this.legend = parts.legend;
    this.hint = parts.hint;
    this.needsParameter = true;
    this.plot = new XYPlot(parts.body, { label: "Histograms of chosen steps" });
    this.slider = /** @type {HTMLInputElement} */ (element("input", { type: "range", min: "0", step: "1", "aria-label": "step of the histogram", class: "below" }));
    this.words = element("p", { class: "words" });
    parts.body.after(this.words, this.slider);
    /** @type {Histogram | undefined} */
    this.data = undefined;
    this.at = 0;
    this.again = () => {};
    /** @type {number[]} */
    this.kept = [];
    this.slider.addEventListener("input", () => app.change({ cursor: this.data?.steps[Number(this.slider.value)] ?? null }));
    this.add.addEventListener("click", () => {
      if (this.data) this.kept = [...new Set([...this.kept, this.data.steps[this.at]])].slice(-MOST_OVERLAID + 1);
      this.again();
    });
    this.clear.addEventListener("click", () => {
      this.kept = [];
      this.again();
    });
    addTools(parts, { name: () => `${app.run} ${app.parameter} chosen steps` });
  }

  /** @param {App} app */
  wants(app) {
    return app.parameter === null ? {} : { histogram: app.ask.histogram() };
  }

  /** @param {App} app */
  variant({ state, parameter }) {
    return [state.cursor, parameter];
  }

  /** @param {App} app @param {{histogram?: Histogram}} answers */
  draw(app, { histogram: data }) {
    this.again = () => this.draw(app, { histogram: data });
    this.data = data;
    const last = (data?.steps.length ?? 0) - 1;
    this.slider.hidden = last < 1;
    if (!data || last < 0) return this.plot.say("No histograms in this run yet.");
    this.at = app.state.cursor === null ? last : closest(data.steps, app.state.cursor);
    this.slider.max = String(last);
    this.slider.value = String(this.at);
    const others = this.kept.length ? this.kept.map((step) => data.steps.indexOf(step)).filter((i) => i >= 0) : [0, Math.floor(last / 2), last];
    const chosen = [...new Set([...others, this.at])].sort((a, b) => a - b);
    const c = colors();
    const palette = [c.faint, c.teal, c.purple, c.amber, c.zero, c.red];
    const range = usedRange(data);
    const bins = chosen.map((i) => layoutBins(data.edges, data.counts[i], range, true));
    const traces = bins.map(({ centers, shares }, k) => {
      const order = centers.map((_, i) => i).sort((a, b) => centers[a] - centers[b]);
      const mine = chosen[k] === this.at;
      const name = `step ${count(data.steps[chosen[k]])}`;
      return { name, color: mine ? c.blue : palette[k % palette.length], width: mine ? 2.4 : 1.4, x: order.map((i) => centers[i]), y: order.map((i) => shares[i]), words: order.map((i) => `${name}: ${percent(shares[i])}`) };
    });
    explain(this.legend, traces.map(({ name, color }, k) => ({ label: name + (chosen[k] === this.at ? ", at the cursor" : ""), color })));
    this.words.textContent = `step ${count(data.steps[this.at])}: ${bins[chosen.indexOf(this.at)].words}`;
    const { ticks, range: reach } = bins[0];
    const top = Math.max(...traces.flatMap(({ y }) => y), 1e-9);
    this.plot.draw({
      traces, x: { low: reach[0], high: reach[1], title: "gradient, log scale both ways", ticks: (a, b, most) => thinned(ticks, most) },
      y: { low: 0, high: 1.08 * top, ticks: (a, b, most) => plainTicks(a, b, most).map((v) => [v, v === 0 ? "0" : percent(v)]) },
    });
    return undefined;
  }
}
