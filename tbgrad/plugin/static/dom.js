/** Builds elements. Text from a log becomes text nodes and attributes, never markup. */

import { clean } from "./format.js";

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string | boolean | undefined>} [attributes]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(name, "");
    else if (value !== undefined && value !== false) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** @type {WeakMap<HTMLSelectElement, string>} */
const filledWith = new WeakMap();

/**
 * Fills a <select> unless it already holds these options.
 * @param {HTMLSelectElement} select
 * @param {{value: string, label: string, title?: string}[]} options
 * @param {string} selected
 */
export function fill(select, options, selected) {
  const key = JSON.stringify(options);
  if (filledWith.get(select) !== key) {
    filledWith.set(select, key);
    select.replaceChildren(
      ...options.map(({ value, label, title }) => element("option", { value, title }, label)),
    );
  }
  select.value = selected;
}

/**
 * Fills a list with phrases as the server says them.
 * @param {HTMLElement} list
 * @param {{text: string, look: string}[]} phrases
 */
export function sentences(list, phrases) {
  list.replaceChildren(...phrases.map(({ text, look }) => element("li", { class: look }, clean(text))));
}
