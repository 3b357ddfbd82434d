/** Tables as text that spreadsheets read. */

/**
 * @param {(string | number | null)[][]} rows the first are the titles
 * @returns {string} of RFC 4180; a text that a spreadsheet would take for a formula is one no more
 */
export function csv(rows) {
  return `${rows.map((row) => row.map(cell).join(",")).join("\r\n")}\r\n`;
}

/** @param {string | number | null | undefined} value */
function cell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return Number.isNaN(value) ? "nan" : String(value).replace("Infinity", "inf");
  const text = /^[=+\-@\t\r]/.test(value) && Number.isNaN(Number(value)) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/**
 * Columns that have their own places, side by side: a row a place.
 * @param {string} axis the title of the places
 * @param {{name: string, x: ArrayLike<number | string>, y: ArrayLike<number | null>}[]} series
 */
export function beside(axis, series) {
  const places = new Map();
  series.forEach(({ x, y }, column) => {
    for (let i = 0; i < x.length; i += 1) {
      if (!places.has(x[i])) places.set(x[i], series.map(() => null));
      places.get(x[i])[column] = y[i];
    }
  });
  const rows = [...places].sort(([a], [b]) => (typeof a === "number" && typeof b === "number" ? a - b : 0));
  return [[axis, ...series.map(({ name }) => name)], ...rows.map(([place, values]) => [place, ...values])];
}
