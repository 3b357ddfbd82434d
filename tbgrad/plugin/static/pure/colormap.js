/** Numbers as colours. */

import { logTicks, plainTicks } from "./axes.js";
import { number } from "../format.js";

/** Viridis, by Nathaniel Smith and Stéfan van der Walt: evenly spaced, for every kind of sight. */
const VIRIDIS = ["#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725"];
/** From teal over the colour of nothing to purple: red is kept for what is wrong. */
const DIVERGING = ["#01665e", "#35978f", "#80cdc1", "#c7eae5", "#f5f5f5", "#dadaeb", "#b19bd0", "#8856a7", "#54278f"];

/** @param {string} hex */
const rgb = (hex) => [1, 3, 5].map((i) => Number.parseInt(hex.slice(i, i + 2), 16));

/** 256 colours [red, green, blue] of a scale. @param {string[]} stops */
function table(stops) {
  const colors = stops.map(rgb);
  return Array.from({ length: 256 }, (_, i) => {
    const at = (i / 255) * (colors.length - 1);
    const k = Math.min(colors.length - 2, Math.floor(at));
    return colors[k].map((c, channel) => Math.round(c + (at - k) * (colors[k + 1][channel] - c)));
  });
}

const TABLES = { viridis: table(VIRIDIS), diverging: table(DIVERGING) };

/**
 * How values become colours: `place` is from 0 to 1, NaN of what has none.
 * @typedef {{place: (v: number) => number, table: number[][], ticks: (most: number) => [number, string][], low: number, high: number}} Scale
 */

/**
 * @param {string} kind the scale of a statistic, or "ratio" for a logarithm of one
 * @param {Iterable<number>} values
 * @returns {Scale}
 */
export function scaleOf(kind, values) {
  let [low, high] = [Infinity, -Infinity];
  const log = kind === "log" || kind === "count";
  for (const v of values) {
    if (!Number.isFinite(v) || (log && v <= 0)) continue;
    const u = log ? Math.log10(v) : v;
    if (u < low) low = u;
    if (u > high) high = u;
  }
  if (!(low <= high)) [low, high] = log ? [-1, 0] : [0, 1];
  if (log) {
    if (high - low < 0.2) [low, high] = [low - 0.1, high + 0.1];
    /** @param {number} v */
    const place = (v) => (v === Infinity ? 1 : v > 0 ? (Math.log10(v) - low) / (high - low) : NaN);
    return { low, high, place, table: TABLES.viridis, ticks: (most) => logTicks(low, high, most).map(([at, words]) => [(at - low) / (high - low), words]) };
  }
  if (kind === "unit") {
    return { low: 0, high: 1, place: (v) => v, table: TABLES.viridis, ticks: () => [0, 0.25, 0.5, 0.75, 1].map((v) => [v, `${100 * v} %`]) };
  }
  const bound = kind === "correlation" ? 1 : Math.max(Math.abs(low), Math.abs(high), 1e-30);
  /** @param {number} v */
  const place = (v) => (v + bound) / (2 * bound);
  /** @param {number} most */
  const ticks = (most) => plainTicks(-bound, bound, Math.min(most, 6)).map((v) => /** @type {[number, string]} */ ([place(v), number(v, 3)]));
  return { low: -bound, high: bound, place, table: TABLES.diverging, ticks };
}

/** The colour of a place, as [red, green, blue]. @param {Scale} scale @param {number} place */
export const colorAt = (scale, place) => scale.table[Math.max(0, Math.min(255, Math.round(255 * place)))];
