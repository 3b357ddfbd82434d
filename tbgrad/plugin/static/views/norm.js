/** The norm of the whole gradient over the steps. */

import { Chart, colors, logAxis, MARKS_AXIS, notFinite } from "../chart.js";
import { explain, panel } from "../dom.js";
import { scalar } from "../tables.js";
import { mode, points } from "./scalars.js";

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
    // Where every step is there, its peaks are too.
    const peak = norm?.every_step ? undefined : find("gradient/norm_max");
    if (!norm && !peak) return this.chart.say("This run has logged no gradient norm.");
    const c = colors();
    const traces = [];
    const bad = new Set();
    let zeros = 0;
    const add = (one, name, line) => {
      if (!one) return;
      const { x, y, bad: steps } = points(one);
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
    this.hint.title = scalar("gradient/norm").meaning;
    traces.push(notFinite([...bad].sort((a, b) => a - b), "NaN or infinite"));
    this.chart.draw(
      traces,
      { yaxis: logAxis(drawn, this.chart.node.clientHeight || 160), yaxis2: MARKS_AXIS },
      revision,
    );
  }
}
