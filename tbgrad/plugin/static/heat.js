/** Rows × steps in colour: as many rows as are in sight, each at least so high that it can be read. */

import { element } from "./dom.js";
import { colorScale, crosses, edgesOf, GUTTER, labels, paint, placesOf } from "./heatmarks.js";
import { factsOf } from "./pure/facts.js";
import { abbreviated } from "./pure/names.js";
import { listen } from "./pointing.js";
import { StepPlot } from "./stepplot.js";
import { hideTip } from "./tip.js";
import { labelWidth, unit } from "./theme.js";

/**
 * One row: `values` of the columns, those in `lost` are not finite. `flag` is the severity of its
 * worst open alert, `block` says that it can be folded or opened.
 * @typedef {{key: string, label: string, depth: number, values: number[] | Float32Array, lost: Set<number>, flag?: string, block?: "open" | "folded"}} Row
 */
/**
 * `part` are the first and the last of the rows that fill the height, by their keys; null is none.
 * @typedef {{rows: Row[], firsts: number[], steps: number[], scale: import("./pure/colormap.js").Scale, selected: string | null, part?: string[] | null}} Map
 */

/**
 * @typedef {{label: string, timeline: import("./timeline.js").Timeline, onRow: (key: string) => void, onFold: (key: string) => void, least?: number,
 *   onPart?: (part: string[] | null) => void, words: (event: MouseEvent, row: Row, column: number | null) => void}} Options
 */

/** By how many rows a key goes. @type {Record<string, number>} */
const MOVES = { ArrowUp: -1, ArrowDown: 1, Home: -Infinity, End: Infinity };

const ROW = 14;
const MOST_ROW = 100;
/** So many rows are told to who cannot see them. */
const TOLD = 60;
const SCALE_WIDTH = 66;

export class Heat extends StepPlot {
  /** @param {HTMLElement} parent @param {Options} options `onRow` is told which row was chosen, `onFold` of a click beside a block, `onPart` which rows are to fill the height */
  constructor(parent, options) {
    super(parent, options);
    this.onRow = options.onRow;
    this.onFold = options.onFold;
    this.words = options.words;
    this.least = options.least;
    this.canZoomUp = true;
    /** As in a map, where nobody else keeps it. @type {string[] | null} */
    this.part = null;
    this.onPart = options.onPart ?? ((part) => {
      this.part = part;
      this.render();
    });
    this.canvas = element("canvas", { class: "cells" });
    this.spacer = element("div", {});
    this.scroller = element("div", { class: "scroller", tabindex: "0", role: "group", "aria-label": `${options.label}: arrow up and down select a row` }, this.spacer);
    this.node.before(this.scroller);
    this.frame = element("div", { class: "heat" });
    this.node.before(this.frame);
    this.frame.append(this.node, this.scroller);
    this.node.prepend(this.canvas);
    this.scroller.addEventListener("scroll", () => requestAnimationFrame(() => this.map && this.render()));
    this.scroller.addEventListener("keydown", (event) => this.key(event));
    /** @type {Map | null} */
    this.map = null;
    this.rowHeight = 0;
    /** Borders of the columns. @type {number[]} */
    this.edges = [];
    /** Of which part the place was taken. */
    this.placed = "";
    this.scroller.addEventListener("click", (event) => this.beside(event));
    this.scroller.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    listen(this, this.scroller);
  }

  /** How many rows are seen without scrolling. */
  get room() {
    const high = (this.extent.height || this.frame.clientHeight) - 44 * unit();
    return Math.max(3, Math.floor(high / (ROW * unit())));
  }

  /** @param {string} words */
  say(words) {
    this.map = null;
    this.frame.hidden = true;
    super.say(words);
  }

  /** @param {Map} map */
  draw(map) {
    this.map = map;
    if (map.part !== undefined) this.part = map.part;
    this.frame.hidden = false;
    this.edges = edgesOf(map);
    this.redraw();
  }

  /** @param {string | null} key */
  select(key) {
    if (!this.map || this.map.selected === key) return;
    this.map.selected = key;
    this.reveal(key);
    this.render();
  }

