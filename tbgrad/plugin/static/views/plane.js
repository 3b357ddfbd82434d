/** The loss on a plane through the weights: as a map with contour lines, or as a surface. */

import { Chart, colors, logTicks } from "../chart.js";
import { element, fill, sentences } from "../dom.js";
import { explain } from "../panel.js";
import { number, plotText, shorten } from "../format.js";
import { toNumber } from "../model.js";

/** @typedef {{legend: HTMLElement, revision: string}} Context */
/** @typedef {{rows: number[][], places: (number | null)[][], low: number, high: number, log: boolean, lost: number[][]}} Shading */
/** @typedef {{sign: string, symbol: string, label: string, place: number[]}} Mark */

export class PlaneView {
  constructor() {
    this.quantity = element("select", { "aria-label": "what is shown on the plane" });
    this.look = element("select", { "aria-label": "how it is drawn" });
    this.controls = element("span", { class: "controls", hidden: true }, this.quantity, this.look);
    const charts = element("div", { class: "half" });
    this.words = element("ul", { class: "told" });
    this.box = element("div", { class: "finding plane", hidden: true }, charts, this.words);
    this.map = new Chart(charts, { label: "The loss on a plane through the weights, as a map", alongSteps: false });
    this.surface = new Chart(charts, { label: "The loss on a plane through the weights, as a surface", alongSteps: false });
    this.again = () => {};
    for (const select of [this.quantity, this.look]) select.addEventListener("change", () => this.again());
  }

  /** @param {import("../../types.d.ts").Plane} data @param {Context} context */
  draw(data, context) {
    this.again = () => this.draw(data, context);
    const norms = data.gradient_norm !== null;
    fill(this.quantity, [{ value: "loss", label: "loss" }, ...(norms ? [{ value: "gradient_norm", label: "gradient norm" }] : [])],
      norms ? this.quantity.value || "loss" : "loss");
    this.quantity.hidden = !norms;
    fill(this.look, [{ value: "map", label: "map" }, { value: "surface", label: "surface" }], this.look.value || "map");
    const shown = this.quantity.value === "gradient_norm" ? "gradient_norm" : "loss";
    const scale = shading(data[shown] ?? [], data.log[shown]);
    const flat = this.look.value === "map";
    this.map.node.hidden = !flat;
    this.surface.node.hidden = flat;
    const marks = marksOf(data);
    explain(context.legend, [
      ...marks.map(({ sign, label }) => ({ label: `${sign} ${label}`, color: "transparent", look: "none" })),
      ...(data.path.steps.length ? [{ label: "path", color: pathColor(flat) }] : []),
      ...(scale.lost.length ? [{ label: "not finite", color: colors().red, look: "box" }] : []),
    ]);
    sentences(this.words, [...data.words, ...details(data, scale)]);
    const revision = `${context.revision} ${this.quantity.value}`;
    if (flat) this.map.draw(mapTraces(data, scale, marks), mapLayout(data), revision);
    else this.surface.draw(surfaceTraces(data, scale, marks), surfaceLayout(data, scale, this.quantity.selectedOptions[0].label, this.box.clientWidth), revision);
  }
}

/** What is not in the terminal's words, as there is more room here. @param {import("../../types.d.ts").Plane} data @param {Shading} scale */
function details(data, scale) {
  const [first, second] = data.points;
  const told = [`${first} × ${second} points${data.samples ? `, over ${data.samples.toLocaleString("en-US")} samples` : ""}`];
  const shown = data.axes.map(({ coordinates }) => coordinates.length);
  if (shown[0] < first || shown[1] < second) told.push(`${shown[0]} × ${shown[1]} of them are drawn`);
  told.push(...data.axes.map(({ label, length }, i) => {
    const size = number(toNumber(length));
    const unit = size === "1" ? ", in" : `: 1 is ${size} in`;
    return `${i ? "↑" : "→"} ${label}${unit} units of the weights`;
  }));
  if (scale.log) told.push("colours on a logarithmic scale");
  return told.map((text) => ({ text, look: "quiet" }));
}

