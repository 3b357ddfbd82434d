/** Every scalar of the chosen runs, by the first part of its name: a card each. */

import { Curves } from "../curves.js";
import { element } from "../dom.js";
import { clean, count } from "../format.js";
import { addTools, controlsOf, explain, panel } from "../panel.js";
import { grouped, hasWords } from "../pure/groups.js";
import { colorOf } from "../runcolors.js";
import { inOrder, scalar } from "../tables.js";
import { colors } from "../theme.js";
import { COMPANIONS, curveOf, scaleOf } from "./curve.js";

/** @typedef {import("../../types.d.ts").App} App */
/** @typedef {import("../../types.d.ts").Scalars} Scalars */
/** @typedef {import("../../types.d.ts").Status} Status */

/** So many tags are asked for at once. */
const PAGE = 12;

export class ScalarsView {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    const find = /** @type {HTMLInputElement} */ (element("input", { type: "search", placeholder: "find /", "aria-label": "find scalars by words in their names" }));
    find.addEventListener("input", () => app.change({ tags: find.value }));
    const smooth = /** @type {HTMLInputElement} */ (element("input", { type: "range", min: "0", max: "0.99", step: "0.01", id: "smoothing" }));
    smooth.addEventListener("input", () => app.change({ smoothing: Number(smooth.value) }));
    this.weight = element("output", { for: "smoothing" });
    const outliers = /** @type {HTMLInputElement} */ (element("input", { type: "checkbox" }));
    outliers.addEventListener("change", () => app.change({ outliers: !outliers.checked }));
    this.find = find;
    this.smooth = smooth;
    this.outliers = outliers;
    this.legend = element("span", { class: "legend" });
    const bar = element(
      "div", { class: "toolbar" }, element("h2", {}, "Scalars"), find,
      element("label", {}, "smooth (m) ", smooth, this.weight), element("label", {}, outliers, "cut outliers"),
      element("span", { class: "grow" }), this.legend,
    );
    this.list = element("div", { class: "groups" });
    this.box = element("section", { id: "scalars", "aria-label": "Scalars" }, bar, this.list);
    /** The tags of runs. @type {Map<string, string[]>} */
    this.learnt = new Map();
    /** @type {Map<string, {box: HTMLElement, chart: Curves, pin: HTMLElement, legend: HTMLElement}>} */
    this.cards = new Map();
    /** Those that are shown. @type {string[]} */
    this.tags = [];
    /** How. */
    this.arranged = "";
    /** Tags whose cards are in sight. @type {Set<string>} */
    this.seen = new Set();
    this.observer = new IntersectionObserver((entries) => {
      const before = this.seen.size;
      for (const { target, isIntersecting } of entries) if (isIntersecting) this.seen.add(/** @type {HTMLElement} */ (target).dataset.tag ?? "");
      if (this.seen.size > before) app.refresh();
    }, { rootMargin: "200px" });
  }

  /** The runs whose curves are drawn: those that are marked, or else the one in front. @param {App} app */
  runs({ state, run, runs }) {
    const there = state.runs.filter((name) => runs.runs.some((row) => row.name === name));
    return there.length ? there : [run];
  }

  /** @param {App} app */
  wants(app) {
    const { state } = app;
    const runs = this.runs(app);
    this.learnt.set(app.run, app.status.scalar_tags);
    const others = runs.filter((name) => name !== app.run);
    const all = inOrder([...new Set(runs.flatMap((name) => this.learnt.get(name) ?? []))]);
    const hidden = new Set(all.flatMap((tag) => (COMPANIONS[tag] === "val_loss" && all.includes("val_loss") ? ["val_loss"] : [])));
    this.tags = all.filter((tag) => !hidden.has(tag) && hasWords(`${tag} ${scalar(tag).label}`, state.tags));
    this.arrange(grouped(this.tags, state.pins), state);
    const shown = this.tags.filter((tag) => this.seen.has(tag));
    const asked = [...shown, ...(shown.includes("loss") && hidden.has("val_loss") ? ["val_loss"] : [])].sort();
    const pages = Array.from({ length: Math.ceil(asked.length / PAGE) }, (_, i) => asked.slice(i * PAGE, (i + 1) * PAGE));
    return Object.fromEntries([
      ...pages.map((tags, i) => [`page${i}`, app.ask.scalarsOf(runs, tags)]),
      ...others.map((name) => [`tags of ${name}`, app.ask.tagsOf(name)]),
    ]);
  }

  /** @param {App} app */
  variant(app) {
    return [this.runs(app), app.state.pins, this.tags, app.state.smoothing, app.state.outliers, app.state.alert];
  }

  /** Puts the cards where they belong; those that are there stay as they are. @param {{title: string, tags: string[]}[]} groups @param {{pins: string[]}} given */
  arrange(groups, { pins }) {
    const key = JSON.stringify([groups, pins]);
    if (key === this.arranged) return;
    this.arranged = key;
    const wanted = new Set(groups.flatMap(({ tags }) => tags));
    for (const [tag, card] of this.cards) {
      if (wanted.has(tag)) continue;
      this.observer.unobserve(card.box);
      card.chart.remove();
      card.box.remove();
      this.cards.delete(tag);
      this.seen.delete(tag);
    }
    this.list.replaceChildren(...groups.map(({ title, tags }) => {
      const grid = element("div", { class: "cards" }, ...tags.map((tag) => this.card(tag, pins.includes(tag)).box));
      if (groups.length === 1) return grid;
      return element("details", { open: true }, element("summary", {}, element("h3", {}, `${clean(title)} (${count(tags.length)})`)), grid);
    }));
    if (groups.length === 0) this.list.append(element("p", { class: "empty" }, "No scalar has these words in its name."));
  }

  /** @param {string} tag @param {boolean} pinned */
  card(tag, pinned) {
    let card = this.cards.get(tag);
    if (!card) {
      const pin = element("button", { type: "button", class: "plain pin", title: "pin to the top, or no longer" }, "☆");
      pin.addEventListener("click", () => {
        const { pins } = this.app.state;
        this.app.change({ pins: pins.includes(tag) ? pins.filter((each) => each !== tag) : [...pins, tag] });
      });
      const { label, meaning } = scalar(tag);
      const parts = panel("", clean(label), pin);
      parts.box.dataset.tag = tag;
      parts.box.classList.add("card");
      parts.heading.title = meaning || clean(tag);
      const chart = new Curves(parts.body, { label: clean(tag), timeline: this.app.timeline, readout: parts.hint, id: `tag:${tag}`, onFlip: this.app.flip });
      controlsOf(parts.box).append(chart.switch);
      addTools({ ...parts, id: clean(label) }, { name: () => `${this.app.run} ${tag}`, table: () => chart.table() });
      chart.flipped = this.app.state.flipped.includes(`tag:${tag}`);
      card = { box: parts.box, chart, pin, legend: parts.legend };
      this.cards.set(tag, card);
      this.observer.observe(parts.box);
    }
    card.pin.textContent = pinned ? "★" : "☆";
    card.pin.setAttribute("aria-pressed", String(pinned));
    card.pin.setAttribute("aria-label", `pin ${clean(scalar(tag).label)}`);
    return card;
  }

  /** @param {App} app @param {Record<string, Scalars | Status>} pages */
  draw(app, pages) {
    const { state } = app;
    if (document.activeElement !== this.find) this.find.value = state.tags;
    this.smooth.value = String(state.smoothing);
    this.weight.textContent = state.smoothing ? String(state.smoothing) : "off";
    this.outliers.checked = !state.outliers;
    const runs = this.runs(app);
    const many = runs.length > 1;
    const c = colors();
    explain(this.legend, many ? runs.map((run) => ({ label: clean(run), color: colorOf(run) })) : []);
    const before = this.tags.length;
    for (const page of Object.values(pages)) if ("scalar_tags" in page) this.learnt.set(page.run, page.scalar_tags);
    this.wants(app);
    if (this.tags.length > before) setTimeout(() => app.change({}), 0); // tags that only other runs have
    const series = Object.values(pages).flatMap((page) => ("series" in page ? page.series : []));
    app.timeline.learn(series);
    for (const tag of this.seen) {
      const card = this.cards.get(tag);
      const of = [tag, ...(COMPANIONS[tag] === "val_loss" ? ["val_loss"] : [])];
      const found = series.filter((one) => of.includes(one.tag) && one.steps.length);
      if (!card) continue;
      if (found.length === 0) {
        card.chart.say("Not in this run.");
        continue;
      }
      const curves = found.map((one) => curveOf(one, {
        run: one.run, name: many ? clean(one.run) + (one.tag === tag ? "" : ", validation") : clean(scalar(one.tag).label),
        color: many ? colorOf(one.run) : one.tag === tag ? c.blue : c.orange, dash: many && one.tag !== tag,
      }));
      card.chart.draw({ curves, scale: scaleOf(tag), smooth: true, cut: true, thresholds: app.chosen.thresholds(...of) }, `${runs} ${tag}`);
      explain(card.legend, !many && curves.length > 1 ? curves.map(({ name, color }) => ({ label: name, color })) : []);
    }
  }
}
