/** A chart that Plotly draws, which is loaded when the first is needed: maps and surfaces. */

import { element } from "./dom.js";

import { loadPlotly } from "./model.js";
import { logTicks as ticksOf } from "./pure/axes.js";
import { colors, FONT, unit } from "./theme.js";

export { colors };

const CONFIG = { displaylogo: false, displayModeBar: false, showTips: false };

export class Chart {
  /**
   * @param {HTMLElement} parent
   * @param {{label: string, alongSteps?: boolean}} options
   */
  constructor(parent, { label }) {
    this.node = element("div", { class: "chart", role: "img", "aria-label": label });
    this.empty = element("p", { class: "empty", hidden: true });
    parent.append(this.node, this.empty);
    this.drawn = false;
    /** @type {(() => void)[]} */
    this.waiting = [];
    new ResizeObserver(() => this.fit()).observe(this.node);
  }

  /** Draws traces, or says in words why there are none. @param {unknown[]} traces @param {any} [layout] @param {string} [revision] */
  draw(traces, layout = {}, revision = "") {
    this.empty.hidden = true;
    this.node.hidden = false;
    const turn = (this.turn = (this.turn ?? 0) + 1);
    loadPlotly().then(
      (Plotly) => {
        if (turn !== this.turn) return;
        this.drawn = true;
        Plotly.react(this.node, traces, this.layout(layout, revision), CONFIG);
        for (const action of this.waiting.splice(0)) action();
      },
      (error) => this.say(error.message),
    );
  }

  /** Calls back when a point is clicked. @param {(event: any) => void} listener */
  onClick(listener) {
    this.waiting.push(() => /** @type {any} */ (this.node).on("plotly_click", listener));
  }

  /** @param {string} words */
  say(words) {
    this.node.hidden = true;
    this.empty.hidden = false;
    this.empty.textContent = words;
  }

  fit() {
    const { clientWidth, clientHeight } = this.node;
    if (this.drawn && clientWidth > 0 && clientHeight > 0) loadPlotly().then((Plotly) => Plotly.Plots.resize(this.node));
  }

  /** @param {any} layout @param {string} revision */
  layout({ xaxis = {}, yaxis = {}, margin = undefined, ...rest }, revision) {
    const c = colors();
    const u = unit();
    const axis = {
      gridcolor: c.grid, linecolor: c.grid, zerolinecolor: c.grid, tickcolor: c.grid,
      automargin: false, ticks: "outside", ticklen: 3,
    };
    const scaled = Object.fromEntries(Object.entries(margin ?? { l: 52, r: 20, t: 8, b: 32 }).map(([side, room]) => [side, room * u]));
    return {
      margin: scaled,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: FONT, size: 11 * u, color: c.muted },
      hoverlabel: { bgcolor: c.panel, bordercolor: c.grid, font: { color: c.text, size: 12 * u } },
      hovermode: "closest",
      showlegend: false,
      uirevision: revision,
      ...rest,
      xaxis: { ...axis, zeroline: false, ...xaxis },
      yaxis: { ...axis, exponentformat: "power", showexponent: "all", ...yaxis },
    };
  }
}

/** Places, in powers of ten, and labels of a logarithmic scale of colours. @param {number} low @param {number} high */
export const logTicks = (low, high) => ticksOf(low, high, 8);


