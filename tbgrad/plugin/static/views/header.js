/** The head of the tab: the views, the run in front, where it stands and what is wrong with it. */

import { element, fill } from "../dom.js";
import { age, clean, count, number } from "../format.js";
import * as host from "../host.js";
import { showKeys } from "../keys.js";
import { toHash } from "../pure/address.js";
import { natural } from "../pure/natural.js";
import { tally } from "../severity.js";
import { VIEWS } from "../views.js";

const SAMPLED =
  "This run is long: TensorBoard keeps a random part of its records, so that what happened between them may be missing; " +
  "what is logged of every step is whole. --samples_per_plugin keeps more of them, and takes memory for it.";

/** Two clocks may differ by as much and nothing is said of it. */
const AHEAD_SECONDS = 60;

/** The style of how a run stands. @type {Record<string, string>} */
export const STATES = { slow: "warn", silent: "warn", interrupted: "warn", failed: "bad" };

export class Header {
  /** @param {import("../../types.d.ts").App} app */
  constructor(app) {
    this.app = app;
    this.tabs = VIEWS.map(({ name, title, key }) => {
      const tab = element("button", { type: "button", class: "tab", title: `${title} (${key})`, "data-view": name }, title);
      tab.addEventListener("click", () => app.change({ view: name }));
      return tab;
    });
    this.select = /** @type {HTMLSelectElement} */ (element("select", { id: "run" }));
    this.select.addEventListener("change", () => app.change({ run: this.select.value, ...(app.view.ofRun ? {} : { view: "run" }) }));
    this.facts = element("dl", {});
    this.alerts = element("button", { type: "button", id: "tally", "aria-live": "polite", hidden: true });
    this.alerts.addEventListener("click", () => app.change({ view: "alerts" }));
    this.findings = element("button", { type: "button", id: "findings", class: "plain", title: "show the landscape (8)", hidden: true });
    this.findings.addEventListener("click", () => app.change({ view: "landscape" }));
    const link = element("button", { type: "button", class: "plain", title: "copy an address that shows this very picture" }, "copy link");
    link.addEventListener("click", () => this.copy(link));
    const keys = element("button", { type: "button", class: "plain", title: "keys (?)", "aria-label": "keys" }, "?");
    keys.addEventListener("click", showKeys);
    this.message = element("p", { class: "message", role: "status", hidden: true });
    this.notes = /** @type {HTMLDetailsElement} */ (element("details", { class: "notes", hidden: true }, element("summary", {}), element("ul", {})));
    this.ended = element("span", { class: "badge", hidden: true });
    this.ended.dataset.severity = "error";
    this.verdict = element("div", { id: "verdict", hidden: true });
    this.bar = element("div", { class: "bar" }, element("label", { for: "run" }, "Run"), this.select, this.ended, this.alerts, this.findings, this.facts);
    this.box = element(
      "header", { id: "summary" }, element("h1", { class: "unseen" }, "Gradients"),
      element("div", { class: "top" }, element("nav", { "aria-label": "views" }, ...this.tabs), link, keys),
      this.bar, this.verdict, this.message, this.notes,
    );
    /** What is listed, as a key each. */
    this.said = "";
    this.noted = "";
    /** @type {number | null} */
    this.wallTime = null;
    setInterval(() => this.tick(), 1000);
  }

  /** Puts the address of what is shown on the clipboard. @param {HTMLElement} button */
  async copy(button) {
    const address = host.link(toHash(host.hash(), { ...this.app.state, view: this.app.view.name, run: this.app.run }));
    // A frame in a page of another origin may not write there, and the browser complains where it tries.
    const policy = /** @type {any} */ (document).featurePolicy;
    try {
      if (policy?.allowsFeature("clipboard-write") === false) throw new Error("not allowed");
      await navigator.clipboard.writeText(address);
      button.textContent = "copied";
    } catch {
      // Nor may a page without a secure connection.
      showAddress(address);
    }
    setTimeout(() => (button.textContent = "copy link"), 2000);
  }

  /** @param {string | null} sentence what is wrong, null when all is well */
  say(sentence) {
    this.message.hidden = !sentence;
    this.message.textContent = sentence ?? "";
  }

  /** @param {import("../../types.d.ts").App} app */
  draw({ runs, run, status, view }) {
    for (const tab of this.tabs) {
      if (tab.dataset.view === view.name) tab.setAttribute("aria-current", "page");
      else tab.removeAttribute("aria-current");
    }
    const options = [...runs.runs].sort((a, b) => natural(a.name, b.name)).map(({ name, gradients }) => ({
      value: name,
      label: name === "." ? ". (the log directory itself)" : clean(name) + (gradients ? "" : " (no gradients)"),
    }));
    fill(this.select, options, run ?? "");
    this.bar.hidden = run === null;
    this.verdict.hidden = run === null;
    if (run === null) return;
    const row = runs.runs.find(({ name }) => name === run);
    if (row) this.drawFacts(row, status);
    this.drawVerdict(runs.verdict?.run === run ? runs.verdict : null);
  }

  /** @param {import("../../types.d.ts").Row} row @param {import("../../types.d.ts").Status} status */
  drawFacts(row, status) {
    const { state } = status;
    this.wallTime = state && !state.alive ? null : status.last_wall_time;
    const facts = [["step", status.last_step === null ? "–" : count(status.last_step)]];
    if (state) {
      facts.unshift(["state", clean(state.words), STATES[state.status] ?? "", about(state)]);
      if (state.alive && state.epochs) facts.push(["epoch", `${count(state.epoch)} of ${count(state.epochs)}`]);
    }
    if (row) {
      if (row.seconds_left !== null) facts.push(["left", age(row.seconds_left)]);
      facts.push(...numbersOf(row).filter(([, words]) => words !== "–"));
    }
    this.updated = element("dd", {});
    this.facts.replaceChildren(
      ...facts.map(([name, value, style, title]) =>
        element("div", { class: style || undefined, title }, element("dt", {}, name), element("dd", {}, value)),
      ),
      ...(this.wallTime ? [element("div", { class: "updated" }, element("dt", {}, "updated"), this.updated)] : []),
    );
    this.tick();
  }

