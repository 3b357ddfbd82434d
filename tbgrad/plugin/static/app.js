/** Wires the panels to the data: decides what to fetch when, and draws only what has changed. */

import { Ask } from "./ask.js";
import { Chosen } from "./chosen.js";
import { element } from "./dom.js";
import * as host from "./host.js";
import * as model from "./model.js";
import { Painter } from "./painter.js";
import { fromHash, initial, toHash } from "./pure/address.js";
import { learnColors } from "./runcolors.js";
import { themeName } from "./theme.js";
import { Timeline } from "./timeline.js";
import { noRuns } from "./views/empty.js";
import { Header } from "./views/header.js";
import { OverviewView } from "./views/overview.js";
import { Strip } from "./strip.js";
import { viewOf, VIEWS } from "./views.js";

/** What the strip and the clock are made from, the first that there is. */
const MAIN = ["loss", "gradient/norm", "gradient/norm_max"];

export class App {
  /** @param {import("../types.d.ts").Overview} overview of all runs, as /overview answers without one */
  constructor(overview) {
    this.state = { ...initial(), ...fromHash(host.hash()) };
    /** @type {Painter} */
    this.painter = new Painter(this);
    /** @type {Ask} */
    this.ask = new Ask(this);
    /** @type {Chosen} */
    this.chosen = new Chosen(this);
    this.change = this.change.bind(this);
    this.flip = this.flip.bind(this);
    this.timeline = new Timeline({
      onRange: (range) => this.change({ range }),
      onCursor: (cursor) => this.change({ cursor }),
    });
    /** Of the run in front. @type {any} */
    this.status = null;
    /** @type {import("../types.d.ts").Status["revisions"]} */
    this.revisions = { scalars: "", layers: "", histograms: "", curvature: "", landscape: "", alerts: "", notes: "" };
    /** @type {any} */
    this.run = null;
    /** @type {string | null} */
    this.parameter = null;
    this.mainTags = ["loss"];
    /** What the charts share, as it was taken last. */
    this.applied = "";
    this.watched = false;
    /** Rows of all runs, and the verdict of the one in front. @type {import("../types.d.ts").App["runs"]} */
    this.runs = { ...overview, stamp: 0 };
    this.overviewRevision = "";
    this.coloured = overview.stored;
    this.settled = false;
    /** The run whose verdict was asked for last. @type {string | null | undefined} */
    this.toldOf = undefined;
    /** @type {Header} */
    this.header = new Header(this);
    /** @type {Strip} */
    this.strip = new Strip(this);
    /** @type {Record<string, any>} */
    this.panels = { overview: new OverviewView(this), nothing: { box: noRuns(), draw() {} } };
    /** @type {Promise<void> | null} */
    this.loading = null;
    this.board = element("main", { id: "board" }, ...Object.values(this.panels).map(({ box }) => box));
    document.body.append(this.header.box, this.strip.box, this.board);
    this.busy = null;
    this.again = false;
    this.apply();
    host.onHash(() => this.follow());
  }

  /** The view in front. */
  get view() {
    const { view } = this.state;
    if (viewOf(view)) return /** @type {import("./views.js").View} */ (viewOf(view));
    return VIEWS[this.runs.runs.length > 1 ? 0 : 1];
  }

  /** Shows something else. @param {Partial<import("./pure/address.js").State>} patch */
  change(patch) {
    const of = patch.run !== undefined && patch.run !== this.state.run ? { range: null, cursor: null, alert: null, ...patch } : patch;
    this.state = { ...this.state, ...of };
    host.setHash(toHash(host.hash(), this.state));
    this.apply();
    // Of the run in front most is known already: no need to ask where it stands.
    const known = this.status && this.run !== null && (this.state.run ?? this.run) === this.run;
    return known ? this.guard(() => this.redo()) : this.refresh();
  }

  async redo() {
    this.header.draw(this);
    await this.show();
    return this.painter.fill();
  }

  /** Brings the panels of the other views, for which the overview does not wait. */
  load() {
    this.loading ??= import("./panels.js").then(({ panelsOf }) => {
      const more = panelsOf(this);
      for (const { box } of Object.values(more)) box.hidden = true;
      Object.assign(this.panels, more);
      this.board.append(...Object.values(more).map(({ box }) => box));
      this.apply();
    });
    return this.loading;
  }

  /** Another axis of a chart than it would choose, or that again. @param {string} id */
  flip(id) {
    const { flipped } = this.state;
    return this.change({ flipped: flipped.includes(id) ? flipped.filter((each) => each !== id) : [...flipped, id] });
  }

  /** Somebody has gone to another address. */
  follow() {
    if (toHash(host.hash(), this.state) === host.hash()) return;
    this.state = { ...initial(), ...fromHash(host.hash()) };
    this.apply();
    this.refresh();
  }

