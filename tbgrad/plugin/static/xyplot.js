/** A plot that is not along the steps: it tells what is nearest to the mouse. */

import { element } from "./dom.js";
import { factsOf } from "./pure/facts.js";
import { Plot } from "./plot.js";
import { hideTip, showTip } from "./tip.js";

export class XYPlot extends Plot {
  /** @param {HTMLElement} parent @param {{label: string, onPoint?: (index: number) => void}} options */
  constructor(parent, options) {
    super(parent, options);
    this.node.addEventListener("pointermove", (event) => this.point(event));
    this.node.addEventListener("pointerleave", hideTip);
    this.node.addEventListener("click", (event) => {
      const near = this.nearest(event);
      if (near) options.onPoint?.(near.index);
    });
  }

  /**
   * @param {import("./plot.js").Picture} picture
   * @param {string} [title] what a place of the x axis is called beside the mouse
   */
  draw(picture, title = "") {
    this.title = title;
    this.show(picture);
    this.tell(picture.traces.filter(({ silent }) => !silent).map(({ name, x, y }) => factsOf(name, x, y)));
  }

  /** @param {PointerEvent | MouseEvent} event */
  nearest(event) {
    if (!this.picture) return null;
    const x = event.clientX - this.node.getBoundingClientRect().left;
    /** @type {{far: number, index: number, place: number} | null} */
    let best = null;
    for (const trace of this.picture.traces) {
      for (let i = 0; i < trace.x.length; i += 1) {
        const far = Math.abs(this.toX(trace.x[i]) - x);
        if (trace.y[i] !== null && !trace.silent && (!best || far < best.far)) best = { far, index: i, place: trace.x[i] };
      }
    }
    return best && best.far < 60 ? best : null;
  }

  /** @param {PointerEvent | MouseEvent} event */
  point(event) {
    const near = this.nearest(event);
    if (!near || !this.picture) return hideTip();
    const lines = this.picture.traces.flatMap((trace) => {
      const i = Array.prototype.indexOf.call(trace.x, near.place);
      if (trace.silent || i < 0 || !trace.words?.[i]) return [];
      const key = element("i", {});
      key.style.background = trace.colors?.[i] ?? trace.color;
      return [element("span", { class: "entry" }, key, trace.words[i])];
    });
    if (lines.length === 0) return hideTip();
    return showTip(event, ...(this.title ? [element("b", {}, this.title)] : []), ...lines);
  }
}
