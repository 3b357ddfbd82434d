/** Largest and smallest Hessian eigenvalue over the steps, against the optimizer's limit; or the
 * density of all of them. */

import { Chart, colors } from "../chart.js";
import { element, explain, fill, panel } from "../dom.js";
import { clean, count, measured, number, percentBetween, plotText } from "../format.js";
import { toNumber } from "../model.js";

export class CurvatureView {
  constructor() {
    this.select = element("select", { "aria-label": "what of the curvature is shown", hidden: true });
    const { box, body, legend } = panel("curvature", "Curvature", this.select);
    this.box = box;
    this.legend = legend;
    this.chart = new Chart(body, { label: "Extreme Hessian eigenvalues over the steps" });
    const below = element("div", { class: "body", hidden: true });
    body.after(below);
    this.parts = { extremes: body, density: below };
    this.density = new Chart(below, { label: "Density of the Hessian's eigenvalues", alongSteps: false });
    this.select.addEventListener("change", () => {
      this.shown = this.select.value;
      this.again();
    });
  }

  draw(data, revision) {
    this.again = () => this.draw(data, revision);
    const shown = data.densities.length > 0 && this.shown === "density" ? "density" : "extremes";
    fill(this.select, [
      { value: "extremes", label: "largest, smallest" },
      { value: "density", label: "spectral density" },
    ], shown);
    this.select.hidden = data.densities.length === 0;
    for (const [name, part] of Object.entries(this.parts)) part.hidden = name !== shown;
    explain(this.legend, []);
    if (shown === "density") this.drawDensity(data, revision);
    else this.drawExtremes(data, revision);
  }

  drawDensity({ densities, estimates }, revision) {
    const c = colors();
    const newest = densities.at(-1);
    const looks = densities.map((d) => (d === newest ? { color: c.purple, width: 2 } : { color: c.faint, width: 1.5 }));
    // Below a millionth of the peak there are only the tails of the Gaussians that stand for eigenvalues.
    const floors = densities.map(({ density }) => 1e-6 * Math.max(...density.map(toNumber)));
    const legend = densities.map((d, i) => ({ label: `step ${d.step.toLocaleString("en")}`, color: looks[i].color }));
    const counted = estimates.findLast((e) => e.minimum_ratio);
    if (counted) {
      const shares = { "above zero": counted.minimum_ratio, "below zero": counted.negative_fraction, "too near to tell": counted.zero_fraction };
      for (const [label, share] of Object.entries(shares)) {
        legend.push({ label: `${label}: ${percentBetween(share)}`, color: "transparent", look: "none" });
      }
    }
    explain(this.legend, legend);
    this.box.title = "How the eigenvalues of the Hessian are spread: the area under the curve is their share.";
    this.density.draw(
      densities.map((d, i) => ({
        type: "scatter", mode: "lines", name: `step ${d.step.toLocaleString("en")}`, x: d.grid.map(toNumber),
        y: d.density.map((v) => (toNumber(v) > floors[i] ? toNumber(v) : null)), line: looks[i],
        hovertemplate: "density %{y:.3~g}<extra>%{fullData.name}</extra>",
      })),
      {
        xaxis: { title: { text: "eigenvalue", standoff: 0, font: { size: 11 } }, zeroline: true, zerolinecolor: c.muted },
        yaxis: { type: "log", nticks: 5 },
      },
      revision,
    );
  }

  drawExtremes({ estimates }, revision) {
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
    const newest = estimates.at(-1);
    const formula = newest.threshold_formula ? ` = ${clean(newest.threshold_formula)}` : "";
    // Of an adaptive optimizer the limit bounds the eigenvalues of another matrix, on an axis of their own.
    const bounded = newest.preconditioned ? estimates.map((e) => e.preconditioned) : top;
    const yaxis = newest.preconditioned ? "y2" : "y";
    if (newest.preconditioned) {
      traces.push({ ...eigenvalues("preconditioned λmax", c.orange, estimates, bounded), yaxis });
      legend.push({ label: "preconditioned λmax (right)", color: c.orange });
    }
    const limits = estimates.map((e) => toNumber(e.stability_threshold));
    const highest = Math.max(...bounded.map((e) => (e ? toNumber(e.value) : NaN)).filter(Number.isFinite));
    let reach = highest;
    const whose = newest.preconditioned ? "its limit" : "limit";
    if (limits.some(Number.isFinite)) {
      // A limit far above would press the eigenvalues flat: say where it is instead.
      const near = limits.map((v) => (Number.isFinite(v) && v <= 4 * Math.max(highest, 1e-12) ? v : null));
      if (near.some((v) => v !== null)) {
        reach = Math.max(highest, ...near.filter((v) => v !== null));
        legend.push({ label: `${whose}${formula}`, color: c.red, look: "dash" });
        traces.push({
          type: "scatter", mode: "lines", name: `stability limit${plotText(formula)}`, yaxis,
          x: estimates.map((e) => e.step), y: near, line: { color: c.red, width: 1.5, dash: "dash" },
          hovertemplate: "stability limit %{y:.4~g}<extra></extra>",
        });
      } else {
        legend.push({ label: `${whose} ${number(limits.at(-1))}${formula} is far above ↑`, color: c.red, look: "dash" });
      }
    }
    this.box.title =
      `Largest and smallest eigenvalue of the Hessian${newest.samples ? ` on ${count(newest.samples)} samples` : ""}; the newest ` +
      `took ${count(newest.hvps)} Hessian-vector products and ${number(toNumber(newest.seconds), 2)} s.` +
      (newest.preconditioned ? ` The optimizer's limit${formula} is of the preconditioned Hessian.` : "");
    explain(this.legend, legend);
    this.chart.draw(
      traces,
      {
        yaxis: { zeroline: true, zerolinecolor: c.muted },
        ...(newest.preconditioned ? otherAxis(c.orange, reach) : {}),
      },
      revision,
    );
  }
}

/** An axis on the right: the eigenvalues of the preconditioned Hessian have another size. */
const otherAxis = (color, highest) => ({
  margin: { l: 52, r: 48, t: 8, b: 32 },
  yaxis2: {
    overlaying: "y", side: "right", showgrid: false, zeroline: false, tickmode: "auto", nticks: 5,
    // The room above keeps these curves apart from those that fill the other axis.
    range: [0, 1.4 * Math.max(highest, 1e-12)],
    exponentformat: "power", tickfont: { color },
  },
});

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
      y[i] === null ? "" : measured(y[i], residuals[i] ?? NaN),
      e.converged ? "" : ", NOT converged",
    ]),
    hovertemplate: `${name} %{customdata[0]}%{customdata[1]}<extra></extra>`,
  };
}
