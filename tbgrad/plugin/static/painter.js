/** Fetches what the panels in front need, and draws each as soon as it has it. */

import { extent } from "./pure/axes.js";
import { Clock } from "./pure/clock.js";
import { Store } from "./store.js";
import { themeName } from "./theme.js";

/** @typedef {import("../types.d.ts").Scalars} Scalars */

/** @type {import("../types.d.ts").Alerts} */
const NO_ALERTS = { complete: true, alerts: [], problems: [], not_judged: [], stories: [], rules: [], sampled: false, stored: 0, headlined: null, watched: true };

/** @type {Scalars} */
const NO_SERIES = { run: "", series: [] };

export class Painter {
  /** @param {import("../types.d.ts").App} app */
  constructor(app) {
    this.app = app;
    this.store = new Store();
    /** What could not be read, by the answers that say so. @type {Map<string, string[]>} */
    this.problems = new Map();
    /** @type {import("../types.d.ts").Notes} */
    this.notes = { notes: [], ended: null, stored: 0 };
    this.sampled = false;
    this.widened = false;
    /** The run whose steps the charts have room for, and whose clock they go by. */
    /** @type {string | null} */
    this.measured = null;
    /** @type {Scalars["series"][0] | null} */
    this.timed = null;
  }

  /**
   * @template Answer
   * @param {import("../types.d.ts").Question<Answer>} question
   * @returns {Promise<{data: Answer, stamp: number}>}
   */
  ensure({ key, revision, request }) {
    return this.store.ensure(key, revision, request);
  }

  /** Draws all that is in front. */
  async fill() {
    const { app } = this;
    const { run, ask, panels, shown } = app;
    const place = () => JSON.stringify([app.run, app.view.name, app.state]);
    const here = place();
    this.askAhead();
    const main = app.mainTags.length ? (await this.ensure(ask.main())).data : NO_SERIES;
    if (run !== app.run) return;
    this.measure(main.series);
    if (app.state.alert !== null) app.alerts = (await this.ensure(ask.alerts())).data;
    const pending = [this.drawHead(main)];
    if (shown.some((name) => panels[name].needsParameter)) {
      const { data } = await this.ensure(ask.layers());
      if (run !== app.run) return;
      const names = data.parameters.map(({ name }) => name);
      app.parameter = app.state.parameter !== null && names.includes(app.state.parameter) ? app.state.parameter : names[0] ?? null;
      if (data.steps.length) this.widen([data.first_steps[0], data.steps[data.steps.length - 1]]);
    }
    for (const name of shown) pending.push(this.drawPanel(panels[name], () => here === place()));
    await Promise.all(pending);
    if (run === app.run) app.header.drawNotes(this.notes, app.alerts ?? NO_ALERTS, [...this.problems.values()].flat(), this.sampled);
    if (this.widened) {
      this.widened = false;
      app.timeline.redraw();
    }
  }

  /** Asks for all that is needed at once; it is taken one after another. */
  askAhead() {
    const { app } = this;
    const { ask } = app;
    const seen = app.shown.map((name) => app.panels[name]);
    const questions = [
      ...(app.mainTags.length ? [ask.main()] : []), ...(this.alerted ? [ask.alerts()] : []), ask.notes(),
      ...(seen.some(({ needsParameter }) => needsParameter) ? [ask.layers()] : []),
      ...seen.flatMap((panel) => (panel.needsParameter ? [] : Object.values(panel.wants?.(app) ?? {}))),
    ];
    // What goes wrong is told where the answer is waited for.
    for (const question of questions) void this.ensure(question).catch(() => undefined);
  }

  /** Whether the view tells of the alerts of the run in front. */
  get alerted() {
    const { view } = this.app;
    return view.ofRun || view.name === "overview";
  }

  /** @param {import("./panels.js").Panel & {drawnAs?: string}} panel @param {() => boolean} current whether nobody has gone on to something else */
  async drawPanel(panel, current) {
    const { app } = this;
    const wants = Object.entries(panel.wants?.(app) ?? {});
    const found = await Promise.all(wants.map(([, question]) => this.ensure(question)));
    if (!current()) return;
    const got = Object.fromEntries(wants.map(([name], i) => [name, found[i].data]));
    const follows = Object.entries(panel.follows?.(app, got) ?? {});
    const later = await Promise.all(follows.map(([, question]) => this.ensure(question)));
    if (!current()) return;
    follows.forEach(([name], i) => (got[name] = later[i].data));
    wants.push(...follows);
    found.push(...later);
    for (const [name, { problems }] of Object.entries(got)) if (problems) this.problems.set(name, problems);
    const estimates = got.curvature?.estimates ?? [];
    if (estimates.length) this.widen([estimates[0].step, estimates.at(-1).step]);
    const key = JSON.stringify([found.map(({ stamp }) => stamp), wants.map(([, question]) => question.key), panel.variant?.(app), themeName()]);
    if (panel.drawnAs === key) return;
    panel.drawnAs = key;
    panel.draw(app, got);
  }

  /** The strip of all steps, and what the head says of alerts, findings and notes. @param {Scalars} main */
  async drawHead(main) {
    const { app } = this;
    const alerts = this.alerted ? (await this.ensure(app.ask.alerts())).data : NO_ALERTS;
    app.header.drawAlerts(alerts);
    this.problems.set("alerts", alerts.problems);
    app.alerts = alerts;
    const { bands } = app.chosen;
    if (JSON.stringify(bands) !== JSON.stringify(app.timeline.bands)) {
      app.timeline.bands = bands;
      app.timeline.redraw();
    }
    app.strip.draw(main.series[0], alerts.alerts);
    const { findings, trajectories } = app.revisions.landscape ? (await this.ensure(app.ask.findings())).data : { findings: [], trajectories: "" };
    app.header.drawFindings(findings.length + (trajectories ? 1 : 0));
    this.notes = (await this.ensure(app.ask.notes())).data;
    this.sampled = alerts.sampled || main.series.some(({ sampled }) => sampled);
  }

  /** Tells the charts which steps the run has, and when they were. @param {Scalars["series"]} series */
  measure(series) {
    const { app } = this;
    const { timeline, status } = app;
    const steps = series.flatMap((one) => (one.steps.length ? [one.steps[0], one.steps[one.steps.length - 1]] : []));
    if (status.last_step !== null) steps.push(status.last_step);
    const known = this.measured === app.run ? timeline.extent : [];
    if (this.measured !== app.run) this.problems.clear();
    this.measured = app.run;
    const ends = extent([...steps, ...known]) ?? { low: 0, high: 1 };
    this.widen([ends.low, ends.high], true);
    const timed = series.find(({ wall_times: times }) => times?.length);
    if (!timed || timed === this.timed) return;
    this.timed = timed;
    timeline.clock = new Clock(timed.steps, timed.wall_times);
    if (app.state.axis !== "step") timeline.redraw();
  }

  /** Makes room for steps in all charts. @param {number[]} steps @param {boolean} anew of another run */
  widen(steps, anew = false) {
    const { app } = this;
    if (!app.timeline.widen(steps, anew)) return;
    this.widened = true;
    app.strip.moved();
  }
}
