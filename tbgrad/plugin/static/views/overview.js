/** All runs at a glance, the worst first, and what is the matter with the one in front. */

import { element } from "../dom.js";
import { age, clean, count, number } from "../format.js";
import * as model from "../model.js";
import { addTools } from "../panel.js";
import { natural } from "../pure/natural.js";
import { linePath } from "../pure/paths.js";
import { svgElement } from "../plot.js";
import { colorOf } from "../runcolors.js";
import { colors } from "../theme.js";
import { STANDINGS, STATES } from "./header.js";

/** @typedef {import("../../types.d.ts").App} App */
/** @typedef {import("../../types.d.ts").Row} Row */
/** @typedef {import("../../types.d.ts").Overview} Overview */

/** @type {Record<string, string>} */
const MARKS = { error: "◆", warning: "▲", info: "•" };
/** Hyperparameters that have a column; there may be hundreds. */
const MOST_HPARAMS = 8;

/**
 * A column: `of` is what it is sorted by, larger first where `down`; `cell` what it shows.
 * @typedef {{name: string, title: string, of: (row: Row) => string | number | boolean | null | undefined, cell: (row: Row) => (Node | string)[], style?: (row: Row) => string, kind?: string, down?: boolean}} Column
 */

/** @param {import("../../types.d.ts").Num | undefined} v */
const value = (v) => (v === null || v === undefined ? null : model.toNumber(v));
/** @param {import("../../types.d.ts").Num | undefined} v @param {number} [digits] */
const told = (v, digits = 3) => [v === null || v === undefined ? "–" : number(model.toNumber(v), digits)];
/** @param {import("../../types.d.ts").Num | undefined} v */
const lost = (v) => (v !== null && v !== undefined && !Number.isFinite(value(v)) ? "bad" : "");
/** A loss that has a course is known: where it is null now, it is no number. @param {Row} r */
const isNaNNow = (r) => r.loss === null && r.trend.length > 0;

/** @type {Column[]} */
const COLUMNS = [
  { name: "state", title: "state", of: (r) => r.state?.status ?? "", cell: (r) => [r.state?.status ?? ""], style: (r) => STATES[r.state?.status ?? ""] ?? "quiet" },
  { name: "step", title: "step", of: (r) => r.step, cell: (r) => [r.steps ? `${count(r.step)} / ${count(r.steps)}` : count(r.step ?? 0)], kind: "number", down: true },
  { name: "left", title: "left", of: (r) => r.seconds_left, cell: (r) => [r.seconds_left === null ? "–" : age(r.seconds_left)], kind: "number" },
  { name: "loss", title: "loss", of: (r) => value(r.loss), cell: (r) => (isNaNNow(r) ? ["NaN"] : told(r.loss)), style: (r) => (isNaNNow(r) ? "bad" : lost(r.loss)), kind: "number" },
  { name: "trend", title: "trend", of: () => 0, cell: (r) => [spark(r.trend.map(value))] },
  { name: "val_loss", title: "val loss", of: (r) => value(r.val_loss), cell: (r) => told(r.val_loss), style: (r) => lost(r.val_loss), kind: "number" },
  { name: "norm", title: "norm", of: (r) => value(r.norm), cell: (r) => told(r.norm), style: (r) => lost(r.norm), kind: "number", down: true },
  { name: "stability", title: "λ/limit", of: (r) => value(r.stability), cell: (r) => [...told(r.stability, 3), r.stale ? " (stale)" : ""], style: (r) => (r.stale ? "quiet" : STANDINGS[r.standing] ?? ""), kind: "number", down: true },
  { name: "update", title: "update", of: (r) => value(r.update_ratio), cell: (r) => told(r.update_ratio), kind: "number", down: true },
  { name: "health", title: "health", of: (r) => r.health, cell: (r) => [r.health === "" ? "…" : r.health + (r.since === null || r.health === "healthy" ? "" : ` @${count(r.since)}`)], style: (r) => (r.health === "healthy" ? "good" : r.severity || "quiet") },
];

