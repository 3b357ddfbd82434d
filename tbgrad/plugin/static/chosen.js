/** The alert that the user looks at: its steps, and where it begins, are drawn in every chart. */

import { number } from "./format.js";
import { keyOf } from "./severity.js";

export class Chosen {
  /** @param {import("../types.d.ts").App} app */
  constructor(app) {
    this.app = app;
  }

  /** The alert that was clicked, null where none was. */
  get alert() {
    return this.app.alerts?.alerts.find((alert) => keyOf(alert) === this.app.state.alert) ?? null;
  }

  /** From where on the chosen alert applies, in a chart of what shows it. @param {...string} shown tags, or a statistic */
  thresholds(...shown) {
    const alert = this.alert;
    const y = alert && shown.includes(alert.shows) ? alert.threshold : null;
    return y === null || alert === null ? [] : [{ y, label: `${alert.rule}: alert`, words: `alert: ${number(y)}` }];
  }

  /** Shows where an alert is seen: its steps, its row, its statistic. @param {import("../types.d.ts").Alert} alert */
  select(alert) {
    const { app } = this;
    if (app.state.alert === keyOf(alert)) return app.change({ alert: null, range: null });
    const [first, last] = app.timeline.extent;
    const room = Math.max(0.25 * (alert.last_step - alert.first_step), 0.03 * (last - first), 2);
    const names = app.panels.layers?.names ?? [];
    const there = alert.parameters.find((name) => names.includes(name));
    // One that is on another page is found by its name.
    const parameter = there ?? (app.ask.many.has(app.run) ? alert.parameters[0] : undefined);
    const shows = alert.shows ?? "";
    /** @type {Partial<import("./pure/address.js").State>} */
    const patch = { alert: keyOf(alert), range: [Math.max(first - 0.5, alert.first_step - room), Math.min(last + 0.5, alert.last_step + room)], cursor: alert.first_step };
    if (parameter) patch.parameter = parameter;
    if (parameter && !there) Object.assign(patch, { find: parameter, row: 0 });
    if (app.status.scalar_tags.includes(shows)) patch.scalar = shows;
    else if (shows && !shows.includes("/")) patch.statistic = shows;
    return app.change(patch);
  }

  /** The steps of it, to be shaded. @returns {import("./timeline.js").StepBand[]} */
  get bands() {
    const { alert } = this;
    return alert ? [{ first: alert.first_step, last: Math.max(alert.last_step, alert.first_step), severity: alert.severity, chosen: true }] : [];
  }
}
