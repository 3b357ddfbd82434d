/** Which of very many layers are shown, and the way to the others. */

import { element } from "./dom.js";
import { PAGE, wordsOf } from "./pure/pages.js";

export class Pager {
  /** @param {(row: number) => void} onRow is told the first row of another page */
  constructor(onRow) {
    this.before = element("button", { type: "button", title: "the page before this one" }, "‹ previous");
    this.words = element("span", { "aria-live": "polite" });
    this.after = element("button", { type: "button", title: "the page after this one" }, "next ›");
    this.row = 0;
    this.before.addEventListener("click", () => onRow(Math.max(0, this.row - PAGE)));
    this.after.addEventListener("click", () => onRow(this.row + PAGE));
    this.box = element("div", { class: "pager", role: "group", "aria-label": "pages of layers", hidden: true }, this.before, this.words, this.after);
  }

  /**
   * @param {{row: number, rows: number, all: number, parameters: unknown[]}} data as /layers answers
   * @param {{find: string, order: string}} state
   */
  draw({ row, rows, all, parameters }, { find, order }) {
    this.row = row;
    this.box.hidden = all <= PAGE;
    this.before.disabled = row === 0;
    this.after.disabled = row + parameters.length >= rows;
    this.words.textContent = wordsOf({ row, rows, all, shown: parameters.length, find, order });
  }
}
