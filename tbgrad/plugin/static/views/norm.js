/** The norm of the whole gradient over the steps, and its peaks between logged steps. */

import { Curves } from "../curves.js";
import { count } from "../format.js";
import { addTools, controlsOf, explain, panel } from "../panel.js";
import { scalar } from "../tables.js";
import { colors } from "../theme.js";
import { curveOf } from "./curve.js";

/** @typedef {import("../../types.d.ts").App} App */
/** @typedef {import("../../types.d.ts").Scalars} Scalars */

export class NormView {
  /** @param {App} app */
  constructor(app) {
    const parts = panel("norm", "Gradient norm");
    this.box = parts.box;
    this.hint = parts.hint;
    this.legend = parts.legend;
    this.chart = new Curves(parts.body, { label: "Norm of the whole gradient over the steps", timeline: app.timeline, readout: parts.hint, id: "norm", onFlip: app.flip });
    parts.heading.title = scalar("gradient/norm").meaning;
    controlsOf(parts.box).append(this.chart.switch);
    addTools(parts, { name: () => `${app.run} gradient norm`, table: () => this.chart.table() });
  }

  /** @param {App} app */
  wants(app) {
    return { series: app.ask.scalars(["gradient/norm", "gradient/norm_max"]) };
  }

  /** @param {App} app */
  variant({ state }) {
    return state.alert;
  }

  /** @param {App} app @param {{series: Scalars}} answers */
  draw(app, { series }) {
    /** @param {string} tag */
    const find = (tag) => series.series.find((one) => one.tag === tag && one.steps.length > 0);
    const norm = find("gradient/norm");
    // Where every step is there, its peaks are too.
    const peak = norm?.every_step ? undefined : find("gradient/norm_max");
    if (!norm && !peak) return this.chart.say("This run has logged no gradient norm.");
    const c = colors();
    const curves = [];
    if (peak) curves.push(curveOf(peak, { name: "peak", color: c.faint, width: 1.2 }));
    if (norm) curves.push(curveOf(norm, { name: "norm", color: c.orange }));
    this.chart.draw({ curves, scale: "log", smooth: true, lost: "NaN or infinite", thresholds: app.chosen.thresholds("gradient/norm", "gradient/norm_max") }, app.run);
    const zeros = this.chart.zeroCount;
    explain(this.legend, [
      ...(norm ? [{ label: "norm", color: c.orange }] : []),
      ...(peak ? [{ label: "peak since last log", color: c.faint }] : []),
      ...(zeros ? [{ label: `exactly 0 (${count(zeros)})`, color: c.orange, look: "zero" }] : []),
      ...(curves.some(({ values }) => values.some((v) => !Number.isFinite(v))) ? [{ label: "NaN or infinite", color: c.red, look: "cross" }] : []),
    ]);
  }
}
