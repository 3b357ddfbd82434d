/** Names in the order in which people count: 0, 1, 2 … 10. */

/**
 * Compares two names; digits in them as numbers, and without regard to the locale of the reader.
 * @param {string} a
 * @param {string} b
 */
export function natural(a, b) {
  const [left, right] = [a, b].map((name) => name.match(/\d+|\D+/g) ?? []);
  for (let i = 0; i < Math.min(left.length, right.length); i += 1) {
    if (left[i] === right[i]) continue;
    const [m, n] = [Number(left[i]), Number(right[i])];
    if (Number.isNaN(m) || Number.isNaN(n) || m === n) return left[i] < right[i] ? -1 : 1;
    return m - n;
  }
  return left.length - right.length;
}
