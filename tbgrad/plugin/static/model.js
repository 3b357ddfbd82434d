/** Fetches the plugin's data; http_api.md beside this folder describes every answer. */

const BASE = new URL("../", import.meta.url);

/**
 * @param {string} route
 * @param {Record<string, string | number | (string | number)[]>} query
 */
async function ask(route, query) {
  const url = new URL(route, BASE);
  for (const [name, value] of Object.entries(query)) {
    for (const item of [value].flat()) url.searchParams.append(name, String(item));
  }
  try {
    return await fetch(url);
  } catch {
    throw new Error("TensorBoard does not answer; it may have been stopped");
  }
}

/**
 * @param {string} route
 * @param {Record<string, string | number | (string | number)[]>} [query]
 * @returns {Promise<any>}
 */
async function get(route, query = {}) {
  const response = await ask(route, query);
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

/** An answer whose large arrays are float32 behind its JSON: `values` is flat, row by row. */
async function binary(route, query) {
  const response = await ask(route, { ...query, format: "binary" });
  if (!response.ok) return get(route, query);
  const buffer = await response.arrayBuffer();
  const size = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, size)));
  for (const { name, shape, offset } of head.arrays) head[name] = new Float32Array(buffer, offset, shape[0] * shape[1]);
  return head;
}

export const tables = () => get("tables");
export const runs = () => get("runs").then((answer) => answer.runs);
export const overview = (run, filter) => get("overview", { ...(run === null ? {} : { run }), ...(filter ? { filter } : {}) });
export const status = (run) => get("status", { run });
export const scalars = (runs, tags, more = {}) => get("scalars", { run: runs, tag: tags, ...more });
export const layers = (run, statistic, more = {}) => binary("layers", { run, statistic, ...more });
export const compare = (run, other, statistic) => binary("compare", { run, with: other, statistic });
export const parameter = (run, name, more = {}) => get("parameter", { run, parameter: name, ...more });
export const histogram = (run, name, more = {}) => get("histogram", { run, parameter: name, ...more });
export const curvature = (run) => get("curvature", { run });
/** @param {number} step the density that is nearest to it */
export const density = (run, step) => get("density", { run, step });
export const findings = (run) => get("findings", { run });
export const finding = (run, name, point) => get("finding", { run, name, point });
export const trajectories = (run, others, layer) => get("trajectories", { run, with: others, layer });
/** What is not watched by the writer is found out by the second answer. */
export const alerts = (run) => get("alerts", { run }).then((answer) => (answer.complete ? answer : get("alerts", { run })));
/** What two runs were told, and their newest scalars. */
export const settings = (run, other) => get("settings", { run, with: other });
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

/** @type {Promise<any> | null} */
let plotly = null;

/** Loads Plotly from the plugin itself, once; rejects with a sentence for the user. */
export function loadPlotly() {
  plotly ??= (async () => {
    const { version } = await get("plotly");
    if (version === null) {
      throw new Error(
        "This picture needs the Python package plotly, which is not installed where TensorBoard runs. " +
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
    return /** @type {any} */ (window).Plotly;
  })();
  plotly.catch(() => {
    plotly = null; // ask again where it failed
  });
  return plotly;
}
