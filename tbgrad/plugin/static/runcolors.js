/** The colour of a run, as TensorBoard's own charts give it: by its place among all runs. */

import { names } from "./model.js";
import { themeName } from "./theme.js";

/** TensorBoard's default colours, which no message tells. @type {Record<string, string[]>} */
const PALETTE = {
  light: ["#425066", "#12b5cb", "#e52592", "#f9ab00", "#9334e6", "#7cb342", "#e8710a"],
  dark: ["#8e98a3", "#12b5cb", "#e52592", "#f9ab00", "#9334e6", "#7cb342", "#e8710a"],
};

/** @type {Map<string, number>} */
let places = new Map();

/** Takes TensorBoard's order of the runs. @param {string[]} order */
export function learnColors(order) {
  places = new Map(order.map((name, i) => [name, i]));
}

/** The colour of a run in the present theme; a group of parameters has that of its run. @param {string} name */
export function colorOf(name) {
  let at = places.get(name);
  for (let end = name.length; at === undefined && end > 0; end = name.lastIndexOf("/", end - 1)) at = places.get(name.slice(0, end));
  const palette = PALETTE[themeName()] ?? PALETTE.light;
  return palette[(at ?? places.size) % palette.length];
}

/**
 * What tells the colour of a run in a theme.
 * @returns {Promise<(name: string, theme: string) => string>}
 */
export async function runColors() {
  learnColors(await names());
  return (name) => colorOf(name);
}
