/** The one table of keys, which both answers them and is what `?` shows: the same as in the terminal app. */

import { element } from "./dom.js";
import { toggleFull } from "./panel.js";
import { KINDS } from "./pure/clock.js";
import { WEIGHTS } from "./pure/smoothing.js";
import { ALONE, VIEWS } from "./views.js";

/** @typedef {{keys: string[], shown: string, words: string, act: (app: import("../types.d.ts").App, event: KeyboardEvent) => void}} Key */

const AXES = /** @type {import("./pure/clock.js").Kind[]} */ (Object.keys(KINDS));

/** @type {Key[]} */
export const KEYS = [
  ...VIEWS.map(({ name, title, key }) => ({ keys: [key], shown: key, words: title.toLowerCase(), act: (/** @type {import("../types.d.ts").App} */ app) => app.change({ view: name }) })),
  { keys: Object.keys(ALONE), shown: "2 3 6", words: "loss, gradient norm, parameter alone", act: (app, { key }) => alone(app, ALONE[key]) },
  { keys: ["/"], shown: "/", words: "find: runs, layers or scalars", act: (app) => find(app) },
  { keys: ["]", "n"], shown: "] n", words: "next run", act: (app) => run(app, 1) },
  { keys: ["[", "p"], shown: "[ p", words: "previous run", act: (app) => run(app, -1) },
  { keys: ["j", "ArrowDown"], shown: "↓ j", words: "next layer, or next run", act: (app, event) => row(app, event, 1) },
  { keys: ["k", "ArrowUp"], shown: "↑ k", words: "previous layer, or run", act: (app, event) => row(app, event, -1) },
  { keys: [",", "ArrowLeft"], shown: "← ,", words: "cursor to the left", act: (app, event) => cursor(app, event, -0.01) },
  { keys: [".", "ArrowRight"], shown: "→ .", words: "cursor to the right", act: (app, event) => cursor(app, event, 0.01) },
  { keys: ["<"], shown: "<", words: "cursor far to the left", act: (app, event) => cursor(app, event, -0.1) },
  { keys: [">"], shown: ">", words: "cursor far to the right", act: (app, event) => cursor(app, event, 0.1) },
  { keys: ["+"], shown: "+", words: "fewer steps, about the cursor or the newest", act: (app) => stretch(app, 0.5) },
  { keys: ["-"], shown: "-", words: "more steps", act: (app) => stretch(app, 2) },
  { keys: ["0", "="], shown: "0 =", words: "all steps, all values, all rows, no cursor", act: (app) => reset(app) },
  { keys: ["{"], shown: "{", words: "the steps before these", act: (app) => pan(app, -0.25) },
  { keys: ["}"], shown: "}", words: "the steps after these", act: (app) => pan(app, 0.25) },
  { keys: ["x"], shown: "x", words: "steps, time since the start or time of day below charts", act: (app) => app.change({ axis: after(AXES, app.state.axis) }) },
  { keys: ["X"], shown: "X", words: "logarithmic or linear axis below charts", act: (app) => app.change({ logx: !app.state.logx }) },
  { keys: ["l"], shown: "l", words: "logarithmic or linear axis of the panel in front", act: (app) => log(app) },
  { keys: ["m"], shown: "m", words: "smooth curves by 0.6, 0.9, 0.98 or not at all", act: (app) => app.change({ smoothing: after(WEIGHTS, app.state.smoothing) }) },
  { keys: ["v"], shown: "v", words: "next statistic of the layers", act: (app) => statistic(app, 1) },
  { keys: ["V"], shown: "V", words: "the one before", act: (app) => statistic(app, -1) },
  { keys: ["s"], shown: "s", words: "sort layers or runs", act: (app) => app.sort?.() },
  { keys: ["f"], shown: "f", words: "fold all blocks of layers, or open all", act: (app) => app.panels.layers?.foldAll() },
  { keys: ["("], shown: "(", words: "fewer rows of a map, each of them higher", act: (app) => rows(app, 0.5) },
  { keys: [")"], shown: ")", words: "more rows", act: (app) => rows(app, 2) },
  { keys: [" "], shown: "Space", words: "mark the run for comparison; fold a block of layers", act: (app, event) => mark(app, event) },
  { keys: ["u"], shown: "u", words: "mark no run", act: (app) => app.change({ runs: [] }) },
  { keys: ["z"], shown: "z", words: "the panel in front at full size, and back", act: () => full() },
  { keys: ["w"], shown: "w", words: "save the panel in front as a picture", act: () => front()?.saveAs?.("png") },
  { keys: ["e"], shown: "e", words: "save it as a table (CSV)", act: () => front()?.saveAs?.("csv") },
  { keys: ["Escape"], shown: "Esc", words: "back: from full size, the cursor, an alert, a filter", act: (app) => back(app) },
  { keys: ["?", "h"], shown: "? h", words: "this page", act: () => showKeys() },
];

