/** All steps of the run in front at a glance: its loss, its alerts, and the range that all charts show. */

import { element, fill } from "./dom.js";
import { clean, count } from "./format.js";
import { toNumber } from "./model.js";
import { canBeLog, extent, plainTicks, stepLabel, suitsLog } from "./pure/axes.js";
import { KINDS } from "./pure/clock.js";
import { linePath } from "./pure/paths.js";
import { svgElement } from "./plot.js";
import { keyOf, SEVERITIES } from "./severity.js";
import { colors, labelWidth, SEVERITY_COLORS, unit } from "./theme.js";

/** By which share of all steps a key goes. @type {Record<string, number>} */
const MOVES = { ArrowLeft: -0.01, ArrowRight: 0.01, PageDown: -0.1, PageUp: 0.1, Home: -Infinity, End: Infinity };

const ROW = 4;
/** Alerts lie in so many rows, so that those of one time stand beside one another. */
const ROWS = 4;

/** Where the mouse went down, and what it drags. @typedef {{at: number, mode: "new" | "move" | 0 | 1, range: [number, number]}} Held */

export class Strip {
  /** @param {import("../types.d.ts").App} app */
  constructor(app) {
    this.app = app;
    this.svg = svgElement("svg", { "aria-hidden": "true" });
    this.handles = ["first", "last"].map((name, end) => {
      const handle = element("div", { class: "handle", role: "slider", tabindex: "0", "aria-label": `${name} step that is shown` });
      handle.addEventListener("keydown", (event) => this.key(event, end));
      return handle;
    });
    this.brush = element("div", { class: "brush" });
    this.all = element("button", { type: "button", class: "plain", hidden: true, title: "show all steps (0)" }, "all steps");
    this.all.addEventListener("click", () => app.timeline.reset());
    this.field = element("div", { class: "field" }, this.svg, this.brush, ...this.handles);
    this.axis = element("select", { "aria-label": "what is below the charts (x)" });
    fill(this.axis, Object.entries(KINDS).map(([value, label]) => ({ value, label })), "step");
    this.axis.addEventListener("change", () => app.change({ axis: /** @type {import("./pure/clock.js").Kind} */ (this.axis.value) }));
    this.box = element("section", { id: "strip", "aria-label": "all steps: drag to choose the range of all charts" }, this.field, element("div", { class: "tools" }, this.all, this.axis));
    /** @type {import("../types.d.ts").Series | undefined} */
    this.series = undefined;
    /** Of what is drawn. */
    this.drawn = "";
    /** @type {import("../types.d.ts").Alert[]} */
    this.alerts = [];
    this.listen();
    new ResizeObserver(() => this.render()).observe(this.field);
  }

  /** @param {import("../types.d.ts").Series | undefined} series the loss @param {import("../types.d.ts").Alert[]} alerts */
  draw(series, alerts) {
    const key = `${series?.steps.at(-1)} ${series?.steps.length} ${JSON.stringify(alerts.map((a) => [keyOf(a), a.last_step, a.state]))} ${this.app.run}`;
    this.series = series;
    this.alerts = alerts;
    if (key !== this.drawn) this.render();
    this.drawn = key;
  }

  get scale() {
    const [first, last] = this.app.timeline.extent;
    const width = this.field.clientWidth;
    const inner = Math.max(1, width - 12);
    return { first, last: Math.max(last, first + 1), to: (/** @type {number} */ step) => 6 + (inner * (step - first)) / Math.max(1, last - first), from: (/** @type {number} */ x) => first + ((x - 6) / inner) * Math.max(1, last - first) };
  }

  render() {
    const { clientWidth: width, clientHeight: height } = this.field;
    if (width < 60) return;
    const u = unit();
    const c = colors();
    const { to, first, last } = this.scale;
    const foot = height - 13 * u;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const parts = [];
    if (this.series) {
      const values = this.series.values.map(toNumber);
      const log = suitsLog(values) && canBeLog(values);
      /** @param {number} v */
      const size = (v) => (log ? Math.log(v) : v);
      const all = extent(values) ?? { low: 0, high: 1 };
      const span = size(all.high) - size(all.low) || 1;
      const ys = values.map((v) => (Number.isFinite(v) ? foot - 2 - (foot - 6) * ((size(v) - size(all.low)) / span) : NaN));
      parts.push(svgElement("path", { d: linePath(this.series.steps.map(to), ys), stroke: c.muted, "stroke-width": u, fill: "none", opacity: 0.8 }));
    }
    const worst = [...this.alerts].sort((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity));
    worst.slice(0, ROWS).forEach((alert, row) => {
      const [from, till] = [to(alert.first_step), to(Math.max(alert.last_step, alert.first_step))];
      const bar = svgElement("rect", {
        class: "band", "data-alert": keyOf(alert), x: from - 1, y: 2 + row * (ROW + 1) * u, width: Math.max(3, till - from + 2), height: ROW * u, rx: 1,
        fill: c[SEVERITY_COLORS[alert.severity]], opacity: alert.state === "open" ? 0.95 : 0.45,
      });
      bar.append(svgElement("title", {}, `${alert.severity}: ${clean(alert.headline || alert.rule)}, steps ${count(alert.first_step)} to ${count(alert.last_step)}`));
      parts.push(bar);
    });
    let before = -Infinity;
    for (const step of plainTicks(first, last, Math.max(2, Math.floor(width / (90 * u))), true)) {
      const label = stepLabel(step);
      const half = labelWidth(label, 10 * u) / 2;
      const at = Math.min(width - half - 1, Math.max(half + 1, to(step)));
      if (at - half < before + 8) continue;
      before = at + half;
      parts.push(svgElement("text", { x: at, y: height - 3 * u, "text-anchor": "middle", "font-size": 10 * u, fill: c.muted }, label));
    }
    this.svg.replaceChildren(...parts);
    this.moved();
  }

