/** Tags of scalars in groups: what is like a loss first, then by the first part of their names. */

import { natural } from "./natural.js";

/** A tag that has such a word in it: as in the terminal app. */
const LOSS_LIKE = /(?:^|[/_.\-\s])(?:loss|losses|nll|cross_?entropy|mse|mae|rmse|perplexity|ppl|error|elbo)(?:$|[/_.\-\s\d])/i;
/** So few tags are one group; a group of fewer than these is not worth a heading. */
const [FEW, OWN] = [8, 3];

/**
 * @param {string[]} tags those that the table knows first
 * @param {string[]} pins
 * @returns {{title: string, tags: string[]}[]}
 */
export function grouped(tags, pins = []) {
  const pinned = pins.filter((tag) => tags.includes(tag));
  const rest = tags.filter((tag) => !pinned.includes(tag));
  const found = pinned.length ? [{ title: "pinned", tags: pinned }] : [];
  if (rest.length === 0) return found;
  if (tags.length <= FEW) return [...found, { title: "all", tags: rest }];
  const losses = rest.filter((tag) => LOSS_LIKE.test(tag));
  const by = new Map();
  for (const tag of rest.filter((each) => !losses.includes(each))) {
    const prefix = tag.includes("/") ? tag.slice(0, tag.indexOf("/")) : "";
    by.set(prefix, [...(by.get(prefix) ?? []), tag]);
  }
  const own = [...by].filter(([prefix, list]) => prefix && list.length >= OWN);
  const others = [...by].filter(([prefix, list]) => !prefix || list.length < OWN).flatMap(([, list]) => list);
  return [
    ...found,
    ...(losses.length ? [{ title: "loss", tags: losses }] : []),
    ...own.map(([title, list]) => ({ title, tags: list })),
    ...(others.length ? [{ title: "others", tags: [...others].sort(natural) }] : []),
  ];
}

/** Whether a name has all words of a text in it, without regard to case. @param {string} name @param {string} text */
export function hasWords(name, text) {
  const lower = name.toLowerCase();
  return text.toLowerCase().split(/\s+/).filter(Boolean).every((word) => lower.includes(word));
}
