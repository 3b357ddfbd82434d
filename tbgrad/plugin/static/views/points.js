/** Critical points: a table of them, the spectrum of one, and their loss against the minimum ratio. */

import { Chart, colors } from "../chart.js";
import { element } from "../dom.js";
import { explain } from "../panel.js";
import { clean, count, measured, number, percentBetween, plotText } from "../format.js";
import { toNumber } from "../model.js";

export class PointsView {
  /** @param {{onPoint: (number: number) => void}} events */
  constructor({ onPoint }) {
    this.onPoint = onPoint;
    this.table = element("table", {});
    this.rest = element("p", { class: "rest", hidden: true });
    this.title = element("h3", {});
    const spectrum = element("div", { class: "half" }, this.title);
    this.scatter = element("div", { class: "half" }, element("h3", {}, "loss against the share above zero"));
    this.box = element("div", { class: "finding points", hidden: true },
      element("div", { class: "scroller" }, this.table, this.rest), element("div", { class: "charts" }, spectrum, this.scatter));
    this.spectrum = new Chart(spectrum, { label: "Eigenvalues of the Hessian at the chosen point", alongSteps: false });
    this.ratios = new Chart(this.scatter, { label: "Loss against the share of eigenvalues above zero", alongSteps: false });
  }

  /** @param {import("../../types.d.ts").Points} data @param {{legend: HTMLElement, revision: string}} given */
  draw(data, { legend, revision }) {
    this.list(data);
    const c = colors();
    explain(legend, [{ label: "above zero", color: c.blue, look: "box" }, { label: "below", color: c.red, look: "box" }]);
    this.drawSpectrum(data.spectrum, `${revision} ${data.chosen}`);
    this.drawRatios(data, revision);
  }

  /** @param {{columns: string[], rows: import("../../types.d.ts").Points["rows"], chosen: number, stored: number}} given */
  list({ columns, rows, chosen, stored }) {
    const head = element("tr", {}, ...columns.map((title) => (title ? element("th", { scope: "col" }, title) : element("td", {}))));
    const body = rows.map(({ cells }, i) => {
      const pick = element("button", { type: "button", class: "plain", "aria-pressed": String(i + 1 === chosen), "aria-label": `show point ${cells[0]}` }, cells[0]);
      const [, kind, ...others] = cells;
      const said = element("td", { class: "kind" }, clean(kind));
      said.dataset.kind = kind;
      const row = element("tr", { class: i + 1 === chosen ? "chosen" : undefined }, element("td", {}, pick), said, ...others.map((cell) => element("td", {}, clean(cell))));
      row.addEventListener("click", () => this.onPoint(i + 1));
      return row;
    });
    const focused = this.table.contains(document.activeElement);
    this.table.replaceChildren(element("thead", {}, head), element("tbody", {}, ...body));
    if (focused) /** @type {HTMLElement | null} */ (this.table.querySelector("[aria-pressed='true']"))?.focus();
    this.rest.hidden = stored <= rows.length;
    this.rest.textContent = `${count(stored - rows.length)} more are in the log.`;
  }

  /** @param {{title: string, eigenvalues: import("../../types.d.ts").Num[], errors: import("../../types.d.ts").Num[]}} given @param {string} revision */
  drawSpectrum({ title, eigenvalues, errors }, revision) {
    const values = eigenvalues.map(toNumber);
    const zeros = values.filter((v) => v === 0).length;
    this.title.textContent = clean(title) + (zeros ? `, ${count(zeros)} exactly zero and not drawn` : "");
    if (values.length === 0) return this.spectrum.say("Its eigenvalues were not computed.");
    const c = colors();
    /** @param {number} i */
    const rank = (i) => (values.length > 1 ? (100 * i) / (values.length - 1) : 0);
    /** @param {string} name @param {string} color @param {(v: number) => boolean} keep */
    const part = (name, color, keep) => {
      const at = values.flatMap((v, i) => (keep(v) ? [i] : []));
      const bounds = at.map((i) => Math.abs(toNumber(errors[i])) || 0);
      const sizes = at.map((i) => Math.abs(values[i]));
      return {
        type: "scatter", mode: "markers", name, x: at.map(rank), y: sizes, marker: { color, size: 5 },
        // A bar down to zero has no end on a logarithmic axis.
        error_y: { type: "data", symmetric: false, array: bounds, arrayminus: bounds.map((b, i) => Math.min(b, 0.999 * sizes[i])), color, thickness: 1, width: 2 },
        customdata: at.map((i, k) => [measured(values[i], bounds[k]), count(i + 1)]),
        hovertemplate: "eigenvalue %{customdata[1]}: %{customdata[0]}<extra></extra>",
      };
    };
    this.spectrum.draw(
      [part("above zero", c.blue, (v) => v > 0), part("below", c.red, (v) => v < 0)],
      {
        hovermode: "closest",
        xaxis: { title: { text: "from the largest to the smallest, %", standoff: 0, font: { size: 11 } }, range: [-3, 103], nticks: 6 },
        yaxis: { type: "log", nticks: 5 },
      },
      revision,
    );
    return undefined;
  }

  /** @param {{rows: import("../../types.d.ts").Points["rows"], chosen: number}} given @param {string} revision */
  drawRatios({ rows, chosen }, revision) {
    const known = rows.flatMap((row, i) => (row.minimum_ratio && Number.isFinite(toNumber(row.loss)) ? [{ ...row, ratio: row.minimum_ratio, number: i + 1 }] : []));
    this.scatter.hidden = known.length < 2;
    if (known.length < 2) return;
    const c = colors();
    /** @type {Record<string, string>} */
    const tints = { minimum: c.teal, saddle: c.amber, maximum: c.amber, degenerate: c.purple };
    /** @param {"value" | "low" | "high"} name */
    const share = (name) => known.map(({ ratio }) => 100 * ratio[name]);
    const [at, low, high] = [share("value"), share("low"), share("high")];
    const first = !this.listening;
    this.listening = true;
    this.ratios.draw(
      [{
        type: "scatter", mode: "markers", x: at, y: known.map(({ loss }) => toNumber(loss)),
        error_x: { type: "data", symmetric: false, array: high.map((v, i) => v - at[i]), arrayminus: at.map((v, i) => v - low[i]), color: c.zero, thickness: 1, width: 2 },
        marker: {
          size: 10, color: known.map(({ cells }) => tints[cells[1]] ?? c.zero),
          line: { width: known.map((row) => (row.number === chosen ? 2.5 : 0)), color: c.text },
        },
        customdata: known.map((row) => [row.number, `<b>${row.number}: ${plotText(row.cells[1])}</b><br>loss ${number(toNumber(row.loss), 4)}, above zero ${percentBetween(row.ratio)}`]),
        hovertemplate: "%{customdata[1]}<extra></extra>",
      }],
      {
        hovermode: "closest",
        xaxis: { title: { text: "share above zero, %", standoff: 0, font: { size: 11 } }, nticks: 6 },
        yaxis: { title: { text: "loss", standoff: 0, font: { size: 11 } }, nticks: 5 },
      },
      revision,
    );
    if (first) this.ratios.onClick(({ points }) => this.onPoint(points[0].customdata[0]));
  }
}
