/** Largest and smallest Hessian eigenvalue over the steps, against the optimizer's limit. */

import { Chart, colors } from "../chart.js";
import { explain, panel } from "../dom.js";
import { clean, count, number, plotText } from "../format.js";
import { toNumber } from "../model.js";

export class CurvatureView {
  constructor() {
    const { box, body, legend } = panel("curvature", "Curvature");
    this.box = box;
    this.legend = legend;
    this.chart = new Chart(body, { label: "Extreme Hessian eigenvalues over the steps" });
  }

  draw({ estimates }, revision) {
    explain(this.legend, []);
    if (estimates.length === 0) {
      return this.chart.say(
        "No curvature in this run. Give GradientMonitor curvature=tbgrad.Curvature(data=(x, y), every=500).",
      );
    }
    const c = colors();
    const top = estimates.map((e) => e.eigenvalues[0]);
    const bottom = estimates.map((e) => (e.eigenvalues.length > 1 ? e.eigenvalues.at(-1) : null));
    const traces = [
      eigenvalues("λmax", c.purple, estimates, top),
      ...(bottom.some(Boolean) ? [eigenvalues("λmin", c.teal, estimates, bottom)] : []),
    ];
    const legend = [{ label: "λmax", color: c.purple }];
    if (traces.length > 1) legend.push({ label: "λmin", color: c.teal });
    if (estimates.some((e) => !e.converged)) legend.push({ label: "not converged", color: c.muted, look: "cross" });
    // Of an adaptive optimizer the limit bounds other eigenvalues than the chart shows.
    const limits = estimates.map((e) => (e.preconditioned ? NaN : toNumber(e.stability_threshold)));
    const highest = Math.max(...top.map((e) => toNumber(e.value)).filter(Number.isFinite));
    const newest = estimates.at(-1);
    const formula = newest.threshold_formula ? ` = ${clean(newest.threshold_formula)}` : "";
    if (newest.preconditioned) {
      const value = number(toNumber(newest.preconditioned.value));
      const limit = number(toNumber(newest.stability_threshold));
      legend.push({ label: `preconditioned λmax ${value} of ${limit}`, color: c.red, look: "dash" });
    }
    if (limits.some(Number.isFinite)) {
      // A limit far above would press the eigenvalues flat: say where it is instead.
      const near = limits.map((v) => (Number.isFinite(v) && v <= 4 * Math.max(highest, 1e-12) ? v : null));
      if (near.some((v) => v !== null)) {
        legend.push({ label: `limit${formula}`, color: c.red, look: "dash" });
        traces.push({
          type: "scatter", mode: "lines", name: `stability limit${plotText(formula)}`,
          x: estimates.map((e) => e.step), y: near, line: { color: c.red, width: 1.5, dash: "dash" },
          hovertemplate: "stability limit %{y:.4~g}<extra></extra>",
        });
      } else {
        legend.push({ label: `limit ${number(limits.at(-1))}${formula} is far above ↑`, color: c.red, look: "dash" });
      }
    }
    this.box.title =
      `Largest and smallest eigenvalue of the Hessian on ${count(newest.samples)} samples; the newest ` +
      `took ${count(newest.hvps)} Hessian-vector products and ${number(toNumber(newest.seconds), 2)} s.` +
      (newest.preconditioned ? ` The optimizer's limit${formula} is of the preconditioned Hessian.` : "");
    explain(this.legend, legend);
    this.chart.draw(
      traces,
      {
        yaxis: { zeroline: true, zerolinecolor: c.muted },
      },
      revision,
    );
  }
}

function eigenvalues(name, color, estimates, chosen) {
  const number_ = (i, key) => {
    const value = chosen[i] ? toNumber(chosen[i][key]) : NaN;
    return Number.isFinite(value) ? value : null;
  };
  const y = estimates.map((_, i) => number_(i, "value"));
  const residuals = estimates.map((_, i) => number_(i, "residual"));
  return {
    type: "scatter", mode: "lines+markers", name, x: estimates.map((e) => e.step), y,
    line: { color, width: 1.5 },
    marker: {
      color, size: estimates.map((e) => (e.converged ? 6 : 9)),
      symbol: estimates.map((e) => (e.converged ? "circle" : "x-thin-open")), line: { width: estimates.map((e) => (e.converged ? 0 : 2)), color },
    },
    error_y: { type: "data", array: residuals, color, thickness: 1.2, width: 3 },
    customdata: estimates.map((e, i) => [
      residuals[i] === null ? "error unknown" : `± ${number(residuals[i])}`,
      e.converged ? "" : ", NOT converged",
    ]),
    hovertemplate: `${name} %{y:.4~g} %{customdata[0]}%{customdata[1]}<extra></extra>`,
  };
}