/** How values become places on the scale of colours; `lost` are the cells that are infinite. @param {import("../../types.d.ts").Num[][]} values @param {boolean} log */
function shading(values, log) {
  const rows = values.map((row) => row.map(toNumber));
  /** @param {number} v */
  const place = (v) => (Number.isFinite(v) && (!log || v > 0) ? (log ? Math.log10(v) : v) : null);
  const places = rows.map((row) => row.map(place));
  let [low, high] = places.flat().reduce(([a, b], v) => (v === null ? [a, b] : [Math.min(a, v), Math.max(b, v)]), [Infinity, -Infinity]);
  if (!(low < high)) [low, high] = Number.isFinite(low) ? [low - 0.5, low + 0.5] : [0, 1];
  const lost = rows.flatMap((row, i) => row.flatMap((v, k) => (Math.abs(v) === Infinity ? [[i, k]] : [])));
  return { rows, places, low, high, log, lost };
}

/** @param {any[][]} rows */
const transposed = (rows) => rows[0].map((_, k) => rows.map((row) => row[k]));

/** Weights, start and lowest point, where they lie on the plane. @param {{axes: import("../../types.d.ts").FindingAxis[], path: import("../../types.d.ts").Plane["path"], lowest: import("../../types.d.ts").Plane["lowest"]}} given */
function marksOf({ axes, path, lowest }) {
  /** @param {number[]} place */
  const inside = (place) => place.every((v, i) => v >= axes[i].coordinates[0] && v <= axes[i].coordinates[axes[i].coordinates.length - 1]);
  const start = path.places[0]?.map(toNumber);
  return [
    ...(lowest ? [{ sign: "▼", symbol: "triangle-down", label: "lowest", place: lowest.place }] : []),
    ...(start ? [{ sign: "○", symbol: "circle-open", label: "start", place: start }] : []),
    { sign: "●", symbol: "circle", label: "weights", place: [0, 0] },
  ].filter(({ place }) => inside(place));
}

/** Beneath paths and marks: what is bright stands out on all colours of the map. */
const HALO = "rgba(0,0,0,0.6)";

/** @param {boolean} flat */
const pathColor = (flat) => (flat ? "#ff8f3d" : "#d9610b");

/** @param {import("../../types.d.ts").Plane} data @param {Shading} scale @param {Mark[]} marks */
function mapTraces(data, scale, marks) {
  const [x, y] = data.axes.map(({ coordinates }) => coordinates);
  const z = transposed(scale.places);
  const guessed = new Set(data.interpolated.map(([i, k]) => `${i} ${k}`));
  const values = transposed(scale.rows.map((row, i) =>
    row.map((v, k) => (Number.isNaN(v) ? "not computed" : number(v, 4)) + (guessed.has(`${i} ${k}`) && !Number.isNaN(v) ? ", interpolated" : ""))));
  const scaled = { zmin: scale.low, zmax: scale.high, colorscale: "Viridis" };
  /** @type {any[]} */
  const traces = [
    {
      type: "heatmap", x, y, z, customdata: values, ...scaled,
      colorbar: { thickness: 10, outlinewidth: 0, x: 1.01, xpad: 2, ...ticks(scale) },
      hovertemplate: "(%{x:.3~g}, %{y:.3~g}): %{customdata}<extra></extra>", hoverongaps: false,
    },
    {
      type: "contour", x, y, z, ...scaled, autocontour: false, showscale: false, hoverinfo: "skip", connectgaps: false,
      contours: { coloring: "none", start: scale.low, end: scale.high, size: (scale.high - scale.low) / data.contours },
      line: { color: "rgba(255,255,255,0.55)", width: 0.8 },
    },
  ];
  if (scale.lost.length) {
    const lost = new Set(scale.lost.map(([i, k]) => `${i} ${k}`));
    const red = colors().red;
    traces.push({
      type: "heatmap", x, y, showscale: false, zmin: 0, zmax: 1, colorscale: [[0, red], [1, red]],
      z: y.map((_, k) => x.map((_, i) => (lost.has(`${i} ${k}`) ? 1 : null))), hoverongaps: false,
      customdata: values, hovertemplate: "(%{x:.3~g}, %{y:.3~g}): %{customdata}<extra></extra>",
    });
  }
  if (data.path.steps.length) {
    const [along, up] = [0, 1].map((axis) => data.path.places.map((place) => toNumber(place[axis])));
    traces.push(
      { type: "scatter", mode: "lines", x: along, y: up, line: { color: HALO, width: 4.5 }, hoverinfo: "skip" },
      {
        type: "scatter", mode: "lines+markers", name: "path", x: along, y: up, customdata: told(data, scale),
        line: { color: pathColor(true), width: 2 }, marker: { color: pathColor(true), size: 4 },
        hovertemplate: "%{customdata}<extra></extra>",
      },
    );
  }
  const [across, above] = [0, 1].map((axis) => marks.map(({ place }) => place[axis]));
  const symbol = marks.map((mark) => mark.symbol);
  traces.push({
    type: "scatter", mode: "markers", x: across, y: above, hoverinfo: "skip",
    marker: { symbol, size: 12, color: HALO, line: { color: HALO, width: 5 } },
  }, {
    type: "scatter", mode: "markers", name: "marks", x: across, y: above,
    marker: { symbol, size: 11, color: "#ffffff", line: { color: "#ffffff", width: 2 } },
    customdata: marks.map(({ label, place }) => `<b>${label}</b> (${place.map((v) => number(v)).join(", ")})`),
    hovertemplate: "%{customdata}<extra></extra>",
  });
  return traces;
}

