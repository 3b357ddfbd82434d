/** What is shown, as words of an address: a link shows somebody else the same picture. */

/**
 * @typedef {object} State what is shown, and nothing that the log says
 * @property {string} view
 * @property {string | null} run the run in front
 * @property {string[]} runs those that are compared, the first of them the reference
 * @property {string | null} parameter
 * @property {string} statistic
 * @property {[number, number] | null} range in steps; null is all
 * @property {string[]} rows the first and the last of the layers that fill their map; none is all
 * @property {number} row the first of the layers, of a run that has more than are shown at once
 * @property {number | null} cursor a step
 * @property {"step" | "relative" | "wall"} axis
 * @property {boolean} logx
 * @property {number} smoothing
 * @property {string[]} pins tags of scalars
 * @property {string[]} flipped charts whose axis is not the one they choose themselves
 * @property {boolean} outliers whether they are in the range of an axis
 * @property {string} scalar that is shown in the place of the loss
 * @property {string} filter of the runs
 * @property {string} find what names of layers have in them
 * @property {string} tags what names of scalars have in them
 * @property {string} unit how two runs are compared in the map: "ratio", "a" or "b"
 * @property {string} sort of the table of runs
 * @property {string} order of the layers
 * @property {string | null} alert by rule and first step
 */

/** @returns {State} */
export const initial = () => ({
  view: "", run: null, runs: [], parameter: null, statistic: "norm", range: null, rows: [], row: 0, cursor: null, axis: "step",
  logx: false, smoothing: 0, pins: [], flipped: [], outliers: false, scalar: "loss", filter: "", find: "", tags: "", unit: "ratio", sort: "worst", order: "in order", alert: null,
});

const PREFIX = "p.tbgrad.";
/** Longer addresses are cut off by some programs: then lists are left out. */
export const MOST_CHARACTERS = 6000;

/** @param {string} text */
const number = (text) => (text !== "" && Number.isFinite(Number(text)) ? Number(text) : null);
const list = {
  write: (/** @type {any} */ value) => value.map((/** @type {string} */ each) => encodeURIComponent(each)).join(","),
  read: (/** @type {string} */ text) => text.split(",").filter(Boolean).map(decoded),
};
const text = { write: (/** @type {any} */ value) => value, read: (/** @type {string} */ word) => word };
const yes = { write: () => "1", read: (/** @type {string} */ word) => word === "1" };

/** How each part of the state is written. @type {Record<string, {write: (value: any) => string, read: (word: string) => any}>} */
const PARTS = {
  view: text, run: text, runs: list, parameter: text, statistic: text,
  range: {
    write: ([low, high]) => `${round(low)}~${round(high)}`,
    read: (word) => {
      const [low, high] = word.split("~").map(number);
      return low !== null && high !== null && low < high ? [low, high] : null;
    },
  },
  rows: { write: list.write, read: (word) => (list.read(word).length === 2 ? list.read(word) : []) },
  row: { write: String, read: (word) => Math.max(0, Math.round(number(word) ?? 0)) },
  cursor: { write: (value) => String(round(value)), read: number },
  axis: { write: (value) => value, read: (word) => (["relative", "wall"].includes(word) ? word : "step") },
  logx: yes,
  smoothing: { write: String, read: (word) => Math.min(0.999, Math.max(0, number(word) ?? 0)) },
  pins: list, flipped: list, outliers: yes, scalar: text, filter: text, find: text, tags: text, unit: text, sort: text, order: text, alert: text,
};

/** @param {any} value */
const round = (value) => Number(value.toPrecision(10));

/**
 * The hash of an address that shows a state; what other plugins have in it stays.
 * @param {string} hash of the address now
 * @param {State} state
 */
export function toHash(hash, state) {
  const kept = hash.replace(/^#/, "").split("&").filter((word) => word && !word.startsWith(encodeURIComponent(PREFIX)));
  if (kept.length === 0 || kept[0].includes("=")) kept.unshift("tbgrad");
  const usual = initial();
  const values = /** @type {Record<string, unknown>} */ (/** @type {unknown} */ (state));
  const usually = /** @type {Record<string, unknown>} */ (/** @type {unknown} */ (usual));
  /** @param {string[]} skipped */
  const words = (skipped) => Object.entries(PARTS).flatMap(([name, { write }]) => {
    const value = values[name];
    if (value === null || skipped.includes(name) || JSON.stringify(value) === JSON.stringify(usually[name])) return [];
    return [`${encodeURIComponent(PREFIX + name)}=${encodeURIComponent(write(value))}`];
  });
  const all = `#${[...kept, ...words([])].join("&")}`;
  return all.length <= MOST_CHARACTERS ? all : `#${[...kept, ...words(["runs", "pins"])].join("&")}`;
}

/**
 * The part of a state that a hash tells; what it says wrongly is left out.
 * @param {string} hash
 * @returns {Partial<State>}
 */
export function fromHash(hash) {
  /** @type {Record<string, unknown>} */
  const found = {};
  for (const word of hash.replace(/^#/, "").split("&")) {
    const [key, value, ...more] = word.split("=");
    const name = decoded(key);
    if (value === undefined || more.length || !name.startsWith(PREFIX)) continue;
    const part = name.slice(PREFIX.length);
    if (Object.hasOwn(PARTS, part)) found[part] = PARTS[part].read(decoded(value));
  }
  return found;
}

/** @param {string} word */
function decoded(word) {
  try {
    return decodeURIComponent(word);
  } catch {
    return word; // a percent sign that is none
  }
}
