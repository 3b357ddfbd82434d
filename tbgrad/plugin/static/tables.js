/** What the numbers of a log are called and mean: the server's tables, fetched once. */

/** @typedef {{tag: string, label: string, unit: string, scale: "linear" | "log", meaning: string}} Scalar */
/**
 * `scale`: "log" for sizes over decades, "signed" for values on both sides of zero, "unit" for
 * shares from 0 to 1, "correlation" from -1 to 1, "count" for whole numbers.
 * @typedef {{name: string, label: string, meaning: string, scale: string}} Statistic
 */

/** @type {Map<string, Scalar>} */
let scalars = new Map();
/** @type {Map<string, Statistic>} */
let statistics = new Map();
let vagueWidth = 1;

/** @param {import("../types.d.ts").Tables} tables */
export function setTables(tables) {
  scalars = new Map(tables.scalars.map((entry) => [entry.tag, entry]));
  statistics = new Map(tables.statistics.map((entry) => [entry.name, entry]));
  for (const { name, label, scale } of tables.measures) statistics.set(name, { name, label, meaning: label, scale });
  vagueWidth = tables.vague;
}

/** @returns {Scalar} @param {string} tag */
export const scalar = (tag) =>
  scalars.get(tag) ?? { tag, label: tag, unit: "", scale: "linear", meaning: "" };

/** Tags in the order of the table, those that it does not know behind them as they are. @param {string[]} tags */
export function inOrder(tags) {
  const order = new Map([...scalars.keys()].map((tag, place) => [tag, place]));
  /** @param {string} tag */
  const place = (tag) => order.get(tag) ?? order.size;
  return [...tags].sort((a, b) => place(a) - place(b));
}

/** @returns {Statistic} @param {string} name */
export const statistic = (name) =>
  statistics.get(name) ?? { name, label: name, meaning: "a statistic this version does not know", scale: "signed" };

/** Whether the interval of a share is too wide for its value to mean something. @param {{low: number, high: number}} given */
export const isVague = ({ low, high }) => high - low > vagueWidth;