/** Of each place of the path: step, coordinates, and how far it is off the plane. @param {import("../../types.d.ts").Plane} data @param {Shading} scale */
function told(data, scale) {
  return data.path.steps.map((step, i) => {
    const place = data.path.places[i].map((v) => number(toNumber(v))).join(", ");
    const height = valueAt(data, scale, data.path.places[i]);
    const loss = Number.isFinite(height) ? `<br>${number(scale.log ? 10 ** height : height, 4)} on the plane below` : "";
    return `<b>step ${step.toLocaleString("en-US")}</b> (${place})${loss}<br>${number(toNumber(data.path.distances[i]))} off the plane`;
  });
}

/** The place on the scale at a point of the plane, between its four neighbours; NaN off it. @param {{axes: import("../../types.d.ts").FindingAxis[]}} given @param {{places: (number | null)[][]}} beside @param {(import("../../types.d.ts").Num)[]} point */
function valueAt({ axes }, { places }, point) {
  const [[i, s], [k, t]] = axes.map(({ coordinates }, axis) => {
    const v = toNumber(point[axis]);
    const above = coordinates.findIndex((c) => c >= v);
    if (above < 0 || v < coordinates[0]) return [-1, 0];
    const at = Math.max(1, above);
    return [at - 1, (v - coordinates[at - 1]) / (coordinates[at] - coordinates[at - 1])];
  });
  if (i < 0 || k < 0) return NaN;
  /** @param {number} a @param {number} b */
  const corner = (a, b) => places[a]?.[b] ?? NaN;
  return (corner(i, k) * (1 - t) + corner(i, k + 1) * t) * (1 - s) + (corner(i + 1, k) * (1 - t) + corner(i + 1, k + 1) * t) * s;
}

/** @param {Shading} scale */
function ticks(scale) {
  if (!scale.log) return { nticks: 6, exponentformat: "power" };
  const chosen = logTicks(scale.low, scale.high);
  return { tickmode: "array", tickvals: chosen.map(([at]) => at), ticktext: chosen.map(([, label]) => label) };
}

/** From edge to edge of the outermost cells: marks there need no more room. @param {{coordinates: number[]}} given */
function reach({ coordinates: c }) {
  const last = c.length - 1;
  const [low, high] = last > 0 ? [c[1] - c[0], c[last] - c[last - 1]] : [1, 1];
  return [c[0] - low / 2, c[last] + high / 2];
}

