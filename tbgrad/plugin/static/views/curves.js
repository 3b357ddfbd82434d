/** Curves over the steps: any scalar, and the norm of the whole gradient. */

import { Chart, colors, logAxis, MARKS_AXIS, notFinite } from "../chart.js";
import { element, explain, fill, panel } from "../dom.js";
import { clean, plotText } from "../format.js";
import { toNumber } from "../model.js";

const LABELS = {
  loss: "Loss",
  learning_rate: "Learning rate",
  "update/ratio": "Update size over weight size",
  loss_scale: "Loss scale (mixed precision)",
  skipped_updates: "Updates skipped since the logged step before",
  "gradient/clip_factor": "Clip factor (1: not clipped)",
};

/** Points of one series; what is not finite on its own. */
export function points(series) {
  const values = series.values.map(toNumber);
  const bad = series.steps.filter((_, i) => !Number.isFinite(values[i]));
  return { x: series.steps, y: values.map((v) => (Number.isFinite(v) ? v : null)), bad };
}

/** A single point has no line to it. */
export const mode = (x) => (x.length < 3 ? "lines+markers" : "lines");

/** Loss by default; the other scalars of the run through a select. */
export class ScalarView {
  constructor() {
    this.select = element("select", { "aria-label": "scalar" });
    const { box, body, heading } = panel("scalar", "Loss");
    heading.replaceChildren(this.select);
    this.box = box;
    this.chart = new Chart(body, { label: "Scalar over the steps" });
    this.tag = "loss";
    this.series = [];
    this.select.addEventListener("change", () => {
      this.tag = this.select.value;
      this.draw(this.series, this.revision);
    });
  }

  draw(series, revision) {
    this.series = series;
    this.revision = revision;
    const shown = series.filter(({ tag }) => tag in LABELS);
    const current = shown.find(({ tag }) => tag === this.tag) ?? shown[0];
    fill(this.select, shown.map(({ tag }) => ({ value: tag, label: LABELS[tag] })), current?.tag ?? "");
    this.select.hidden = shown.length === 0;
    if (!current) return this.chart.say("This run has logged no loss.");
    drawSeries(this.chart, current, colors().blue, `${revision} ${current.tag}`);
  }
}

/** One series as a plain curve. */
export function drawSeries(chart, series, color, revision) {
  const { x, y, bad } = points(series);
  const line = { type: "scatter", mode: mode(x), x, y, line: { color, width: 1.8 }, name: plotText(series.tag) };
  line.hovertemplate = "%{y:.4~g}<extra></extra>";
  chart.draw([line, notFinite(bad)], { yaxis2: MARKS_AXIS }, revision);
}

/** The norm of the true gradient and its peaks between logged steps, on a logarithmic axis. */
export class NormView {
  constructor() {
    const { box, body, hint, legend } = panel("norm", "Gradient norm");
    this.box = box;
    this.hint = hint;
    this.legend = legend;
    this.chart = new Chart(body, { label: "Norm of the whole gradient over the steps, log scale" });
  }

  draw(series, revision) {
    const find = (tag) => series.find((s) => s.tag === tag);
    const norm = find("gradient/norm");
    const peak = find("gradient/norm_max");
    if (!norm && !peak) return this.chart.say("This run has logged no gradient norm.");
    const c = colors();
    const traces = [];
    const bad = new Set();
    let zeros = 0;
    const add = (found, name, line) => {
      if (!found) return;
      const { x, y, bad: steps } = points(found);
      for (const step of steps) bad.add(step);
      zeros += y.filter((v) => v === 0).length;
      traces.push({
        type: "scatter", mode: mode(x), x, y, name, line,
        hovertemplate: `${name} %{y:.4~g}<extra></extra>`,
      });
    };
    add(peak, "peak", { color: c.faint, width: 1.2 });
    add(norm, "norm", { color: c.orange, width: 1.8 });
    explain(this.legend, [
      ...(norm ? [{ label: "norm", color: c.orange }] : []),
      ...(peak ? [{ label: "peak since last log", color: c.faint }] : []),
      ...(bad.size ? [{ label: "NaN or infinite", color: c.red, look: "cross" }] : []),
    ]);
    const drawn = traces.flatMap(({ y }) => y);
    this.hint.textContent = zeros > 0
      ? `log scale; ${zeros} points are exactly 0 and not on it`
      : "log scale";
    this.hint.title = "L2 norm of the whole gradient, before any clipping";
    traces.push(notFinite([...bad].sort((a, b) => a - b), "NaN or infinite"));
    this.chart.draw(
      traces,
      { yaxis: logAxis(drawn, this.chart.node.clientHeight || 160), yaxis2: MARKS_AXIS },
      revision,
    );
  }
}

/** All scalars of a run that has none of ours: a grid of small charts. */
export class OtherScalarsView {
  static MOST = 24;

  constructor() {
    this.box = element("div", { id: "others" });
    this.charts = new Map();
  }

  draw(series, revision) {
    const shown = new Set(series.map(({ tag }) => tag));
    for (const [tag, { box }] of this.charts) {
      if (!shown.has(tag)) {
        box.remove();
        this.charts.delete(tag);
      }
    }
    for (const one of series) {
      if (!this.charts.has(one.tag)) {
        const { box, body } = panel("", clean(one.tag));
        this.box.append(box);
        this.charts.set(one.tag, { box, chart: new Chart(body, { label: clean(one.tag) }) });
      }
      drawSeries(this.charts.get(one.tag).chart, one, colors().blue, revision);
    }
  }
}
