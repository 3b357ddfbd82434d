/** What is wrong, where and since when: open alerts first, those that are over quietly below. */

import { element } from "../dom.js";
import { clean, count, shorten } from "../format.js";
import { panel } from "../panel.js";
import { keyOf } from "../severity.js";

/** @typedef {import("../../types.d.ts").Alert} Alert */
/** @typedef {import("../../types.d.ts").Alerts} Alerts */
/** @typedef {import("../../types.d.ts").App} App */
/** @typedef {import("../../types.d.ts").Layers} Layers */

/** So many parameters of an alert have a button from the start. */
const LISTED = 6;
/** More closed alerts than this are folded away. */
const FEW = 3;
const NAME_LENGTH = 40;

export class AlertsView {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    const hide = element("button", { type: "button", class: "plain", title: "put the list away in the view of the run" }, "hide");
    const { box, body, hint } = panel("alerts", "Alerts", hide);
    this.box = box;
    this.hint = hint;
    this.hide = hide;
    this.stories = element("div", { class: "stories" });
    this.open = element("ul", {});
    this.closed = element("ul", {});
    this.folded = element("summary", {});
    this.fold = element("details", { class: "closed" }, this.folded, this.closed);
    this.rest = element("p", { class: "rest", hidden: true });
    this.none = element("p", { class: "rest", hidden: true });
    body.append(this.none, this.stories, this.open, this.fold, this.rest);
    body.tabIndex = 0;
    /** @type {Map<string, Item>} */
    this.items = new Map();
    /** @type {boolean | null} */
    this.many = null;
    /** Names of the parameters that can be selected. @type {Set<string>} */
    this.known = new Set();
    this.names = "";
    /** The run whose alerts are listed. */
    this.run = "";
    this.more = false;
    this.absent = false;
    /** Of which run the user has put the list away. @type {string | null} */
    this.away = null;
    hide.addEventListener("click", () => {
      this.away = app.run;
      app.refresh();
    });
  }

  /** @param {App} app */
  wants(app) {
    return { alerts: app.ask.alerts(), ...(app.status.gradients ? { layers: app.ask.layers() } : {}) };
  }

  /** @param {App} app */
  variant({ parameter, state, view, run }) {
    return [parameter, state.alert, view.name, this.away === run];
  }

  /** @param {App} app @param {{alerts: Alerts, layers?: Layers}} answers */
  draw(app, { alerts, layers }) {
    if (app.run !== this.run) {
      this.run = app.run;
      this.many = null;
      this.items.clear();
    }
    /** Whether there are layers that are not among those that are shown. */
    this.more = layers ? layers.all > layers.parameters.length : false;
    this.list(alerts, layers?.parameters.map(({ name }) => name) ?? [], app.parameter);
    const whole = app.view.name === "alerts";
    this.hide.hidden = whole;
    this.absent = !whole && (this.items.size === 0 || this.away === app.run);
    this.box.hidden = this.absent;
    app.board.classList.toggle("alerted", !this.box.hidden);
    this.none.hidden = this.items.size > 0;
    this.none.textContent = `Nothing is wrong as far as the rules can tell. Watched for: ${alerts.rules.map((rule) => rule.replaceAll("_", " ")).join(", ")}.`;
  }

  /**
   * @param {Alerts} data
   * @param {string[]} names of the parameters that can be selected
   * @param {string | null} selected
   */
  list({ alerts, stories, stored }, names, selected) {
    const known = JSON.stringify(names);
    if (known !== this.names) [this.names, this.known] = [known, new Set(names)];
    this.stories.replaceChildren(...stories.filter(({ is_open: open }) => open).map(told));
    const effects = new Set(stories.flatMap((story) => story.alerts.slice(1).map(([rule, first]) => keyOf({ rule, first_step: first }))));
    const before = this.items;
    this.items = new Map();
    for (const alert of alerts) {
      const key = keyOf(alert);
      const item = before.get(key) ?? new Item(alert, this.app);
      item.update(alert, this.known, this.more, selected);
      item.box.classList.toggle("effect", effects.has(key));
      item.when.setAttribute("aria-pressed", String(this.app.state.alert === key));
      this.items.set(key, item);
    }
    const [open, closed] = ["open", "closed"].map((state) =>
      [...this.items.values()].filter((item) => item.state === state).map((item) => item.box),
    );
    arrange(this.open, open);
    arrange(this.closed, closed);
    this.hint.textContent = open.length ? `${count(open.length)} open` : "none open";
    this.fold.hidden = closed.length === 0;
    this.folded.textContent = `${count(closed.length)} closed`;
    const many = closed.length > FEW;
    this.folded.hidden = !many;
    if (many !== this.many) this.fold.open = !many;
    this.many = many;
    this.rest.hidden = stored <= alerts.length;
    this.rest.textContent = `${count(stored - alerts.length)} more are in the log.`;
  }
}