/** @param {{axes: import("../../types.d.ts").FindingAxis[]}} given */
const mapLayout = ({ axes: [first, second] }) => ({
  margin: { l: 52, r: 62, t: 8, b: 36 },
  hovermode: "closest",
  xaxis: { title: { text: plotText(shorten(first.label, 60)), standoff: 2, font: { size: 11 } }, nticks: 7, showgrid: false, range: reach(first) },
  yaxis: { title: { text: plotText(shorten(second.label, 60)), standoff: 0, font: { size: 11 } }, nticks: 6, showgrid: false, range: reach(second) },
});

/** @param {import("../../types.d.ts").Plane} data @param {Shading} scale @param {Mark[]} marks */
function surfaceTraces(data, scale, marks) {
  const [x, y] = data.axes.map(({ coordinates }) => coordinates);
  const { low, high } = scale;
  const c = colors();
  const values = transposed(scale.rows.map((row) => row.map((v) => number(v, 4))));
  const lift = 0.01 * (high - low);
  /** @param {import("../../types.d.ts").Num[][]} points */
  const placed = (points) => ({
    x: points.map(([a]) => a), y: points.map(([, b]) => b),
    z: points.map((point) => { const v = valueAt(data, scale, point); return Number.isFinite(v) ? v + lift : null; }),
  });
  /** @type {any[]} */
  const traces = [{
    type: "surface", x, y, z: transposed(scale.places), cmin: low, cmax: high, colorscale: "Viridis", customdata: values,
    contours: { z: { show: true, start: low, end: high, size: (high - low) / data.contours, color: "rgba(255,255,255,0.5)", width: 1 } },
    colorbar: { thickness: 10, outlinewidth: 0, len: 0.8, ...ticks(scale) },
    hovertemplate: "(%{x:.3~g}, %{y:.3~g}): %{customdata}<extra></extra>",
  }];
  if (data.path.steps.length) {
    traces.push({
      type: "scatter3d", mode: "lines+markers", name: "path", ...placed(data.path.places),
      line: { color: pathColor(false), width: 5 }, marker: { color: pathColor(false), size: 2 },
      customdata: told(data, scale), hovertemplate: "%{customdata}<extra></extra>",
    });
  }
  traces.push({
    type: "scatter3d", mode: "markers", name: "marks", ...placed(marks.map(({ place }) => place)),
    marker: { symbol: marks.map(({ sign }) => ({ "●": "circle", "○": "circle-open", "▼": "diamond" })[sign]), size: 6, color: c.text, line: { color: c.panel, width: 1 } },
    customdata: marks.map(({ label, place }) => `<b>${label}</b> (${place.map((v) => number(v)).join(", ")})`),
    hovertemplate: "%{customdata}<extra></extra>",
  });
  return traces;
}

/** @param {{axes: import("../../types.d.ts").FindingAxis[]}} given @param {Shading} scale @param {string} name @param {number} width */
function surfaceLayout({ axes: [first, second] }, scale, name, width) {
  // A narrow picture shows it from farther away, so that its corners are in it.
  const away = width < 600 ? 1.75 : 1;
  const c = colors();
  /** @param {string} text */
  const axis = (text) => ({
    title: { text: plotText(shorten(text, 26)), font: { size: 11 } }, color: c.muted, gridcolor: c.grid, nticks: 6,
    showbackground: false, zerolinecolor: c.grid,
  });
  return {
    margin: { l: 0, r: 0, t: 0, b: 0 },
    hovermode: "closest",
    scene: {
      xaxis: axis(first.label), yaxis: axis(second.label), zaxis: { ...axis(name), ...ticks(scale) },
      aspectmode: "manual", aspectratio: { x: 1.3, y: 1.3, z: 0.75 }, camera: { eye: { x: 1.2 * away, y: -1.45 * away, z: 0.98 * away }, center: { x: 0, y: 0, z: -0.22 } },
    },
  };
}
