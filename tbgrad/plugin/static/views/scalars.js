/** Curves of scalars over the steps. */

import { Chart, colors, logAxis, MARKS_AXIS, notFinite } from "../chart.js";
import { element, explain, fill, panel } from "../dom.js";
import { clean, plotText } from "../format.js";
import { toNumber } from "../model.js";
import { scalar } from "../tables.js";

/** Points of one series; what is not finite on its own. */
export function points(series) {
  const values = series.values.map(toNumber);
  const bad = series.steps.filter((_, i) => !Number.isFinite(values[i]));
  return { x: series.steps, y: values.map((v) => (Number.isFinite(v) ? v : null)), bad };
}

/** A single point has no line to it. */
export const mode = (x) => (x.length < 3 ? "lines+markers" : "lines");

/** Series that are drawn with another. */
const COMPANIONS = { loss: "val_loss" };

const capitalized = (label) => label.replace(/^[a-z]/, (letter) => letter.toUpperCase());

/** Loss by default, the validation loss beside it; the other scalars of the run through a select. */
export class ScalarView {
  constructor() {
    this.select = element("select", { "aria-label": "scalar" });
    const { box, body, heading, legend } = panel("scalar", "Loss");
    heading.replaceChildren(this.select);
    this.box = box;
    this.legend = legend;
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
    const current = series.find(({ tag }) => tag === this.tag) ?? series[0];
    const options = series.map(({ tag }) => {
      const { label, meaning } = scalar(tag);
      return { value: tag, label: capitalized(clean(label)), title: meaning };
    });
    fill(this.select, options, current?.tag ?? "");
    this.select.hidden = series.length === 0;
    if (!current) return this.chart.say("This run has logged no loss.");
    const companion = series.find(({ tag }) => tag === COMPANIONS[current.tag]);
    const shown = companion ? [current, companion] : [current];
    const palette = [colors().blue, colors().orange];
    explain(this.legend, companion
      ? shown.map(({ tag }, i) => ({ label: clean(scalar(tag).label), color: palette[i] }))
      : []);
    drawSeries(this.chart, shown, palette, `${revision} ${current.tag}`);
  }
}

/** Series as plain curves in one chart, on the axis that shows the first of them best. */
export function drawSeries(chart, series, palette, revision) {
  const bad = [];
  const traces = series.map((one, i) => {
    const { x, y, bad: steps } = points(one);
    bad.push(...steps);
    return {
      type: "scatter", mode: mode(x), x, y, line: { color: palette[i], width: 1.8 },
      name: plotText(scalar(one.tag).label), hovertemplate: "%{y:.4~g}<extra></extra>",
    };
  });
  const drawn = traces.flatMap(({ y }) => y);
  const log = scalar(series[0].tag).scale === "log" && drawn.every((v) => v === null || v > 0);
  const yaxis = log ? logAxis(drawn, chart.node.clientHeight || 160) : {};
  chart.draw([...traces, notFinite(bad)], { yaxis, yaxis2: MARKS_AXIS }, revision);
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
        const { box, body } = panel("", clean(scalar(one.tag).label));
        this.box.append(box);
        this.charts.set(one.tag, { box, chart: new Chart(body, { label: clean(one.tag) }) });
      }
      drawSeries(this.charts.get(one.tag).chart, [one], [colors().blue], revision);
    }
  }
}