/** What began it and what followed, and the one thing to change. @param {{headline: string, advice: string, next_advice: string, severity: string}} given */
function told({ headline, advice, next_advice: next, severity }) {
  const lines = [
    ...(advice ? [element("p", {}, element("b", {}, "Change first: "), clean(advice))] : []),
    ...(next ? [element("p", { class: "next" }, `If that is not it: ${clean(next)}`)] : []),
  ];
  const box = element("section", { class: "story" }, element("p", { class: "headline" }, clean(headline)), ...lines);
  box.dataset.severity = severity;
  return box;
}

/** One alert; what changes as it lasts is told anew, and what the user unfolded stays so. */
class Item {
  /** @param {Alert} alert @param {App} app */
  constructor(alert, app) {
    const { rule } = alert;
    this.alert = alert;
    this.state = alert.state;
    this.badge = element("span", { class: "badge" });
    this.when = element("button", { type: "button", class: "when", title: "show these steps in every chart, and back" });
    this.when.addEventListener("click", () => app.chosen.select(this.alert));
    this.evidence = element("p", { class: "evidence" });
    this.parameters = element("div", { class: "parameters" });
    this.why = element("details", {});
    this.box = element(
      "li", { class: "alert" },
      element("div", { class: "head" }, this.badge, element("b", {}, clean(rule)), this.when),
      this.evidence,
      this.parameters,
      this.why,
    );
    /** @type {string[]} */
    this.names = [];
    this.told = "";
    this.onSelect = (/** @type {string} */ name) => app.change(this.known.has(name) ? { parameter: name } : { parameter: name, find: name, row: 0 });
    this.all = false;
    this.more = false;
    /** @type {Set<string>} */
    this.known = new Set();
    /** @type {string | null} */
    this.selected = null;
  }

  /** @param {import("../../types.d.ts").Alert} alert @param {Set<string>} known @param {boolean} more @param {string | null} selected */
  update(alert, known, more, selected) {
    const { severity, state, first_step: first, last_step: last, evidence, parameters } = alert;
    this.alert = alert;
    this.state = state;
    this.box.dataset.severity = severity;
    this.box.dataset.state = state;
    this.badge.textContent = severity;
    const steps = first === last ? `step ${count(first)}` : `steps ${count(first)} to ${count(last)}`;
    this.when.textContent = `${state}, ${steps}`;
    const lasts = state === "open" && last > first;
    this.evidence.textContent = clean(evidence) + (lasts ? ` (as of step ${count(last)})` : "");
    this.explain(alert);
    if (this.known !== known || JSON.stringify(this.names) !== JSON.stringify(parameters)) {
      this.known = known;
      this.more = more;
      this.names = parameters;
      this.parameters.hidden = parameters.length === 0;
      this.list();
    }
    this.mark(selected);
  }

  /** Causes and advice, folded; they may be others as the alert lasts. @param {{causes: string[], advice: string, next_advice: string}} given */
  explain({ causes, advice, next_advice: next }) {
    const told = JSON.stringify([causes, advice, next]);
    if (told === this.told) return;
    this.told = told;
    const name = [...(causes.length ? ["causes"] : []), ...(advice ? ["advice"] : [])].join(" and ");
    this.why.hidden = name === "";
    this.why.replaceChildren(
      element("summary", {}, name),
      ...(causes.length ? [element("h3", {}, "Likely causes"), element("ol", {}, ...causes.map((text) => element("li", {}, clean(text))))] : []),
      ...(advice ? [element("h3", {}, "Advice"), element("p", {}, clean(advice))] : []),
      ...(next ? [element("p", {}, `If that is not it: ${clean(next)}`)] : []),
    );
  }

  /** A button for each parameter, of very many only for the first until asked for. */
  list() {
    const shown = this.all || this.names.length <= LISTED + 1 ? this.names : this.names.slice(0, LISTED);
    const nodes = shown.map((name) => this.button(name));
    if (shown.length < this.names.length) {
      const more = element("button", { type: "button", class: "plain" }, `${count(this.names.length - shown.length)} more`);
      more.addEventListener("click", () => {
        this.all = true;
        this.list();
        this.mark(this.selected);
        /** @type {HTMLElement} */ (this.parameters.children[LISTED]).focus();
      });
      nodes.push(more);
    }
    this.parameters.replaceChildren(...nodes);
  }

  /** @param {string} name */
  button(name) {
    const there = this.more || this.known.has(name);
    const title = there ? `select ${clean(name)}` : `${clean(name)} is not in the log`;
    const node = element("button", { type: "button", title, disabled: !there }, shorten(name, NAME_LENGTH));
    node.dataset.parameter = name;
    node.addEventListener("click", () => this.onSelect(name));
    return node;
  }

  /** @param {string | null} selected */
  mark(selected) {
    this.selected = selected;
    for (const node of /** @type {Iterable<HTMLElement>} */ (this.parameters.children)) {
      if (node.dataset.parameter !== undefined) node.setAttribute("aria-pressed", String(node.dataset.parameter === selected));
    }
  }
}

/** Puts the boxes into the list in their order; those that are there already keep the focus. @param {HTMLElement} list @param {HTMLElement[]} boxes */
function arrange(list, boxes) {
  boxes.forEach((box, i) => {
    if (list.children[i] !== box) list.insertBefore(box, list.children[i] ?? null);
  });
  while (list.children.length > boxes.length) list.lastChild?.remove();
}
