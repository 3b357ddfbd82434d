/** Fetches the plugin's data; http_api.md beside this folder describes every answer. */

const BASE = new URL("../", import.meta.url);

/**
 * @param {string} route
 * @param {Record<string, string | number>} [query]
 * @returns {Promise<any>}
 */
async function get(route, query = {}) {
  const url = new URL(route, BASE);
  for (const [name, value] of Object.entries(query)) {
    for (const item of [value].flat()) url.searchParams.append(name, String(item));
  }
  let response;
  try {
    response = await fetch(url);
  } catch {
    throw new Error("TensorBoard does not answer; it may have been stopped");
  }
  const text = await response.text();
  let content = null;
  try {
    content = JSON.parse(text);
  } catch {
    throw new Error(`TensorBoard answered with status ${response.status}: ${text.slice(0, 200)}`);
  }
  if (!response.ok) throw new Error(content.error ?? `status ${response.status}`);
  return content;
}

export const tables = () => get("tables");
export const runs = () => get("runs").then((answer) => answer.runs);
export const status = (run) => get("status", { run });
export const scalars = (run, tags = []) => get("scalars", { run, tag: tags });
export const layers = (run, statistic) => get("layers", { run, statistic });
export const parameter = (run, name) => get("parameter", { run, parameter: name });
export const histogram = (run, name) => get("histogram", { run, parameter: name });
export const curvature = (run) => get("curvature", { run });
export const findings = (run) => get("findings", { run });
export const finding = (run, name, point) => get("finding", { run, name, point });
export const trajectories = (run, others, layer) => get("trajectories", { run, with: others, layer });
export const alerts = (run) => get("alerts", { run });
export const notes = (run) => get("notes", { run });
/** The names of TensorBoard's runs in its own order, by which it colours them. @returns {Promise<string[]>} */
export const names = () => get("../../runs");

/** JSON has no NaN and no infinity: null and "inf", "-inf" stand for them, as in the log. */
export function toNumber(value) {
  if (typeof value === "number") return value;
  if (value === "inf") return Infinity;
  if (value === "-inf") return -Infinity;
  return NaN;
}

/** Loads Plotly from the plugin itself; rejects with a sentence for the user. */
export async function loadPlotly() {
  const { version } = await get("plotly");
  if (version === null) {
    throw new Error(
      "The charts need the Python package plotly, which is not installed where TensorBoard runs. " +
        "Install it (pip install plotly) and restart TensorBoard.",
    );
  }
  await new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL(`plotly.min.js?version=${encodeURIComponent(version)}`, BASE).href;
    script.onload = resolve;
    script.onerror = () => reject(new Error("Plotly could not be loaded from TensorBoard."));
    document.head.append(script);
  });
}
