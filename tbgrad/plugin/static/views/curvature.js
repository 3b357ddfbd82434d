/** Largest and smallest Hessian eigenvalue over the steps, against the optimizer's limit. */

import { Curves } from "../curves.js";
import { clean, count, measured, number } from "../format.js";
import { toNumber } from "../model.js";
import { addTools, controlsOf, explain, panel } from "../panel.js";
import { colors } from "../theme.js";

/** @typedef {import("../../types.d.ts").App} App */
/** @typedef {import("../../types.d.ts").Curvature} Curvature */

const NOTHING = "No curvature in this run. Give GradientMonitor curvature=tbgrad.Curvature(data=(x, y), every=500).";

/** A curve of estimates: bars of error, crosses where they have not converged. @returns {import("../curves.js").Curve} @param {string} name @param {string} color @param {number[]} steps @param {number[]} values @param {number[]} errors @param {boolean[]} converged */
export function estimated(name, color, steps, values, errors, converged) {
  return {
    name, color, steps, values, errors, look: "marked", width: 1.5, hollow: converged.map((yes) => !yes),
    words: values.map((v, i) => (Number.isFinite(v) ? measured(v, errors[i] ?? NaN) + (converged[i] ? "" : ", NOT converged") : "none")),
  };
}

export class CurvatureView {
  /** @param {App} app */
  constructor(app) {
    const parts = panel("curvature", "Curvature");
    this.box = parts.box;
    this.legend = parts.legend;
    this.heading = parts.heading;
    this.hint = parts.hint;
    this.chart = new Curves(parts.body, { label: "Extreme Hessian eigenvalues over the steps", timeline: app.timeline, readout: parts.hint, id: "curvature", onFlip: app.flip });
    controlsOf(parts.box).append(this.chart.switch);
    addTools(parts, { name: () => `${app.run} curvature`, table: () => this.chart.table() });
  }

  /** @param {App} app */
  wants(app) {
    return { curvature: app.ask.curvature() };
  }

  /** @param {App} app @param {{curvature: Curvature}} answers */
  draw(app, { curvature }) {
    const { estimates, age } = curvature;
    this.hint.dataset.usual = age?.stale ? `stale: estimated ${count(age.steps)} steps ago` : "";
    if (estimates.length === 0) {
      this.box.classList.add("bare");
      explain(this.legend, []);
      return this.chart.say(NOTHING);
    }
    this.box.classList.remove("bare");
    const c = colors();
    const steps = estimates.map((e) => e.step);
    const converged = estimates.map((e) => e.converged);
    /** @param {(import("../../types.d.ts").Eigenvalue | null | undefined)[]} chosen @param {"value" | "residual"} key */
    const part = (chosen, key) => chosen.map((e) => (e ? toNumber(e[key]) : NaN));
    /** @param {string} name @param {string} color @param {(import("../../types.d.ts").Eigenvalue | null | undefined)[]} chosen */
    const curve = (name, color, chosen) => estimated(name, color, steps, part(chosen, "value"), part(chosen, "residual"), converged);
    const top = estimates.map((e) => e.eigenvalues[0]);
    const bottom = estimates.map((e) => (e.eigenvalues.length > 1 ? e.eigenvalues.at(-1) : null));
    const curves = [curve("λmax", c.purple, top)];
    /** @type {import("../panel.js").Entry[]} */
    const legend = [{ label: "λmax", color: c.purple }];
    if (bottom.some(Boolean)) {
      curves.push(curve("λmin", c.teal, bottom));
      legend.push({ label: "λmin", color: c.teal });
    }
    if (converged.includes(false)) legend.push({ label: "not converged", color: c.muted, look: "cross" });
    const newest = estimates[estimates.length - 1];
    // Of an adaptive optimizer the limit bounds the eigenvalues of another matrix, on an axis of their own.
    const second = Boolean(newest.preconditioned);
    const bounded = second ? estimates.map((e) => e.preconditioned) : top;
    if (second) {
      curves.push({ ...curve("preconditioned λmax", c.orange, bounded), second });
      legend.push({ label: "preconditioned λmax (right)", color: c.orange });
    }
    const formula = newest.threshold_formula ? ` = ${clean(newest.threshold_formula)}` : "";
    const limits = estimates.map((e) => toNumber(e.stability_threshold));
    const highest = Math.max(...part(bounded, "value").filter(Number.isFinite));
    let reach = highest;
    if (limits.some(Number.isFinite)) {
      // A limit far above would press the eigenvalues flat: say where it is instead.
      const near = limits.map((v) => (v <= 4 * Math.max(highest, 1e-12) ? v : NaN));
      const whose = second ? "its limit" : "limit";
      if (near.some(Number.isFinite)) {
        reach = Math.max(highest, ...near.filter(Number.isFinite));
        legend.push({ label: `${whose}${formula}`, color: c.red, look: "dash" });
        curves.push({ name: "limit", color: c.red, width: 1.5, dash: true, steps, values: near, second, quiet: true });
      } else {
        legend.push({ label: `${whose} ${number(limits[limits.length - 1])}${formula} is far above ↑`, color: c.red, look: "dash" });
      }
    }
    this.box.title = "";
    this.heading.title =
      `Largest and smallest eigenvalue of the Hessian${newest.samples ? ` on ${count(newest.samples)} samples` : ""}; the newest ` +
      `took ${count(newest.hvps)} Hessian-vector products and ${number(toNumber(newest.seconds), 2)} s.` +
      (second ? ` The optimizer's limit${formula} is of the preconditioned Hessian.` : "");
    explain(this.legend, legend);
    this.chart.draw({ curves, scale: "linear", zero: true, ...(second ? { second: { color: c.orange, reach } } : {}) }, app.run);
    return undefined;
  }
}
