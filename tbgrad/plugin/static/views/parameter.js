/** The selected parameter: its curve, and the distribution of its gradient at one step. */

import { Chart, colors, logAxis, MARKS_AXIS, notFinite } from "../chart.js";
import { element, fill, panel } from "../dom.js";
import { clean, count, number, percent, powerOfTen } from "../format.js";
import { toNumber } from "../model.js";
import { statistic } from "../tables.js";
import { mode } from "./scalars.js";

export class ParameterView {
  /** @param {{onSelect: (name: string) => void}} events */
  constructor({ onSelect }) {
    this.select = element("select", { "aria-label": "parameter" });
    this.select.addEventListener("change", () => onSelect(this.select.value));
    const { box, body, heading, hint } = panel("parameter", "Parameter");
    heading.replaceChildren(this.select);
    this.box = box;
    this.hint = hint;
    const left = element("div", { class: "half" });
    const right = element("div", { class: "half", id: "histogram" });
    body.append(left, right);
    this.curveTitle = element("h3", {});
    left.append(this.curveTitle);
    this.curve = new Chart(left, { label: "Statistic of the selected parameter over the steps" });
    this.slider = element("input", { type: "range", min: "0", step: "1", "aria-label": "step of the histogram" });
    this.when = element("output", {});
    this.titleRow = element("h3", {}, "Distribution ", this.when);
    right.append(this.titleRow);
    this.bars = new Chart(right, { label: "Histogram of the gradient of the selected parameter", alongSteps: false });
    this.words = element("p", { class: "words" });
    right.append(this.words, this.slider);
    /** Index of the histogram shown; null follows the newest. */
    this.chosen = null;
    this.slider.addEventListener("input", () => {
      const at = Number(this.slider.value);
      this.chosen = at === this.histogram.steps.length - 1 ? null : this.histogram.steps[at];
      this.drawHistogram(this.histogram, this.revision);
    });
  }

  options(parameters, selected) {
    fill(this.select, parameters.map(({ name }) => ({ value: name, label: clean(name) })), selected);
    const shown = parameters.find(({ name }) => name === selected);
    if (!shown) return;
    const shape = shown.shape.length ? `${shown.shape.join(" × ")} = ` : "";
    const words = [clean(shown.role), `${shape}${count(shown.size)} values`, clean(shown.dtype)];
    this.hint.textContent = words.filter(Boolean).join(" · ");
  }

  drawCurve(data, name, revision) {
    const { label, scale } = statistic(name);
    const log = scale === "log" || scale === "count";
    const column = (key) => (data.statistics[key] ?? []).map(toNumber);
    const every = name === "norm" && data.norms.steps.length > 0;
    const values = every ? data.norms.values.map(toNumber) : column(name);
    const logarithmic = log && values.some((v) => v > 0 && v < Infinity);
    this.curveTitle.textContent = `${clean(label)}${logarithmic ? ", log scale" : ""}`;
    if (!values.some((v) => !Number.isNaN(v))) {
      return this.curve.say(`“${clean(label)}” was not computed for this parameter.`);
    }
    const c = colors();
    const x = every ? data.norms.steps : data.steps;
    const drawable = (list) => list.map((v) => (Number.isFinite(v) ? v : null));
    const line = (y, words, style) => ({
      type: "scatter", mode: mode(x), x, y: drawable(y), name: words, line: style,
      hovertemplate: `${words} %{y:.4~g}<extra></extra>`,
    });
    const traces = [];
    if (name === "norm" && !every && data.statistics.norm_max) {
      traces.push(line(column("norm_max"), "peak", { color: c.faint, width: 1.2 }));
    }
    traces.push(line(values, name === "norm" ? "norm" : "value", { color: c.orange, width: 1.8 }));
    const counts = column("nonfinite");
    const lost = (_, i) => (every ? values[i] === Infinity : counts[i] > 0);
    traces.push(notFinite(x.filter(lost), "NaN or infinite values"));
    const yaxis = logarithmic ? logAxis(values, this.curve.node.clientHeight || 200) : {};
    if (scale === "unit") yaxis.tickformat = ".0%";
    this.curve.draw(traces, { yaxis, yaxis2: MARKS_AXIS, xaxis: { nticks: 5 } }, `${revision} ${name}`);
  }

