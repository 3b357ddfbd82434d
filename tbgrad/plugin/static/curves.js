/** Curves over the steps on the axis that shows them best, or on the other one. */

import { element } from "./dom.js";
import { count, number, percent } from "./format.js";
import { canBeLog, constant, extent, linearAxis, logAxis, logTicks, plainTicks, suitsLog, withoutOutliers } from "./pure/axes.js";
import { beside } from "./pure/csv.js";
import { factsOf } from "./pure/facts.js";
import { smoothed } from "./pure/smoothing.js";
import { StepPlot } from "./stepplot.js";
import { showTip } from "./tip.js";

/**
 * One curve. `values` may be NaN and infinite; `words` tell a value where its number is not enough.
 * @typedef {{name: string, color: string, steps: number[], values: number[], run?: string, width?: number, dash?: boolean,
 *   second?: boolean, errors?: number[], hollow?: boolean[], look?: "line" | "marked", words?: string[], quiet?: boolean, muted?: boolean}} Curve
 */
/**
 * `scale` "auto" is logarithmic where the values are far apart; "unit" is a share.
 * @typedef {{curves: Curve[], scale?: "linear" | "log" | "auto" | "unit", smooth?: boolean, zero?: boolean, cut?: boolean,
 *   thresholds?: import("./plot.js").Threshold[], second?: {color: string, reach: number}, lost?: string, lostSteps?: number[]}} Drawing
 */

/** More values than these are not listed beside the mouse. */
const TOLD = 14;

/** @typedef {{label: string, timeline: import("./timeline.js").Timeline, readout?: HTMLElement | null, id: string, onFlip?: (id: string) => void}} Options */

export class Curves extends StepPlot {
  /** @param {HTMLElement} parent @param {Options} options `id` names the chart in the address, `onFlip` is told of a change of its axis */
  constructor(parent, options) {
    super(parent, options);
    this.canZoomUp = true;
    /** @type {[number, number] | null} */
    this.upright = null;
    this.flipped = false;
    this.switch = element("button", { type: "button", class: "switch", title: "logarithmic or linear axis (l)", "aria-pressed": "false" }, "log");
    this.switch.addEventListener("click", () => options.onFlip?.(options.id));
    this.id = options.id;
    /** Of what is shown. */
    this.key = "";
    /** @type {(Curve & {y: (number | null)[], smooth?: (number | null)[]})[]} */
    this.shown = [];
    /** @type {Drawing | null} */
    this.drawing = null;
  }

  /** @param {Drawing} drawing @param {string} key of what is shown: of something else the zoom of the values is forgotten */
  draw(drawing, key = "") {
    if (key !== this.key) this.upright = null;
    this.drawing = drawing;
    this.key = key;
    this.redraw();
  }

  /** @param {string} words */
  say(words) {
    this.drawing = null;
    this.switch.hidden = true;
    super.say(words);
  }

  unzoom() {
    if (this.upright === null) return;
    this.upright = null;
    this.redraw();
  }

  /** @param {number} low @param {number} high */
  zoomUp(low, high) {
    this.upright = [low, high];
    this.redraw();
  }

  /** Its logarithmic axis, where it can have one. @param {boolean} flipped */
  flip(flipped) {
    if (flipped === this.flipped) return;
    this.flipped = flipped;
    this.upright = null;
    this.redraw();
  }

