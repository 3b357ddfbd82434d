/** A titled box with what can be done with any of them: full size, a picture, a table. */

import { element } from "./dom.js";
import { csv } from "./pure/csv.js";
import { picture } from "./picture.js";

/** @typedef {{label: string, color: string, look?: string}} Entry of a legend */
/** @typedef {{box: HTMLElement, body: HTMLElement, heading: HTMLElement, hint: HTMLElement, legend: HTMLElement, id: string}} Parts */

/**
 * Heading, hint, legend and controls above, content below.
 * @returns {Parts}
 * @param {string} id
 * @param {string} title
 * @param {...(Node | string)} controls
 */
export function panel(id, title, ...controls) {
  const heading = element("h2", {}, title);
  const hint = element("span", { class: "hint" });
  const legend = element("span", { class: "legend" });
  const head = element("header", {}, element("div", { class: "said" }, heading, hint, element("span", { class: "grow" }), legend), element("div", { class: "controls" }, ...controls));
  const body = element("div", { class: "body" });
  const box = element("section", { class: "panel", id: id || undefined, "aria-label": title }, head, body);
  return { box, body, heading, hint, legend, id };
}

/**
 * Adds the tools of a panel to its head.
 * @param {Parts} parts
 * @param {{name?: () => string, table?: () => (string | number | null)[][]}} [given] what a table of it has
 */
export function addTools({ box, id, heading }, { name = () => heading.innerText.trim() || id, table } = {}) {
  const full = element("button", { type: "button", class: "plain full-size", title: "full size, and back (z)", "aria-label": `full size: ${id}` }, "⤢");
  full.addEventListener("click", () => toggleFull(box));
  const save = element("button", { type: "button" }, "Save as PNG");
  save.addEventListener("click", async () => {
    menu.open = false;
    download(`${fileName(name())}.png`, await picture(box));
  });
  const items = [save];
  if (table) {
    const asTable = element("button", { type: "button" }, "Save as CSV");
    asTable.addEventListener("click", () => {
      menu.open = false;
      download(`${fileName(name())}.csv`, new Blob([csv(table())], { type: "text/csv;charset=utf-8" }));
    });
    items.push(asTable);
  }
  const menu = /** @type {HTMLDetailsElement} */ (element("details", { class: "menu" }, element("summary", { "aria-label": `save: ${id}`, title: "save as a picture or a table (w, e)" }, "⋯"), element("div", {}, ...items)));
  menu.addEventListener("focusout", (event) => {
    if (!menu.contains(/** @type {Node | null} */ (event.relatedTarget))) menu.open = false;
  });
  controlsOf(box).append(full, menu);
  Object.assign(box, { saveAs: (/** @type {string} */ kind) => items[kind === "csv" ? 1 : 0]?.click() });
}

/** Where the controls of a panel are. @param {HTMLElement} box */
export const controlsOf = (box) => /** @type {HTMLElement} */ (box.querySelector("header > .controls"));

/** Shows a panel alone, or among the others again. @param {HTMLElement} box */
export function toggleFull(box) {
  const was = box.classList.contains("full");
  for (const other of document.querySelectorAll(".panel.full")) other.classList.remove("full");
  box.classList.toggle("full", !was);
}

/** @param {string} text */
const fileName = (text) => text.replace(/[^\p{L}\p{N}._-]+/gu, "-").replace(/^-+|-+$/g, "").slice(0, 80) || "tbgrad";

/** @param {string} name @param {Blob} blob */
function download(name, blob) {
  const address = URL.createObjectURL(blob);
  const link = element("a", { href: address, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/**
 * Says which line is which, above a chart instead of in it.
 * @param {HTMLElement} legend
 * @param {Entry[]} entries `look` is "line", "dash", "cross", "box", "zero" or "none"
 */
export function explain(legend, entries) {
  const key = JSON.stringify(entries);
  if (legend.dataset.key === key) return;
  legend.dataset.key = key;
  legend.replaceChildren(
    ...entries.map(({ label, color, look = "line" }) => {
      const sign = element("i", { class: look });
      sign.style.color = color;
      return element("span", { title: label }, sign, element("span", {}, label));
    }),
  );
}
