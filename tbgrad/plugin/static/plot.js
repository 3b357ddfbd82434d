/** Draws curves, points and bars between two axes as SVG: labels never run into one another. */

import { element } from "./dom.js";
import { barsPath, circlesPath, crossesPath, errorsPath, linePath, trianglesPath } from "./pure/paths.js";
import { colors, FONT, labelWidth, unit } from "./theme.js";

const SVG = "http://www.w3.org/2000/svg";

/** @returns {SVGElement} @param {string} tag @param {Record<string, string | number | undefined>} [attributes] @param {...any} children */
export function svgElement(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) node.setAttribute(name, String(value));
  node.append(...children);
  return node;
}

/**
 * From `low` to `high`; on a logarithmic axis these are values, not powers. `ticks` are told for a
 * stretch and how many of them have room.
 * @typedef {{low: number, high: number, log?: boolean, title?: string, color?: string,
 *   ticks: (low: number, high: number, most: number) => [number, string][]}} Axis
 */
/**
 * `errors` are bars up and down of `y`; `zeros` stand at the bottom whatever the axis.
 * @typedef {{name: string, x: ArrayLike<number>, y: ArrayLike<number | null>, color: string, width?: number, dash?: boolean,
 *   look?: "line" | "points" | "crosses" | "bars" | "marked" | "ridge", base?: number, second?: boolean, errors?: (number | null)[],
 *   hollow?: boolean[], widths?: number[], colors?: string[], faint?: boolean, silent?: boolean, words?: string[], size?: number}} Trace
 */
/** @typedef {{from: number, to: number, color: string, strong?: boolean}} Band in places of the x axis */
/** `words` stand beside the line. @typedef {{y: number, label: string, second?: boolean, words?: string}} Threshold */
/**
 * @typedef {{traces: Trace[], x: Axis, y: Axis, y2?: Axis, bands?: Band[], thresholds?: Threshold[],
 *   lost?: {x: number[], label: string}, zeros?: {x: number[], color: string}[], bare?: boolean, left?: number, right?: number}} Picture
 */

let made = 0;

export class Plot {
  /** @param {HTMLElement} parent @param {{label: string}} options */
  constructor(parent, { label }) {
    this.svg = svgElement("svg", { "aria-hidden": "true" });
    this.node = element("div", { class: "chart", role: "img", "aria-label": label }, this.svg);
    this.facts = element("table", {});
    this.empty = element("p", { class: "empty", hidden: true });
    this.unseen = element("div", { class: "unseen" }, this.facts);
    parent.append(this.node, this.unseen, this.empty);
    this.label = label;
    this.clip = `plot${(made += 1)}`;
    /** @type {Picture | null} */
    this.picture = null;
    /** The rectangle between the axes, in pixels. */
    this.area = { left: 0, top: 0, width: 0, height: 0 };
    this.size = "";
    this.told = "";
    /** @type {SVGElement | undefined} */
    this.overlay = undefined;
    /** Pixels of the node; asked of the browser where nobody has told them yet. */
    this.extent = { width: 0, height: 0 };
    new ResizeObserver((entries) => {
      const { width, height } = entries[entries.length - 1].contentRect;
      this.extent = { width: Math.round(width), height: Math.round(height) };
      this.fit();
    }).observe(this.node);
  }

  /** @param {Picture} picture */
  show(picture) {
    this.picture = picture;
    this.empty.hidden = true;
    this.node.hidden = false;
    this.unseen.hidden = false;
    /** What is drawn, for whoever looks from outside. */
    Object.assign(this.node, { data: picture.traces, layout: described(picture) });
    this.render();
  }

  /** @param {string} words */
  say(words) {
    this.picture = null;
    this.node.hidden = true;
    this.unseen.hidden = true;
    this.empty.hidden = false;
    this.empty.textContent = words;
  }

  fit() {
    const size = `${this.extent.width} ${this.extent.height} ${unit()}`;
    if (this.picture && size !== this.size) this.render();
  }

