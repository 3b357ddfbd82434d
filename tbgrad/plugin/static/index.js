/** Wires the views to the data: decides what to fetch when, and draws only what has changed. */

import { alignSteps, resetZoom, setExtent, setTheme } from "./chart.js";
import { element } from "./dom.js";
import { followTheme, Host } from "./host.js";
import * as model from "./model.js";
import { setTables } from "./tables.js";
import { AlertsView } from "./views/alerts.js";
import { CurvatureView } from "./views/curvature.js";
import { NoGradientsView, noRuns } from "./views/empty.js";
import { LandscapeView } from "./views/landscape.js";
import { LayersView } from "./views/layers.js";
import { NormView } from "./views/norm.js";
import { ParameterView } from "./views/parameter.js";
import { RunView } from "./views/run.js";
import { OtherScalarsView, ScalarView } from "./views/scalars.js";

const POLL_MILLISECONDS = 3000;

class App {
  constructor() {
    const onSelect = (name) => this.selectParameter(name);
    this.summary = new RunView({ onRun: (name) => this.selectRun(name), onAlerts: () => this.alerts.reveal(), onFindings: () => this.landscape.box.scrollIntoView() });
    this.scalar = new ScalarView();
    this.norm = new NormView();
    this.layers = new LayersView({ onSelect, onStatistic: (name) => this.selectStatistic(name) });
    this.details = new ParameterView({ onSelect });
    this.curvature = new CurvatureView();
    this.others = new OtherScalarsView();
    this.board = element("main", { id: "board" });
    this.landscape = new LandscapeView({
      onShown: (count) => {
        this.board.classList.toggle("surfaced", count > 0);
        this.summary.drawFindings(count);
      },
    });
    this.alerts = new AlertsView({
      onSelect: (name) => this.showParameter(name),
      onShown: (shown) => this.board.classList.toggle("alerted", shown),
    });
    this.board.append(
      this.alerts.box, this.scalar.box, this.norm.box, this.layers.box, this.details.box, this.curvature.box,
      this.landscape.box,
    );
    this.absence = new NoGradientsView();
    this.without = element("main", { id: "without" }, this.absence.box, this.others.box);
    this.nothing = element("main", { id: "nothing" }, noRuns());
    this.show(null);
    document.body.append(this.summary.box, this.board, this.without, this.nothing);

    this.run = null;
    this.parameter = null;
    this.statistic = "norm";
    /** What was fetched for the run, by view; `seen` holds the revision each was fetched at. */
    this.data = {};
    this.seen = {};
    /** What each view has drawn. */
    this.shown = {};
    this.busy = null;
    this.again = false;
  }

  show(main) {
    if (main === this.board || main === this.without) {
      const before = main === this.board ? this.scalar.box : this.absence.box;
      if (this.alerts.box.parentNode !== main) main.insertBefore(this.alerts.box, before);
    }
    for (const page of [this.board, this.without, this.nothing]) page.hidden = page !== main;
  }

  selectRun(name) {
    this.run = name;
    this.data = {};
    this.seen = {};
    this.details.chosen = null;
    this.alerts.clear();
    resetZoom();
    return this.refresh();
  }

  selectParameter(name) {
    if (name === this.parameter) return undefined;
    this.parameter = name;
    this.layers.mark(name);
    this.alerts.mark(name);
    if (this.data.layers) this.details.options(this.data.layers.parameters, name);
    return this.refresh();
  }

  /** Selects a parameter from afar and brings the map with its row into view. */
  showParameter(name) {
    this.layers.box.scrollIntoView({ block: "nearest" });
    return this.selectParameter(name);
  }