export class OverviewView {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.find = /** @type {HTMLInputElement} */ (element("input", { type: "search", placeholder: "filter /   part of a name  !not  a|b  glob*  lr>=1e-3", "aria-label": "filter runs: part of a name, !not, a|b, glob*, /regex/, lr>=1e-3" }));
    this.find.addEventListener("input", () => app.change({ filter: this.find.value }));
    this.said = element("span", { class: "hint", "aria-live": "polite" });
    this.compare = element("button", { type: "button", title: "the marked runs beside one another (c)" }, "compare");
    this.compare.addEventListener("click", () => app.change({ view: "compare" }));
    this.head = element("tr", {});
    this.body = element("tbody", {});
    this.table = element("table", {}, element("caption", { class: "unseen" }, "runs"), element("thead", {}, this.head), this.body);
    const scroller = element("div", { class: "scroller" }, this.table);
    this.verdict = element("section", { class: "focus", tabindex: "0", "aria-label": "verdict of the run in front" });
    const head = element("header", {}, element("div", { class: "said" }, element("h2", {}, "Overview"), this.said), element("div", { class: "controls" }, this.find, this.compare));
    this.box = element("section", { id: "overview", class: "panel", "aria-label": "Overview" }, head, scroller, this.verdict);
    addTools({ box: this.box, id: "overview", heading: head, body: scroller, hint: this.said, legend: head }, { name: () => "runs", table: () => this.rows() });
    /** @type {Map<string, {tr: HTMLElement, key: string}>} */
    this.lines = new Map();
    /** @type {Column[]} */
    this.columns = COLUMNS;
    /** @type {Row[]} */
    this.sorted = [];
    /** What the head says. */
    this.headed = "";
    app.sort = () => this.sort();
    app.mark = (name) => this.mark(name);
  }

  /** @param {App} app */
  wants(app) {
    const { filter } = app.state;
    if (!filter) return {};
    const request = () => model.overview(null, filter).catch((error) => ({ error: error.message }));
    return { chosen: { key: `overview ${filter}`, revision: app.overviewRevision, request } };
  }

  /** @param {App} app */
  variant({ state, run, runs }) {
    return [state.sort, state.runs, run, runs.stamp];
  }

  /** Sorts by what comes next; of layers where they are in front. */
  sort() {
    const { app } = this;
    /** @param {string[]} list @param {string} now */
    const next = (list, now) => list[(list.indexOf(now) + 1) % list.length];
    if (app.view.name === "overview") return app.change({ sort: next(["worst", "name", "loss", "-step"], app.state.sort) });
    return app.change({ order: next(["in order", "worst first", "most changed first", "alerts first"], app.state.order), row: 0 });
  }

  /** @param {string} name */
  mark(name) {
    const { runs } = this.app.state;
    this.app.change({ runs: runs.includes(name) ? runs.filter((each) => each !== name) : [...runs, name] });
  }

  /** @param {App} app @param {{chosen?: Overview & {error?: string}}} answers */
  draw(app, { chosen }) {
    const { state, run } = app;
    if (document.activeElement !== this.find) this.find.value = state.filter;
    this.find.setAttribute("aria-invalid", String(Boolean(chosen?.error)));
    const all = app.runs;
    const kept = chosen?.runs ? new Set(chosen.runs.map(({ name }) => name)) : null;
    const shown = all.runs.filter(({ name }) => kept === null || kept.has(name));
    /** @type {Column[]} */
    const hparams = all.hparams.slice(0, MOST_HPARAMS).map((name) => ({
      name: `hparam:${name}`, title: clean(name), of: (r) => r.hparams[name] ?? null, kind: "hparam",
      cell: (r) => [name in r.hparams ? clean(typeof r.hparams[name] === "number" ? number(r.hparams[name], 4) : r.hparams[name]) : "–"],
    }));
    const columns = [...COLUMNS, ...hparams].filter((column) => shown.some((r) => !["–", "", "…"].includes(String(column.cell(r)[0] ?? ""))) || column.name === "loss");
    this.columns = columns;
    this.sorted = this.order(shown, columns, state.sort);
    const ill = Object.entries(all.ill).filter(([, n]) => n > 0).map(([severity, n]) => `${count(n)} with ${severity}s`);
    const known = all.complete ? "" : `, ${count(all.judged)} of ${count(all.stored)} judged so far`;
    this.said.textContent = chosen?.error ?? `${count(shown.length)}${kept ? ` of ${count(all.stored)}` : ""} runs${ill.length ? `, ${ill.join(", ")}` : ""}${known}`;
    this.said.classList.toggle("bad", Boolean(chosen?.error));
    this.drawHead(state.sort);
    this.drawBody(run, state.runs);
    this.drawVerdict(app);
    this.compare.textContent = state.runs.length ? `compare ${count(state.runs.length)} marked` : "compare";
  }

  /** @param {Row[]} rows @param {Column[]} columns @param {string} sort */
  order(rows, columns, sort) {
    if (sort === "worst") return rows;
    const up = !sort.startsWith("-");
    const name = sort.replace(/^-/, "");
    const of = name === "name" ? (/** @type {import("../../types.d.ts").Row} */ r) => r.name : columns.find((column) => column.name === name)?.of;
    if (!of) return rows;
    /** @typedef {string | number | boolean | null | undefined} Cell */
    /** @param {Cell} a @param {Cell} b */
    const less = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : natural(String(a), String(b)));
    /** @param {Cell} v */
    const missing = (v) => v === null || v === undefined || Number.isNaN(v);
    return [...rows].sort((a, b) => {
      const [x, y] = [of(a), of(b)];
      // What is not known comes last, whichever way.
      if (missing(x) || missing(y)) return Number(missing(x)) - Number(missing(y));
      return up ? less(x, y) : less(y, x);
    });
  }

  /** @param {string} sort */
  drawHead(sort) {
    /** @param {string} name @param {string} words @param {string | undefined} kind @param {boolean | undefined} down */
    const title = (name, words, kind, down) => {
      const [now, other] = down ? [`-${name}`, name] : [name, `-${name}`];
      const button = element("button", { type: "button", class: "plain" }, words);
      button.addEventListener("click", () => this.app.change({ sort: sort === now ? other : sort === other && name !== "worst" ? "worst" : now }));
      const way = sort.replace(/^-/, "") === name ? (sort.startsWith("-") ? "descending" : "ascending") : undefined;
      return element("th", { scope: "col", "aria-sort": way, class: kind, "data-column": name }, button);
    };
    const key = JSON.stringify([sort, this.columns.map(({ title: words }) => words)]);
    if (key === this.headed) return;
    this.headed = key;
    this.head.replaceChildren(
      element("th", { scope: "col" }, element("span", { class: "unseen" }, "mark")), title("name", "run", "name", false),
      ...this.columns.map(({ name, title: words, kind, down }) => (name === "trend" ? element("th", { scope: "col", "data-column": name }, words) : title(name, words, kind, down))),
    );
  }

  /** @param {string | null} run @param {string[]} marked */
  drawBody(run, marked) {
    const before = this.lines;
    this.lines = new Map();
    const rows = this.sorted.map((row) => {
      const key = JSON.stringify([row, row.name === run, marked.includes(row.name), this.headed]);
      const known = before.get(row.name);
      const tr = known?.key === key ? known.tr : this.line(row, row.name === run, marked.includes(row.name));
      this.lines.set(row.name, { tr, key });
      return tr;
    });
    const same = rows.length === this.body.children.length && rows.every((tr, i) => tr === this.body.children[i]);
    const focused = /** @type {HTMLElement | null} */ (document.activeElement?.closest?.("#overview tr"))?.dataset.run;
    if (!same) this.body.replaceChildren(...rows);
    if (focused && !document.activeElement?.closest("#overview tr")) this.lines.get(focused)?.tr.querySelector("button")?.focus();
  }

  /** @param {Row} row @param {boolean} inFront @param {boolean} marked */
  line(row, inFront, marked) {
    const box = /** @type {HTMLInputElement} */ (element("input", { type: "checkbox", "aria-label": `mark ${clean(row.name)} for comparison`, checked: marked }));
    box.addEventListener("change", () => this.mark(row.name));
    const open = element("button", { type: "button", class: "name", title: `${clean(row.name)}: open (Enter)` }, clean(row.short));
    open.addEventListener("click", () => this.app.change({ run: row.name, view: "run" }));
    const dot = element("i", { class: "dot" });
    dot.style.background = colorOf(row.name);
    const sign = element("span", { class: "sign" }, MARKS[row.severity] ?? "");
    if (row.severity) sign.dataset.severity = row.severity;
    const tr = element(
      "tr", { class: inFront ? "chosen" : undefined, "data-run": row.name, "aria-current": inFront ? "true" : undefined }, element("td", {}, box), element("th", { scope: "row" }, dot, sign, open),
      ...this.columns.map(({ name, cell, style, kind }) => element("td", { class: [kind, style?.(row)].filter(Boolean).join(" ") || undefined, "data-column": name }, ...cell(row))),
    );
    tr.addEventListener("click", (event) => {
      if (!(/** @type {Element} */ (event.target).closest("button, input"))) this.app.change({ run: row.name });
    });
    tr.addEventListener("dblclick", () => this.app.change({ run: row.name, view: "run" }));
    return tr;
  }

  /** Causes with what they brought about, and what to do. @param {{runs: App["runs"], run: string | null}} given */
  drawVerdict({ runs, run }) {
    const { verdict } = runs;
    if (!verdict || verdict.run !== run) return this.verdict.replaceChildren(element("p", { class: "quiet" }, run === null ? "" : "not judged yet"));
    const row = runs.runs.find(({ name }) => name === run);
    const hparams = Object.entries(verdict.hparams).map(([name, v]) => `${clean(name)} ${clean(typeof v === "number" ? number(v, 4) : v)}`).join(", ");
    const head = element("h3", {}, element("b", {}, clean(run ?? "")), hparams ? element("span", { class: "quiet" }, `  ${hparams}`) : "");
    const open = verdict.stories.filter(({ is_open: still }) => still);
    const told_ = open.map(({ headline, advice, next_advice: next, severity, alerts }) => {
      const story = element(
        "div", { class: "story" }, element("p", { class: "headline" }, clean(headline)),
        ...(alerts.length > 1 ? [element("p", { class: "quiet" }, `${clean(alerts[0][0].replaceAll("_", " "))} → ${alerts.slice(1, 8).map(([rule, first]) => `${clean(rule.replaceAll("_", " "))} @${count(first)}`).join(", ")}${alerts.length > 8 ? ` and ${alerts.length - 8} more` : ""}`)] : []),
        ...(advice ? [element("p", {}, element("b", {}, "Change first: "), clean(advice))] : []),
        ...(next ? [element("p", { class: "quiet" }, `If that is not it: ${clean(next)}`)] : []),
      );
      story.dataset.severity = severity;
      return story;
    });
    const words = open.length ? [] : verdict.words.map(({ label, text, look }) => element("p", { class: look }, label, clean(text)));
    const state = row?.state ? element("p", { class: "quiet" }, `state: ${clean(row.state.words)}`) : "";
    return this.verdict.replaceChildren(head, ...told_, ...words, state);
  }

  rows() {
    const shown = this.columns.filter(({ name }) => name !== "trend");
    return [["run", ...shown.map(({ title }) => title)], ...this.sorted.map((row) => [row.name, ...shown.map((column) => {
      const cell = column.of(row);
      return column.kind === "number" && typeof cell !== "boolean" ? cell ?? null : column.cell(row).join("");
    })])];
  }
}

/** The course of a loss as a small curve. @param {(number | null)[]} course */
function spark(course) {
  const [width, height] = [84, 18];
  const values = course.map((v) => v ?? NaN);
  const finite = values.filter(Number.isFinite);
  const svg = svgElement("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  if (finite.length < 2) return svg;
  const log = finite.every((v) => v > 0);
  const [low, high] = [Math.min(...finite), Math.max(...finite)].map((v) => (log ? Math.log(v) : v));
  /** @param {number} v */
  const place = (v) => (high > low ? ((log ? Math.log(v) : v) - low) / (high - low) : 0.5);
  const xs = values.map((_, i) => 2 + ((width - 4) * i) / (values.length - 1));
  const ys = values.map((v) => (Number.isFinite(v) ? height - 2 - (height - 4) * place(v) : NaN));
  svg.append(svgElement("path", { d: linePath(xs, ys), fill: "none", stroke: colors().blue, "stroke-width": 1.5 }));
  return svg;
}
