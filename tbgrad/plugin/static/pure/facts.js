/** What a series comes to in a few facts: for who cannot see its curve. */

import { count, number } from "../format.js";

/** @typedef {{name: string, newest: string, smallest: string, largest: string, firstBad: string}} Facts */

/**
 * @param {string} name
 * @param {ArrayLike<number>} steps
 * @param {ArrayLike<number | null>} values null and what is not finite cannot be drawn
 * @param {number[]} bad steps whose value was not finite
 * @returns {Facts}
 */
export function factsOf(name, steps, values, bad = []) {
  let [newest, low, high] = [-1, -1, -1];
  for (let i = 0; i < values.length; i += 1) {
    const v = values[i];
    if (v === null || !Number.isFinite(v)) continue;
    newest = i;
    if (low < 0 || v < /** @type {number} */ (values[low])) low = i;
    if (high < 0 || v > /** @type {number} */ (values[high])) high = i;
  }
  /** @param {number} i */
  const told = (i) => (i < 0 ? "none" : `${number(/** @type {number} */ (values[i]), 4)} at step ${count(steps[i])}`);
  return {
    name, newest: told(newest), smallest: told(low), largest: told(high),
    firstBad: bad.length ? `step ${count(Math.min(...bad))}` : "none",
  };
}
