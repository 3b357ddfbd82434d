/**
 * Pairs of visible texts whose boxes run into one another: what a reader would stumble over. Of a
 * line only the middle counts, as letters do not fill it; what is cut off by a box that scrolls does
 * not either.
 */
() => {
  const overlay = ".tip, .panel.full, dialog";
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = (element) => {
    if (!element.checkVisibility({ visibilityProperty: true, opacityProperty: true })) return false;
    return !element.closest(`.unseen, option, title, ${overlay}`);
  };
  const cut = (element, box) => {
    let { left, top, right, bottom } = box;
    for (let e = element; e; e = e.parentElement) {
      if (e instanceof SVGElement || getComputedStyle(e).overflow === "visible") continue;
      const frame = e.getBoundingClientRect();
      left = Math.max(left, frame.left);
      right = Math.min(right, frame.right);
      top = Math.max(top, frame.top);
      bottom = Math.min(bottom, frame.bottom);
    }
    return { left, top, right, bottom };
  };
  while (walker.nextNode()) {
    const node = walker.currentNode;
    const element = node.parentElement;
    if (!node.data.trim() || !element || !seen(element)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const line of range.getClientRects()) {
      const { left, top, right, bottom } = cut(element, line);
      if (right - left < 2 || bottom - top < 4) continue;
      const margin = 0.18 * (bottom - top);
      // A head that stays while its table scrolls covers what is below it.
      const layer = element.closest("thead, .part") !== null;
      texts.push({ text: node.data.trim().slice(0, 40), node, layer, left: left + 0.5, right: right - 0.5, top: top + margin, bottom: bottom - margin });
    }
  }
  texts.sort((a, b) => a.top - b.top);
  const found = [];
  texts.forEach((a, i) => {
    for (let k = i + 1; k < texts.length && texts[k].top < a.bottom; k += 1) {
      const b = texts[k];
      const meet = a.left < b.right && b.left < a.right && b.top < a.bottom;
      if (meet && a.node !== b.node && a.layer === b.layer) found.push(`${a.text} | ${b.text} at ${Math.round(a.left)}, ${Math.round(a.top)}`);
    }
  });
  return found;
}
