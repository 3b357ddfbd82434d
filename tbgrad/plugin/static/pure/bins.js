/** Where the columns of a packed histogram lie on a line, and what they hold in words. */

import { count, number, percent, powerOfTen } from "../format.js";

/** @typedef {{centers: number[], shares: number[], widths: number[], labels: string[], isZero: boolean[], ticks: [number, string][], total: number, range: [number, number], words: string}} Bins */

/** First and last magnitude bin that holds anything at any step, so that the axis stays put. @returns {[number, number]} @param {{edges: number[], counts: number[][]}} given */
export function usedRange({ edges, counts }) {
  const bins = edges.length - 1;
  let low = bins;
  let high = -1;
  for (const row of counts) {
    for (let k = 0; k < bins; k += 1) {
      if (row[1 + bins - 1 - k] > 0 || row[bins + 4 + k] > 0) {
        low = Math.min(low, k);
        high = Math.max(high, k);
      }
    }
  }
  return low <= high ? [low, high] : [0, Math.min(3, bins - 1)];
}

/**
 * Places the columns of a packed histogram on a line: negative magnitudes falling, zero, positive
 * magnitudes rising; every power of two equally wide. What lies outside is told in words. With `empty`
 * there are also the bins that hold nothing.
 * @param {number[]} edges
 * @param {number[]} counts
 * @param {[number, number]} given
 * @param {boolean} [empty]
 */
export function layoutBins(edges, counts, [low, high], empty = false) {
  const bins = edges.length - 1;
  const total = counts.slice(0, -1).reduce((a, b) => a + b, 0);
  const everything = total + counts[counts.length - 1];
  const gap = 1.8; // half of the room in the middle, in bins: for zero and what is next to it
  /** @type {Bins} */
  const out = { range: [0, 0], words: "", centers: [], shares: [], widths: [], labels: [], isZero: [], ticks: [], total: everything };
  /** @param {number} center @param {number} width @param {number} n @param {string} label @param {boolean} [zero] */
  const add = (center, width, n, label, zero = false) => {
    if (n === 0 && !empty) return;
    out.centers.push(center);
    out.widths.push(width);
    out.shares.push(n / everything);
    out.isZero.push(zero);
    out.labels.push(`${label}: ${count(n)} values, ${percent(n / everything)}`);
  };
  for (let k = low; k <= high; k += 1) {
    const at = gap + (k - low) + 0.5;
    const [a, b] = [number(edges[k]), number(edges[k + 1])];
    add(-at, 1, counts[1 + bins - 1 - k], `−${b} to −${a}`);
    add(at, 1, counts[bins + 4 + k], `${a} to ${b}`);
  }
  add(0, 0.8, counts[bins + 2], "exactly zero", true);
  add(-1.1, 0.8, counts[bins + 1], `between −${number(edges[0])} and 0`, true);
  add(1.1, 0.8, counts[bins + 3], `between 0 and ${number(edges[0])}`, true);
  const reach = gap + (high - low + 1);
  add(-reach - 0.7, 0.8, counts[0], `below −${number(edges[edges.length - 1])}`);
  add(reach + 0.7, 0.8, counts[2 * bins + 4], `above ${number(edges[edges.length - 1])}`);
  const over = counts[0] + counts[2 * bins + 4] > 0 ? 1.2 : 0.3;
  out.range = [-reach - over, reach + over];
  out.ticks.push([0, "0"]);
  const [from, to] = [Math.log10(edges[low] ?? 1), Math.log10(edges[high + 1] ?? 1)];
  const every = Math.max(1, Math.ceil((to - from) / 4));
  for (let e = Math.ceil(from); e <= to; e += 1) {
    if ((Math.floor(to) - e) % every !== 0) continue;
    const at = gap + Math.log2(10 ** e / edges[low]);
    if (at < gap + 0.8) continue; // would run into the zero
    out.ticks.push([at, powerOfTen(e)], [-at, `−${powerOfTen(e)}`]);
  }
  out.words = inWords(edges, counts, everything);
  return out;
}

/** What a histogram holds, in a line. @param {number[]} edges @param {number[]} counts @param {number} everything */
export function inWords(edges, counts, everything) {
  const bins = edges.length - 1;
  const zero = counts[bins + 2];
  const under = counts[bins + 1] + counts[bins + 3];
  const over = counts[0] + counts[2 * bins + 4];
  const bad = counts[counts.length - 1];
  const parts = [zero === 0 ? "no exact zeros" : `${percent(zero / everything)} exactly zero`];
  if (under) parts.push(`${count(under)} below ${number(edges[0])} in size`);
  if (over) parts.push(`${count(over)} above ${number(edges[edges.length - 1])} in size`);
  parts.push(bad ? `${count(bad)} NaN or infinite` : "all finite");
  return parts.join(" · ");
}