  /** What began it and what to do: the words of the terminal app. @param {import("../../types.d.ts").Verdict | null} verdict */
  drawVerdict(verdict) {
    const words = verdict?.words ?? [];
    this.verdict.hidden = words.length === 0 || this.app.view.name === "overview";
    this.verdict.replaceChildren(...words.map(({ label, text, look }) => element("p", { class: look }, ...(label ? [element("span", { class: "label" }, label)] : []), clean(text))));
  }

  /** How many alerts are open; says nothing where nobody looked for any. @param {{alerts: import("../../types.d.ts").Alert[], rules: string[]}} given */
  drawAlerts({ alerts, rules }) {
    this.alerts.hidden = alerts.length === 0 && rules.length === 0;
    this.alerts.title = alerts.length ? "show the alerts (a)" : `watched for: ${rules.map(clean).join(", ")}`;
    const open = tally(alerts.filter(({ state }) => state === "open"));
    const said = open.map(([, text]) => text).join(", ") || (alerts.length ? "no open alerts" : "no alerts");
    if (said === this.said) return;
    this.said = said;
    const badges = open.map(([severity, text]) => {
      const badge = element("span", { class: "badge" }, text);
      badge.dataset.severity = severity;
      return badge;
    });
    this.alerts.replaceChildren(...(badges.length ? badges : [said]));
  }

  /** How much there is to be seen of the surface around the weights. @param {number} amount */
  drawFindings(amount) {
    this.findings.hidden = amount === 0;
    this.findings.textContent = `landscape: ${count(amount)}`;
  }

  tick() {
    if (!this.updated || !this.wallTime) return;
    const seconds = Date.now() / 1000 - this.wallTime;
    const words = seconds < -AHEAD_SECONDS ? `dated ${age(-seconds)} ahead of this clock` : `${age(seconds)} ago`;
    if (this.updated.textContent !== words) this.updated.textContent = words;
  }

  /** @param {{notes: import("../../types.d.ts").Notes["notes"], ended: number | null, stored: number}} given @param {{not_judged: string[]}} beside @param {string[]} problems @param {boolean} sampled */
  drawNotes({ notes, ended, stored }, { not_judged: notJudged }, problems, sampled) {
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
    const key = JSON.stringify(lines);
    if (key === this.noted) return;
    this.noted = key;
    const [summary, list] = this.notes.children;
    summary.textContent = lines.length === 1 ? lines[0] : `${lines.length} notes; the newest: ${lines.at(-1) ?? ""}`;
    list.replaceChildren(...lines.map((line) => element("li", {}, line)));
  }
}

/** Shows an address, chosen to be copied by hand. @param {string} address */
function showAddress(address) {
  const field = element("input", { type: "text", readonly: true, value: address, "aria-label": "the address of this picture" });
  const close = element("button", { type: "button" }, "close");
  const dialog = element("dialog", { class: "address", "aria-label": "link" }, element("p", {}, "This page may not write to the clipboard. Copy the address of this picture here (Ctrl+C):"), field, close);
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  field.select();
}

/** Loss, norm and stability of a row of the overview: [name, words, style, title]. @param {import("../../types.d.ts").Row} row */
export function numbersOf(row) {
  /** @param {import("../../types.d.ts").Num | undefined} value @param {number} digits */
  const told = (value, digits) => (value === null || value === undefined ? "–" : number(model(value), digits));
  /** @param {import("../../types.d.ts").Num | undefined} value */
  const style = (value) => (value === null || Number.isFinite(model(value)) ? "" : "bad");
  return [
    ["loss", told(row.loss, 4), style(row.loss)],
    ["validation loss", told(row.val_loss, 4), style(row.val_loss)],
    ["gradient norm", told(row.norm, 3), style(row.norm)],
    ["update/weight", told(row.update_ratio, 2), style(row.update_ratio)],
    stability(row),
  ];
}

/** @param {import("../../types.d.ts").Num | undefined} value */
const model = (value) => (value === "inf" ? Infinity : value === "-inf" ? -Infinity : Number(value));

/** @type {Record<string, string>} */
export const STANDINGS = { at: "warn", beyond: "bad" };
/** @type {Record<string, string>} */
const STANDING_WORDS = { below: "stable", at: "at the edge of stability", beyond: "unstable" };

/** Largest eigenvalue over the limit; muted with its age where it says nothing of now. @param {{stability: import("../../types.d.ts").Num | undefined, standing: string, stability_age: number, stale: boolean}} given */
export function stability({ stability: value, standing, stability_age: old, stale }) {
  const name = "λ/limit";
  if (value === null || value === undefined) return [name, "–", ""];
  const share = model(value);
  const times = share < 10 ? share.toFixed(2) : number(share);
  if (stale) return [name, `${times}, stale: ${count(old)} steps ago`, "quiet", "the estimate is too old to tell of now, or the loss or the gradient was lost since"];
  const words = STANDING_WORDS[standing] ?? "";
  return [name, words ? `${times}: ${words}` : times, STANDINGS[standing] ?? ""];
}

/** What else a writer says of itself, a line each. @param {import("../../types.d.ts").State} state */
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
