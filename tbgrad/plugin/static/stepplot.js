/** A plot along the steps: it zooms with all others, and has their cursor. */

import { Plot, svgElement } from "./plot.js";
import { listen } from "./pointing.js";
import { colors, unit } from "./theme.js";

export class StepPlot extends Plot {
  /**
   * @param {HTMLElement} parent
   * @param {{label: string, timeline: import("./timeline.js").Timeline, readout?: HTMLElement | null}} options
   */
  constructor(parent, { label, timeline, readout = null }) {
    super(parent, { label });
    this.timeline = timeline;
    this.readout = readout;
    this.stale = false;
    this.canZoomUp = false;
    timeline.charts.add(this);
    listen(this, this.node);
    new IntersectionObserver((entries) => {
      if (this.stale && entries.some(({ isIntersecting }) => isIntersecting)) this.redraw();
    }).observe(parent);
  }

  /** Ends its part in what all charts share. */
  remove() {
    this.timeline.charts.delete(this);
  }

  inSight() {
    return this.node.isConnected && this.node.parentElement?.offsetParent !== null;
  }

  redraw() {
    this.stale = false;
  }

  unzoom() {}

  zoomUp(/** @type {number} */ low, /** @type {number} */ high) {}

  /** The recorded step that is closest. @param {number} step */
  nearest(step) {
    return Math.round(step);
  }

  tip(/** @type {PointerEvent} */ event, /** @type {number} */ step, /** @type {number} */ y) {}

  /** The mouse is beside the axes. @param {PointerEvent} event */
  outside(event) {
    void event;
  }

  /** @param {PointerEvent} event @param {number} step @param {number} y */
  clicked(event, step, y) {
    this.timeline.onCursor(step);
  }

  rendered() {
    this.moved();
  }

  /** Draws the cursor, and where the mouse is in any chart. */
  moved() {
    if (!this.picture || !this.overlay) return;
    const { cursor, hovered } = this.timeline;
    const { left, top, width, height } = this.area;
    /** @param {number} step @param {string} name @param {Record<string, string | number>} style */
    const line = (step, name, style) => {
      const x = this.toX(this.timeline.place(step));
      if (!(x >= left - 1 && x <= left + width + 1)) return [];
      return [svgElement("path", { class: name, d: `M${x},${top}v${height}`, "stroke-width": unit(), fill: "none", ...style })];
    };
    for (const old of this.overlay.querySelectorAll(".cursor, .hover")) old.remove();
    this.overlay.prepend(
      ...(cursor === null ? [] : line(cursor, "cursor", { stroke: colors().selected })),
      ...(hovered === null ? [] : line(hovered, "hover", { stroke: colors().muted, "stroke-dasharray": "2 3" })),
    );
    this.read();
  }

  /** Says what is at the cursor. */
  read() {}
}