  /** Brings what charts share in line with the state. */
  apply() {
    const { state, timeline } = this;
    const key = JSON.stringify([state.range, state.axis, state.logx, state.smoothing, state.outliers, themeName()]);
    for (const chart of timeline.charts) chart.flip?.(state.flipped.includes(chart.id));
    Object.assign(timeline, { axis: state.axis, logx: state.logx, smoothing: state.smoothing, outliers: state.outliers, range: state.range });
    const moved = timeline.cursor !== state.cursor;
    timeline.cursor = state.cursor;
    if (key !== this.applied) timeline.redraw();
    else if (moved) timeline.moved();
    this.applied = key;
    this.strip.moved();
  }

  /** Fetches and draws what is new; calls during a refresh lead to one more after it. */
  refresh() {
    if (this.busy) {
      this.again = true;
      return this.busy;
    }
    this.busy = this.work().finally(() => {
      this.busy = null;
      document.documentElement.dataset.refreshed = String(Number(document.documentElement.dataset.refreshed ?? 0) + 1);
      if (this.again) {
        this.again = false;
        this.refresh();
      }
    });
    return this.busy;
  }

  work() {
    return this.guard(() => this.look());
  }

  /** Does something, and says in words what goes wrong. @param {() => unknown} action */
  async guard(action) {
    const { dataset } = document.documentElement;
    dataset.busy = String(Number(dataset.busy ?? 0) + 1);
    try {
      await action();
      this.header.say(null);
    } catch (error) {
      this.header.say(`${error.message}. Trying again every few seconds.`);
      if (!(error instanceof Error) || error.name !== "Error") console.error(error);
    } finally {
      dataset.busy = String(Number(dataset.busy) - 1);
    }
  }

  async look() {
    if (this.runs.runs.length === 0) await this.readRuns();
    const names = this.runs.runs.map(({ name }) => name);
    const keep = this.settled && names.includes(this.run);
    this.run = names.includes(this.state.run ?? "") ? this.state.run : keep ? this.run : this.preferred();
    // The worst is in front of the overview until all are judged; nobody's run is changed behind his back.
    this.settled = this.runs.complete || this.view.name !== "overview";
    // What is known of all runs does not wait for what there is of the one in front.
    if (this.status === null && this.view.name === "overview") await this.show().then(() => this.panels.overview.draw(this, {}));
    if (this.run !== null) {
      const { run } = this;
      const status = await model.status(run).catch(() => null);
      if (run !== this.run) return undefined;
      if (status === null) return void (await this.readRuns());
      this.status = status;
      this.revisions = status.revisions;
    }
    const stale = this.run === null || this.status.overview !== this.overviewRevision || this.run !== this.toldOf || !this.runs.complete;
    this.header.draw(this);
    await this.show();
    // What is drawn of the run itself does not wait for the table of all runs.
    const read = stale ? this.readRuns().then(() => this.header.draw(this)) : undefined;
    if (this.run === null) return read;
    const there = this.status.scalar_tags;
    this.mainTags = MAIN.filter((tag) => there.includes(tag));
    if (this.mainTags.length === 0) this.mainTags = there.slice(0, 1);
    await Promise.all([read, this.painter.fill()]);
    this.load();
    return stale && this.shown.includes("overview") ? this.painter.fill() : undefined;
  }

  async readRuns() {
    const { run } = this;
    const revision = this.status?.overview ?? "";
    if (this.runs.stored !== this.coloured) learnColors(await model.names().catch(() => []));
    this.runs = { ...(await model.overview(run, "")), stamp: this.runs.stamp + 1 };
    this.coloured = this.runs.stored;
    this.toldOf = run;
    this.overviewRevision = revision;
    if (!this.runs.complete || !this.settled) setTimeout(() => this.refresh(), 50);
  }

  /** The worst run with gradients, or else the worst; null where there is none. */
  preferred() {
    const { runs } = this.runs;
    return (runs.find(({ gradients }) => gradients) ?? runs[0])?.name ?? null;
  }

  /** The panels that are seen. */
  get shown() {
    if (this.run === null) return ["nothing"];
    const { view } = this;
    return view.plain && this.status && !this.status.gradients ? view.plain : view.panels;
  }

  /** Brings the panels of the view to the front. */
  async show() {
    if (this.shown.some((name) => !this.panels[name])) await this.load();
    const { shown } = this;
    this.board.dataset.view = this.run === null ? "nothing" : this.status?.gradients || !this.view.plain ? this.view.name : "plain";
    for (const [name, { box, absent = false }] of Object.entries(this.panels)) box.hidden = !shown.includes(name) || absent;
    this.strip.box.hidden = this.run === null || (this.view.name === "compare");
  }

  /** Draws everything anew, in the colours of another theme. */
  redraw() {
    this.apply();
    this.refresh();
  }
}
