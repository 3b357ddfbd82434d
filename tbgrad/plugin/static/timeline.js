/** What all charts along the steps share: the range, the cursor, the axis, and the bands of alerts. */

import { extent, logTicks, plainTicks, stepLabel } from "./pure/axes.js";
import { Clock, unitOf, wallLabel, wallTicks } from "./pure/clock.js";
import { count, number } from "./format.js";
import { colors, SEVERITY_COLORS } from "./theme.js";

/** @typedef {{first: number, last: number, severity: string, chosen: boolean}} StepBand */

export class Timeline {
  /** @param {{onRange: (range: [number, number] | null) => void, onCursor: (step: number | null) => void}} events */
  constructor({ onRange, onCursor }) {
    this.onRange = onRange;
    this.onCursor = onCursor;
    /** Charts along the steps. @type {Set<any>} */
    this.charts = new Set();
    /** The first and the last step there is. @type {[number, number]} */
    this.extent = [0, 1];
    /** @type {[number, number] | null} */
    this.range = null;
    /** @type {number | null} */
    this.cursor = null;
    /** Where the mouse is. @type {number | null} */
    this.hovered = null;
    /** @type {import("./pure/clock.js").Kind} */
    this.axis = "step";
    this.logx = false;
    this.smoothing = 0;
    this.outliers = false;
    /** Of the run in front, and of others by their names. */
    this.clock = new Clock();
    /** @type {Map<string, Clock>} */
    this.clocks = new Map();
    /** @type {StepBand[]} */
    this.bands = [];
  }

  /** The steps that are seen. @returns {[number, number]} */
  get seen() {
    if (this.range) return this.range;
    const [first, last] = this.extent;
    const room = Math.max(0.5, 0.012 * (last - first));
    return [first - room, last + room];
  }

  /** Where a step of a run is below the axis. @param {number} step @param {string} [run] */
  place(step, run) {
    if (this.axis === "step") return step;
    const clock = (run !== undefined && this.clocks.get(run)) || this.clock;
    return this.axis === "wall" ? clock.at(step) : (clock.at(step) - clock.start) / this.unit[1];
  }

  /** The step of the run in front at a place. @param {number} place */
  stepAt(place) {
    if (this.axis === "step") return place;
    return this.clock.stepAt(this.axis === "wall" ? place : this.clock.start + place * this.unit[1]);
  }

  get unit() {
    const [first, last] = this.extent;
    return unitOf(this.clock.at(last) - this.clock.at(first));
  }

  /** The axis below every chart. @returns {import("./plot.js").Axis} */
  get below() {
    let [low, high] = this.seen.map((step) => this.place(step));
    if (!(high > low)) [low, high] = [low - 0.5, low + 0.5];
    if (this.axis === "wall") return { low, high, title: "time of day", ticks: wallTicks };
    const title = this.axis === "step" ? "step" : `${this.unit[0]} since the start`;
    if (this.logx) {
      const least = this.axis === "step" ? 1 : high / 1e4;
      low = Math.max(low, least);
      if (!(high > low)) high = 10 * low;
      /** @param {number} a @param {number} b @param {number} most */
      const ticks = (a, b, most) => logTicks(Math.log10(a), Math.log10(b), most).map(([at, label]) => /** @type {[number, string]} */ ([10 ** at, label]));
      return { low, high, log: true, title: `${title}, log scale`, ticks };
    }
    const whole = this.axis === "step";
    return { low, high, title, ticks: (a, b, most) => plainTicks(a, b, most, whole).map((v) => [v, whole ? stepLabel(v) : number(v)]) };
  }

  /** What a step is called in the axis that is shown. @param {number} step */
  words(step) {
    const there = `step ${count(Math.round(step))}`;
    if (this.axis === "step") return there;
    if (this.axis === "wall") return `${there}, ${wallLabel(this.clock.at(step))}`;
    return `${there}, ${number(this.place(step), 3)} ${this.unit[0]}`;
  }

  /** Makes room for these steps; whether there was none. @param {number[]} steps @param {boolean} anew of another run */
  widen(steps, anew) {
    const ends = extent(anew ? steps : [...steps, ...this.extent]);
    if (!ends || (ends.low === this.extent[0] && ends.high === this.extent[1])) return false;
    this.extent = [ends.low, ends.high];
    return true;
  }

  /** Takes the times of runs that are drawn beside one another. @param {{run: string, steps: number[], wall_times?: number[]}[]} series */
  learn(series) {
    for (const { run, steps, wall_times: times } of series) {
      const known = this.clocks.get(run);
      if (times?.length && (!known || known.steps.length < times.length)) this.clocks.set(run, new Clock(steps, times));
    }
  }

  /** The bands as places. @returns {import("./plot.js").Band[]} */
  get shades() {
    return this.bands.map(({ first, last, severity, chosen }) => ({
      from: this.place(first), to: this.place(last), color: colors()[SEVERITY_COLORS[severity] ?? "blue"], strong: chosen,
    }));
  }

  /** Draws anew what is in sight; the rest when it comes into sight. */
  redraw() {
    for (const chart of this.charts) {
      chart.stale = true;
      if (chart.inSight()) chart.redraw();
    }
  }

  /** The mouse is on a step; null where it has left. @param {number | null} step */
  hover(step) {
    if (step === this.hovered) return;
    this.hovered = step;
    this.moved();
  }

  moved() {
    for (const chart of this.charts) if (chart.inSight()) chart.moved();
  }

  /** Shows all steps and all values in every chart. */
  reset() {
    for (const chart of this.charts) chart.unzoom();
    this.onRange(null);
  }
}
