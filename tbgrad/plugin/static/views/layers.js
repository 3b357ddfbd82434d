/** Layers × steps: one statistic of every parameter, in colour, in folded blocks where they are many. */

import { element, fill } from "../dom.js";
import { clean, count, number } from "../format.js";
import { Heat } from "../heat.js";
import { Pager } from "../pager.js";
import { addTools, explain, panel } from "../panel.js";
import { scaleOf } from "../pure/colormap.js";
import { badness, PLAIN, worstOf } from "../pure/layers.js";
import { branches, foldedToFit, linesOf, matching, ORDERS, ordered } from "../pure/tree.js";
import { openByParameter, SEVERITIES } from "../severity.js";
import { statistic } from "../tables.js";
import { colors } from "../theme.js";
import { showTip } from "../tip.js";

/** @typedef {import("../../types.d.ts").Alerts} Alerts */
/** @typedef {import("../../types.d.ts").App} App */
/** @typedef {import("../../types.d.ts").Layers} Layers */

/** As long as there is no answer. @type {Layers} */
const NOTHING = {
  run: "", statistic: "", statistics: [], parameters: [], row: 0, rows: 0, all: 0, numbers: [], first_steps: [], steps: [], values: new Float32Array(0),
  nonfinite: [], measure: null, worst: [], change: [], rounding: [], tree: [], stored: 0, sampled: false, problems: [],
};

