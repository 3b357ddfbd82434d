/** Which axis shows numbers best, and where its ticks are. */

import { count, number, powerOfTen } from "../format.js";

/** Values that are so many times apart are seen best on a logarithmic axis, as in the terminal. */
const FAR = 20;
/** Values that differ by less than this share of their size differ by rounding alone. */
const SAME = 1e-6;

/** @typedef {{low: number, high: number}} Extent */
/** @typedef {[at: number, label: string]} Tick */

/**
 * The smallest and the largest finite value, null where there is none.
 * @param {Iterable<number | null>} values
 * @returns {Extent | null}
 */
export function extent(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const v of values) {
    if (v === null || !Number.isFinite(v)) continue;
    if (v < low) low = v;
    if (v > high) high = v;
  }
  return low <= high ? { low, high } : null;
}

/**
 * Whether a logarithmic axis suits values better: none below zero, and the positive ones far apart.
 * @param {(number | null)[]} values
 */
export function suitsLog(values) {
  const all = extent(values);
  return all !== null && all.low > 0 && all.high > FAR * all.low;
}

/** Whether a logarithmic axis can show any of them. @param {(number | null)[]} values */
export const canBeLog = (values) => values.some((v) => v !== null && v > 0 && v < Infinity);

/**
 * The one value of a series that does not change, null of any other.
 * @param {(number | null)[]} values
 */
export function constant(values) {
  const all = extent(values);
  if (all === null) return null;
  return all.high - all.low <= SAME * Math.max(Math.abs(all.low), Math.abs(all.high)) ? all.high : null;
}

/**
 * A linear axis. One value is in the middle of it with its own name, whatever its size.
 * @param {(number | null)[]} values
 * @returns {{type: string, range?: number[], nticks?: number, tickmode?: string, tickvals?: number[], ticktext?: string[]}}
 */
export function linearAxis(values, nticks = 5) {
  const only = constant(values);
  if (only === null) return { type: "linear", nticks };
  const room = only === 0 ? 1 : Math.abs(only) / 2;
  return {
    type: "linear", range: [only - room, only + room], tickmode: "array", tickvals: [only], ticktext: [number(only)],
  };
}

/**
 * A logarithmic axis with ticks of our own, so many that they have room.
 * @param {(number | null)[]} values those that are not above zero have no place on it
 * @returns {{type: string, range: [number, number], tickmode: string, tickvals: number[], ticktext: string[]}} `range` in powers of ten
 */
export function logAxis(values, nticks = 5) {
  const sizes = values.filter((v) => v !== null && v > 0 && Number.isFinite(v)).map((v) => Math.log10(/** @type {number} */ (v)));
  const all = extent(sizes) ?? { low: -1, high: 0 };
  const room = Math.max(0.06 * (all.high - all.low), all.high - all.low < 0.05 ? 0.3 : 0.02);
  const range = /** @type {[number, number]} */ ([all.low - room, all.high + room]);
  if (all.high - all.low < 0.05) {
    const middle = 10 ** ((all.low + all.high) / 2);
    return { type: "log", range, tickmode: "array", tickvals: [middle], ticktext: [number(middle)] };
  }
  const ticks = logTicks(range[0], range[1], nticks);
  return { type: "log", range, tickmode: "array", tickvals: ticks.map(([at]) => 10 ** at), ticktext: ticks.map(([, label]) => label) };
}

/**
 * Ticks of a logarithmic scale between two powers of ten; their places are powers of ten too.
 * @returns {Tick[]}
 * @param {number} low
 * @param {number} high
 * @param {number} [most]
 */
export function logTicks(low, high, most = 8) {
  const every = Math.max(1, Math.ceil((high - low) / most));
  /** @type {Tick[]} */
  const ticks = [];
  for (let e = Math.ceil(low); e <= high; e += 1) if (e % every === 0) ticks.push([e, powerLabel(e)]);
  if (ticks.length >= 3) return ticks;
  for (const steps of [[1, 3], [1, 2, 5], [1, 1.5, 2, 3, 4, 5, 7], null]) {
    const fine = steps === null ? between(low, high, most) : within(low, high, steps);
    if (fine.length > most) break;
    if (fine.length >= 3 || steps === null) return fine;
  }
  return ticks.length ? ticks : between(low, high, most);
}

/** @param {number} e */
const powerLabel = (e) => (e >= -3 && e <= 4 ? number(10 ** e) : powerOfTen(e));

/** @param {number} low @param {number} high @param {number[]} steps */
function within(low, high, steps) {
  /** @type {Tick[]} */
  const found = [];
  for (let e = Math.floor(low); e <= high; e += 1) {
    for (const m of steps) {
      const at = e + Math.log10(m);
      if (at >= low && at <= high) found.push([at, number(m * 10 ** e, Number.isInteger(m) ? 1 : 2)]);
    }
  }
  return found;
}

/** Of a scale that spans less than two such numbers: plain ones. @param {number} low @param {number} high @param {number} most */
function between(low, high, most) {
  return plainTicks(10 ** low, 10 ** high, Math.min(4, most)).filter((v) => v > 0).map((v) => /** @type {Tick} */ ([Math.log10(v), number(v, 4)]));
}

/**
 * Round numbers from `low` to `high`, at most so many; whole ones where `whole`.
 * @returns {number[]}
 * @param {number} low
 * @param {number} high
 * @param {number} most
 * @param {boolean} [whole]
 */
export function plainTicks(low, high, most, whole = false) {
  if (!(high > low) || most < 1) return [];
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  let size = [1, 2, 5, 10].map((m) => m * power).find((s) => (high - low) / s <= most) ?? 10 * power;
  if (whole) size = Math.max(1, Math.round(size));
  const found = [];
  for (let k = Math.ceil(low / size); k * size <= high * (1 + 1e-12); k += 1) found.push(k * size + 0);
  return found.length > most + 1 ? found.filter((_, i) => i % 2 === 0) : found;
}

/** A step as it stands below an axis: "1,200", from a million on "1.2M". @param {number} step */
export function stepLabel(step) {
  if (Math.abs(step) >= 1e6) return `${Number((step / 1e6).toFixed(3))}M`;
  return count(step);
}

/** Fewer values than this have no outliers. */
const FEW = 12;

/**
 * The range of all values but outliers, as in the terminal: nothing further out than twice the range
 * of the inner nine tenths is held. Null where that is the range of all.
 * @param {(number | null)[]} values
 * @returns {Extent | null}
 */
export function withoutOutliers(values) {
  const sorted = /** @type {number[]} */ (values.filter((v) => v !== null && Number.isFinite(v))).sort((a, b) => a - b);
  if (sorted.length < FEW) return null;
  const beyond = Math.max(1, Math.floor(sorted.length / 20));
  const [bottom, top] = [sorted[beyond], sorted[sorted.length - 1 - beyond]];
  const room = 2 * (top - bottom);
  if (!(room > 0)) return null;
  const [low, high] = [Math.max(sorted[0], bottom - room), Math.min(sorted[sorted.length - 1], top + room)];
  return low > sorted[0] || high < sorted[sorted.length - 1] ? { low, high } : null;
}
