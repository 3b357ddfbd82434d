/** Called by TensorBoard: puts the tab into its frame. */

import { followTheme, Host } from "./host.js";
import * as model from "./model.js";

const POLL_MILLISECONDS = 3000;

/** All that the first view needs: asked for at once, and not each when another names it. */
const FIRST = [
  "app", "tables", "theme", "keys", "runcolors", "ask", "chosen", "dom", "painter", "timeline", "strip", "views", "panel", "severity", "format", "store", "plot",
  "picture", "views/empty", "views/header", "views/overview", "pure/address", "pure/axes", "pure/clock", "pure/csv", "pure/natural", "pure/paths", "pure/smoothing",
];

/** Whether anybody can see the tab: TensorBoard hides the frame of a tab that is not chosen. */
const visible = () => !document.hidden && document.documentElement.clientWidth > 0;

export async function render() {
  document.title = "Gradients";
  document.documentElement.lang = "en";
  const style = Object.assign(document.createElement("link"), { rel: "stylesheet", href: new URL("style.css", import.meta.url).href });
  const styled = new Promise((resolve) => style.addEventListener("load", resolve, { once: true }));
  document.head.append(style);
  // The server answers while the other modules are on their way.
  const asked = Promise.all([model.tables(), model.overview(null, ""), model.names().catch(() => [])]);
  for (const name of FIRST) {
    document.head.append(Object.assign(document.createElement("link"), { rel: "modulepreload", href: new URL(`${name}.js`, import.meta.url).href }));
  }
  const modules = Promise.all([import("./app.js"), import("./tables.js"), import("./theme.js"), import("./keys.js"), import("./runcolors.js")]);
  let answers;
  try {
    [answers] = await Promise.all([asked, styled]);
  } catch (error) {
    document.body.append(Object.assign(document.createElement("p"), { className: "message", role: "alert", textContent: error.message }));
    return;
  }
  const [{ App }, { setTables }, { measureAgain, setTheme }, { listenToKeys }, { learnColors }] = await modules;
  const [tables, overview, names] = answers;
  setTables(tables);
  learnColors(names);
  measureAgain();
  /** @type {import("./app.js").App | null} */
  let app = null;
  followTheme((theme) => {
    document.documentElement.dataset.theme = theme;
    setTheme(theme);
    app?.redraw();
  });
  app = new App(overview);
  listenToKeys(app);
  const host = new Host();
  host.on("DataReloaded", () => app.refresh());
  host.on("RunsChanged", () => app.refresh());
  setInterval(() => visible() && app.refresh(), POLL_MILLISECONDS);
  window.addEventListener("resize", () => visible() && app.refresh());
  await app.refresh();
}
