/** What was found around the weights, and where trainings went: one finding at a time. */

import { element, fill } from "../dom.js";
import { addTools, panel } from "../panel.js";
import { clean, count } from "../format.js";
import * as model from "../model.js";
import { CheckView } from "./check.js";
import { LineView } from "./line.js";
import { PathsView } from "./paths.js";
import { PlaneView } from "./plane.js";
import { PointsView } from "./points.js";

/** @typedef {import("../../types.d.ts").App} App */
/** @typedef {import("../../types.d.ts").Findings} Findings */

const TRAJECTORIES = "trajectories";
const WAITING = "looking where the runs went …";
/** So long what was shown before may stay. */
const PATIENCE_MILLISECONDS = 400;
/** @param {string} name */
const chosenFinding = (name) => `finding ${name}`;

export class LandscapeView {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.select = element("select", { "aria-label": "which finding is shown", hidden: true });
    const parts = panel("landscape", "Landscape", this.select);
    const { box, body, hint, legend } = parts;
    addTools(parts);
    this.box = box;
    this.body = body;
    this.hint = hint;
    this.legend = legend;
    const again = () => this.show();
    this.paths = new PathsView({ onChange: again });
    this.points = new PointsView({ onPoint: (number) => this.choosePoint(number) });
    /** @type {Record<string, any>} */
    this.kinds = {
      plane: new PlaneView(), line: new LineView(), "critical points": this.points,
      "gradient check": new CheckView(), [TRAJECTORIES]: this.paths,
    };
    this.message = element("p", { class: "empty", hidden: true });
    body.append(this.message, ...Object.values(this.kinds).map((kind) => kind.box));
    for (const { controls } of Object.values(this.kinds)) if (controls) this.select.before(controls);
    this.select.addEventListener("change", () => {
      this.wanted = this.select.value;
      this.point = 1;
      this.show();
    });
    /** What is chosen, where the run has it; of critical points which one. */
    /** @type {string | null} */
    this.wanted = null;
    /** @type {Findings | undefined} */
    this.data = undefined;
    this.run = "";
    /** What is shown. @type {string | null} */
    this.drawn = null;
    this.point = 1;
    this.forget();
  }

  /** @param {App} app */
  wants(app) {
    return { findings: app.ask.findings() };
  }

  /** @param {App} app @param {{findings: Findings}} answers */
  draw(app, { findings }) {
    this.forget();
    return this.update(app.run, findings);
  }

  /** Draws everything anew at the next look, as in the colours of another theme. */
  forget() {
    this.drawn = null;
  }

  /**
   * Shows what there is of a run.
   * @param {string} run
   * @param {Findings} data
   */
  update(run, data) {
    if (run !== this.run) this.paths.clear();
    this.run = run;
    this.data = data;
    const items = data.findings.map(({ name, kind }) => ({ value: chosenFinding(name), label: clean(name), title: kind }));
    if (data.trajectories) items.push({ value: TRAJECTORIES, label: TRAJECTORIES, title: "of this run beside others" });
    this.select.hidden = items.length === 0;
    this.box.classList.toggle("bare", items.length === 0);
    if (items.length === 0) {
      this.drawn = null;
      this.say(data.nothing.join(" "));
      return undefined;
    }
    this.item = items.some(({ value }) => value === this.wanted) ? this.wanted : items[0].value;
    fill(this.select, items, this.item);
    return this.show();
  }

  /** @param {number} number */
  choosePoint(number) {
    this.point = number;
    return this.show();
  }

  /** Fetches and draws what is chosen, unless it is what is shown. */
  async show() {
    const { run, data } = this;
    if (!data) return;
    this.item = [...this.select.options].some(({ value }) => value === this.wanted) ? this.wanted : this.item;
    const paths = this.item === TRAJECTORIES;
    const found = data.findings.find(({ name }) => chosenFinding(name) === this.item);
    if (!paths && !found) return;
    const what = paths || !found ? [data.trajectories, ...this.paths.key()] : [found.step, found.wall_time, this.point];
    const key = JSON.stringify([run, this.item, ...what]);
    if (key === this.drawn) return;
    this.drawn = key;
    const slow = setTimeout(() => key === this.drawn && this.say(WAITING), PATIENCE_MILLISECONDS);
    try {
      const one = paths || !found ? null : await model.finding(run, found.name, this.point);
      const answer = one ?? await this.paths.fetch(run);
      if (key !== this.drawn) return;
      this.drawOne(one?.kind ?? TRAJECTORIES, answer, `${run} ${this.item}`);
    } catch (error) {
      if (!(error instanceof Error) || error.name !== "Error") throw error;
      if (key !== this.drawn) return;
      this.drawn = null;
      this.say(`${error.message}.`.replace(/\.\.$/, "."));
    } finally {
      clearTimeout(slow);
    }
  }

  /** @param {string} kind @param {any} answer @param {string} revision */
  drawOne(kind, answer, revision) {
    this.reveal(kind);
    const step = answer.step === undefined ? [] : [`logged at step ${count(answer.step)}`];
    this.hint.textContent = [...(answer.headline ? [clean(answer.headline)] : []), ...step].join(", ");
    this.kinds[kind].draw(answer, { legend: this.legend, revision });
  }

  /** @param {string} words */
  say(words) {
    this.reveal(null);
    this.hint.textContent = "";
    this.message.textContent = words;
  }

  /** @param {string | null} kind */
  reveal(kind) {
    this.message.hidden = kind !== null;
    this.legend.replaceChildren();
    for (const [name, view] of Object.entries(this.kinds)) {
      view.box.hidden = name !== kind;
      if (view.controls) view.controls.hidden = name !== kind;
    }
  }
}