  redraw() {
    super.redraw();
    if (!this.drawing) return;
    const { timeline } = this;
    const { curves, scale = "linear", smooth = false, thresholds = [], second, zero = false } = this.drawing;
    const [first, last] = timeline.seen;
    /** @param {number} v */
    const finite = (v) => (Number.isFinite(v) ? v : null);
    this.shown = curves.map((curve) => ({ ...curve, y: curve.values.map(finite) }));
    /** @param {{steps: number[], y: (number | null)[]}[]} of */
    const inView = (of) => of.flatMap(({ steps, y }) => y.filter((_, i) => steps[i] >= first && steps[i] <= last));
    const mine = this.shown.filter((curve) => !curve.second);
    let values = inView(mine);
    if (!values.some((v) => v !== null)) values = mine.flatMap(({ y }) => y);
    const can = canBeLog(values);
    const suits = scale === "log" ? can : scale === "auto" && suitsLog(values);
    this.log = can && suits !== this.flipped;
    this.switch.hidden = !can || scale === "unit";
    this.switch.setAttribute("aria-pressed", String(this.log));
    const y = this.axis(values, scale, thresholds.filter((t) => !t.second).map((t) => t.y), zero);
    const smoothing = smooth ? timeline.smoothing : 0;
    const traces = this.shown.flatMap((curve) => {
      const x = curve.steps.map((step) => timeline.place(step, curve.run));
      const base = { name: curve.name, x, color: curve.color, width: curve.width, dash: curve.dash, second: curve.second, look: curve.look, hollow: curve.hollow, errors: curve.errors, faint: curve.muted };
      const on = curve.second ? curve.y : curve.y.map((v) => (v !== null && this.log && v <= 0 ? null : v));
      if (!smoothing || curve.quiet || curve.y.length < 3) return [{ ...base, y: on }];
      curve.smooth = smoothed(curve.y, smoothing);
      return [{ ...base, y: on, faint: true, width: 1.2, name: `${curve.name}, as logged` }, { ...base, y: curve.smooth.map((v) => (v !== null && this.log && v <= 0 ? null : v)) }];
    });
    const lost = [...new Set([...(this.drawing.lostSteps ?? []), ...curves.flatMap((c) => c.steps.filter((_, i) => !Number.isFinite(c.values[i]) && !c.quiet).map((s) => timeline.place(s, c.run)))])];
    this.zeros = this.log ? this.shown.filter((c) => !c.second).map((c) => ({ color: c.color, steps: c.steps.filter((_, i) => c.y[i] === 0) })) : [];
    this.show({
      traces, x: timeline.below, y, thresholds, bands: timeline.shades,
      ...(second ? { y2: { low: 0, high: 1.4 * Math.max(second.reach, 1e-12), color: second.color, ticks: numbered } } : {}),
      lost: { x: lost, label: this.drawing.lost ?? "not finite" },
      zeros: this.zeros.map(({ steps, color }) => ({ color, x: steps.map((step) => timeline.place(step)) })),
    });
    this.tell(curves.map((c, i) => factsOf(c.name, c.steps, this.shown[i].y, c.steps.filter((_, k) => !Number.isFinite(c.values[k]) && !c.quiet))));
  }

  /** How many points of a logarithmic axis are zero, which it has no place for. */
  get zeroCount() {
    return (this.zeros ?? []).reduce((sum, { steps }) => sum + steps.length, 0);
  }

  /** @returns {import("./plot.js").Axis} @param {(number | null)[]} values @param {string | undefined} scale @param {number[]} thresholds @param {boolean} zero */
  axis(values, scale, thresholds, zero) {
    const fixed = this.upright;
    if (this.log) {
      const held = [...values, ...thresholds.filter((v) => v > 0)];
      const [low, high] = fixed ?? logAxis(held).range.map((e) => 10 ** e);
      const only = constant(values.filter((v) => v !== null && v > 0));
      /** @type {import("./plot.js").Axis["ticks"]} */
      const ticks = only !== null && !fixed && !thresholds.length ? () => [[only, number(only)]] : (a, b, most) => logTicks(Math.log10(a), Math.log10(b), most).map(([at, label]) => [10 ** at, label]);
      return { low, high, log: true, ticks };
    }
    const held = this.drawing?.cut && !this.timeline.outliers ? withoutOutliers(values) : null;
    const all = held ?? extent(values) ?? { low: 0, high: 1 };
    if (fixed) return { low: fixed[0], high: fixed[1], ticks: scale === "unit" ? shares : numbered };
    if (scale === "unit") return { low: -0.02, high: Math.max(0.1, Math.min(1, 1.1 * all.high)) + 0.02, ticks: shares };
    const only = constant(values);
    if (only !== null && !thresholds.length) {
      const [low, high] = linearAxis(values).range ?? [0, 1];
      return { low, high, ticks: () => [[only, number(only)]] };
    }
    const ends = extent([all.low, all.high, ...thresholds, ...(zero ? [0] : [])]) ?? all;
    const room = 0.05 * (ends.high - ends.low) || Math.abs(ends.high) / 2 || 1;
    return { low: ends.low - room, high: ends.high + room, ticks: numbered };
  }