  /** Pixels of a place on the x axis, and back. @param {number} place */
  toX(place) {
    const { x } = /** @type {Picture} */ (this.picture);
    return this.area.left + this.area.width * share(x, place);
  }

  /** @param {number} pixels */
  fromX(pixels) {
    const { x } = /** @type {Picture} */ (this.picture);
    return at(x, (pixels - this.area.left) / this.area.width);
  }

  /** @param {number} value @param {boolean} [second] */
  toY(value, second = false) {
    const { y, y2 } = /** @type {Picture} */ (this.picture);
    return this.area.top + this.area.height * (1 - share(second && y2 ? y2 : y, value));
  }

  /** @param {number} pixels */
  fromY(pixels) {
    const { y } = /** @type {Picture} */ (this.picture);
    return at(y, 1 - (pixels - this.area.top) / this.area.height);
  }

  render() {
    if (this.extent.width === 0) this.extent = { width: this.node.clientWidth, height: this.node.clientHeight };
    const { width, height } = this.extent;
    if (!this.picture || width < 40 || height < 40) return;
    const u = unit();
    this.size = `${width} ${height} ${u}`;
    const { x, y, y2, left, right } = this.picture;
    const titled = Boolean(x.title) && height > 130 * u;
    const top = 8 * u;
    const below = (titled ? 34 : 20) * u;
    const inner = Math.max(10, height - top - below);
    const most = Math.max(2, Math.floor(inner / (30 * u)));
    const few = y.ticks(y.low, y.high, most);
    const up = few.length > 1 ? few : y.ticks(y.low, y.high, most + 2); // one number says nothing of a scale
    const other = y2 ? y2.ticks(y2.low, y2.high, most) : [];
    /** @param {[number, string][]} ticks */
    const room = (ticks) => Math.max(0, ...ticks.map(([, label]) => labelWidth(label))) + 10 * u;
    const margin = { left: left ?? Math.max(30 * u, room(up)), right: right ?? (y2 ? room(other) : 14 * u) };
    this.area = { left: margin.left, top, width: Math.max(10, width - margin.left - margin.right), height: inner };
    const along = fitting(x, this.area.width, u);
    const c = colors();
    const { area } = this;
    const bottom = area.top + area.height;
    /** @param {string} words @param {Record<string, string | number | undefined>} attributes */
    const text = (words, attributes) => svgElement("text", { "font-size": 11 * u, fill: c.muted, ...attributes }, words);
    const lines = [];
    const words = [];
    for (const [value, label] of up) {
      const place = this.toY(value);
      lines.push(`M${area.left},${round(place)}h${round(area.width)}`);
      words.push(text(label, { x: area.left - 6 * u, y: place, "text-anchor": "end", dy: "0.35em" }));
    }
    for (const [value, label] of other) words.push(text(label, { x: area.left + area.width + 6 * u, y: this.toY(value, true), dy: "0.35em", fill: y2?.color }));
    for (const [value, label] of along) {
      const place = this.toX(value);
      lines.push(`M${round(place)},${this.picture.bare ? bottom : area.top}V${round(bottom + 3 * u)}`);
      words.push(text(label, { x: place, y: bottom + 14 * u, "text-anchor": "middle" }));
    }
    if (titled) words.push(text(x.title ?? "", { x: area.left + area.width / 2, y: bottom + 28 * u, "text-anchor": "middle" }));
    const frame = { x: area.left, y: area.top, width: area.width, height: area.height };
    this.overlay = svgElement("g", {});
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.setAttribute("font-family", FONT);
    this.svg.replaceChildren(
      svgElement("clipPath", { id: this.clip }, svgElement("rect", frame)),
      ...this.bands(),
      svgElement("path", { d: lines.join(""), stroke: c.grid, "stroke-width": 1, fill: "none" }),
      svgElement("g", { "clip-path": `url(#${this.clip})` }, ...this.thresholds(u), ...this.picture.traces.flatMap((trace) => this.trace(trace, u))),
      ...this.marks(u),
      ...words,
      this.overlay,
    );
    this.rendered();
  }

