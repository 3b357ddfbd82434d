/** The header: which run, and where it stands, in words. */

import { element, fill } from "../dom.js";
import { age, clean, count, measured, number } from "../format.js";
import { toNumber } from "../model.js";
import { tally } from "../severity.js";
import { scalar } from "../tables.js";

const SAMPLED =
  "This run is long: TensorBoard keeps a random part of its records, so a single peak may be missing. " +
  "To keep more, start it with --samples_per_plugin scalars=50000,tbgrad=20000";

/** Two clocks may differ by as much and nothing is said of it. */
const AHEAD_SECONDS = 60;

/** The style of how a run stands. */
const STATES = { slow: "warn", silent: "warn", interrupted: "warn", failed: "bad" };

export class RunView {
  /** @param {{onRun: (name: string) => void, onAlerts: () => void, onFindings: () => void}} events */
  constructor({ onRun, onAlerts, onFindings }) {
    this.select = element("select", { id: "run" });
    this.select.addEventListener("change", () => onRun(this.select.value));
    this.facts = element("dl", { "aria-live": "off" });
    this.alerts = element("button", { type: "button", id: "tally", "aria-live": "polite", hidden: true });
    this.alerts.addEventListener("click", onAlerts);
    this.findings = element("button", { type: "button", id: "findings", title: "show the landscape below", hidden: true });
    this.findings.addEventListener("click", onFindings);
    this.story = element("p", { class: "story-line", hidden: true });
    this.message = element("p", { class: "message", role: "status", hidden: true });
    this.notes = element("details", { class: "notes", hidden: true }, element("summary", {}), element("ul", {}));
    const label = element("label", { for: "run" }, "Run");
    this.ended = element("span", { class: "badge", hidden: true });
    this.ended.dataset.severity = "error";
    this.box = element("header", { id: "summary" }, element("div", { class: "bar" }, label, this.select, this.ended, this.alerts, this.findings, this.facts), this.story, this.message, this.notes);
    this.wallTime = null;
    setInterval(() => this.tick(), 1000);
  }

  runs(runs, selected) {
    const options = runs.map(({ name, gradients }) => ({
      value: name,
      label: name === "." ? ". (the log directory itself)" : clean(name) + (gradients ? "" : " (no gradients)"),
    }));
    fill(this.select, options, selected ?? "");
    this.box.querySelector(".bar").hidden = runs.length === 0;
  }

  /** @param {string | null} sentence what is wrong, null when all is well */
  say(sentence) {
    this.message.hidden = !sentence;
    this.message.textContent = sentence ?? "";
  }

  draw(status, series, estimates) {
    const { state } = status;
    this.wallTime = state && !state.alive ? null : status.last_wall_time;
    const last = (tag) => {
      const values = series.find((s) => s.tag === tag)?.values ?? [];
      return values.length ? toNumber(values.at(-1)) : null;
    };
    const facts = [["step", status.last_step === null ? "–" : count(status.last_step)]];
    if (state) {
      facts.unshift(["state", clean(state.words), STATES[state.status] ?? "", about(state)]);
      if (state.alive && state.epochs) facts.push(["epoch", `${count(state.epoch)} of ${count(state.epochs)}`]);
    }
    for (const [tag, digits] of [["loss", 4], ["val_loss", 4], ["gradient/norm", 3]]) {
      const value = last(tag);
      if (value !== null) facts.push([scalar(tag).label, number(value, digits), Number.isFinite(value) ? "" : "bad"]);
    }
    const newest = estimates.at(-1);
    if (newest) {
      const { value, residual } = newest.eigenvalues[0];
      const doubt = newest.converged ? "" : ", not converged";
      const style = newest.converged ? "" : "warn";
      facts.push(["λmax", measured(toNumber(value), toNumber(residual)) + doubt, style]);
      const bounded = newest.preconditioned;
      if (bounded) facts.push(["preconditioned λmax", measured(toNumber(bounded.value), toNumber(bounded.residual)), style]);
      facts.push(stability(toNumber(newest.stability), newest.standing));
    }
    this.updated = element("dd", {});
    this.facts.replaceChildren(
      ...facts.filter(Boolean).map(([name, value, style, title]) =>
        element("div", { class: style || undefined, title }, element("dt", {}, name), element("dd", {}, value)),
      ),
      ...(this.wallTime ? [element("div", { class: "updated" }, element("dt", {}, "updated"), this.updated)] : []),
    );
    this.tick();
  }

