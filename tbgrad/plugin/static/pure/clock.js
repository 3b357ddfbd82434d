/** From steps to times of day and back, by the records of one run. */

/** @typedef {"step" | "relative" | "wall"} Kind */

/** @type {Record<Kind, string>} */
export const KINDS = { step: "steps", relative: "time since the start", wall: "time of day" };

export class Clock {
  /**
   * @param {number[]} steps rising
   * @param {number[]} times seconds since the epoch; 0 where not known
   */
  constructor(steps = [], times = []) {
    const known = times.map((t) => t > 0);
    this.steps = steps.filter((_, i) => known[i]);
    this.times = times.filter((_, i) => known[i]);
  }

  /** Whether it tells any time. */
  get runs() {
    return this.steps.length > 1;
  }

  get start() {
    return this.times[0] ?? 0;
  }

  /** The time at a step, in seconds since the epoch. @param {number} step */
  at(step) {
    return between(this.steps, this.times, step);
  }

  /** The step at a time; in between. @param {number} time */
  stepAt(time) {
    return between(this.times, this.steps, time);
  }
}

/** Linear interpolation, and beyond both ends with the slope of all. @param {number[]} from @param {number[]} to @param {number} x */
function between(from, to, x) {
  const last = from.length - 1;
  if (last < 0) return x;
  if (last === 0) return to[0];
  const slope = from[last] > from[0] ? (to[last] - to[0]) / (from[last] - from[0]) : 0;
  if (x <= from[0]) return to[0] + slope * (x - from[0]);
  if (x >= from[last]) return to[last] + slope * (x - from[last]);
  let [low, high] = [0, last];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (from[middle] <= x) low = middle;
    else high = middle;
  }
  const width = from[high] - from[low];
  return width > 0 ? to[low] + ((to[high] - to[low]) * (x - from[low])) / width : to[low];
}

/**
 * The unit in which a stretch of time is told below an axis.
 * @param {number} seconds
 * @returns {[name: string, seconds: number]}
 */
export function unitOf(seconds) {
  if (seconds < 180) return ["seconds", 1];
  if (seconds < 3 * 3600) return ["minutes", 60];
  if (seconds < 3 * 86400) return ["hours", 3600];
  return ["days", 86400];
}

/** Lengths between two ticks of a time of day, in seconds. */
const LENGTHS = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 2592000];

/**
 * Ticks of a time of day, local to the reader, at most so many.
 * @param {number} low in seconds since the epoch
 * @param {number} high
 * @returns {[number, string][]}
 * @param {number} low
 * @param {number} high
 * @param {number} most
 */
export function wallTicks(low, high, most) {
  const length = LENGTHS.find((l) => (high - low) / l <= most) ?? LENGTHS[LENGTHS.length - 1];
  const offset = -60 * new Date(1000 * low).getTimezoneOffset();
  const found = [];
  for (let k = Math.ceil((low + offset) / length); k * length - offset <= high; k += 1) {
    found.push(/** @type {[number, string]} */ ([k * length - offset, wallLabel(k * length - offset, length)]));
  }
  return found;
}

/** @param {number} time @param {number} length how exactly */
export function wallLabel(time, length = 1) {
  const date = new Date(1000 * time);
  /** @param {number} n */
  const two = (n) => String(n).padStart(2, "0");
  if (length >= 86400) return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  if (length >= 60 && length < 86400 && date.getHours() + date.getMinutes() === 0) return `${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const minute = `${two(date.getHours())}:${two(date.getMinutes())}`;
  return length >= 60 ? minute : `${minute}:${two(date.getSeconds())}`;
}
