/** Words beside the mouse. */

import { element } from "./dom.js";

const box = element("div", { class: "tip", hidden: true });

/** @param {{clientX: number, clientY: number}} event @param {...(Node | string)} lines */
export function showTip(event, ...lines) {
  if (!box.isConnected) document.body.append(box);
  box.replaceChildren(...lines);
  box.hidden = false;
  const right = event.clientX + 16 + box.offsetWidth < window.innerWidth;
  const left = right ? event.clientX + 14 : event.clientX - box.offsetWidth - 14;
  const top = Math.min(event.clientY + 14, window.innerHeight - box.offsetHeight - 4);
  box.style.left = `${Math.max(4, left)}px`;
  box.style.top = `${Math.max(4, top)}px`;
}

export function hideTip() {
  box.hidden = true;
}