  drawHistogram(data, revision) {
    this.histogram = data;
    this.revision = revision;
    const last = data.steps.length - 1;
    this.slider.hidden = last < 1;
    this.words.hidden = last < 0;
    this.when.textContent = "";
    if (last < 0) return this.bars.say("No histograms in this run yet.");
    let at = this.chosen === null ? last : data.steps.indexOf(this.chosen);
    if (at < 0) at = last;
    this.slider.max = String(last);
    this.slider.value = String(at);
    this.when.textContent = `at step ${count(data.steps[at])}${at === last ? ", the newest" : ""}`;
    const bins = layoutBins(data.edges, data.counts[at], usedRange(data));
    this.words.textContent = bins.words;
    if (bins.total === 0) return this.bars.say("This histogram is empty.");
    const c = colors();
    this.bars.draw(
      [{
        type: "bar", x: bins.centers, y: bins.shares, width: bins.widths, customdata: bins.labels,
        marker: { color: bins.isZero.map((zero) => (zero ? c.zero : c.bars)), line: { width: 0 } },
        hovertemplate: "%{customdata}<extra></extra>",
      }],
      {
        hovermode: "closest", bargap: 0, margin: { l: 42, r: 10, t: 6, b: 32 },
        xaxis: { tickvals: bins.ticks.map(([v]) => v), ticktext: bins.ticks.map(([, t]) => t), range: bins.range, tickangle: 0, title: { text: "value of the gradient, log scale on both sides", standoff: 0, font: { size: 11 } } },
        yaxis: { tickformat: "~%", rangemode: "tozero", fixedrange: true },
      },
      `${revision} histogram`,
    );
  }
}

/** First and last magnitude bin that holds anything at any step, so that the axis stays put. */
function usedRange({ edges, counts }) {
  const bins = edges.length - 1;
  let low = bins;
  let high = -1;
  for (const row of counts) {
    for (let k = 0; k < bins; k += 1) {
      if (row[1 + bins - 1 - k] > 0 || row[bins + 4 + k] > 0) {
        low = Math.min(low, k);
        high = Math.max(high, k);
      }
    }
  }
  return low <= high ? [low, high] : [0, Math.min(3, bins - 1)];
}

/**
 * Places the columns of a packed histogram on a line: negative magnitudes falling, zero, positive
 * magnitudes rising; every power of two equally wide. What lies outside is told in words.
 */
function layoutBins(edges, counts, [low, high]) {
  const bins = edges.length - 1;
  const total = counts.slice(0, -1).reduce((a, b) => a + b, 0);
  const everything = total + counts.at(-1);
  const gap = 1.8; // half of the room in the middle, in bins: for zero and what is next to it
  const out = { centers: [], shares: [], widths: [], labels: [], isZero: [], ticks: [], total: everything };
  const add = (center, width, n, label, zero = false) => {
    if (n === 0) return;
    out.centers.push(center);
    out.widths.push(width);
    out.shares.push(n / everything);
    out.isZero.push(zero);
    out.labels.push(`${label}<br>${count(n)} values, ${percent(n / everything)}`);
  };
  for (let k = low; k <= high; k += 1) {
    const at = gap + (k - low) + 0.5;
    const [a, b] = [number(edges[k]), number(edges[k + 1])];
    add(-at, 1, counts[1 + bins - 1 - k], `−${b} to −${a}`);
    add(at, 1, counts[bins + 4 + k], `${a} to ${b}`);
  }
  add(0, 0.8, counts[bins + 2], "exactly zero", true);
  add(-1.1, 0.8, counts[bins + 1], `between −${number(edges[0])} and 0`, true);
  add(1.1, 0.8, counts[bins + 3], `between 0 and ${number(edges[0])}`, true);
  const reach = gap + (high - low + 1);
  add(-reach - 0.7, 0.8, counts[0], `below −${number(edges.at(-1))}`);
  add(reach + 0.7, 0.8, counts[2 * bins + 4], `above ${number(edges.at(-1))}`);
  const over = counts[0] + counts[2 * bins + 4] > 0 ? 1.2 : 0.3;
  out.range = [-reach - over, reach + over];
  out.ticks.push([0, "0"]);
  const [from, to] = [Math.log10(edges[low] ?? 1), Math.log10(edges[high + 1] ?? 1)];
  const every = Math.max(1, Math.ceil((to - from) / 4));
  for (let e = Math.ceil(from); e <= to; e += 1) {
    if ((Math.floor(to) - e) % every !== 0) continue;
    const at = gap + Math.log2(10 ** e / edges[low]);
    if (at < gap + 0.8) continue; // would run into the zero
    out.ticks.push([at, powerOfTen(e)], [-at, `−${powerOfTen(e)}`]);
  }
  out.words = inWords(edges, counts, everything);
  return out;
}

function inWords(edges, counts, everything) {
  const bins = edges.length - 1;
  const zero = counts[bins + 2];
  const under = counts[bins + 1] + counts[bins + 3];
  const over = counts[0] + counts[2 * bins + 4];
  const bad = counts.at(-1);
  const parts = [zero === 0 ? "no exact zeros" : `${percent(zero / everything)} exactly zero`];
  if (under) parts.push(`${count(under)} below ${number(edges[0])} in size`);
  if (over) parts.push(`${count(over)} above ${number(edges.at(-1))} in size`);
  parts.push(bad ? `${count(bad)} NaN or infinite` : "all finite");
  return parts.join(" · ");
}