  /** What a kind of plot adds once all places are known. */
  rendered() {}

  bands() {
    const { area } = this;
    /** @param {number} v */
    const within = (v) => Math.min(area.left + area.width, Math.max(area.left, v));
    return (this.picture?.bands ?? []).flatMap(({ from, to, color, strong }) => {
      const [a, b] = [within(this.toX(from)), within(this.toX(to))];
      if (b <= area.left || a >= area.left + area.width) return [];
      const wide = Math.max(2, b - a);
      return [svgElement("rect", { x: Math.min(a, area.left + area.width - wide), y: area.top, width: wide, height: area.height, fill: color, opacity: strong ? 0.2 : 0.07 })];
    });
  }

  /** @param {number} u */
  thresholds(u) {
    const { area } = this;
    return (this.picture?.thresholds ?? []).flatMap(({ y, second, words }) => {
      const place = round(this.toY(y, second));
      const line = svgElement("path", { d: `M${area.left},${place}h${area.width}`, stroke: colors().red, "stroke-width": 1.5, "stroke-dasharray": "6 4", fill: "none", class: "threshold" });
      if (!words || area.width < 2 * labelWidth(words)) return [line];
      const above = place - area.top > 16 * u;
      return [line, svgElement("text", { x: area.left + area.width - 4 * u, y: place + (above ? -4 : 13) * u, "text-anchor": "end", "font-size": 11 * u, fill: colors().red }, words)];
    });
  }

  /** @param {Trace} trace @param {number} u */
  trace(trace, u) {
    const { look = "line", color, width = 1.8, dash, second, errors, faint } = trace;
    const xs = Array.from(trace.x, (v) => this.toX(v));
    const ys = Array.from(trace.y, (v) => (v === null || !Number.isFinite(v) ? NaN : this.toY(v, second)));
    const stroke = { stroke: color, "stroke-width": width * u, fill: "none", "stroke-linejoin": "round", opacity: faint ? 0.35 : undefined };
    const drawn = [];
    if (look === "bars") {
      const base = this.area.top + this.area.height;
      const half = (trace.widths ?? xs.map(() => 1)).map((w, i) => (this.toX(trace.x[i] + w / 2) - this.toX(trace.x[i] - w / 2)) / 2);
      for (const fill of new Set(trace.colors ?? [color])) {
        const of = xs.flatMap((_, i) => ((trace.colors?.[i] ?? color) === fill ? [i] : []));
        drawn.push(svgElement("path", { d: barsPath(of.map((i) => xs[i]), of.map((i) => ys[i]), of.map((i) => half[i]), base), fill }));
      }
      return drawn;
    }
    if (look === "ridge") {
      const base = round(this.toY(/** @type {number} */ (trace.base)));
      const d = linePath(xs, ys);
      return d ? [svgElement("path", { d: `${d}L${round(xs[xs.length - 1])},${base}H${round(xs[0])}z`, fill: colors().panel, stroke: color, "stroke-width": 1.2 * u, "fill-opacity": 0.85 })] : [];
    }
    if (errors) drawn.push(svgElement("path", { ...stroke, "stroke-width": u, d: errorsPath(xs, trace.y, errors, (/** @type {number} */ v) => this.toY(v, second), 3 * u) }));
    if (look === "line" || look === "marked") {
      drawn.push(svgElement("path", { ...stroke, d: linePath(xs, ys), "stroke-dasharray": dash ? `${6 * u} ${4 * u}` : undefined }));
    }
    if (look !== "line" || xs.length < 3) {
      const size = (trace.size ?? 3) * u;
      /** @param {boolean} hollow */
      const keep = (hollow) => xs.flatMap((_, i) => (Boolean(trace.hollow?.[i]) === hollow && Number.isFinite(ys[i]) ? [i] : []));
      const [full, crossed] = look === "crosses" ? [[], keep(false)] : [keep(false), keep(true)];
      /** @param {number[]} of @returns {[number[], number[]]} */
      const pick = (of) => [of.map((/** @type {number} */ i) => xs[i]), of.map((/** @type {number} */ i) => ys[i])];
      if (full.length) drawn.push(svgElement("path", { d: circlesPath(...pick(full), size), fill: color, opacity: stroke.opacity }));
      if (crossed.length) drawn.push(svgElement("path", { ...stroke, "stroke-width": 2 * u, d: crossesPath(...pick(crossed), 4 * u) }));
    }
    return drawn;
  }