  /** Shows which part is seen, and the cursor. */
  moved() {
    const { timeline } = this.app;
    const { to, first, last } = this.scale;
    const range = timeline.range ?? [first, last];
    const [a, b] = range.map((step) => to(Math.min(last, Math.max(first, step))));
    Object.assign(this.brush.style, { left: `${a}px`, width: `${Math.max(2, b - a)}px` });
    this.brush.classList.toggle("whole", !timeline.range);
    this.handles.forEach((handle, end) => {
      handle.style.left = `${end ? b : a}px`;
      handle.setAttribute("aria-valuemin", String(Math.round(first)));
      handle.setAttribute("aria-valuemax", String(Math.round(last)));
      handle.setAttribute("aria-valuenow", String(Math.round(range[end])));
    });
    this.all.hidden = !timeline.range;
    this.axis.value = timeline.axis;
  }

  listen() {
    /** @type {Held | null} */
    let held = null;
    /** @param {PointerEvent} event */
    const where = (event) => event.clientX - this.field.getBoundingClientRect().left;
    this.field.addEventListener("pointerdown", (event) => {
      const { timeline } = this.app;
      const band = /** @type {Element} */ (event.target).closest?.(".band");
      if (band || event.button !== 0) return;
      const end = this.handles.indexOf(/** @type {HTMLDivElement} */ (event.target));
      const mode = end >= 0 ? /** @type {0 | 1} */ (end) : event.target === this.brush && timeline.range ? "move" : "new";
      held = { at: where(event), mode, range: timeline.range ?? [this.scale.first, this.scale.last] };
      this.field.setPointerCapture(event.pointerId);
    });
    this.field.addEventListener("pointermove", (event) => {
      if (!held) return;
      const next = this.moveTo(held, where(event));
      if (next) {
        this.app.timeline.range = next;
        this.moved();
      }
    });
    this.field.addEventListener("pointerup", (event) => {
      if (!held) return;
      const next = this.moveTo(held, where(event));
      held = null;
      if (next) this.app.change({ range: next });
    });
    this.field.addEventListener("dblclick", () => this.app.timeline.reset());
    this.field.addEventListener("click", (event) => {
      const key = /** @type {HTMLElement} */ (/** @type {Element} */ (event.target).closest(".band"))?.dataset.alert;
      const alert = key && this.alerts.find((each) => keyOf(each) === key);
      if (alert) this.app.chosen.select(alert);
    });
  }

  /** @param {Held} held @param {number} x @returns {[number, number] | null} */
  moveTo({ at, mode, range }, x) {
    if (Math.abs(x - at) < 4) return null;
    const { from, first, last } = this.scale;
    const step = Math.min(last, Math.max(first, from(x)));
    const by = from(x) - from(at);
    if (mode === "move") {
      const shift = Math.min(last - range[1], Math.max(first - range[0], by));
      return [range[0] + shift, range[1] + shift];
    }
    const other = mode === "new" ? Math.min(last, Math.max(first, from(at))) : range[1 - mode];
    /** @type {[number, number]} */
    const next = [Math.min(step, other), Math.max(step, other)];
    return next[1] - next[0] > 0 ? next : null;
  }

  /** @param {KeyboardEvent} event @param {number} end */
  key(event, end) {
    const by = MOVES[event.key];
    if (by === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    const { first, last } = this.scale;
    const range = [...(this.app.timeline.range ?? [first, last])];
    range[end] = Math.min(last, Math.max(first, range[end] + by * (last - first)));
    if (range[0] < range[1]) this.app.change({ range: /** @type {[number, number]} */ (range) });
  }
}
