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

/**
 * An answer whose large arrays are float32 behind its JSON: `values` is flat, row by row.
 * @param {string} route
 * @param {Record<string, string | number>} query
 * @returns {Promise<any>}
 */
async function binary(route, query) {
  const response = await ask(route, { ...query, format: "binary" });
  if (!response.ok) return get(route, query);
  const buffer = await response.arrayBuffer();
  const size = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, size)));
  for (const { name, shape, offset } of head.arrays) head[name] = new Float32Array(buffer, offset, shape[0] * shape[1]);
  return head;
}

/** @typedef {{from?: number, to?: number}} Part of the steps */
/** @typedef {import("../types.d.ts").Num} Num */

/** @type {() => Promise<import("../types.d.ts").Tables>} */
export const tables = () => get("tables");
/** @type {(run: string | null, filter: string) => Promise<import("../types.d.ts").Overview>} */
export const overview = (run, filter) => get("overview", { ...(run === null ? {} : { run }), ...(filter ? { filter } : {}) });
/** @type {(run: string) => Promise<import("../types.d.ts").Status>} */
export const status = (run) => get("status", { run });
/** @type {(runs: string[], tags: string[], more?: Part & {times?: number}) => Promise<import("../types.d.ts").Scalars>} */
export const scalars = (runs, tags, more = {}) => get("scalars", { run: runs, tag: tags, ...more });
/** @type {(run: string, statistic: string, more?: Part & {row?: number, order?: string, find?: string}) => Promise<import("../types.d.ts").Layers>} */
export const layers = (run, statistic, more = {}) => binary("layers", { run, statistic, ...more });
/** @type {(run: string, other: string, statistic: string) => Promise<import("../types.d.ts").Compare>} */
export const compare = (run, other, statistic) => binary("compare", { run, with: other, statistic });
/** @type {(run: string, other: string) => Promise<import("../types.d.ts").Settings>} */
export const settings = (run, other) => get("settings", { run, with: other });
/** @type {(run: string, name: string, more?: Part) => Promise<import("../types.d.ts").OneParameter>} */
export const parameter = (run, name, more = {}) => get("parameter", { run, parameter: name, ...more });
/** @type {(run: string, name: string, more?: Part & {most?: number}) => Promise<import("../types.d.ts").Histogram>} */
export const histogram = (run, name, more = {}) => get("histogram", { run, parameter: name, ...more });
/** @type {(run: string) => Promise<import("../types.d.ts").Curvature>} */
export const curvature = (run) => get("curvature", { run });
/** The density that is nearest to a step. @type {(run: string, step: number) => Promise<import("../types.d.ts").Density>} */
export const density = (run, step) => get("density", { run, step });
/** @type {(run: string) => Promise<import("../types.d.ts").Findings>} */
export const findings = (run) => get("findings", { run });
/** @type {(run: string, name: string, point: number) => Promise<import("../types.d.ts").Finding>} */
export const finding = (run, name, point) => get("finding", { run, name, point });
/** @type {(run: string, others: string[], layer: string) => Promise<import("../types.d.ts").Trajectories>} */
export const trajectories = (run, others, layer) => get("trajectories", { run, with: others, layer });
/** What the writer did not watch is found out by the second answer. @type {(run: string) => Promise<import("../types.d.ts").Alerts>} */
export const alerts = (run) => get("alerts", { run }).then((answer) => (answer.complete ? answer : get("alerts", { run })));
/** @type {(run: string) => Promise<import("../types.d.ts").Notes>} */
export const notes = (run) => get("notes", { run });
/** The names of TensorBoard's runs in its own order, by which it colours them. @returns {Promise<string[]>} */
export const names = () => get("../../runs");

/** JSON has no NaN and no infinity: null and "inf", "-inf" stand for them, as in the log. @param {Num | undefined} value */
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
