/** The gradient of all data beside the noise of a batch, layer by layer. */

import { Chart, colors } from "../chart.js";
import { element, sentences } from "../dom.js";
import { explain } from "../panel.js";
import { count, number, plotText, shorten } from "../format.js";
import { toNumber } from "../model.js";

/** A layer has at least so much room, and of few not more than that. */
const [ROW_PIXELS, FEW_PIXELS] = [34, 60];

export class CheckView {
  constructor() {
    this.frame = element("div", { class: "half" });
    const scroller = element("div", { class: "scroller" }, this.frame);
    this.words = element("ul", { class: "told" });
    this.box = element("div", { class: "finding", hidden: true }, scroller, this.words);
    this.chart = new Chart(this.frame, { label: "Gradient norm and noise of each layer", alongSteps: false });
  }

  /** @param {import("../../types.d.ts").Check} data @param {{legend: HTMLElement, revision: string}} given */
  draw(data, { legend, revision }) {
    const c = colors();
    const noisy = data.layers.some(({ noise }) => noise !== null);
    explain(legend, [
      { label: "norm over all samples", color: c.blue, look: "box" },
      ...(noisy ? [{ label: "noise of a batch", color: c.faint, look: "box" }] : []),
    ]);
    const left = data.stored - data.layers.length;
    sentences(this.words, [
      ...data.words,
      ...(noisy ? [{ text: "noise: how far the gradient of a batch, drawn at random, is from that of all", look: "quiet" }] : []),
      ...(left > 0 ? [{ text: `and ${count(left)} more layers`, look: "quiet" }] : []),
    ]);
    const few = FEW_PIXELS * data.layers.length + 60;
    this.frame.style.height = `max(min(100%, ${few}px), ${ROW_PIXELS * data.layers.length + 60}px)`;
    const rows = data.layers.map((_, i) => i);
    /** @param {"norm" | "noise"} key @param {string} name @param {string} color */
    const bars = (key, name, color) => {
      const values = data.layers.map((layer) => toNumber(layer[key]));
      return {
        type: "bar", orientation: "h", name, y: rows, x: values.map((v) => (Number.isFinite(v) ? v : null)), marker: { color },
        customdata: values.map((v, i) => [plotText(data.layers[i].name), number(v)]),
        hovertemplate: `<b>%{customdata[0]}</b><br>${name} %{customdata[1]}<extra></extra>`,
      };
    };
    const labels = data.layers.map(({ name }) => plotText(shorten(name, 22)));
    const longest = Math.max(0, ...labels.map((label) => label.length));
    this.chart.draw(
      [bars("norm", "norm", c.blue), ...(noisy ? [bars("noise", "noise", c.faint)] : [])],
      {
        barmode: "group", bargap: 0.3, hovermode: "closest",
        margin: { l: 24 + 6.5 * longest, r: 20, t: 8, b: 36 },
        xaxis: { title: { text: "size", standoff: 2, font: { size: 11 } }, rangemode: "tozero", nticks: 6, exponentformat: "power" },
        yaxis: { autorange: "reversed", tickmode: "array", tickvals: rows, ticktext: labels, showgrid: false },
      },
      revision,
    );
  }
}
