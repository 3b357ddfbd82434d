/** A statistic against the depth of the network, at one step: where the gradient flows and where it ends. */

import { element } from "../dom.js";
import { clean, count, number } from "../format.js";
import { addTools, explain, panel } from "../panel.js";
import { canBeLog, extent, logTicks, plainTicks } from "../pure/axes.js";
import { beside } from "../pure/csv.js";
import { statistic } from "../tables.js";
import { colors } from "../theme.js";
import { XYPlot } from "../xyplot.js";

/** @typedef {import("../../types.d.ts").App} App */
/** @typedef {import("../../types.d.ts").Layers} Layers */

/** So many columns a second are played. */
const PLAYED = 12;

export class FlowView {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    const parts = panel("flow", "Flow");
    this.box = parts.box;
    this.hint = parts.hint;
    this.legend = parts.legend;
    this.plot = new XYPlot(parts.body, { label: "Statistic against depth", onPoint: (i) => this.data && app.change({ parameter: this.data.parameters[i].name }) });
    /** @type {Layers | undefined} */
    this.data = undefined;
    this.play = element("button", { type: "button", title: "play from here, or stop" }, "▶");
    this.play.setAttribute("aria-label", "play");
    this.slider = /** @type {HTMLInputElement} */ (element("input", { type: "range", min: "0", step: "1", "aria-label": "step of the flow" }));
    parts.body.after(element("div", { class: "player" }, this.play, this.slider));
    this.slider.addEventListener("input", () => this.to(Number(this.slider.value)));
    this.play.addEventListener("click", () => this.toggle());
    addTools(parts, { name: () => `${app.run} flow`, table: () => beside("row", this.plot.picture?.traces ?? []) });
    /** @type {ReturnType<typeof setInterval> | null} */
    this.playing = null;
  }

  /** @param {App} app */
  wants(app) {
    return { layers: app.ask.layers() };
  }

  /** @param {App} app */
  variant({ state, parameter }) {
    return [state.cursor, parameter];
  }

  toggle() {
    if (this.playing !== null) clearInterval(this.playing);
    const stop = this.playing !== null;
    this.playing = stop ? null : setInterval(() => {
      const next = Number(this.slider.value) + 1;
      if (next > Number(this.slider.max) || this.box.hidden) return this.toggle();
      return this.to(next);
    }, 1000 / PLAYED);
    if (!stop && this.slider.value === this.slider.max) this.to(0);
    this.play.textContent = stop ? "▶" : "❚❚";
  }

  /** @param {number} column */
  to(column) {
    if (!this.data) return;
    const { steps } = this.data;
    this.app.change({ cursor: column === steps.length - 1 && this.playing === null ? null : steps[column] });
  }

  /** @param {App} app @param {{layers: Layers}} answers */
  draw({ state, parameter }, { layers: data }) {
    this.data = data;
    const { steps, parameters, values } = data;
    const columns = steps.length;
    if (columns === 0 || parameters.length === 0) return this.plot.say("No statistics of the parameters yet.");
    if (!values.some(Number.isFinite)) return this.plot.say("This statistic was not computed in this run.");
    const at = state.cursor === null ? columns - 1 : nearest(data, state.cursor);
    this.slider.max = String(columns - 1);
    this.slider.value = String(at);
    const { label, scale } = statistic(data.statistic);
    const rows = parameters.map((_, row) => row);
    // Of very many layers some are shown, each at its place in the network.
    const x = data.numbers.length ? data.numbers : rows;
    const rounding = new Set(data.rounding);
    // What is left out makes no gap in the line.
    const drawn = rows.filter((row) => !rounding.has(row));
    /** @param {number} k */
    const column = (k) => rows.map((row) => (rounding.has(row) ? NaN : values[row * columns + k]));
    const now = column(at);
    const first = Math.max(0, steps.findIndex((_, k) => column(k).some(Number.isFinite)));
    const c = colors();
    const log = (data.measure?.scale ?? scale) === "log" && canBeLog(Array.from(values));
    /** @returns {any} @param {number[]} list */
    const drawable = (list) => list.map((v) => (Number.isFinite(v) && !(log && v <= 0) ? v : null));
    /** @param {number} k */
    const named = (k) => `step ${count(steps[k])}`;
    /** @returns {import("../plot.js").Trace} @param {number} k @param {string} color @param {number} width */
    const line = (k, color, width) => ({ name: named(k), x: drawn.map((row) => x[row]), y: drawable(drawn.map((row) => values[row * columns + k])), color, width });
    const chosen = parameters.findIndex(({ name }) => name === parameter);
    /** @type {import("../plot.js").Trace[]} */
    const traces = [
      ...(at > first ? [{ ...line(first, c.faint, 1.2), silent: true }] : []),
      { ...line(at, c.blue, 2), look: "marked", size: x.length > 80 ? 1.5 : 3, words: drawn.map((row) => `${clean(parameters[row].name)}: ${number(now[row], 4)}`) },
      ...(chosen < 0 ? [] : [{ name: "selected", x: [x[chosen]], y: drawable([now[chosen]]), color: c.selected, look: /** @type {"points"} */ ("points"), size: 5, silent: true }]),
    ];
    this.hint.textContent = `${clean(label)} by depth at ${named(at)}${rounding.size ? `, without ${rounding.size} that are rounding` : ""}`;
    explain(this.legend, [{ label: named(at), color: c.blue }, ...(at > first ? [{ label: `${named(first)}, the first`, color: c.faint }] : [])]);
    const meant = values.filter((v, i) => !rounding.has(Math.floor(i / columns)) && !(log && v <= 0));
    const all = extent(meant) ?? { low: 0, high: 1 };
    /** @type {import("../plot.js").Axis} */
    const y = log
      ? { low: all.low / 1.5, high: all.high * 1.5, log, ticks: (a, b, most) => logTicks(Math.log10(a), Math.log10(b), most).map(([e, words]) => [10 ** e, words]) }
      : { low: Math.min(0, all.low), high: all.high * 1.05 || 1, ticks: (a, b, most) => plainTicks(a, b, most).map((v) => [v, number(v, 3)]) };
    const zeros = log ? x.filter((_, row) => now[row] === 0) : [];
    const gone = new Set(data.nonfinite.filter(([, k]) => k === at).map(([row]) => row));
    const lost = x.filter((_, row) => !Number.isFinite(now[row]) && !rounding.has(row) && gone.has(row));
    this.plot.draw({
      traces, y, zeros: zeros.length ? [{ x: zeros, color: c.blue }] : [], lost: { x: lost, label: "not finite" },
      x: { low: x[0] - 0.5, high: x[x.length - 1] + 0.5, title: "from input to output, in the order of the network", ticks: (a, b, most) => plainTicks(x[0] + 1, x[x.length - 1] + 1, most, true).map((v) => [v - 1, count(v)]) },
    });
    return undefined;
  }
}

/** The column that has a step, or the nearest. @param {{first_steps: number[], steps: number[]}} given @param {number} step */
function nearest({ first_steps: firsts, steps }, step) {
  let [best, far] = [0, Infinity];
  steps.forEach((last, k) => {
    const d = step < firsts[k] ? firsts[k] - step : Math.max(0, step - last);
    if (d < far) [best, far] = [k, d];
  });
  return best;
}