  /** Steps whose value has no place on the axis: crosses at the top, triangles at the bottom. @param {number} u */
  marks(u) {
    const { lost, zeros = [] } = /** @type {Picture} */ (this.picture);
    const { area } = this;
    /** @param {number[]} list */
    const inside = (list) => list.map((/** @type {number} */ v) => this.toX(v)).filter((/** @type {number} */ v) => v >= area.left - 0.5 && v <= area.left + area.width + 0.5);
    const found = [];
    const crosses = inside(lost?.x ?? []);
    if (crosses.length) {
      const ys = crosses.map(() => area.top + 5 * u);
      found.push(svgElement("path", { class: "lost", d: crossesPath(crosses, ys, 3.5 * u), stroke: colors().red, "stroke-width": 1.8 * u, fill: "none" }));
    }
    for (const { x, color } of zeros) {
      const at = inside(x);
      if (at.length) found.push(svgElement("path", { class: "zeros", d: trianglesPath(at, at.map(() => area.top + area.height), 4 * u), fill: color }));
    }
    return found;
  }

  /** Says in a table, which is not seen, what the picture shows. @param {import("./pure/facts.js").Facts[]} rows */
  tell(rows) {
    const key = JSON.stringify(rows);
    if (key === this.told) return;
    this.told = key;
    const head = ["curve", "newest", "smallest", "largest", "first not finite"].map((title) => element("th", { scope: "col" }, title));
    this.facts.replaceChildren(
      element("caption", {}, this.label),
      element("thead", {}, element("tr", {}, ...head)),
      element("tbody", {}, ...rows.map((row) => element("tr", {}, element("th", { scope: "row" }, row.name), ...[row.newest, row.smallest, row.largest, row.firstBad].map((cell) => element("td", {}, cell))))),
    );
  }
}

/** @param {number} v */
const round = (v) => Math.round(10 * v) / 10;

/** Where a value lies between the ends of an axis, from 0 to 1. @param {Axis} axis @param {number} value */
function share({ low, high, log }, value) {
  if (log) return value > 0 ? Math.log(value / low) / Math.log(high / low) : -1e6;
  return (value - low) / (high - low);
}

/** @param {Axis} axis @param {number} part */
const at = ({ low, high, log }, part) => (log ? low * (high / low) ** part : low + part * (high - low));

/** So many ticks that their labels stand apart. @param {Axis} axis @param {number} width @param {number} u */
function fitting(axis, width, u) {
  for (let most = Math.max(1, Math.floor(width / (46 * u))); most > 0; most -= 1) {
    const ticks = axis.ticks(axis.low, axis.high, most);
    const ends = ticks.map(([value, label]) => ({ middle: width * share(axis, value), half: labelWidth(label) / 2 }));
    const apart = ends.every(({ middle, half }, i) => i === 0 || middle - half > ends[i - 1].middle + ends[i - 1].half + 8 * u);
    if (apart) return ticks;
  }
  return axis.ticks(axis.low, axis.high, 1).slice(0, 1);
}

/** @param {Picture} picture */
function described({ x, y, y2 }) {
  /** @param {Axis} axis */
  const axis = ({ low, high, log }) => ({ range: [low, high], type: log ? "log" : "linear" });
  return { xaxis: axis(x), yaxis: axis(y), ...(y2 ? { yaxis2: axis(y2) } : {}) };
}
