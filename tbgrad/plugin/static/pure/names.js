/** Long names of layers in little room, as in the terminal app. */

/** The number at the end of a word, which tells it from its neighbours; "" where there is none. @param {string} word */
const numberOf = (word) => /\d+$/.exec(word)?.[0] ?? "";

/**
 * A name in at most `width` characters that keeps its numbers: its words lose letters, the longest first.
 * @param {string} name with slashes between its words
 * @param {number} width
 * @returns {string}
 */
export function abbreviated(name, width) {
  if ([...name].length <= width) return name;
  const counted = / \(\d+\)$/.exec(name)?.[0] ?? ""; // how many a folded block has
  if (counted) return abbreviated(name.slice(0, -counted.length), width - counted.length) + counted;
  const words = name.split("/").map((word) => [...word]);
  const widths = words.map((word) => word.length);
  const least = words.map((word) => Math.min(word.length, 2 + numberOf(word.join("")).length));
  let total = widths.reduce((sum, w) => sum + w, words.length - 1);
  while (total > width) {
    const usable = widths.flatMap((w, i) => (w > least[i] ? [i] : []));
    if (usable.length === 0) break;
    widths[usable.reduce((a, b) => (widths[b] > widths[a] ? b : a))] -= 1;
    total -= 1;
  }
  return words.map((word, i) => narrowed(word, widths[i])).join("/");
}

/** A word with "…" in place of its middle, or of all before the number at its end. @param {string[]} word @param {number} width */
function narrowed(word, width) {
  if (word.length <= width) return word.join("");
  const end = numberOf(word.join("")) || word.slice(word.length - Math.floor((width - 1) / 2)).join("");
  return `${word.slice(0, Math.max(1, width - 1 - end.length)).join("").replace(/_+$/, "")}…${end}`;
}
