/** What stands on and beside the cells of a heat map. */

import { colorAt } from "./pure/colormap.js";
import { crossesPath } from "./pure/paths.js";
import { svgElement } from "./plot.js";
import { colors, SEVERITY_COLORS } from "./theme.js";

/** @typedef {import("./heat.js").Map} Map */

/** Room between the names and the cells, where the marks of alerts are. */
export const GUTTER = 12;

/** Names, severities and the choice, beside the rows from `first` to `last`. @param {import("./heat.js").Heat} heat @param {number} first @param {number} last @param {number} u */
export function labels(heat, first, last, u) {
  const c = colors();
  const { area } = heat;
  const map = /** @type {Map} */ (heat.map);
  const found = [];
  // The cells may end before the axes do.
  const [from, to] = [heat.edges[0], heat.edges[heat.edges.length - 1]].map((edge) => Math.min(area.left + area.width, Math.max(area.left, heat.toX(heat.timeline.place(edge)))));
  for (let row = first; row < last; row += 1) {
    const { key, label, depth, flag, block } = map.rows[row];
    const [top, bottom] = [Math.max(area.top, heat.top(row)), Math.min(area.top + area.height, heat.top(row + 1))];
    if (bottom - top < 0.6 * heat.rowHeight || !label) continue;
    const chosen = key === map.selected;
    const mark = block ? (block === "open" ? "▾ " : "▸ ") : "";
    const right = area.left - (GUTTER + 4) * u;
    const text = svgElement("text", {
      x: block || depth ? 6 * u + depth * 10 * u : right, y: (top + bottom) / 2, dy: "0.35em", "font-size": 11 * u, class: "row",
      "text-anchor": block || depth ? "start" : "end", fill: chosen ? c.text : c.muted, "font-weight": chosen ? 700 : 400,
    }, mark + heat.short(label));
    found.push(text);
    if (flag) found.push(svgElement("rect", { class: "flag", "data-severity": flag, "data-row": row, x: area.left - 9 * u, y: top + 1, width: 5 * u, height: Math.max(3, bottom - top - 2), fill: c[SEVERITY_COLORS[flag]] }));
    if (chosen) found.push(svgElement("rect", { class: "selected", "data-row": row, x: from - 1, y: top, width: to - from + 2, height: bottom - top, fill: "none", stroke: c.selected, "stroke-width": 2 * u }));
  }
  return found;
}

/** Crosses where values were NaN or infinite, thinned so that they stay crosses. @param {import("./heat.js").Heat} heat @param {number} first @param {number} last @param {number} u */
export function crosses(heat, first, last, u) {
  const { area } = heat;
  const map = /** @type {Map} */ (heat.map);
  /** @type {[number[], number[]]} */
  const [xs, ys] = [[], []];
  for (let row = first; row < last; row += 1) {
    let before = -Infinity;
    for (const column of [...map.rows[row].lost].sort((a, b) => a - b)) {
      const x = heat.toX(heat.timeline.place((map.firsts[column] + map.steps[column]) / 2));
      if (x < area.left || x > area.left + area.width || x - before < 7 * u) continue;
      before = x;
      xs.push(x);
      ys.push((heat.top(row) + heat.top(row + 1)) / 2);
    }
  }
  const d = crossesPath(xs, ys, 2.6 * u);
  if (!d) return [];
  return [
    svgElement("path", { d, stroke: "#ffffff", "stroke-width": 3.4 * u, fill: "none", opacity: 0.75 }),
    svgElement("path", { class: "lost", d, stroke: colors().red, "stroke-width": 1.7 * u, fill: "none" }),
  ];
}