  selectStatistic(name) {
    this.statistic = name;
    return this.refresh();
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

  async work() {
    try {
      const runs = await model.runs();
      if (!runs.some(({ name }) => name === this.run)) this.run = preferred(runs);
      this.summary.runs(runs, this.run);
      if (this.run === null) {
        this.show(this.nothing);
        this.summary.say(null);
        return;
      }
      await this.update(await model.status(this.run));
      this.summary.say(null);
    } catch (error) {
      this.summary.say(`${error.message}. Trying again every few seconds.`);
      if (!(error instanceof Error) || error.name !== "Error") console.error(error);
    }
  }

  async update(status) {
    const run = this.run;
    const { revisions } = status;
    // Rules that the writer did not watch look at all that is logged.
    const judged = this.data.alerts?.watched ? revisions.alerts : Object.values(revisions).join(" ");
    if (!status.gradients) {
      this.show(this.without);
      const tags = status.scalar_tags.slice(0, OtherScalarsView.MOST);
      await Promise.all([
        this.fetch("others", `${revisions.scalars}`, () => (tags.length ? model.scalars(run, tags) : { series: [] })),
        this.fetch("alerts", judged, () => model.alerts(run)),
      ]);
      if (run !== this.run) return;
      this.measure();
      this.absence.draw(tags.length > 0);
      this.draw("others", () => this.others.draw(this.data.others.series, run));
      this.draw("alerts", () => this.alerts.draw(this.data.alerts, [], null));
      this.summary.drawFindings(0);
      this.summary.draw(status, this.data.others.series, []);
      this.summary.drawAlerts(this.data.alerts.alerts, this.data.alerts.rules, this.data.alerts.stories);
      this.summary.drawNotes({ notes: [], ended: null, stored: 0 }, this.data.alerts.problems, this.data.alerts.sampled, this.data.alerts.not_judged);
      return;
    }
    this.show(this.board);
    await Promise.all([
      this.fetch("scalars", revisions.scalars, () => model.scalars(run)),
      this.fetch("layers", `${revisions.layers} ${this.statistic}`, () => model.layers(run, this.statistic)),
      this.fetch("curvature", revisions.curvature, () => model.curvature(run)),
      this.fetch("findings", revisions.landscape, () => model.findings(run)),
      this.fetch("alerts", judged, () => model.alerts(run)),
      this.fetch("notes", revisions.notes, () => model.notes(run)),
    ]);
    if (run !== this.run) return;
    const names = this.data.layers.parameters.map(({ name }) => name);
    if (!names.includes(this.parameter)) this.parameter = names[0] ?? null;
    const parameter = this.parameter;
    this.measure();
    this.draw("scalars", () => {
      this.scalar.draw(this.data.scalars.series, run);
      this.norm.draw(this.data.scalars.series, run);
    });
    this.draw("alerts", () => {
      this.alerts.draw(this.data.alerts, names, parameter);
      this.layers.flag(this.data.alerts.alerts);
    }, this.data.layers);
    this.draw("layers", () => {
      this.layers.draw(this.data.layers, parameter, run);
      this.details.options(this.data.layers.parameters, parameter);
    });
    this.draw("curvature", () => this.curvature.draw(this.data.curvature, run));
    this.summary.draw(status, this.data.scalars.series, this.data.curvature.estimates);
    this.summary.drawAlerts(this.data.alerts.alerts, this.data.alerts.rules, this.data.alerts.stories);
    const problems = ["layers", "curvature", "findings", "alerts"].flatMap((view) => this.data[view].problems);
    const sampled = this.data.layers.sampled || this.data.alerts.sampled || this.data.scalars.series.some((one) => one.sampled);
    this.summary.drawNotes(this.data.notes, problems, sampled, this.data.alerts.not_judged);
    const surface = this.landscape.update(run, this.data.findings);
    if (parameter === null) return void (await surface);
    await Promise.all([
      surface,
      this.fetch("parameter", `${revisions.layers} ${parameter}`, () => model.parameter(run, parameter)),
      this.fetch("histogram", `${revisions.histograms} ${parameter}`, () => model.histogram(run, parameter)),
    ]);
    if (run !== this.run || parameter !== this.parameter) return;
    this.draw("parameter", () => this.details.drawCurve(this.data.parameter, this.statistic, `${run} ${parameter}`), this.statistic);
    this.draw("histogram", () => this.details.drawHistogram(this.data.histogram, `${run} ${parameter}`));
    await alignSteps();
  }

  /** Tells the charts which steps the run has. */
  measure() {
    const { scalars, layers, curvature, others } = this.data;
    const lists = [...(scalars ?? others).series.map(({ steps }) => steps)];
    if (layers) lists.push(layers.first_steps, layers.steps);
    if (curvature) lists.push(curvature.estimates.map(({ step }) => step));
    const ends = lists.filter((steps) => steps.length).flatMap((steps) => [steps[0], steps.at(-1)]);
    setExtent(Math.min(...ends, ...(ends.length ? [] : [0])), Math.max(...ends, ...(ends.length ? [] : [1])));
  }

  async fetch(view, revision, request) {
    if (this.seen[view] === revision && this.data[view]) return;
    const data = await request();
    this.data[view] = data;
    this.seen[view] = revision;
  }

  /** Draws a view unless it shows this very data already. */
  draw(view, action, variant = "") {
    const { data, variant: before } = this.shown[view] ?? {};
    if (data === this.data[view] && before === variant) return;
    action();
    this.shown[view] = { data: this.data[view], variant };
  }

  /** Draws everything anew, in the colours of another theme. */
  redraw() {
    this.shown = {};
    this.landscape.forget();
    if (this.run !== null) this.refresh();
  }
}

/** The newest run with gradients, or else the newest run; null where there is none. */
function preferred(runs) {
  const rank = (run) => [run.gradients ? 1 : 0, run.last_wall_time ?? 0];
  const better = (a, b) => rank(b)[0] - rank(a)[0] || rank(b)[1] - rank(a)[1];
  return [...runs].sort(better)[0]?.name ?? null;
}

/** Whether anybody can see the tab: TensorBoard hides the frame of a tab that is not chosen. */
const visible = () => !document.hidden && document.documentElement.clientWidth > 0;

/** Called by TensorBoard. */
export async function render() {
  document.title = "Gradients";
  document.documentElement.lang = "en";
  const style = element("link", { rel: "stylesheet", href: new URL("style.css", import.meta.url).href });
  const styled = new Promise((resolve) => style.addEventListener("load", resolve, { once: true }));
  document.head.append(style);
  let app = null;
  followTheme((theme) => {
    document.documentElement.dataset.theme = theme;
    setTheme(theme);
    app?.redraw();
  });
  try {
    const [tables] = await Promise.all([model.tables(), styled, model.loadPlotly()]);
    setTables(tables);
  } catch (error) {
    document.body.append(element("p", { class: "message", role: "alert" }, error.message));
    return;
  }
  app = new App();
  const host = new Host();
  host.on("DataReloaded", () => app.refresh());
  host.on("RunsChanged", () => app.refresh());
  setInterval(() => visible() && app.refresh(), POLL_MILLISECONDS);
  window.addEventListener("resize", () => visible() && app.refresh());
  await app.refresh();
}
