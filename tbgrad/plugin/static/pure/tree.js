/**
 * The tree of the parameters, as the server answers it, with folded blocks, an order and a search: as
 * in the terminal app. A layer, a branch of parameters alone, has no row of its own while it is open;
 * a block, a branch of branches, has one.
 */

/**
 * `path` is the whole name, of a branch with a slash at its end; `label` what the path of the branch
 * above does not say; `rows` the numbers of the parameters.
 * @typedef {{path: string, label: string, rows: number[], children: Node[]}} Node
 */
/** A row of the tree as it is shown. @typedef {{node: Node, label: string, depth: number, isOpen: boolean}} Line */

export const ORDERS = ["in order", "worst first", "most changed first", "alerts first"];

/** @param {Node} node */
export const isLayer = (node) => node.children.length > 0 && !node.children.some((child) => child.children.length > 0);

/** Every branch, with how many branches are above it. @returns {[Node, number][]} @param {Node[]} nodes @param {number} [depth] */
export function branches(nodes, depth = 0) {
  return nodes.flatMap((node) => (node.children.length ? [[node, depth], ...branches(node.children, depth + 1)] : []));
}

/**
 * The rows that are shown where the branches with the paths in `folded` are.
 * @param {Node[]} nodes
 * @param {Set<string>} folded
 * @returns {Line[]}
 */
export function linesOf(nodes, folded, depth = 0) {
  return nodes.flatMap((node) => {
    if (!node.children.length || folded.has(node.path)) return [{ node, label: node.label, depth, isOpen: false }];
    if (isLayer(node)) return node.children.map((child) => ({ node: child, label: `${node.label}/${child.label}`, depth, isOpen: false }));
    return [{ node, label: node.label, depth, isOpen: true }, ...linesOf(node.children, folded, depth + 1)];
  });
}

/** The fewest levels of branches to fold, the innermost first, so that `room` rows suffice. @returns {Set<string>} @param {Node[]} nodes @param {number} room */
export function foldedToFit(nodes, room) {
  const known = branches(nodes);
  const deepest = Math.max(-1, ...known.map(([, depth]) => depth)) + 1;
  for (let level = deepest; level >= 0; level -= 1) {
    const folded = new Set(known.filter(([, depth]) => depth >= level).map(([node]) => node.path));
    if (linesOf(nodes, folded).length <= room) return folded;
  }
  return new Set(known.map(([node]) => node.path));
}

/** The same tree with the largest `key` of the rows of a node first, at every level. @returns {Node[]} @param {Node[]} nodes @param {(rows: number[]) => number} key */
export function ordered(nodes, key) {
  return nodes.map((node) => ({ ...node, children: ordered(node.children, key) })).sort((a, b) => key(b.rows) - key(a.rows) || 0);
}

/** What of the tree has all words of `text` in its path, without regard to case. @returns {Node[]} @param {Node[]} nodes @param {string} text */
export function matching(nodes, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return nodes;
  return nodes.flatMap((node) => {
    const below = matching(node.children, text);
    if (below.length === 1) return [{ ...below[0], label: `${node.label}/${below[0].label}` }];
    if (below.length) return [{ ...node, rows: below.flatMap(({ rows }) => rows), children: below }];
    return !node.children.length && words.every((word) => node.path.toLowerCase().includes(word)) ? [node] : [];
  });
}
