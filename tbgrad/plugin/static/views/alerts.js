/** What is wrong, where and since when: open alerts first, those that are over quietly below. */

import { element, panel } from "../dom.js";
import { clean, count, shorten } from "../format.js";

/** So many parameters of an alert have a button from the start. */
const LISTED = 6;
/** More closed alerts than this are folded away. */
const FEW = 3;
const NAME_LENGTH = 40;

export class AlertsView {
  /** @param {{onSelect: (name: string) => void, onShown: (shown: boolean) => void}} events */
  constructor({ onSelect, onShown }) {
    const hide = element("button", { type: "button", class: "plain" }, "hide");
    const { box, body, hint } = panel("alerts", "Alerts", hide);
    this.box = box;
    this.box.tabIndex = -1;
    this.hint = hint;
    this.onSelect = onSelect;
    this.onShown = onShown;
    this.stories = element("div", { class: "stories" });
    this.open = element("ul", {});
    this.closed = element("ul", {});
    this.folded = element("summary", {});
    this.fold = element("details", { class: "closed" }, this.folded, this.closed);
    this.rest = element("p", { class: "rest", hidden: true });
    body.append(this.stories, this.open, this.fold, this.rest);
    /** @type {Map<string, Item>} */
    this.items = new Map();
    hide.addEventListener("click", () => this.show(false));
    this.clear();
    this.show();
  }

  /** Of another run nothing is to stay unfolded; what is shown stays until that run is drawn. */
  clear() {
    this.items.clear();
    this.many = null;
    this.wanted = true;
  }

  /** Shows the list where there is one, unless the user has put it away. */
  show(wanted = this.wanted) {
    this.wanted = wanted;
    this.box.hidden = !wanted || this.items.size === 0;
    this.onShown(!this.box.hidden);
  }

  /** Brings the user to the list. */
  reveal() {
    this.show(true);
    this.box.scrollIntoView({ block: "nearest" });
    this.box.focus({ preventScroll: true });
  }

  /**
   * @param {{alerts: any[], stories: any[], stored: number}} data
   * @param {string[]} names of the parameters that can be selected
   * @param {string | null} selected
   */
  draw({ alerts, stories, stored }, names, selected) {
    const known = JSON.stringify(names);
    if (known !== this.names) [this.names, this.known] = [known, new Set(names)];
    this.stories.replaceChildren(...stories.filter(({ is_open: open }) => open).map(told));
    const effects = new Set(stories.flatMap((story) => story.alerts.slice(1).map((key) => JSON.stringify(key))));
    const before = this.items;
    this.items = new Map();
    for (const alert of alerts) {
      const key = JSON.stringify([alert.rule, alert.first_step]);
      const item = before.get(key) ?? new Item(alert, this.onSelect);
      item.update(alert, this.known, selected);
      item.box.classList.toggle("effect", effects.has(key));
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
    this.show();
  }

  /** Marks the buttons of the selected parameter. */
  mark(selected) {
    for (const item of this.items.values()) item.mark(selected);
  }
}

/** What began it and what followed, and the one thing to change. */
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
  constructor({ rule }, onSelect) {
    this.badge = element("span", { class: "badge" });
    this.when = element("span", { class: "when" });
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
    this.names = [];
    this.told = "";
    this.onSelect = onSelect;
    this.all = false;
    this.known = null;
  }

  update(alert, known, selected) {
    const { severity, state, first_step: first, last_step: last, evidence, parameters } = alert;
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
      this.names = parameters;
      this.parameters.hidden = parameters.length === 0;
      this.list();
    }
    this.mark(selected);
  }

  /** Causes and advice, folded; they may be others as the alert lasts. */
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
        this.parameters.children[LISTED].focus();
      });
      nodes.push(more);
    }
    this.parameters.replaceChildren(...nodes);
  }

  button(name) {
    const there = this.known.has(name);
    const title = there ? `select ${clean(name)}` : `${clean(name)} is not in the log`;
    const node = element("button", { type: "button", title, disabled: !there }, shorten(name, NAME_LENGTH));
    node.dataset.parameter = name;
    node.addEventListener("click", () => this.onSelect(name));
    return node;
  }

  mark(selected) {
    this.selected = selected;
    for (const node of this.parameters.children) {
      if (node.dataset.parameter !== undefined) node.setAttribute("aria-pressed", String(node.dataset.parameter === selected));
    }
  }
}

/** Puts the boxes into the list in their order; those that are there already keep the focus. */
function arrange(list, boxes) {
  boxes.forEach((box, i) => {
    if (list.children[i] !== box) list.insertBefore(box, list.children[i] ?? null);
  });
  while (list.children.length > boxes.length) list.lastChild.remove();
}