/** The colours and what they stand for, at the right. @param {import("./heat.js").Heat} heat @param {number} u */
export function colorScale(heat, u) {
  const { area } = heat;
  const { scale } = /** @type {Map} */ (heat.map);
  const id = `${heat.clip}-scale`;
  const stops = Array.from({ length: 9 }, (_, i) => svgElement("stop", { offset: i / 8, "stop-color": `rgb(${colorAt(scale, i / 8).join()})` }));
  const x = area.left + area.width + 14 * u;
  const ticks = scale.ticks(Math.max(2, Math.floor(area.height / (26 * u))));
  return [
    svgElement("linearGradient", { id, x1: 0, y1: 1, x2: 0, y2: 0 }, ...stops),
    svgElement("rect", { x, y: area.top, width: 9 * u, height: area.height, fill: `url(#${id})` }),
    ...ticks.map(([place, label]) => svgElement("text", {
      x: x + 13 * u, y: Math.min(area.top + area.height - 4 * u, Math.max(area.top + 5 * u, area.top + area.height * (1 - place))), dy: "0.35em", "font-size": 10.5 * u, fill: colors().muted,
    }, label)),
  ];
}

/** The column that each pixel lies in, -1 beside all. @param {number[]} edges @param {number} width @param {(edge: number) => number} toPixel */
function columnsOf(edges, width, toPixel) {
  const found = new Int32Array(width).fill(-1);
  for (let k = 0; k + 1 < edges.length; k += 1) {
    const from = Math.max(0, Math.round(toPixel(edges[k])));
    const to = Math.min(width, Math.max(from + 1, Math.round(toPixel(edges[k + 1]))));
    for (let x = from; x < to; x += 1) found[x] = k;
  }
  return found;
}

/** @param {string} hex */
const rgbOf = (hex) => [1, 3, 5].map((i) => Number.parseInt(hex.slice(i, i + 2), 16));

/** Where the rows of a part stand, null where they are not all there. @param {string[] | null} part @param {import("./heat.js").Row[]} rows @returns {[number, number] | null} */
export function placesOf(part, rows) {
  if (!part) return null;
  const [low, high] = part.map((key) => rows.findIndex((row) => row.key === key)).sort((a, b) => a - b);
  return low < 0 ? null : [low, high];
}

/** Borders of the columns: halfway between the records on both sides. @param {{firsts: number[], steps: number[]}} given */
export function edgesOf({ firsts, steps }) {
  const inner = steps.slice(1).map((_, i) => (steps[i] + firsts[i + 1]) / 2);
  const last = steps.length - 1;
  if (last < 0) return [];
  if (last === 0) {
    const half = Math.max(0.5, (steps[0] - firsts[0]) / 2);
    return [firsts[0] - half, steps[0] + half];
  }
  const before = (firsts[1] - steps[0]) / 2;
  const after = (firsts[last] - steps[last - 1]) / 2;
  return [firsts[0] - before, ...inner, steps[last] + after];
}

/** Puts the cells of the rows in sight on the canvas. @param {import("./heat.js").Heat} heat @param {number} first @param {number} last */
export function paint(heat, first, last) {
  const { area, canvas } = heat;
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [Math.round(area.width * ratio), Math.round(area.height * ratio)];
  Object.assign(canvas, { width, height });
  Object.assign(canvas.style, { left: `${area.left}px`, top: `${area.top}px`, width: `${area.width}px`, height: `${area.height}px` });
  const context = canvas.getContext("2d");
  if (!context || width < 1 || last <= first || !heat.map) return;
  const { rows, scale } = heat.map;
  const column = columnsOf(heat.edges, width, (edge) => (heat.toX(heat.timeline.place(edge)) - area.left) * ratio);
  const image = context.createImageData(width, 1);
  const zero = rgbOf(colors().zero);
  const strip = document.createElement("canvas");
  Object.assign(strip, { width, height: 1 });
  const narrow = /** @type {CanvasRenderingContext2D} */ (strip.getContext("2d"));
  const gap = heat.rowHeight >= 10 && !heat.least ? 1 : 0;
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
    const y = Math.round((heat.top(row) - area.top) * ratio);
    const end = Math.round((heat.top(row + 1) - area.top) * ratio);
    context.drawImage(strip, 0, 0, width, 1, 0, y, width, Math.max(1, end - y - gap));
  }
}
