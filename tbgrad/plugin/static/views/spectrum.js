/** What else is known of the Hessian: its density, its trace, and how many eigenvalues have a sign. */

import { closest, Curves } from "../curves.js";
import { element } from "../dom.js";
import { count, measured, number, percentBetween } from "../format.js";
import { toNumber } from "../model.js";
import { addTools, controlsOf, explain, panel } from "../panel.js";
import { logTicks, plainTicks } from "../pure/axes.js";
import { beside } from "../pure/csv.js";
import { colors } from "../theme.js";
import { XYPlot } from "../xyplot.js";
import { estimated } from "./curvature.js";

/** @typedef {import("../../types.d.ts").App} App */
/** @typedef {import("../../types.d.ts").Curvature} Curvature */
/** @typedef {import("../../types.d.ts").Density} Density */
/** @typedef {import("../../types.d.ts").Estimate} Estimate */

export class DensityView {
  /** @param {App} app */
  constructor(app) {
    const parts = panel("density", "Spectral density");
    this.box = parts.box;
    this.legend = parts.legend;
    this.hint = parts.hint;
    this.slider = /** @type {HTMLInputElement} */ (element("input", { type: "range", min: "0", step: "1", "aria-label": "step of the density", class: "below" }));
    this.plot = new XYPlot(parts.body, { label: "Density of the Hessian's eigenvalues" });
    parts.body.after(this.slider);
    this.slider.addEventListener("input", () => {
      const at = Number(this.slider.value);
      app.change({ cursor: at === this.steps.length - 1 ? null : this.steps[at] });
    });
    /** At which there are densities. @type {number[]} */
    this.steps = [];
    parts.heading.title = "How the eigenvalues of the Hessian are spread: the area under the curve is their share.";
    addTools(parts, { name: () => `${app.run} spectral density`, table: () => beside("eigenvalue", this.plot.picture?.traces ?? []) });
  }

  /** @param {App} app */
  wants(app) {
    return { curvature: app.ask.curvature() };
  }

  /** The density at the cursor, or the newest, and the first to compare it with. @param {App} app @param {{curvature: Curvature}} answers */
  follows({ ask, state }, { curvature: { density_steps: steps } }) {
    if (steps.length === 0) return {};
    const at = state.cursor === null ? steps.length - 1 : closest(steps, state.cursor);
    return { first: ask.density(steps[0]), ...(at > 0 ? { chosen: ask.density(steps[at]) } : {}) };
  }

  /** @param {App} app @param {{curvature: Curvature, first?: Density, chosen?: Density}} answers */
  draw(app, { curvature: { density_steps: steps, estimates }, first, chosen }) {
    this.steps = steps;
    this.slider.hidden = steps.length < 2;
    if (!first?.density) {
      explain(this.legend, []);
      return this.plot.say("No spectral density in this run. Give tbgrad.Curvature density_every=5000.");
    }
    const c = colors();
    const shown = [first.density, ...(chosen?.density ? [chosen.density] : [])];
    const { step: at } = shown[shown.length - 1];
    this.slider.max = String(steps.length - 1);
    this.slider.value = String(steps.indexOf(at));
    this.slider.setAttribute("aria-valuetext", `step ${count(at)}`);
    this.hint.textContent = steps.length > 1 ? `at step ${count(at)}${at === steps[steps.length - 1] ? ", the newest" : ""}` : "";
    const looks = shown.map((_, i) => (i === shown.length - 1 ? { color: c.purple, width: 2 } : { color: c.faint, width: 1.5 }));
    const traces = shown.map((d, i) => {
      const values = d.density.map(toNumber);
      // Below a millionth of the peak there are only the tails of the Gaussians that stand for eigenvalues.
      const floor = 1e-6 * Math.max(...values);
      const y = values.map((v) => (v > floor ? v : null));
      const x = d.grid.map(toNumber);
      return { name: `step ${count(d.step)}`, x, y, ...looks[i], words: x.map((v, k) => `step ${count(d.step)}: density ${number(y[k] ?? 0, 3)} at ${number(v, 4)}`) };
    });
    /** @type {import("../panel.js").Entry[]} */
    const legend = shown.map((d, i) => ({ label: `step ${count(d.step)}${i ? "" : shown.length > 1 ? ", the first" : ""}`, color: looks[i].color }));
    const counted = estimates.findLast((e) => e.minimum_ratio && e.step <= at) ?? estimates.findLast((e) => e.minimum_ratio);
    if (counted) {
      const shares = { "above zero": counted.minimum_ratio, "below zero": counted.negative_fraction, "too near to tell": counted.zero_fraction };
      for (const [label, share] of Object.entries(shares)) if (share) legend.push({ label: `${label}: ${percentBetween(share)}`, color: "transparent", look: "none" });
    }
    explain(this.legend, legend);
    const all = traces.flatMap(({ y }) => y).filter((v) => v !== null);
    const places = traces.flatMap(({ x, y }) => x.filter((_, i) => y[i] !== null));
    const [low, high] = [Math.min(...places), Math.max(...places)];
    const room = 0.03 * (high - low) || 1;
    this.plot.draw({
      traces,
      x: { low: low - room, high: high + room, title: "eigenvalue", ticks: (a, b, most) => plainTicks(a, b, most).map((v) => [v, number(v, 3)]) },
      y: { low: Math.min(...all) / 1.5, high: Math.max(...all) * 1.5, log: true, ticks: (a, b, most) => logTicks(Math.log10(a), Math.log10(b), most).map(([e, words]) => [10 ** e, words]) },
    });
    return undefined;
  }
}

