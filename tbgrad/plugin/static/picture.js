/** A panel as a picture: its title and legend, and what its charts show. */

import { colors, FONT, unit } from "./theme.js";

/** Pixels of the picture to one of the screen. */
const FINE = 2;

/** @param {HTMLElement} box @returns {Promise<Blob>} */
export async function picture(box) {
  const frame = box.getBoundingClientRect();
  const canvas = document.createElement("canvas");
  canvas.width = FINE * frame.width;
  canvas.height = FINE * frame.height;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.scale(FINE, FINE);
  const c = colors();
  context.fillStyle = c.panel;
  context.fillRect(0, 0, frame.width, frame.height);
  context.textBaseline = "middle";
  for (const node of /** @type {NodeListOf<HTMLElement>} */ (box.querySelectorAll("header h2, header .hint, .legend > span, h3, .words"))) write(context, node, frame);
  for (const key of box.querySelectorAll(".legend i")) {
    const at = key.getBoundingClientRect();
    context.fillStyle = getComputedStyle(key).color;
    if (at.width) context.fillRect(at.left - frame.left, at.top - frame.top, at.width, Math.max(2, at.height));
  }
  for (const node of box.querySelectorAll("canvas, .chart > svg, .main-svg")) {
    const at = node.getBoundingClientRect();
    if (at.width < 1 || at.height < 1) continue;
    const image = node instanceof HTMLCanvasElement ? node : await drawn(node, at);
    context.drawImage(image, at.left - frame.left, at.top - frame.top, at.width, at.height);
  }
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("This panel is too large for a picture."))));
  });
}

/** @param {CanvasRenderingContext2D} context @param {HTMLElement} node @param {DOMRect} frame */
function write(context, node, frame) {
  const at = node.getBoundingClientRect();
  const select = node.querySelector("select");
  const words = select ? select.selectedOptions[0]?.label ?? "" : node.innerText;
  if (!words || at.width < 1) return;
  const style = getComputedStyle(node);
  context.font = `${style.fontWeight} ${style.fontSize} ${FONT}`;
  context.fillStyle = style.color;
  const sign = node.querySelector("i");
  const inset = (Number.parseFloat(style.paddingLeft) || 0) + (sign ? sign.offsetWidth + 5 * unit() : 0);
  context.fillText(words, at.left - frame.left + inset, at.top - frame.top + at.height / 2, at.width);
}

/** An SVG as an image of its own. @param {Element} svg @param {{width: number, height: number}} given */
async function drawn(svg, { width, height }) {
  const copy = /** @type {Element} */ (svg.cloneNode(true));
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("width", String(FINE * width));
  copy.setAttribute("height", String(FINE * height));
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(copy))}`;
  await image.decode();
  return image;
}
