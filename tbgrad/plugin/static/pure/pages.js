/** Of very many layers one page after another. */

import { count } from "../format.js";

/** As many as an answer of the server has. */
export const PAGE = 4000;

/**
 * What a page is, in words: "layers 1 to 4,000 of 9,300".
 * @param {{row: number, rows: number, all: number, shown: number, find: string, order: string}} page
 */
export function wordsOf({ row, rows, all, shown, find, order }) {
  if (shown === 0) return `none of ${count(all)} layers`;
  /** @type {Record<string, string>} */
  const sorted = { "worst first": "the worst: ", "most changed first": "most changed: " };
  const of = find && rows < all ? `${count(rows)} that match, of ${count(all)}` : count(rows);
  const beside = order === "alerts first" ? ", those with alerts first within these" : "";
  return `${sorted[order] ?? ""}layers ${count(row + 1)} to ${count(row + shown)} of ${of}${beside}`;
}