  /** Scrolls to a row. @param {string | null} key */
  reveal(key) {
    const at = this.map?.rows.findIndex((row) => row.key === key) ?? -1;
    if (at < 0 || !this.rowHeight) return;
    const [top, bottom] = [at * this.rowHeight, (at + 1) * this.rowHeight];
    if (top < this.scroller.scrollTop) this.scroller.scrollTop = top;
    else if (bottom > this.scroller.scrollTop + this.area.height) this.scroller.scrollTop = bottom - this.area.height;
  }

  redraw() {
    super.redraw();
    if (!this.map) return;
    const u = unit();
    const longest = Math.max(...this.map.rows.map(({ label, depth, block }) => labelWidth(this.short(label), 11 * u, "bold") + (depth + (block ? 1 : 0)) * 10 * u), 20);
    const left = longest + (GUTTER + 14) * u;
    this.show({
      traces: [], x: this.timeline.below, y: { low: 0, high: 1, ticks: () => [] }, left, right: SCALE_WIDTH * u,
      bands: [], bare: true,
    });
    const { rows, scale, steps } = this.map;
    /** @type {any} */ (this.node).data = [{ type: "heatmap", name: "cells", x: this.edges, y: rows.map((_, i) => i), z: rows.map(({ values }) => Array.from(values)), rows: rows.map(({ label }) => label) }];
    this.tell(rows.slice(0, TOLD).map(({ key, label, values, lost }) => factsOf(label || key, steps, values, [...lost].map((k) => steps[k]))));
    Object.assign(/** @type {any} */ (this.node).layout, { scale: [scale.low, scale.high] });
  }

  /** @param {string} label */
  short(label) {
    return abbreviated(label, Math.max(17, Math.min(44, Math.floor(this.node.clientWidth / (20 * unit())))));
  }

  rendered() {
    if (!this.map) return;
    const u = unit();
    const { area } = this;
    const { rows } = this.map;
    const chosen = placesOf(this.part, rows);
    this.rowHeight = chosen ? area.height / (chosen[1] - chosen[0] + 1) : this.usualHeight;
    const all = this.rowHeight * rows.length;
    Object.assign(this.scroller.style, { top: `${area.top}px`, height: `${area.height}px`, right: `${this.node.clientWidth - area.left - area.width - 10 * u}px` });
    this.spacer.style.height = `${all}px`;
    this.scroller.classList.toggle("scrolls", all > area.height + 1);
    const placed = `${chosen} ${area.height} ${rows.length}`;
    if (chosen && placed !== this.placed) this.scroller.scrollTop = chosen[0] * this.rowHeight;
    this.placed = placed;
    const first = Math.max(0, Math.floor(this.scroller.scrollTop / this.rowHeight));
    const last = Math.min(rows.length, Math.ceil((this.scroller.scrollTop + area.height) / this.rowHeight));
    paint(this, first, last);
    this.svg.append(...labels(this, first, last, u), ...crosses(this, first, last, u), ...colorScale(this, u));
    this.svg.append(/** @type {SVGElement} */ (this.overlay));
    this.moved();
  }

  /** Of a row where no part of them is chosen. */
  get usualHeight() {
    const u = unit();
    return Math.min(MOST_ROW * u, Math.max((this.least ?? ROW) * u, this.area.height / (this.map?.rows.length ?? 1)));
  }

  /** Lets the rows fill the height that were dragged over; these are shares of it, from below. @param {number} low @param {number} high */
  zoomUp(low, high) {
    /** @param {number} share */
    const at = (share) => Math.floor((this.scroller.scrollTop + (1 - share) * this.area.height) / this.rowHeight);
    this.choosePart(at(high), at(low + 1e-6));
  }

  unzoom() {
    if (this.part) this.onPart(null);
  }

