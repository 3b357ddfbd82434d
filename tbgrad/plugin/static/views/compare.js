/** Chosen runs beside one another: every curve, one map of what is apart, and a table of what changed most. */

import { Curves } from "../curves.js";
import { element, fill } from "../dom.js";
import { clean, count, number } from "../format.js";
import { Heat } from "../heat.js";
import { toNumber } from "../model.js";
import { addTools, controlsOf, panel } from "../panel.js";
import { scaleOf as colorScale } from "../pure/colormap.js";
import { colorOf } from "../runcolors.js";
import { scalar, statistic } from "../tables.js";
import { showTip } from "../tip.js";
import { capitalized, curveOf, scaleOf } from "./curve.js";

/** @typedef {import("../../types.d.ts").App} App */
/** @typedef {import("../../types.d.ts").Compare} Compare */
/** @typedef {import("../../types.d.ts").Layers} Layers */
/** @typedef {import("../../types.d.ts").Scalars} Scalars */
/** @typedef {import("../../types.d.ts").Settings} Settings */

/** What every comparison begins with, where a run has it. */
const TAGS = ["loss", "val_loss", "gradient/norm", "update/ratio", "curvature/stability", "learning_rate"];
/** Rows of the table of what changed most. */
const MOST_ROWS = 40;

export class CompareView {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.chips = element("div", { class: "chips" });
    this.pick = element("select", { "aria-label": "add a run" });
    this.pick.addEventListener("change", () => this.pick.value && app.change({ runs: [...this.runs(app), this.pick.value] }));
    const bar = element("div", { class: "toolbar" }, element("h2", {}, "Compare"), this.chips, this.pick);
    this.charts = element("div", { class: "cards" });
    /** @type {Map<string, {box: HTMLElement, chart: Curves}>} */
    this.cards = new Map();
    /** What the map shows. @type {{rows: import("../heat.js").Row[], steps: number[], firsts: number[]}} */
    this.map = { rows: [], steps: [], firsts: [] };
    /** Of the table. @type {(string | number | null)[][]} */
    this.rows = [];
    const parts = panel("apart", "Layers");
    this.apart = parts;
    this.statistic = element("select", { "aria-label": "statistic" });
    this.statistic.addEventListener("change", () => app.change({ statistic: this.statistic.value }));
    this.other = element("select", { "aria-label": "run that is compared to the first" });
    this.other.addEventListener("change", () => {
      const runs = this.runs(app).filter((name) => name !== this.other.value);
      app.change({ runs: [runs[0], this.other.value, ...runs.slice(1)] });
    });
    this.unit = element("select", { "aria-label": "what the colours are" });
    this.unit.addEventListener("change", () => app.change({ unit: this.unit.value }));
    controlsOf(parts.box).append(this.other, this.unit, this.statistic);
    this.heat = new Heat(parts.body, {
      label: "Two runs: layers by step", timeline: app.timeline, onFold: () => {}, onRow: (key) => app.change({ parameter: key }),
      words: (event, row, column) => this.tell(event, row, column),
    });
    addTools(parts, { name: () => "compare", table: () => [["parameter", ...this.map.steps], ...this.map.rows.map(({ key, values }) => [key, ...values])] });
    const most = panel("changed", "What is apart");
    this.changed = most;
    this.table = element("div", { class: "scroller", tabindex: "0", role: "group", "aria-label": "what is apart" });
    most.body.append(this.table);
    addTools(most, { name: () => "what is apart", table: () => this.rows });
    this.hint = element("p", { class: "empty", hidden: true }, "Mark runs in the overview (Space), or add one here: with one run there is nothing to compare.");
    this.box = element("section", { id: "compare", "aria-label": "Compare" }, bar, this.hint, this.charts, element("div", { class: "pair" }, parts.box, most.box));
  }

  /** The marked runs; with fewer than two the one in front and the next, as in the terminal app. @param {App} app */
  runs({ state, run, runs }) {
    const names = runs.runs.map(({ name }) => name);
    const marked = state.runs.filter((name) => names.includes(name));
    if (marked.length > 1) return marked;
    const first = marked[0] ?? run;
    const next = names.find((name) => name !== first && runs.runs.find((row) => row.name === name)?.gradients) ?? names.find((name) => name !== first);
    return [first, ...(next ? [next] : [])];
  }

  /** @param {App} app */
  wants(app) {
    const [a, b, ...more] = this.runs(app);
    /** @param {string} name */
    const gradients = (name) => app.runs.runs.find((row) => row.name === name)?.gradients;
    const both = b !== undefined && gradients(a) && gradients(b);
    const { unit } = app.state;
    const part = both ? { apart: app.ask.compare(a, b), told: app.ask.settings(a, b), ...(unit === "ratio" ? {} : { one: app.ask.layersOf(unit === "a" ? a : b) }) } : {};
    return { series: app.ask.scalarsOf([a, ...(b ? [b] : []), ...more], TAGS), ...part };
  }

  /** @param {App} app */
  variant(app) {
    return [this.runs(app), app.state.unit, app.state.axis, app.parameter];
  }

  /** @param {App} app @param {{series: Scalars, apart?: Compare, told: Settings, one?: Layers}} answers */
  draw(app, { series, apart, told, one }) {
    const runs = this.runs(app);
    app.timeline.learn(series.series);
    const steps = series.series.flatMap(({ steps: list }) => (list.length ? [list[0], list[list.length - 1]] : []));
    app.painter.widen(steps);
    this.hint.hidden = runs.length > 1;
    this.drawChips(app, runs);
    const tags = TAGS.filter((tag) => series.series.some((each) => each.tag === tag && each.steps.length));
    for (const tag of TAGS) {
      const card = this.card(tag);
      card.box.hidden = !tags.includes(tag);
      const curves = series.series.filter((each) => each.tag === tag && each.steps.length).map((each) => curveOf(each, { run: each.run, name: clean(each.run), color: colorOf(each.run), width: each.run === runs[0] ? 2.4 : 1.5 }));
      if (curves.length) card.chart.draw({ curves, scale: scaleOf(tag), smooth: true }, `${runs} ${tag}`);
    }
    this.apart.box.hidden = !apart;
    this.changed.box.hidden = !apart;
    if (apart) this.drawPair(app, runs, apart, told, one);
  }

  /** @param {App} app @param {string[]} runs */
  drawChips(app, runs) {
    this.chips.replaceChildren(...runs.map((name, i) => {
      const dot = element("i", { class: "dot" });
      dot.style.background = colorOf(name);
      const away = element("button", { type: "button", class: "plain", "aria-label": `without ${clean(name)}`, title: "leave it out" }, "×");
      away.addEventListener("click", () => app.change({ runs: runs.filter((each) => each !== name) }));
      const first = element("button", { type: "button", class: "plain name", title: i ? "make it the reference A" : "the reference" }, `${i === 0 ? "A: " : i === 1 ? "B: " : ""}${clean(name)}`);
      first.addEventListener("click", () => app.change({ runs: [name, ...runs.filter((each) => each !== name)] }));
      return element("span", { class: "chip" }, dot, first, ...(runs.length > 2 ? [away] : []));
    }));
    const others = app.runs.runs.filter(({ name }) => !runs.includes(name));
    fill(this.pick, [{ value: "", label: "add a run …" }, ...others.map(({ name }) => ({ value: name, label: clean(name) }))], "");
    this.pick.hidden = others.length === 0;
  }

  /** @param {string} tag */
  card(tag) {
    let card = this.cards.get(tag);
    if (!card) {
      const parts = panel("", capitalized(clean(scalar(tag).label)));
      parts.box.classList.add("card");
      parts.box.dataset.tag = tag;
      const chart = new Curves(parts.body, { label: `${clean(scalar(tag).label)} of the compared runs`, timeline: this.app.timeline, readout: parts.hint, id: `compare:${tag}`, onFlip: this.app.flip });
      chart.flipped = this.app.state.flipped.includes(`compare:${tag}`);
      controlsOf(parts.box).append(chart.switch);
      addTools({ ...parts, id: `${clean(scalar(tag).label)}, compared` }, { table: () => chart.table() });
      card = { box: parts.box, chart };
      this.cards.set(tag, card);
      this.charts.append(parts.box);
    }
    return card;
  }

  /** @param {App} app @param {string[]} runs @param {Compare} apart @param {Settings} settings @param {Layers | undefined} one */
  drawPair(app, [a, b, ...more], apart, settings, one) {
    const { unit } = app.state;
    fill(this.other, [b, ...more].map((name) => ({ value: name, label: `B: ${clean(name)}` })), b);
    this.other.hidden = more.length === 0;
    const log = apart.difference === "log10";
    fill(this.unit, [{ value: "ratio", label: log ? "log₁₀(A/B)" : "A − B" }, { value: "a", label: "A alone" }, { value: "b", label: "B alone" }], unit);
    fill(this.statistic, apart.statistics.map((name) => ({ value: name, label: clean(statistic(name).label), title: statistic(name).meaning })), apart.statistic);
    const shown = unit === "ratio" || !one ? apart : one;
    const columns = shown.steps.length;
    const rows = shown.parameters.map(({ name }, row) => {
      const values = Array.from(shown.values.subarray(row * columns, (row + 1) * columns));
      return { key: name, label: clean(name), depth: 0, values, lost: new Set(values.flatMap((v, k) => (Math.abs(v) === Infinity ? [k] : []))) };
    });
    const scale = colorScale(shown === apart ? "ratio" : statistic(apart.statistic).scale, shown.values);
    this.apart.hint.textContent = shown === apart ? `${clean(statistic(apart.statistic).label)}: ${log ? "log₁₀(A/B), purple is larger in A" : "A − B"}` : clean(statistic(apart.statistic).label);
    if (apart.stored > apart.parameters.length && shown === apart) this.apart.hint.textContent += `; the ${count(rows.length)} of ${count(apart.stored)} layers that are farthest apart`;
    if (one && shown === one && one.all > rows.length) this.apart.hint.textContent += `; the first ${count(rows.length)} of ${count(one.all)} layers`;
    this.map = { rows, steps: shown.steps, firsts: shown.first_steps };
    if (rows.length === 0 || columns === 0) this.heat.say("These runs have no parameter and no step in common.");
    else this.heat.draw({ rows, firsts: shown.first_steps, steps: shown.steps, scale, selected: app.state.parameter });
    this.drawTable(a, b, settings, apart, log);
  }

  /** @param {string} a @param {string} b @param {Settings} settings @param {Compare} compare @param {boolean} log */
  drawTable(a, b, { hparams, same_hparams: same, scalars }, { parameters, only }, log) {
    /** @param {import("../../types.d.ts").Num | import("../../types.d.ts").Setting | undefined} v */
    const told = (v) => (v === null || v === undefined ? "–" : typeof v === "number" || v === "inf" || v === "-inf" ? number(toNumber(v), 4) : clean(v));
    /** @param {import("../../types.d.ts").Num} v */
    const ratio = (v) => (v === null ? "–" : log ? `×${number(10 ** toNumber(v), 3)}` : told(v));
    /** @param {string} title @param {string[]} head @param {string[][]} rows */
    const section = (title, head, rows) => (rows.length ? [element("tr", { class: "part" }, ...[title, ...head].map((cell) => (cell ? element("th", { scope: "col" }, cell) : element("td", {})))), ...rows.map((cells) => element("tr", {}, element("th", { scope: "row" }, cells[0]), ...cells.slice(1).map((cell) => element("td", {}, cell))))] : []);
    const settings = hparams.map(({ name, values }) => [clean(name), ...values.map(told), ""]);
    const numbers = scalars.map(({ label, values, ratio: r }) => [clean(label), ...values.map(told), r === null ? "–" : `×${told(r)}`]);
    const layers = parameters.slice(0, MOST_ROWS).map(({ name, median, farthest }) => [clean(name), ratio(median), farthest ? `${ratio(farthest.value)} at step ${count(farthest.step)}` : "–", ""]);
    this.rows = [["", "A", "B", "A/B"], ...settings, ...numbers, ...layers];
    this.changed.hint.textContent = `${count(same)} settings alike${only.run.length || only.with.length ? `; ${count(only.run.length)} parameters only in A, ${count(only.with.length)} only in B` : ""}`;
    this.table.replaceChildren(element("table", {}, element("caption", { class: "unseen" }, `${clean(a)} beside ${clean(b)}`), element("tbody", {},
      ...section("setting", ["A", "B", ""], settings), ...section("newest", ["A", "B", "A/B"], numbers), ...section("layers, farthest first", [log ? "A/B, median" : "A − B, median", "farthest", ""], layers))));
  }

  /** @param {MouseEvent} event @param {import("../heat.js").Row} row @param {number | null} column */
  tell(event, row, column) {
    if (column === null) return showTip(event, element("b", {}, row.label));
    const { steps, firsts } = this.map;
    const when = firsts[column] === steps[column] ? `step ${count(steps[column])}` : `steps ${count(firsts[column])} to ${count(steps[column])}`;
    const v = row.values[column];
    return showTip(event, element("b", {}, row.label), element("span", {}, when), element("span", {}, Number.isNaN(v) ? "none" : number(v, 4)));
  }
}