export class LayersView {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.select = element("select", { "aria-label": "statistic shown as colour" });
    this.select.addEventListener("change", () => app.change({ statistic: this.select.value }));
    this.order = element("select", { "aria-label": "order of the rows", class: "wide-only" });
    this.order.addEventListener("change", () => app.change({ order: this.order.value, row: 0 }));
    this.find = element("input", { type: "search", placeholder: "find /", "aria-label": "find layers by words in their names", class: "wide-only" });
    this.find.addEventListener("input", () => app.change({ find: this.find.value, row: 0 }));
    this.whole = element("button", { type: "button", hidden: true, title: "show all rows again (double-click, 0)" }, "all rows");
    this.whole.addEventListener("click", () => app.change({ rows: [] }));
    const parts = panel("layers", "Layers", this.whole, this.select, this.order, this.find);
    this.box = parts.box;
    this.legend = parts.legend;
    this.hint = parts.hint;
    this.needsParameter = true;
    this.heat = new Heat(parts.body, {
      label: "Heat map of parameters by step", timeline: app.timeline,
      onRow: (key) => this.choose(key), onFold: (key) => this.fold(key), onPart: (rows) => app.change({ rows: rows ?? [] }),
      words: (event, row, column) => this.tell(event, row, column),
    });
    this.pager = new Pager((row) => app.change({ row, rows: [] }));
    parts.body.before(this.pager.box);
    addTools(parts, { name: () => `${app.run} ${app.state.statistic}`, table: () => this.table() });
    /** @type {Layers} */
    this.data = NOTHING;
    /** Of the rows of the answer. @type {string[]} */
    this.names = [];
    /** @type {Float32Array[]} */
    this.values = [];
    /** The columns of each that are not finite. @type {Set<number>[]} */
    this.lost = [];
    /** @type {import("../pure/layers.js").Measure} */
    this.measure = PLAIN;
    this.scale = scaleOf("log", []);
    this.missing = false;
    this.zeros = false;
    this.run = "";
    /** Open alerts by parameter. @type {Map<string, import("../../types.d.ts").Alert[]>} */
    this.flags = new Map();
    /** @type {import("../pure/tree.js").Node[]} */
    this.tree = [];
    /** @type {import("../pure/tree.js").Node[]} */
    this.nodes = [];
    /** @type {import("../pure/tree.js").Line[]} */
    this.lines = [];
    /** @type {Set<string>} */
    this.shownFolded = new Set();
    /** Folded branches; null as long as the user leaves it to the room that there is. @type {Set<string> | null} */
    this.folded = null;
    new ResizeObserver(() => this.heat.map && this.folded === null && this.arrange()).observe(parts.body);
  }

  /** @param {App} app */
  wants(app) {
    return { layers: app.ask.layers(), alerts: app.ask.alerts() };
  }

  /** @param {App} app */
  variant({ state, parameter }) {
    return [state.order, state.find, state.rows, parameter];
  }

  /** @param {App} app @param {{layers: Layers, alerts: Alerts}} answers */
  draw({ state, run }, { layers: data, alerts }) {
    if (run !== this.run) {
      this.folded = null;
      this.run = run;
    }
    this.flags = openByParameter(alerts.alerts);
    if (data !== this.data) this.read(data);
    const options = data.statistics.map((name) => {
      const { label, meaning } = statistic(name);
      return { value: name, label: clean(label), title: meaning };
    });
    fill(this.select, options, data.statistic);
    fill(this.order, ORDERS.map((value) => ({ value, label: value })), state.order);
    if (document.activeElement !== this.find) this.find.value = state.find;
    this.hint.textContent = clean(statistic(data.statistic).meaning);
    this.pager.draw(data, state);
    if (data.parameters.length === 0 && data.all > 0) return this.heat.say(data.rows ? "There are no more layers." : `No layer has “${clean(state.find)}” in its name.`);
    if (data.parameters.length === 0) return this.heat.say("This model has no trainable parameters.");
    if (data.steps.length === 0) return this.heat.say("No statistics of the parameters yet.");
    if (this.missing) return this.heat.say(`“${clean(statistic(data.statistic).label)}” was not computed in this run.`);
    explain(this.legend, [
      ...(this.zeros ? [{ label: "exactly 0", color: colors().zero, look: "box" }] : []),
      ...(data.nonfinite.length ? [{ label: "NaN or infinite", color: colors().red, look: "cross" }] : []),
    ]);
    this.arrange();
  }

  /** Takes the numbers of another answer. @param {Layers} data */
  read(data) {
    this.data = data;
    this.names = data.parameters.map(({ name }) => name);
    const columns = data.steps.length;
    this.values = this.names.map((_, row) => data.values.subarray(row * columns, (row + 1) * columns));
    this.lost = this.values.map(() => new Set());
    for (const [row, column] of data.nonfinite) this.lost[row].add(column);
    const scale = data.measure?.scale ?? statistic(data.statistic).scale;
    this.measure = data.measure ?? { ...PLAIN, worst: scale === "signed" ? "far" : "largest", scale };
    const meant = this.values.filter((_, row) => !data.rounding.includes(row));
    this.scale = scaleOf(scale, meant.flatMap((values) => [...values]));
    this.missing = !data.values.some(Number.isFinite) && data.nonfinite.length === 0;
    this.zeros = (scale === "log" || scale === "count") && data.values.includes(0);
    this.tree = data.tree;
  }

  /** Puts the rows in their order, with blocks folded where all of them have no room. */
  arrange() {
    const { state } = this.app;
    const nodes = this.sorted(matching(this.tree, state.find));
    /** @param {import("../pure/tree.js").Line[]} lines */
    const there = (lines) => state.rows.every((key) => lines.some(({ node }) => node.path === key));
    let folded = this.folded ?? foldedToFit(nodes, this.heat.room);
    // In the window of who sent a link less may have been folded.
    if (this.folded === null && !there(linesOf(nodes, folded)) && there(linesOf(nodes, new Set()))) folded = new Set();
    this.nodes = nodes;
    this.shownFolded = folded;
    this.lines = linesOf(nodes, folded);
    const part = state.rows.length && there(this.lines) ? state.rows : null;
    this.whole.hidden = part === null;
    if (this.lines.length === 0) return this.heat.say(`No layer has “${clean(state.find)}” in its name.`);
    const rows = this.lines.map((line) => this.row(line));
    const selected = this.lines.find(({ node }) => node.path === this.app.parameter || (node.children.length > 0 && folded.has(node.path) && node.rows.some((r) => this.names[r] === this.app.parameter)));
    this.heat.draw({ rows, firsts: this.data.first_steps, steps: this.data.steps, scale: this.scale, selected: selected?.node.path ?? null, part });
  }

  /** @returns {import("../heat.js").Row} @param {{node: import("../pure/tree.js").Node, label: string, depth: number, isOpen: boolean}} given */
  row({ node, label, depth, isOpen }) {
    const block = node.children.length ? (isOpen ? "open" : "folded") : undefined;
    const flags = node.rows.map((r) => this.flags.get(this.names[r])?.[0].severity).filter((each) => each !== undefined);
    const flag = SEVERITIES.find((severity) => flags.some((each) => each === severity));
    const name = clean(label);
    if (!block) return { key: node.path, label: name, depth, values: this.values[node.rows[0]], lost: this.lost[node.rows[0]], flag };
    const worst = worstOf(node.rows, this.values, this.lost, this.measure);
    const lost = new Set(worst.flatMap((row, k) => (node.rows.some((r) => this.lost[r].has(k)) ? [k] : [])));
    return { key: node.path, label: `${name} (${node.rows.length})`, depth, values: worst.map((row, k) => this.values[row][k]), lost, flag, block };
  }

  /** @param {import("../pure/tree.js").Node[]} nodes */
  sorted(nodes) {
    const { order } = this.app.state;
    /** @type {Record<string, number[]>} */
    const known = { "worst first": this.data.worst, "most changed first": this.data.change };
    const places = known[order];
    if (places?.length) {
      const rank = new Map(places.map((row, place) => [row, -place]));
      return ordered(nodes, (rows) => Math.max(...rows.map((r) => rank.get(r) ?? -Infinity)));
    }
    if (order !== "alerts first") return nodes;
    const grave = this.names.map((name) => {
      const worst = this.flags.get(name)?.[0];
      return worst ? SEVERITIES.length - SEVERITIES.indexOf(worst.severity) : 0;
    });
    return ordered(nodes, (rows) => Math.max(...rows.map((r) => grave[r])));
  }

  /** Chooses the parameter of a row; of a folded block its worst at the newest step. @param {string} path */
  choose(path) {
    const node = this.lines.find((line) => line.node.path === path)?.node;
    if (!node) return;
    const last = this.data.steps.length - 1;
    const worst = node.rows.reduce((a, b) => (this.bad(b, last) > this.bad(a, last) ? b : a));
    this.app.change({ parameter: this.names[worst] });
  }

  /** @param {number} row @param {number} column */
  bad(row, column) {
    return badness(this.values[row][column], this.lost[row].has(column), this.measure);
  }

  /** @param {string} path */
  fold(path) {
    this.folded = new Set(this.shownFolded);
    if (!this.folded.delete(path)) this.folded.add(path);
    this.arrange();
  }

  /** Folds all blocks, or opens all. */
  foldAll() {
    const all = branches(this.tree).map(([node]) => node.path);
    this.folded = (this.folded ?? this.shownFolded).size ? new Set() : new Set(all);
    this.arrange();
  }

  /** Says what is in a cell, and what is wrong with its row. @param {MouseEvent} event @param {import("../heat.js").Row} row @param {number | null} column */
  tell(event, row, column) {
    const node = this.lines.find((line) => line.node.path === row.key)?.node;
    if (!node) return;
    const named = statistic(this.data.statistic);
    const of = column === null || node.rows.length === 1 ? node.rows[0] : worstOf(node.rows, this.values, this.lost, this.measure)[column];
    const lines = [element("b", {}, clean(node.path))];
    if (column !== null) {
      const value = this.values[of][column];
      const { first_steps: firsts, steps } = this.data;
      const when = firsts[column] === steps[column] ? `step ${count(steps[column])}` : `largest of steps ${count(firsts[column])} to ${count(steps[column])}`;
      lines.push(element("span", {}, when));
      if (node.rows.length > 1) lines.push(element("span", {}, `worst of ${count(node.rows.length)}: ${clean(this.names[of])}`));
      lines.push(element("span", {}, `${clean(named.label)}: ${Number.isNaN(value) ? "none" : number(value, 4)}`));
      if (this.lost[of].has(column)) lines.push(element("span", { class: "bad" }, "has NaN or infinite values"));
    }
    const flags = [...new Set(node.rows.flatMap((r) => this.flags.get(this.names[r]) ?? []))];
    showTip(event, ...lines, ...flags.slice(0, 4).map(flagged));
  }

  table() {
    const head = ["parameter", ...this.data.steps.map((step) => `step ${step}`)];
    return [head, ...this.lines.map((line) => [line.node.path, ...this.row(line).values])];
  }
}

/** An open alert in the words of a tip. @param {import("../../types.d.ts").Alert} alert */
function flagged({ severity, rule, first_step: first }) {
  const line = element("span", { class: "flag" }, `${severity}: ${clean(rule)} since step ${count(first)}`);
  line.dataset.severity = severity;
  return line;
}