  /** @param {number} step */
  nearest(step) {
    let best = step;
    let distance = Infinity;
    for (const { steps } of this.shown ?? []) {
      const at = closest(steps, step);
      if (at >= 0 && Math.abs(steps[at] - step) < distance) [best, distance] = [steps[at], Math.abs(steps[at] - step)];
    }
    return best;
  }

  /** What the curves are at a step: the nearest record of each. @param {number} step */
  at(step) {
    return (this.shown ?? []).flatMap((curve) => {
      const i = closest(curve.steps, step);
      if (i < 0) return [];
      const value = curve.values[i];
      const smooth = curve.smooth?.[i];
      const told = curve.words?.[i] ?? (this.drawing?.scale === "unit" && Number.isFinite(value) ? percent(value) : number(value, 4));
      return [{ curve, value, words: smooth !== undefined && smooth !== null ? `${number(smooth, 4)} (${told})` : told, step: curve.steps[i] }];
    });
  }

  /** @param {PointerEvent} event @param {number} step */
  tip(event, step) {
    const found = this.at(step);
    const sorted = found.length > 3 ? [...found].sort((a, b) => b.value - a.value) : found;
    const lines = sorted.slice(0, TOLD).map(({ curve, words, step: at }) => {
      const key = element("i", {});
      key.style.background = curve.color;
      return element("span", { class: "entry" }, key, `${curve.name} ${words}${at === step ? "" : ` @${count(at)}`}`);
    });
    showTip(event, element("b", {}, this.timeline.words(step)), ...lines, ...(sorted.length > TOLD ? [element("span", {}, `and ${sorted.length - TOLD} more`)] : []));
  }

  read() {
    if (!this.readout) return;
    const { cursor } = this.timeline;
    const found = cursor === null ? [] : this.at(cursor);
    this.readout.textContent = found.length === 0 || cursor === null ? this.readout.dataset.usual ?? "" : `${this.timeline.words(cursor)}: ${found.slice(0, 4).map(({ curve, words }) => `${curve.name} ${words}`).join(" · ")}`;
  }

  /** What is seen, as a table. */
  table() {
    const [first, last] = this.timeline.seen;
    const seen = (this.shown ?? []).map(({ name, steps, values }) => {
      const kept = steps.flatMap((step, i) => (step >= first && step <= last ? [i] : []));
      return { name, x: kept.map((i) => steps[i]), y: kept.map((i) => values[i]) };
    });
    return beside("step", seen);
  }
}

/** @param {number} low @param {number} high @param {number} most */
const numbered = (low, high, most) => plainTicks(low, high, most).map((v) => /** @type {[number, string]} */ ([v, number(Math.abs(v) < 1e-12 * (high - low) ? 0 : v, 4)]));
/** @param {number} low @param {number} high @param {number} most */
const shares = (low, high, most) => plainTicks(low, high, most).map((v) => /** @type {[number, string]} */ ([v, `${Number((100 * v).toPrecision(3))} %`]));

/** The place of the step that is nearest, -1 where there is none. @param {number[]} steps @param {number} step */
export function closest(steps, step) {
  if (steps.length === 0) return -1;
  let [low, high] = [0, steps.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (steps[middle] <= step) low = middle;
    else high = middle;
  }
  return Math.abs(steps[low] - step) <= Math.abs(steps[high] - step) ? low : high;
}
