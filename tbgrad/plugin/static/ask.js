/** What the panels may ask of the server: each question with the revision of the log it depends on. */

import * as model from "./model.js";

/** @typedef {import("../types.d.ts").Question<any>} Question */

/** What the server calls the orders that it knows. @type {Record<string, string>} */
const ORDERS = { "worst first": "worst", "most changed first": "change" };

/** So many runs are drawn in one chart. */
export const MOST_RUNS = 40;

export class Ask {
  /** @param {import("../types.d.ts").App} app */
  constructor(app) {
    this.app = app;
    /** Runs with more parameters than an answer has. @type {Set<string>} */
    this.many = new Set();
  }

  /**
   * @template Answer
   * @param {unknown} name
   * @param {string} revision
   * @param {() => Promise<Answer>} request
   * @returns {import("../types.d.ts").Question<Answer>}
   */
  of(name, revision, request) {
    return { key: JSON.stringify([name, this.app.run]), revision, request };
  }

  /** What of an answer lies in the range: closer than in an answer of all. */
  get part() {
    const { range } = this.app.state;
    return range ? { from: Math.floor(Math.max(0, range[0])), to: Math.ceil(Math.max(0, range[1])) } : {};
  }

  /** @param {string[]} tags */
  scalars(tags) {
    const { app, part } = this;
    return this.of(["scalars", tags, part], app.revisions.scalars, () => model.scalars([app.run], tags, part));
  }

  /** The same tags of several runs. @param {string[]} runs @param {string[]} tags */
  scalarsOf(runs, tags) {
    const { app, part } = this;
    const more = app.state.axis === "step" ? part : { ...part, times: 1 };
    return this.of(["scalars of", runs, tags, more], app.overviewRevision, () => model.scalars(runs.slice(0, MOST_RUNS), tags, more));
  }

  /** Which scalars another run has. @param {string} run */
  tagsOf(run) {
    return this.of(["tags of", run], this.app.overviewRevision, () => model.status(run));
  }

  /** Loss and norms of the run in front, whole: for the strip and the clock. */
  main() {
    const { app } = this;
    const more = app.state.axis === "step" ? {} : { times: 1 };
    return this.of(["main", more], app.revisions.scalars, () => model.scalars([app.run], app.mainTags, more));
  }

  layers(statistic = this.app.state.statistic) {
    const { app, part, page } = this;
    const { run } = app;
    const more = { ...part, ...page };
    // A link, or the run before, may name a statistic that this run does not know.
    const request = () => model.layers(run, statistic, more).catch((error) => {
      if (statistic === "norm") throw error;
      return model.layers(run, "norm", more);
    }).then((answer) => {
      if (answer.all > answer.rows || answer.rows > answer.parameters.length) this.many.add(run);
      return answer;
    });
    return this.of(["layers", statistic, more], app.revisions.layers, request);
  }

  /** Which parameters are asked for, where an answer has no room for all: the server sorts and finds then. */
  get page() {
    const { run, state } = this.app;
    if (!this.many.has(run)) return {};
    return { row: state.row, order: ORDERS[state.order] ?? "network", ...(state.find ? { find: state.find } : {}) };
  }

  /** The layers of any run. @param {string} run */
  layersOf(run) {
    const { statistic } = this.app.state;
    return this.of(["layers of", run, statistic], this.app.overviewRevision, () => model.layers(run, statistic));
  }

  parameter() {
    const { app, part } = this;
    const parameter = app.parameter ?? "";
    return this.of(["parameter", parameter, part], app.revisions.layers, () => model.parameter(app.run, parameter, part));
  }

  /** @param {number} [most] steps */
  histogram(most = 500) {
    const { app } = this;
    const parameter = app.parameter ?? "";
    return this.of(["histogram", parameter, most], app.revisions.histograms, () => model.histogram(app.run, parameter, { most }));
  }

  curvature() {
    return this.of("curvature", this.app.revisions.curvature, () => model.curvature(this.app.run));
  }

  /** @param {number} step at which there is one */
  density(step) {
    return this.of(["density", step], this.app.revisions.curvature, () => model.density(this.app.run, step));
  }

  findings() {
    return this.of("findings", this.app.revisions.landscape, () => model.findings(this.app.run));
  }

  /** Rules that the writer did not watch look at all that is logged. */
  alerts() {
    const { app } = this;
    const { revisions } = app;
    const judged = app.watched ? revisions.alerts : Object.values(revisions).join(" ");
    return this.of("alerts", judged, () => model.alerts(app.run).then((answer) => {
      app.watched = answer.watched;
      return answer;
    }));
  }

  notes() {
    return this.of("notes", this.app.revisions.notes, () => model.notes(this.app.run));
  }

  /** @param {string} a @param {string} b */
  settings(a, b) {
    return this.of(["settings", a, b], this.app.overviewRevision, () => model.settings(a, b));
  }

  /** @param {string} a @param {string} b */
  compare(a, b) {
    const { statistic } = this.app.state;
    return this.of(["compare", a, b, statistic], this.app.overviewRevision, () => model.compare(a, b, statistic));
  }
}