/** A panel of one curve, or of curves alike, of the estimates. */
class EstimatesView {
  /** @param {App} app @param {string} id @param {string} title @param {string} label @param {string} nothing what is said where there is nothing */
  constructor(app, id, title, label, nothing) {
    const parts = panel(id, title);
    this.box = parts.box;
    this.legend = parts.legend;
    this.hint = parts.hint;
    this.nothing = nothing;
    this.chart = new Curves(parts.body, { label, timeline: app.timeline, readout: parts.hint, id, onFlip: app.flip });
    controlsOf(parts.box).append(this.chart.switch);
    addTools(parts, { name: () => `${app.run} ${title}`, table: () => this.chart.table() });
  }

  /** @param {App} app */
  wants(app) {
    return { curvature: app.ask.curvature() };
  }

  /** @param {App} app @param {import("../curves.js").Curve[]} curves @param {import("../panel.js").Entry[]} legend @param {Omit<import("../curves.js").Drawing, "curves">} drawing */
  show(app, curves, legend, drawing) {
    const nothing = curves.every(({ values }) => !values.some(Number.isFinite));
    explain(this.legend, nothing ? [] : legend);
    if (nothing) return this.chart.say(this.nothing);
    this.chart.draw({ curves, ...drawing }, app.run);
    return undefined;
  }
}

export class StabilityView extends EstimatesView {
  /** @param {App} app */
  variant({ state }) {
    return state.alert;
  }

  /** @param {App} app */
  constructor(app) {
    super(app, "stability", "λ / limit", "Largest eigenvalue over the optimizer's limit", "The limit of this optimizer is not known, or no curvature was logged.");
  }

  /** @param {App} app @param {{curvature: Curvature}} answers */
  draw(app, { curvature: { estimates } }) {
    const c = colors();
    /** @type {import("../curves.js").Curve} */
    const curve = { name: "λ / limit", color: c.purple, look: "marked", width: 1.5, steps: estimates.map((e) => e.step), values: estimates.map((e) => toNumber(e.stability)), hollow: estimates.map((e) => !e.converged) };
    return this.show(app, [curve], [{ label: "1: edge of stability", color: c.red, look: "dash" }], { scale: "linear", zero: true, thresholds: [{ y: 1, label: "edge of stability" }, ...app.chosen.thresholds("curvature/stability")] });
  }
}

export class TraceView extends EstimatesView {
  /** @param {App} app */
  constructor(app) {
    super(app, "trace", "Trace", "Trace of the Hessian", "No trace in this run. Give tbgrad.Curvature trace=True.");
  }

  /** @param {App} app @param {{curvature: Curvature}} answers */
  draw(app, { curvature: { estimates } }) {
    const known = estimates.filter((e) => e.trace !== null);
    const values = known.map((e) => toNumber(e.trace));
    const errors = known.map((e) => toNumber(e.trace_error));
    const curve = estimated("trace", colors().teal, known.map((e) => e.step), values, errors, known.map(() => true));
    curve.words = values.map((v, i) => measured(v, errors[i]));
    return this.show(app, [curve], [], { scale: "linear", zero: true });
  }
}

export class SharesView extends EstimatesView {
  /** @param {App} app */
  constructor(app) {
    super(app, "shares", "Signs of the eigenvalues", "Shares of the eigenvalues above and below zero", "No shares of eigenvalues in this run: they come with the spectral density. Give tbgrad.Curvature density_every=5000.");
  }

  /** @param {App} app @param {{curvature: Curvature}} answers */
  draw(app, { curvature: { estimates } }) {
    const c = colors();
    const known = estimates.filter((e) => e.minimum_ratio);
    /** @type {[string, "minimum_ratio" | "negative_fraction" | "zero_fraction", string][]} */
    const kinds = [["above zero", "minimum_ratio", c.blue], ["below zero", "negative_fraction", c.orange], ["too near to tell", "zero_fraction", c.zero]];
    /** @type {import("../curves.js").Curve[]} */
    const curves = kinds.map(([name, key, color]) => {
      const shares = known.map((e) => e[key]);
      return {
        name, color, look: /** @type {const} */ ("marked"), width: 1.5, steps: known.map((e) => e.step), values: shares.map((s) => (s ? s.value : NaN)),
        errors: shares.map((s) => (s ? Math.max(s.high - s.value, s.value - s.low) : NaN)), words: shares.map((s) => (s ? percentBetween(s) : "none")),
      };
    });
    return this.show(app, curves, kinds.map(([label, , color]) => ({ label, color })), { scale: "unit" });
  }
}
