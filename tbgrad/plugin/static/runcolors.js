/** The colour of a run, as TensorBoard's own charts give it: by its place among all runs. */

import { names } from "./model.js";

/** TensorBoard's default colours, which no message tells. */
const PALETTE = {
  light: ["#425066", "#12b5cb", "#e52592", "#f9ab00", "#9334e6", "#7cb342", "#e8710a"],
  dark: ["#8e98a3", "#12b5cb", "#e52592", "#f9ab00", "#9334e6", "#7cb342", "#e8710a"],
};

/**
 * What tells the colour of a run in a theme; a group of parameters has that of its run.
 * @returns {Promise<(name: string, theme: string) => string>}
 */
export async function runColors() {
  const known = await names();
  const places = new Map(known.map((name, i) => [name, i]));
  return (name, theme) => {
    let at = places.get(name);
    for (let end = name.length; at === undefined && end > 0; end = name.lastIndexOf("/", end - 1)) at = places.get(name.slice(0, end));
    const palette = PALETTE[theme] ?? PALETTE.light;
    return palette[(at ?? places.size) % palette.length];
  };
}
