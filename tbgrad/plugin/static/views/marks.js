/** The marks of the heat map's rows that have open alerts, and what they say. */

import { colors } from "../chart.js";
import { element } from "../dom.js";
import { clean, count } from "../format.js";
import { SEVERITIES } from "../severity.js";

/** Room between the names and the map, where the marks are. */
export const GUTTER = 12;
const COLORS = { error: "red", warning: "amber", info: "blue" };
const LEAST_PIXELS = 4;

/**
 * Plotly's shapes: one a severity, however many rows it marks.
 * @param {string[]} names of the rows
 * @param {Map<string, {severity: string}[]>} flags the open alerts of a row, the worst first
 * @param {number} pixels height of a row
 */
export function marks(names, flags, pixels) {
  const half = Math.max(0.4, LEAST_PIXELS / 2 / pixels);
  // The worst comes last, on top of marks that are higher than their rows.
  return [...SEVERITIES].reverse().flatMap((severity) => {
    const rows = names.flatMap((name, i) => (flags.get(name)?.[0].severity === severity ? [i] : []));
    if (rows.length === 0) return [];
    const path = rows.map((i) => `M-10,${i - half}H-4V${i + half}H-10Z`).join("");
    return [{
      type: "path", name: severity, path, xref: "paper", xsizemode: "pixel", xanchor: 0, yref: "y",
      line: { width: 0 }, fillcolor: colors()[COLORS[severity]], fillrule: "nonzero",
    }];
  });
}

/** An open alert in the words of a tip. */
export function flagged({ severity, rule, first_step: first }) {
  const line = element("span", { class: "flag" }, `${severity}: ${clean(rule)} since step ${count(first)}`);
  line.dataset.severity = severity;
  return line;
}