  /** How many alerts are open, and what began it; says nothing where nobody looked for any. */
  drawAlerts(alerts, rules, stories) {
    const begun = stories.find(({ is_open: open }) => open);
    this.story.hidden = begun === undefined;
    this.story.textContent = begun ? clean(begun.headline) : "";
    this.alerts.hidden = alerts.length === 0 && rules.length === 0;
    this.alerts.disabled = alerts.length === 0;
    this.alerts.title = alerts.length ? "show the alerts" : `watched for: ${rules.map(clean).join(", ")}`;
    const open = tally(alerts.filter(({ state }) => state === "open"));
    const said = open.map(([, text]) => text).join(", ") || (alerts.length ? "no open alerts" : "no alerts");
    if (said === this.alerts.ariaLabel) return;
    this.alerts.ariaLabel = said;
    const badges = open.map(([severity, text]) => {
      const badge = element("span", { class: "badge" }, text);
      badge.dataset.severity = severity;
      return badge;
    });
    this.alerts.replaceChildren(...(badges.length ? badges : [said]));
  }

  /** How much there is to be seen below of the surface around the weights. */
  drawFindings(amount) {
    this.findings.hidden = amount === 0;
    this.findings.textContent = `landscape: ${count(amount)} ↓`;
  }

  tick() {
    if (!this.updated || !this.wallTime) return;
    const seconds = Date.now() / 1000 - this.wallTime;
    const words = seconds < -AHEAD_SECONDS ? `dated ${age(-seconds)} ahead of this clock` : `${age(seconds)} ago`;
    if (this.updated.textContent !== words) this.updated.textContent = words;
  }

  drawNotes({ notes, ended, stored }, problems, sampled, notJudged) {
    this.ended.hidden = ended === null;
    this.ended.textContent = ended === null ? "" : `the monitoring ended at step ${count(ended)}`;
    const lines = [
      ...(sampled ? [SAMPLED] : []),
      ...notJudged.map((text) => `Not judged: ${clean(text)}`),
      ...problems.map((text) => `Could not be read: ${clean(text)}`),
      ...(stored > notes.length ? [`${count(stored - notes.length)} older notes are not listed`] : []),
      ...notes.map(({ step, text }) => `Step ${count(step)}: ${clean(text)}`),
    ];
    this.notes.hidden = lines.length === 0;
    const [summary, list] = this.notes.children;
    summary.textContent = lines.length === 1 ? lines[0] : `${lines.length} notes; the newest: ${lines.at(-1) ?? ""}`;
    list.replaceChildren(...lines.map((line) => element("li", {}, line)));
  }
}

/** What else a writer says of itself, a line each. */
function about(state) {
  const lines = [
    [state.host, state.pid && `process ${state.pid}`].filter(Boolean).join(", "),
    state.steps ? `${count(state.steps)} steps planned` : "",
    ...Object.entries(state.hparams).map(([name, value]) => `${name}: ${value ?? "NaN"}`),
    ...Object.entries(state.versions).map(([name, version]) => `${name} ${version}`),
    state.resources_words,
  ];
  return lines.filter(Boolean).map(clean).join("\n");
}

function stability(value, standing) {
  if (!Number.isFinite(value)) return ["stability", "limit unknown"];
  if (standing === "below") return ["stability", `${number(100 * value, 2)} % of the limit: stable`];
  const times = `${value < 10 ? value.toFixed(2) : number(value)} × the limit`;
  return standing === "at"
    ? ["stability", `${times}: at the edge of stability`, "warn"]
    : ["stability", `${times}: unstable`, "bad"];
}