/** @typedef {HTMLElement & {saveAs?: (kind: string) => void}} PanelBox */
/** The panel that has the focus or the mouse, or else the first. */
const front = () => /** @type {PanelBox | null} */ (document.querySelector(".panel.full") ?? document.activeElement?.closest?.(".panel") ?? document.querySelector(".panel:hover") ?? document.querySelector(".panel:not([hidden])"));

/** The panel in front at full size, and back. */
function full() {
  const box = front();
  if (box) toggleFull(box);
}

/** @template Each @param {Each[]} list @param {Each} now @returns {Each} */
const after = (list, now) => list[(list.indexOf(now) + 1) % list.length];

/** @param {import("../types.d.ts").App} app @param {string} name */
async function alone(app, name) {
  await app.load();
  const { box } = app.panels[name];
  if (app.view.name !== "run") app.change({ view: "run" });
  if (!box.classList.contains("full")) toggleFull(box);
}

/** @param {import("../types.d.ts").App} app */
function find(app) {
  const view = app.view.name;
  if (!["overview", "layers", "scalars"].includes(view)) app.change({ view: "layers" });
  const input = document.querySelector(`#${view === "overview" || view === "scalars" ? view : "layers"} input[type=search]`);
  /** @type {HTMLInputElement | null} */ (input)?.focus();
}

/** @param {import("../types.d.ts").App} app @param {number} by */
function run(app, by) {
  const names = app.runs?.runs.map(({ name }) => name) ?? [];
  const at = names.indexOf(app.run);
  if (names.length) app.change({ run: names[(at + by + names.length) % names.length] });
}

/** @param {import("../types.d.ts").App} app @param {KeyboardEvent} event @param {number} by */
function row(app, event, by) {
  if (app.view.name === "overview") return run(app, by);
  if (event.key.startsWith("Arrow") && !document.activeElement?.closest(".heat")) return undefined;
  const names = app.panels.layers?.names;
  const at = names?.indexOf(app.parameter) ?? -1;
  if (names?.[at + by]) app.change({ parameter: names[at + by] });
  return undefined;
}

/** @param {import("../types.d.ts").App} app @param {KeyboardEvent} event @param {number} share */
function cursor(app, event, share) {
  event.preventDefault();
  const [low, high] = app.timeline.seen;
  const now = app.state.cursor ?? (share < 0 ? high : low);
  const aim = Math.min(high, Math.max(low, now + share * (high - low)));
  const plot = [...app.timeline.charts].find((chart) => chart.inSight() && chart.picture);
  const near = plot ? plot.nearest(aim) : Math.round(aim);
  app.change({ cursor: near === app.state.cursor ? Math.round(now + Math.sign(share)) : near });
}

