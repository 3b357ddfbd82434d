/** Wires the panels to the data: decides what to fetch when, and draws only what has changed. */

import { Ask } from "./ask.js";
import { Chosen } from "./chosen.js";
import { element } from "./dom.js";
import * as host from "./host.js";
import * as model from "./model.js";
import { fromHash, initial, toHash } from "./pure/address.js";
import { Clock } from "./pure/clock.js";
import { panelsOf } from "./panels.js";
import { learnColors } from "./runcolors.js";
import { Store } from "./store.js";
import { themeName } from "./theme.js";
import { Timeline } from "./timeline.js";
import { Header } from "./views/header.js";
import { Strip } from "./strip.js";
import { viewOf, VIEWS } from "./views.js";

/** What the strip and the clock are made from, the first that there is. */
const MAIN = ["loss", "gradient/norm", "gradient/norm_max"];

export class App {
  /** @param {any} overview of all runs, as /overview answers without one */
  constructor(overview) {
    this.state = { ...initial(), ...fromHash(host.hash()) };
    this.store = new Store();
    this.ask = new Ask(this);
    this.chosen = new Chosen(this);
    this.change = this.change.bind(this);
    this.flip = this.flip.bind(this);
    this.timeline = new Timeline({
      onRange: (range) => this.change({ range }),
      onCursor: (cursor) => this.change({ cursor }),
    });
    /** Of the run in front. @type {any} */
    this.status = null;
    this.revisions = {};
    this.run = null;
    this.parameter = null;
    this.mainTags = ["loss"];
    this.watched = false;
    /** What could not be read, by the answers that say so. @type {Map<string, string[]>} */
    this.problems = new Map();
    /** Rows of all runs, and the verdict of the one in front. @type {any} */
    this.runs = { ...overview, stamp: 0 };
    this.overviewRevision = "";
    this.coloured = overview.stored;
    this.header = new Header(this);
    this.strip = new Strip(this);
    this.panels = panelsOf(this);
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

  redo() {
    this.header.draw(this);
    this.show();
    return this.fill();
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

  /** Does something, and says in words what goes wrong. */
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
    const before = this.run;
    this.run = names.includes(this.state.run) ? this.state.run : this.preferred();
    if (this.run !== null) {
      const { run } = this;
      const status = await model.status(run).catch(() => null);
      if (run !== this.run) return undefined;
      if (status === null) return void (await this.readRuns());
      this.status = status;
      this.revisions = status.revisions;
    }
    const stale = this.run === null || this.status.overview !== this.overviewRevision || this.run !== before || !this.runs.complete || !this.runs.verdict;
    this.header.draw(this);
    this.show();
    // What is drawn of the run itself does not wait for the table of all runs.
    const read = stale ? this.readRuns().then(() => this.header.draw(this)) : undefined;
    if (this.run === null) return read;
    const there = this.status.scalar_tags;
    this.mainTags = MAIN.filter((tag) => there.includes(tag));
    if (this.mainTags.length === 0) this.mainTags = there.slice(0, 1);
    await Promise.all([read, this.fill()]);
    return stale && this.shown.includes("overview") ? this.fill() : undefined;
  }

  async readRuns() {
    const revision = this.status?.overview ?? "";
    if (this.runs.stored !== this.coloured) learnColors(await model.names().catch(() => []));
    this.runs = { ...(await model.overview(this.run, "")), stamp: this.runs.stamp + 1 };
    this.coloured = this.runs.stored;
    this.overviewRevision = revision;
    if (!this.runs.complete) setTimeout(() => this.refresh(), 50);
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
  show() {
    const { shown } = this;
    this.board.dataset.view = this.run === null ? "nothing" : this.status?.gradients || !this.view.plain ? this.view.name : "plain";
    for (const [name, { box, absent = false }] of Object.entries(this.panels)) box.hidden = !shown.includes(name) || absent;
    this.strip.box.hidden = this.run === null || (this.view.name === "compare");
  }

  /** Fetches what the panels need and draws each as soon as it has it. */
  async fill() {
    const { run, ask, panels, shown } = this;
    const place = () => JSON.stringify([this.run, this.view.name, this.state]);
    const here = place();
    const ensure = ({ key, revision, request }) => this.store.ensure(key, revision, request);
    this.askAhead(ensure);
    const main = this.mainTags.length ? await ensure(ask.main()) : { data: { series: [] } };
    if (run !== this.run) return;
    this.measure(main.data.series);
    if (this.state.alert !== null) this.alerts = (await ensure(ask.alerts())).data;
    const pending = [this.drawStrip(main, ensure)];
    if (shown.some((name) => panels[name].needsParameter)) {
      const { data } = await ensure(ask.layers());
      if (run !== this.run) return;
      const names = data.parameters.map(({ name }) => name);
      this.parameter = names.includes(this.state.parameter) ? this.state.parameter : names[0] ?? null;
      this.widen([data.first_steps[0], data.steps.at(-1)]);
    }
    for (const name of shown) pending.push(this.drawPanel(panels[name], ensure, here, place));
    await Promise.all(pending);
    if (run === this.run) this.header.drawNotes(this.notes, this.alerts, [...this.problems.values()].flat(), this.sampled);
    if (this.widened) {
      this.widened = false;
      this.timeline.redraw();
    }
  }

  /** Asks for all that the panels need at once; they take it one after another. */
  askAhead(ensure) {
    const ahead = (question) => void ensure(question).catch(() => undefined); // told where it is waited for
    const seen = this.shown.map((name) => this.panels[name]);
    if (this.mainTags.length) ahead(this.ask.main());
    if (seen.some(({ needsParameter }) => needsParameter)) ahead(this.ask.layers());
    for (const panel of seen) if (!panel.needsParameter) Object.values(panel.wants?.(this) ?? {}).forEach(ahead);
  }

  async drawPanel(panel, ensure, here, place) {
    const wants = Object.entries(panel.wants?.(this) ?? {});
    const found = await Promise.all(wants.map(([, question]) => ensure(question)));
    if (here !== place()) return void (this.again = true);
    const got = Object.fromEntries(wants.map(([name], i) => [name, found[i].data]));
    for (const [name, { problems }] of Object.entries(got)) if (problems) this.problems.set(name, problems);
    for (const { estimates } of [got.curvature ?? {}]) if (estimates?.length) this.widen([estimates[0].step, estimates.at(-1).step]);
    const key = JSON.stringify([found.map(({ stamp }) => stamp), wants.map(([, question]) => question.key), panel.variant?.(this), themeName()]);
    if (panel.drawnAs === key) return undefined;
    panel.drawnAs = key;
    panel.draw(this, got);
    return undefined;
  }

  async drawStrip(main, ensure) {
    const alerts = this.view.ofRun || this.view.name === "overview" ? await ensure(this.ask.alerts()) : { data: { alerts: [], problems: [], not_judged: [], stories: [], rules: [] }, stamp: 0 };
    this.header.drawAlerts(alerts.data);
    this.problems.set("alerts", alerts.data.problems);
    this.alerts = alerts.data;
    const { bands } = this.chosen;
    if (JSON.stringify(bands) !== JSON.stringify(this.timeline.bands)) {
      this.timeline.bands = bands;
      this.timeline.redraw();
    }
    this.strip.draw(main.data.series[0], alerts.data.alerts);
    const findings = this.revisions.landscape ? (await ensure(this.ask.findings())).data : { findings: [], trajectories: "" };
    this.header.drawFindings(findings.findings.length + (findings.trajectories ? 1 : 0));
    this.notes = (await ensure(this.ask.notes())).data;
    this.sampled = alerts.data.sampled || main.data.series.some(({ sampled }) => sampled);
  }

  /** Tells the charts which steps the run has. */
  measure(series) {
    const steps = series.flatMap((one) => (one.steps.length ? [one.steps[0], one.steps.at(-1)] : []));
    if (this.status.last_step !== null) steps.push(this.status.last_step);
    const known = this.measured === this.run ? this.timeline.extent : [];
    if (this.measured !== this.run) this.problems.clear();
    this.measured = this.run;
    this.widen(steps.length ? [...steps, ...known] : [0, 1], true);
    const timed = series.find(({ wall_times: times }) => times?.length);
    if (!timed || timed === this.timed) return;
    this.timed = timed;
    this.timeline.clock = new Clock(timed.steps, timed.wall_times);
    if (this.state.axis !== "step") this.timeline.redraw();
  }

  widen(steps, anew = false) {
    if (!this.timeline.widen(steps, anew)) return;
    this.widened = true;
    this.strip.moved();
  }

  /** Draws everything anew, in the colours of another theme. */
  redraw() {
    this.apply();
    this.refresh();
  }
}
