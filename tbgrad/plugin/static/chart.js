/** Plotly with our look: one drawing surface a chart, zoom kept and shared along the steps. */

import { element } from "./dom.js";
import { number, powerOfTen } from "./format.js";

const THEMES = {
  light: {
    text: "#202124", muted: "#5f6368", grid: "#e4e6ea", panel: "#ffffff",
    blue: "#1967d2", orange: "#d9610b", faint: "#f0b27f", purple: "#7b3fc4", teal: "#0b8378",
    red: "#c5221f", amber: "#a15c00", bars: "#4a86e0", zero: "#80868b", selected: "#ff6d00",
  },
  dark: {
    text: "#e8eaed", muted: "#a8adb4", grid: "#3d4147", panel: "#25282c",
    blue: "#8ab4f8", orange: "#ffa657", faint: "#8f6238", purple: "#c58af9", teal: "#5ed1c4",
    red: "#ff7b72", amber: "#f2b84b", bars: "#6ea0ee", zero: "#9aa0a6", selected: "#ff8f3d",
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
let extent = [0, 1];
let following = false;

/** Forgets the zoom, as when another run is chosen. */
export const resetZoom = () => {
  stepRange = null;
};

/** Says which steps the run has; every chart along the steps shows them all unless zoomed. */
export function setExtent(first, last) {
  const room = Math.max(0.5, 0.012 * (last - first));
  extent = [first - room, last + room];
}

/** Brings every chart along the steps to the same range. */
export async function alignSteps() {
  const [low, high] = stepRange ?? extent;
  const astray = [...linked].filter(({ drawn, node }) => {
    if (!drawn || node.hidden || !node.isConnected) return false;
    const [a, b] = node.layout.xaxis.range ?? [];
    return a !== low || b !== high;
  });
  following = true;
  try {
    await Promise.all(astray.map(({ node }) => Plotly.relayout(node, { "xaxis.range": [low, high] })));
  } finally {
    following = false;
  }
}

const CONFIG = {
  displaylogo: false,
  displayModeBar: false,
  doubleClick: false,
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
    if (first && this.alongSteps) {
      this.node.on("plotly_relayout", (change) => zoomed(change));
      this.node.on("plotly_doubleclick", () => {
        stepRange = null;
        Plotly.relayout(this.node, { "yaxis.autorange": true }).then(alignSteps);
      });
    }
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
      ? {
          title: { text: "step", standoff: 0, font: { size: 11 } }, tickformat: ",d", nticks: 7,
          unifiedhovertitle: { text: "<b>step %{x:,d}</b>" },
        }
      : {};
    if (this.alongSteps) Object.assign(steps, { range: [...(stepRange ?? extent)], autorange: false });
    return {
      margin: { l: 52, r: 20, t: 8, b: 32 },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: "Roboto, system-ui, sans-serif", size: 11, color: c.muted },
      hoverlabel: { bgcolor: c.panel, bordercolor: c.grid, font: { color: c.text, size: 12 } },
      hovermode: "x unified",
      showlegend: false,
      uirevision: revision,
      ...rest,
      xaxis: { ...axis, zeroline: false, ...steps, ...xaxis },
      yaxis: { ...axis, exponentformat: "power", showexponent: "all", ...yaxis },
    };
  }
}

/** A user has chosen a range of steps in one chart: show it in all. */
function zoomed(change) {
  if (following || !("xaxis.range[0]" in change)) return;
  stepRange = [change["xaxis.range[0]"], change["xaxis.range[1]"]];
  alignSteps();
}

const ruler = document.createElement("canvas").getContext("2d");

/** Width in pixels of a tick label. */
export function labelWidth(text) {
  ruler.font = "bold 11px Roboto, system-ui, sans-serif";
  return ruler.measureText(text).width;
}

/** A logarithmic axis, with plain numbers where those are short and no more than there is room for. */
export function logAxis(values, height) {
  const sizes = values.filter((v) => Number.isFinite(v) && v > 0);
  const readable = sizes.every((v) => v >= 1e-3 && v < 1e5);
  const nticks = Math.max(3, Math.round(height / 60));
  return readable ? { type: "log", nticks, tickformat: "~g" } : { type: "log", nticks };
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

/** Places, in powers of ten, and labels of a logarithmic scale of colours. */
export function logTicks(low, high) {
  const ticks = [];
  const span = high - low;
  const every = Math.max(1, Math.ceil(span / 8));
  for (let e = Math.ceil(low); e <= high; e += 1) if (e % every === 0) ticks.push([e, powerOfTen(e)]);
  if (ticks.length >= 3) return ticks;
  const fine = [];
  for (let e = Math.floor(low); e <= high; e += 1) {
    for (const m of span < 0.8 ? [1, 1.5, 2, 3, 4, 5, 7] : [1, 2, 5]) {
      const at = e + Math.log10(m);
      if (at >= low && at <= high) fine.push([at, number(m * 10 ** e, 2)]);
    }
  }
  return fine;
}
