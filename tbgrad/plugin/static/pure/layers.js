/** Which of several parameters is the worst, as in the terminal app: by the measure that the server tells. */

/** Not finite, not there, exactly zero: worse than any number. */
const [LOST, ABSENT, SILENT] = [1e6, 1e5, 1e4];

/** @typedef {{scale: string, worst: "largest" | "smallest" | "far", centre: number, zero_is_worse: boolean, none_is_worse: boolean}} Measure */

/** Of a statistic without a measure of its own. @type {Measure} */
export const PLAIN = { scale: "linear", worst: "largest", centre: 1, zero_is_worse: false, none_is_worse: false };

/**
 * How bad a value is, the larger the worse; -Infinity of what does not apply.
 * @param {number} value
 * @param {boolean} lost whether it is not finite
 * @param {Measure} measure
 */
export function badness(value, lost, { scale, worst, centre, zero_is_worse: silent, none_is_worse: absent }) {
  if (lost || Math.abs(value) === Infinity) return LOST;
  if (Number.isNaN(value)) return absent ? ABSENT : -Infinity;
  if (value === 0 && silent) return SILENT;
  const size = scale === "log" ? Math.log10(value / centre) : value;
  if (worst === "far") return Math.abs(size);
  return worst === "smallest" ? -size : size;
}

/**
 * The worst of some rows in every column: what a folded block is shown as.
 * @param {number[]} rows
 * @param {ArrayLike<number>[]} values [row][column]
 * @param {Set<number>[]} lost the columns of a row that are not finite
 * @param {Measure} measure
 * @returns {number[]} a row a column
 */
export function worstOf(rows, values, lost, measure) {
  const columns = values[rows[0]]?.length ?? 0;
  const found = new Array(columns);
  for (let k = 0; k < columns; k += 1) {
    let [best, bad] = [rows[0], -Infinity];
    for (const row of rows) {
      const b = badness(values[row][k], lost[row].has(k), measure);
      if (b > bad) [best, bad] = [row, b];
    }
    found[k] = best;
  }
  return found;
}