/** @param {import("../types.d.ts").App} app @param {number} factor */
function stretch(app, factor) {
  const [low, high] = app.timeline.seen;
  const [first, last] = app.timeline.extent;
  const middle = app.state.cursor ?? (factor < 1 ? high : (low + high) / 2);
  const wide = Math.max(2, (high - low) * factor);
  if (wide >= last - first) return reset(app, false);
  const from = Math.min(Math.max(first, middle - wide / 2), last - wide);
  return app.change({ range: [from, from + wide] });
}

/** @param {import("../types.d.ts").App} app @param {number} share */
function pan(app, share) {
  if (!app.state.range) return;
  const [low, high] = app.state.range;
  const [first, last] = app.timeline.extent;
  const by = Math.min(last - high, Math.max(first - low, share * (high - low)));
  app.change({ range: [low + by, high + by] });
}

/** @param {import("../types.d.ts").App} app @param {boolean} [all] */
function reset(app, all = true) {
  app.timeline.reset();
  if (all) app.change({ range: null, rows: [], cursor: null, alert: null });
}

/** @param {import("../types.d.ts").App} app */
function log(app) {
  const box = front();
  const chart = [...app.timeline.charts].find((each) => each.switch && box?.contains(each.node));
  if (chart && !chart.switch.hidden) app.flip(chart.id);
}

/** @param {import("../types.d.ts").App} app @param {number} factor */
function rows(app, factor) {
  const box = front();
  const heats = [...app.timeline.charts].filter((each) => each.zoomRows && each.map && each.inSight());
  (heats.find(({ node }) => box?.contains(node)) ?? heats[0])?.zoomRows(factor);
}

/** @param {import("../types.d.ts").App} app @param {number} by */
function statistic(app, by) {
  const list = app.panels.layers?.data?.statistics ?? [];
  const at = list.indexOf(app.state.statistic);
  if (list.length) app.change({ statistic: list[(at + by + list.length) % list.length] });
}

/** @param {import("../types.d.ts").App} app @param {KeyboardEvent} event */
function mark(app, event) {
  if (document.activeElement?.closest(".heat, button, summary, [role=slider]")) return;
  event.preventDefault();
  if (app.view.name === "overview") app.mark?.(app.run);
}

/** @param {import("../types.d.ts").App} app */
function back(app) {
  const full = /** @type {HTMLElement | null} */ (document.querySelector(".panel.full"));
  if (full) return toggleFull(full);
  if (app.state.cursor !== null) return app.change({ cursor: null });
  if (app.state.alert !== null) return app.change({ alert: null, range: null });
  return app.change({ filter: "", find: "", tags: "" });
}

/** @param {import("../types.d.ts").App} app */
export function listenToKeys(app) {
  const table = new Map(KEYS.flatMap((key) => key.keys.map((name) => [name, key])));
  document.addEventListener("keydown", (event) => {
    const { target } = event;
    const typing = target instanceof HTMLElement && target.matches("input, select, textarea");
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (typing && event.key === "Escape") /** @type {HTMLElement} */ (target).blur();
    if (typing || event.defaultPrevented) return;
    if (event.key === "Enter" && app.view.name === "overview" && !(target instanceof HTMLElement && target.closest("button, summary"))) return void app.change({ view: "run" });
    const key = table.get(event.key);
    if (!key) return;
    if (event.key === "/") event.preventDefault();
    key.act(app, event);
  });
}

/** A page of all keys. */
export function showKeys() {
  const close = element("button", { type: "button" }, "close");
  const rows = KEYS.map(({ shown, words }) => element("tr", {}, element("th", { scope: "row" }, ...shown.split(" ").map((word) => element("kbd", {}, word))), element("td", {}, words)));
  const mouse = element("p", {}, "In a chart: drag to zoom (upwards too: values, or rows of a map), click to pin the cursor, double-click to show all again. In a map, ctrl and the wheel show fewer rows or more.");
  const dialog = /** @type {HTMLDialogElement} */ (element("dialog", { "aria-label": "keys" }, element("h2", {}, "Keys"), element("table", {}, element("tbody", {}, ...rows)), mouse, close));
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
