/** Plotly with our look: one drawing surface a chart, zoom kept and shared along the steps. */

import { element } from "./dom.js";

const THEMES = {
  light: {
    text: "#202124", muted: "#5f6368", grid: "#e4e6ea", panel: "#ffffff",
    blue: "#1967d2", orange: "#d9610b", faint: "#f0b27f", purple: "#7b3fc4", teal: "#0b8378",
    red: "#c5221f", bars: "#4a86e0", zero: "#80868b",
  },
  dark: {
    text: "#e8eaed", muted: "#a8adb4", grid: "#3d4147", panel: "#25282c",
    blue: "#8ab4f8", orange: "#ffa657", faint: "#8f6238", purple: "#c58af9", teal: "#5ed1c4",
    red: "#ff7b72", bars: "#6ea0ee", zero: "#9aa0a6",
  },
};

let theme = "light";

export const setTheme = (name) => {
  theme = name;
};
export const colors = () => THEMES[theme];

/** Charts along the steps, which zoom together. @type {Set<Chart>} */
const linked = new Set();
let stepRange = null;
let following = false;

/** Forgets the zoom, as when another run is chosen. */
export const resetZoom = () => {
  stepRange = null;
};

const CONFIG = {
  displaylogo: false,
  displayModeBar: false,
  doubleClick: "reset+autosize",
  showTips: false,
};

export class Chart {
  /**
   * @param {HTMLElement} parent
   * @param {{label: string, alongSteps?: boolean}} options
   */
  constructor(parent, { label, alongSteps = true }) {
    this.node = element("div", { class: "chart", role: "img", "aria-label": label });
    this.empty = element("p", { class: "empty", hidden: true });
    parent.append(this.node, this.empty);
    this.alongSteps = alongSteps;
    this.drawn = false;
    if (alongSteps) linked.add(this);
    new ResizeObserver(() => this.fit()).observe(this.node);
  }

  /** Draws traces, or says in words why there are none. */
  draw(traces, layout = {}, revision = "") {
    this.empty.hidden = true;
    this.node.hidden = false;
    const full = this.layout(layout, revision);
    const first = !this.drawn;
    this.drawn = true;
    this.ready = Plotly.react(this.node, traces, full, CONFIG);
    if (first && this.alongSteps) this.node.on("plotly_relayout", (change) => this.zoomed(change));
    return first;
  }

  say(words) {
    this.node.hidden = true;
    this.empty.hidden = false;
    this.empty.textContent = words;
  }

  fit() {
    const { clientWidth, clientHeight } = this.node;
    if (this.drawn && clientWidth > 0 && clientHeight > 0) Plotly.Plots.resize(this.node);
  }

  layout({ xaxis = {}, yaxis = {}, ...rest }, revision) {
    const c = colors();
    const axis = {
      gridcolor: c.grid, linecolor: c.grid, zerolinecolor: c.grid, tickcolor: c.grid,
      automargin: false, ticks: "outside", ticklen: 3,
    };
    const steps = this.alongSteps
      ? { title: { text: "step", standoff: 2 }, tickformat: ",d", nticks: 7, hoverformat: ",d" }
      : {};
    if (this.alongSteps && stepRange) Object.assign(steps, { range: [...stepRange], autorange: false });
    return {
      margin: { l: 58, r: 14, t: 10, b: 34 },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: "Roboto, system-ui, sans-serif", size: 12, color: c.muted },
      hoverlabel: { bgcolor: c.panel, bordercolor: c.grid, font: { color: c.text, size: 12 } },
      hovermode: "x unified",
      showlegend: false,
      legend: { orientation: "h", x: 1, xanchor: "right", y: 1.02, yanchor: "bottom", font: { size: 11 } },
      uirevision: revision,
      ...rest,
      xaxis: { ...axis, zeroline: false, ...steps, ...xaxis },
      yaxis: { ...axis, exponentformat: "power", showexponent: "all", ...yaxis },
    };
  }

  zoomed(change) {
    if (following) return;
    if ("xaxis.range[0]" in change) stepRange = [change["xaxis.range[0]"], change["xaxis.range[1]"]];
    else if ("xaxis.range" in change) stepRange = [...change["xaxis.range"]];
    else if (change["xaxis.autorange"]) stepRange = null;
    else return;
    following = true;
    const others = [...linked].filter((chart) => chart !== this && chart.drawn && !chart.node.hidden);
    const update = stepRange
      ? { "xaxis.range": [...stepRange], "xaxis.autorange": false }
      : { "xaxis.autorange": true };
    Promise.all(others.map((chart) => Plotly.relayout(chart.node, update))).finally(() => {
      following = false;
    });
  }
}

/** A trace of red crosses at the top of a chart, for steps whose value cannot be drawn. */
export function notFinite(steps, label = "not finite") {
  return {
    type: "scatter", mode: "markers", name: label, x: steps, y: steps.map(() => 0.96),
    yaxis: "y2", marker: { symbol: "x", size: 8, color: colors().red }, cliponaxis: false,
    hovertemplate: `<b>${label}</b><extra></extra>`,
  };
}

/** The axis those crosses live on. */
export const MARKS_AXIS = { overlaying: "y", range: [0, 1], visible: false, fixedrange: true };
