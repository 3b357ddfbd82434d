/** Shapes as the words of an SVG path, from places in pixels; NaN is a place that is not there. */

/** @param {number} v */
const round = (v) => Math.round(10 * v) / 10;

/** So many points in a column of pixels are drawn as its first, lowest, highest and last. */
const DENSE = 6;

/** A line through points, with gaps where there is none. @param {number[]} xs @param {number[]} ys */
export function linePath(xs, ys) {
  const words = [];
  let open = false;
  let i = 0;
  while (i < xs.length) {
    if (Number.isNaN(ys[i])) {
      open = false;
      i += 1;
      continue;
    }
    let end = i + 1;
    const column = Math.floor(xs[i]);
    while (end < xs.length && Math.floor(xs[end]) === column && !Number.isNaN(ys[end])) end += 1;
    for (const k of end - i > DENSE ? extremes(ys, i, end) : span(i, end)) {
      words.push(`${open ? "L" : "M"}${round(xs[k])},${round(ys[k])}`);
      open = true;
    }
    i = end;
  }
  return words.join("");
}

/** @param {number} from @param {number} to */
const span = (from, to) => Array.from({ length: to - from }, (_, i) => from + i);

/** @param {number[]} ys @param {number} from @param {number} to */
function extremes(ys, from, to) {
  let [low, high] = [from, from];
  for (let i = from; i < to; i += 1) {
    if (ys[i] < ys[low]) low = i;
    if (ys[i] > ys[high]) high = i;
  }
  return [...new Set([from, Math.min(low, high), Math.max(low, high), to - 1])];
}

/** @param {number[]} xs @param {number[]} ys @param {(x: number, y: number, i: number) => string} shape */
const joined = (xs, ys, shape) => xs.map((x, i) => shape(round(x), round(ys[i]), i)).join("");

/** @param {number[]} xs @param {number[]} ys @param {number} r */
export const circlesPath = (xs, ys, r) => joined(xs, ys, (x, y) => `M${x - r},${y}a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0`);

/** @param {number[]} xs @param {number[]} ys @param {number} r */
export const crossesPath = (xs, ys, r) => joined(xs, ys, (x, y) => `M${x - r},${y - r}l${2 * r},${2 * r}M${x - r},${y + r}l${2 * r},${-2 * r}`);

/** @param {number[]} xs @param {number[]} ys @param {number} r */
export const trianglesPath = (xs, ys, r) => joined(xs, ys, (x, y) => `M${x - r},${y}h${2 * r}l${-r},${-1.6 * r}z`);

/** @param {number[]} xs @param {number[]} ys @param {number[]} half @param {number} base */
export const barsPath = (xs, ys, half, base) =>
  joined(xs, ys, (x, y, i) => (Number.isNaN(y) ? "" : `M${round(x - half[i])},${round(base)}V${y}H${round(x + half[i])}V${round(base)}z`));

/** Bars from below to above a value, in values; what is off a logarithmic axis ends at its edge. @param {number[]} xs @param {ArrayLike<number | null>} values @param {(number | null)[]} errors @param {(v: number) => number} toY @param {number} r */
export function errorsPath(xs, values, errors, toY, r) {
  return joined(xs, xs, (x, _, i) => {
    const [value, error] = [values[i], errors[i]];
    if (value === null || !Number.isFinite(value) || error === null || !(error > 0) || !Number.isFinite(error)) return "";
    const [top, bottom] = [toY(value + error), toY(value - error)].map((v) => round(Math.min(1e5, Math.max(-1e5, v))));
    return `M${x - r},${top}h${2 * r}M${x},${top}V${bottom}M${x - r},${bottom}h${2 * r}`;
  });
}
