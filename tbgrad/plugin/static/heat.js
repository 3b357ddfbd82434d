/** Rows × steps in colour: as many rows as are in sight, each at least so high that it can be read. */

import { element } from "./dom.js";
import { colorScale, columnsOf, crosses, edgesOf, GUTTER, labels, placesOf, rgbOf } from "./heatmarks.js";
import { colorAt } from "./pure/colormap.js";
import { factsOf } from "./pure/facts.js";
import { abbreviated } from "./pure/names.js";
import { listen } from "./pointing.js";
import { StepPlot } from "./stepplot.js";
import { hideTip } from "./tip.js";
import { colors, labelWidth, unit } from "./theme.js";

/**
 * One row: `values` of the columns, those in `lost` are not finite. `flag` is the severity of its
 * worst open alert, `block` says that it can be folded or opened.
 * @typedef {{key: string, label: string, depth: number, values: number[] | Float32Array, lost: Set<number>, flag?: string, block?: "open" | "folded"}} Row
 */
/**
 * `part` are the first and the last of the rows that fill the height, by their keys; null is none.
 * @typedef {{rows: Row[], firsts: number[], steps: number[], scale: import("./pure/colormap.js").Scale, selected: string | null, part?: string[] | null}} Map
 */

const ROW = 14;
const MOST_ROW = 100;
/** So many rows are told to who cannot see them. */
const TOLD = 60;
const SCALE_WIDTH = 66;

