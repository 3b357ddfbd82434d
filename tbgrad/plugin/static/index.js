/** Called by TensorBoard: puts the tab into its frame. */

import { App } from "./app.js";
import { element } from "./dom.js";
import { followTheme, Host } from "./host.js";
import { listenToKeys } from "./keys.js";
import * as model from "./model.js";
import { setTables } from "./tables.js";
import { setTheme } from "./theme.js";

const POLL_MILLISECONDS = 3000;

/** Whether anybody can see the tab: TensorBoard hides the frame of a tab that is not chosen. */
const visible = () => !document.hidden && document.documentElement.clientWidth > 0;

export async function render() {
  document.title = "Gradients";
  document.documentElement.lang = "en";
  const style = element("link", { rel: "stylesheet", href: new URL("style.css", import.meta.url).href });
  const styled = new Promise((resolve) => style.addEventListener("load", resolve, { once: true }));
  document.head.append(style);
  let app = null;
  followTheme((theme) => {
    document.documentElement.dataset.theme = theme;
    setTheme(theme);
    app?.redraw();
  });
  try {
    const [tables] = await Promise.all([model.tables(), styled]);
    setTables(tables);
  } catch (error) {
    document.body.append(element("p", { class: "message", role: "alert" }, error.message));
    return;
  }
  app = new App();
  listenToKeys(app);
  const host = new Host();
  host.on("DataReloaded", () => app.refresh());
  host.on("RunsChanged", () => app.refresh());
  setInterval(() => visible() && app.refresh(), POLL_MILLISECONDS);
  window.addEventListener("resize", () => visible() && app.refresh());
  await app.refresh();
}