  /** Shows fewer rows, each of them higher, or more. @param {number} factor of their number @param {number} [about] a row, the chosen one */
  zoomRows(factor, about) {
    const { rows, selected } = /** @type {Map} */ (this.map);
    const [first, many] = [this.scroller.scrollTop / this.rowHeight, Math.min(rows.length, this.area.height / this.rowHeight)];
    const row = about ?? rows.findIndex(({ key }) => key === selected);
    const middle = row >= first && row <= first + many ? row + 0.5 : first + many / 2;
    const next = Math.max(1, factor < 1 ? Math.floor(many * factor) : Math.ceil(many * factor));
    if (next >= Math.min(rows.length, this.area.height / this.usualHeight)) return this.unzoom();
    const from = Math.min(rows.length - next, Math.max(0, Math.round(middle - ((middle - first) * next) / many)));
    return this.choosePart(from, from + next - 1);
  }

  /** @param {number} from @param {number} to */
  choosePart(from, to) {
    const { rows } = /** @type {Map} */ (this.map);
    const [low, high] = [Math.max(0, from), Math.min(rows.length - 1, to)];
    if (high < low || (low === 0 && high === rows.length - 1)) return this.unzoom();
    return this.onPart([rows[low].key, rows[high].key]);
  }

  /** @param {WheelEvent} event */
  wheel(event) {
    if (!event.ctrlKey || !this.map) return;
    event.preventDefault(); // the browser would enlarge the page
    const row = this.rowAt(event.clientY - this.node.getBoundingClientRect().top);
    this.zoomRows(event.deltaY < 0 ? 0.75 : 1 / 0.75, row ? this.map.rows.indexOf(row) : undefined);
  }

  /** The top of a row in pixels. @param {number} row */
  top(row) {
    return this.area.top + row * this.rowHeight - this.scroller.scrollTop;
  }

  /** The row at a height in pixels, null beside all. @param {number} y */
  rowAt(y) {
    const row = Math.floor((y - this.area.top + this.scroller.scrollTop) / this.rowHeight);
    return this.map && row >= 0 && row < this.map.rows.length ? this.map.rows[row] : null;
  }

  /** @param {number} step */
  columnAt(step) {
    const { firsts, steps } = /** @type {Map} */ (this.map);
    let [best, distance] = [0, Infinity];
    for (let k = 0; k < steps.length; k += 1) {
      const d = step < firsts[k] ? firsts[k] - step : Math.max(0, step - steps[k]);
      if (d < distance) [best, distance] = [k, d];
    }
    return best;
  }

  /** @param {number} step */
  nearest(step) {
    const { firsts, steps } = /** @type {Map} */ (this.map);
    const k = this.columnAt(step);
    return Math.round(Math.min(steps[k], Math.max(firsts[k], step)));
  }

  /** @param {PointerEvent} event @param {number} step @param {number} y */
  tip(event, step, y) {
    const row = this.rowAt(y);
    if (row) this.words(event, row, this.columnAt(step));
  }

  /** @param {PointerEvent} event @param {number} step @param {number} y */
  clicked(event, step, y) {
    const row = this.rowAt(y);
    if (row) this.onRow(row.key);
    super.clicked(event, step, y);
  }

  /** The row beside whose name or mark the mouse is. @param {MouseEvent} event */
  labelAt(event) {
    const box = this.node.getBoundingClientRect();
    return event.clientX - box.left < this.area.left ? this.rowAt(event.clientY - box.top) : null;
  }

  /** The names beside the map select as well as its rows do; those of blocks fold and open. @param {MouseEvent} event */
  beside(event) {
    const row = this.labelAt(event);
    if (row?.block) this.onFold(row.key);
    else if (row) this.onRow(row.key);
  }

  /** @param {PointerEvent} event */
  outside(event) {
    const row = this.map && this.labelAt(event);
    if (row) this.words(event, row, null);
    else hideTip();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const move = MOVES[event.key];
    if (!this.map || this.map.rows.length === 0) return;
    const { rows, selected } = this.map;
    const now = Math.max(0, rows.findIndex(({ key }) => key === selected));
    if (event.key === " " && rows[now].block) {
      event.preventDefault();
      this.onFold(rows[now].key);
    }
    if (move === undefined) return;
    event.preventDefault();
    this.onRow(rows[Math.min(rows.length - 1, Math.max(0, now + move))].key);
  }
}