export class Heat extends StepPlot {
  /** @param {HTMLElement} parent @param {any} options `onRow` is told which row was chosen, `onFold` of a click beside a block, `onPart` which rows are to fill the height */
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
    this.scroller.addEventListener("click", (event) => this.beside(event));
    this.scroller.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    listen(this, this.scroller);
  }

  /** How many rows are seen without scrolling. */
  get room() {
    const high = (this.extent.height || this.frame.clientHeight) - 44 * unit();
    return Math.max(3, Math.floor(high / (ROW * unit())));
  }

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

  select(key) {
    if (!this.map || this.map.selected === key) return;
    this.map.selected = key;
    this.reveal(key);
    this.render();
  }

  /** Scrolls to a row. */
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
    const { rows, scale } = this.map;
    /** @type {any} */ (this.node).data = [{ type: "heatmap", name: "cells", x: this.edges, y: rows.map((_, i) => i), z: rows.map(({ values }) => Array.from(values)), rows: rows.map(({ label }) => label) }];
    this.tell(rows.slice(0, TOLD).map(({ key, label, values, lost }) => factsOf(label || key, this.map.steps, values, [...lost].map((k) => this.map.steps[k]))));
    Object.assign(/** @type {any} */ (this.node).layout, { scale: [scale.low, scale.high] });
  }

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
    this.paint(first, last);
    this.svg.append(...labels(this, first, last, u), ...crosses(this, first, last, u), ...colorScale(this, u));
    this.svg.append(/** @type {SVGElement} */ (this.overlay));
    this.moved();
  }

  /** Of a row where no part of them is chosen. */
  get usualHeight() {
    const u = unit();
    return Math.min(MOST_ROW * u, Math.max((this.least ?? ROW) * u, this.area.height / (this.map?.rows.length ?? 1)));
  }

  /** Lets the rows fill the height that were dragged over; these are shares of it, from below. */
  zoomUp(low, high) {
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

  choosePart(from, to) {
    const { rows } = /** @type {Map} */ (this.map);
    const [low, high] = [Math.max(0, from), Math.min(rows.length - 1, to)];
    if (high < low || (low === 0 && high === rows.length - 1)) return this.unzoom();
    return this.onPart([rows[low].key, rows[high].key]);
  }

  wheel(event) {
    if (!event.ctrlKey || !this.map) return;
    event.preventDefault(); // the browser would enlarge the page
    const row = this.rowAt(event.clientY - this.node.getBoundingClientRect().top);
    this.zoomRows(event.deltaY < 0 ? 0.75 : 1 / 0.75, row ? this.map.rows.indexOf(row) : undefined);
  }

  /** The top of a row in pixels. */
  top(row) {
    return this.area.top + row * this.rowHeight - this.scroller.scrollTop;
  }

  /** Puts the cells of the rows in sight on the canvas. */
  paint(first, last) {
    const { area, canvas } = this;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [Math.round(area.width * ratio), Math.round(area.height * ratio)];
    Object.assign(canvas, { width, height });
    Object.assign(canvas.style, { left: `${area.left}px`, top: `${area.top}px`, width: `${area.width}px`, height: `${area.height}px` });
    const context = canvas.getContext("2d");
    if (!context || width < 1 || last <= first || !this.map) return;
    const { rows, scale } = this.map;
    const column = columnsOf(this.edges, width, (edge) => (this.toX(this.timeline.place(edge)) - area.left) * ratio);
    const image = context.createImageData(width, 1);
    const zero = rgbOf(colors().zero);
    const strip = document.createElement("canvas");
    Object.assign(strip, { width, height: 1 });
    const narrow = /** @type {CanvasRenderingContext2D} */ (strip.getContext("2d"));
    const gap = this.rowHeight >= 10 && !this.least ? 1 : 0;
    context.imageSmoothingEnabled = false;
    for (let row = first; row < last; row += 1) {
      const { values } = rows[row];
      const cells = Array.from(values, (v) => (v === 0 && Number.isNaN(scale.place(0)) ? zero : Number.isNaN(v) || Number.isNaN(scale.place(v)) ? null : colorAt(scale, scale.place(v))));
      for (let x = 0; x < width; x += 1) {
        const cell = column[x] < 0 ? null : cells[column[x]];
        const at = 4 * x;
        if (cell) [image.data[at], image.data[at + 1], image.data[at + 2]] = cell;
        image.data[at + 3] = cell ? 255 : 0;
      }
      narrow.putImageData(image, 0, 0);
      const y = Math.round((this.top(row) - area.top) * ratio);
      const end = Math.round((this.top(row + 1) - area.top) * ratio);
      context.drawImage(strip, 0, 0, width, 1, 0, y, width, Math.max(1, end - y - gap));
    }
  }

  /** The row at a height in pixels, null beside all. */
  rowAt(y) {
    const row = Math.floor((y - this.area.top + this.scroller.scrollTop) / this.rowHeight);
    return this.map && row >= 0 && row < this.map.rows.length ? this.map.rows[row] : null;
  }

  columnAt(step) {
    const { firsts, steps } = /** @type {Map} */ (this.map);
    let [best, distance] = [0, Infinity];
    for (let k = 0; k < steps.length; k += 1) {
      const d = step < firsts[k] ? firsts[k] - step : Math.max(0, step - steps[k]);
      if (d < distance) [best, distance] = [k, d];
    }
    return best;
  }

  nearest(step) {
    const { firsts, steps } = /** @type {Map} */ (this.map);
    const k = this.columnAt(step);
    return Math.round(Math.min(steps[k], Math.max(firsts[k], step)));
  }

  tip(event, step, y) {
    const row = this.rowAt(y);
    if (row) this.words(event, row, this.columnAt(step));
  }

  clicked(event, step, y) {
    const row = this.rowAt(y);
    if (row) this.onRow(row.key);
    super.clicked(event, step, y);
  }

  /** The row beside whose name or mark the mouse is. */
  labelAt(event) {
    const box = this.node.getBoundingClientRect();
    return event.clientX - box.left < this.area.left ? this.rowAt(event.clientY - box.top) : null;
  }

  /** The names beside the map select as well as its rows do; those of blocks fold and open. */
  beside(event) {
    const row = this.labelAt(event);
    if (row?.block) this.onFold(row.key);
    else if (row) this.onRow(row.key);
  }

  outside(event) {
    const row = this.map && this.labelAt(event);
    if (row) this.words(event, row, null);
    else hideTip();
  }

  key(event) {
    const move = { ArrowUp: -1, ArrowDown: 1, Home: -Infinity, End: Infinity }[event.key];
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
