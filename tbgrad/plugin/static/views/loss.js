/** The loss, the validation loss beside it; any other scalar of the run through a select. */

import { Curves } from "../curves.js";
import { element, fill } from "../dom.js";
import { clean } from "../format.js";
import { addTools, controlsOf, explain, panel } from "../panel.js";
import { inOrder, scalar } from "../tables.js";
import { colors } from "../theme.js";
import { capitalized, COMPANIONS, curveOf, scaleOf } from "./curve.js";

/** @typedef {import("../../types.d.ts").App} App */
/** @typedef {import("../../types.d.ts").Scalars} Scalars */

export class LossView {
  /** @param {App} app */
  constructor(app) {
    this.select = element("select", { "aria-label": "scalar" });
    const parts = panel("scalar", "Loss");
    parts.heading.replaceChildren(this.select);
    this.box = parts.box;
    this.legend = parts.legend;
    this.chart = new Curves(parts.body, { label: "Scalar over the steps", timeline: app.timeline, readout: parts.hint, id: "scalar", onFlip: app.flip });
    controlsOf(parts.box).append(this.chart.switch);
    addTools(parts, { name: () => `${app.run} ${this.tag}`, table: () => this.chart.table() });
    this.select.addEventListener("change", () => app.change({ scalar: this.select.value }));
    this.tag = "loss";
  }

  /** @param {App} app */
  wants(app) {
    const tags = this.tags(app);
    return { series: app.ask.scalars(tags) };
  }

  /** @param {Pick<App, "state" | "status">} app */
  tags({ state, status }) {
    const there = status.scalar_tags;
    this.tag = there.includes(state.scalar) ? state.scalar : there.includes("loss") || there.length === 0 ? "loss" : there[0];
    return [this.tag, ...(there.includes(COMPANIONS[this.tag]) ? [COMPANIONS[this.tag]] : [])];
  }

  /** @param {App} app */
  variant({ state }) {
    return [state.alert, state.scalar];
  }

  /** @param {App} app @param {{series: Scalars}} answers */
  draw(app, { series }) {
    const { state, status } = app;
    const options = inOrder(status.scalar_tags).map((tag) => ({ value: tag, label: capitalized(clean(scalar(tag).label)), title: scalar(tag).meaning }));
    fill(this.select, options.length ? options : [{ value: "loss", label: "Loss" }], this.tag);
    this.select.hidden = options.length === 0;
    const [first, beside] = this.tags({ state, status }).map((tag) => series.series.find((one) => one.tag === tag && one.steps.length > 0));
    if (!first) return this.chart.say("This run has logged no loss.");
    const c = colors();
    // Where every step is there, its peaks are too.
    const shown = beside && !(this.tag === "gradient/norm" && first.every_step) ? [first, beside] : [first];
    const curves = shown.map((one, i) => curveOf(one, { color: i ? c.orange : c.blue }));
    explain(this.legend, shown.length > 1 ? curves.map(({ name, color }) => ({ label: name, color })) : []);
    this.chart.draw({ curves, scale: scaleOf(this.tag), smooth: true, thresholds: app.chosen.thresholds(this.tag) }, `${app.run} ${this.tag}`);
  }
}
