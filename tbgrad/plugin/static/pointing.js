/** What the mouse does in a chart along the steps: hover, pin the cursor, zoom, show all again. */

import { svgElement } from "./plot.js";
import { colors } from "./theme.js";
import { hideTip } from "./tip.js";

/** A movement of fewer pixels is a click; across so many in the other direction both are zoomed. */
const CLICK_PIXELS = 5;
const BOTH_PIXELS = 24;

/**
 * @param {import("./stepplot.js").StepPlot} plot
 * @param {HTMLElement} surface where the mouse is looked at
 */
export function listen(plot, surface) {
  const { timeline } = plot;
  /** @type {{x: number, y: number, id: number} | null} */
  let start = null;
  /** @param {number} x @param {number} y */
  const inside = (x, y) => {
    const { left, top, width, height } = plot.area;
    return x >= left && x <= left + width && y >= top && y <= top + height;
  };
  /** @param {PointerEvent | MouseEvent} event */
  const where = (event) => {
    const box = plot.node.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const leave = () => {
    hideTip();
    timeline.hover(null);
  };
  surface.addEventListener("pointermove", (event) => {
    if (!plot.picture) return;
    const { x, y } = where(event);
    if (start) return drawBox(plot, start, { x, y });
    if (!inside(x, y)) {
      leave();
      return plot.outside(event);
    }
    const step = plot.nearest(timeline.stepAt(plot.fromX(x)));
    timeline.hover(step);
    plot.tip(event, step, y);
    return undefined;
  });
  surface.addEventListener("pointerleave", leave);
  surface.addEventListener("pointerdown", (event) => {
    if (!plot.picture || event.button !== 0) return;
    const { x, y } = where(event);
    if (!inside(x, y)) return;
    start = { x, y, id: event.pointerId };
    if (event.pointerType !== "touch") surface.setPointerCapture(event.pointerId);
  });
  /** @param {PointerEvent} event */
  const end = (event) => {
    if (!start || !plot.picture) return;
    const from = start;
    start = null;
    plot.overlay?.querySelector(".zoom")?.remove();
    if (event.type === "pointercancel") return;
    const to = where(event);
    const [wide, high] = [Math.abs(to.x - from.x), Math.abs(to.y - from.y)];
    if (wide < CLICK_PIXELS && high < CLICK_PIXELS) return void plot.clicked(event, plot.nearest(timeline.stepAt(plot.fromX(to.x))), to.y);
    const upright = plot.canZoomUp && high >= BOTH_PIXELS;
    if (upright) plot.zoomUp(...ordered(plot.fromY(clamped(from.y, plot.area.top, plot.area.height)), plot.fromY(clamped(to.y, plot.area.top, plot.area.height))));
    if (wide >= CLICK_PIXELS && !(upright && wide < BOTH_PIXELS)) {
      const places = [from.x, to.x].map((x) => timeline.stepAt(plot.fromX(clamped(x, plot.area.left, plot.area.width))));
      timeline.onRange(/** @type {[number, number]} */ (ordered(places[0], places[1])));
    }
  };
  surface.addEventListener("pointerup", end);
  surface.addEventListener("pointercancel", end);
  surface.addEventListener("dblclick", (event) => {
    const { x, y } = where(event);
    if (plot.picture && inside(x, y)) timeline.reset();
  });
}

/** @param {number} v @param {number} low @param {number} size */
const clamped = (v, low, size) => Math.min(low + size, Math.max(low, v));
/** @param {number} a @param {number} b */
const ordered = (a, b) => /** @type {[number, number]} */ (a < b ? [a, b] : [b, a]);

/** The stretch that is being chosen: of steps, of values, or of both. @param {import("./stepplot.js").StepPlot} plot @param {{x: number, y: number}} from @param {{x: number, y: number}} to */
function drawBox(plot, from, to) {
  const { left, top, width, height } = plot.area;
  const x = clamped(to.x, left, width);
  const y = clamped(to.y, top, height);
  const [wide, high] = [Math.abs(x - from.x), Math.abs(y - from.y)];
  const both = plot.canZoomUp && high >= BOTH_PIXELS;
  const only = both && wide < BOTH_PIXELS;
  plot.overlay?.querySelector(".zoom")?.remove();
  if (wide < CLICK_PIXELS && !both) return;
  plot.overlay?.append(svgElement("rect", {
    class: "zoom", x: only ? left : Math.min(x, from.x), y: both ? Math.min(y, from.y) : top,
    width: only ? width : wide, height: both ? high : height, fill: colors().blue, opacity: 0.18,
  }));
}
