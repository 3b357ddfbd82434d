/** Where an alert begins, as a line in the chart that shows its fault. */

/** Rules whose threshold is a value of what shows them; of others it is of something derived from it. */
const ON_ITS_AXIS = new Set(["edge_of_stability", "clipping_always", "dead_units", "loss_scale_collapse", "update_too_large"]);

/**
 * The threshold by the words of the alert, as its writer may have set another than is usual.
 * @param {{rule: string, evidence: string} | null} alert
 * @returns {number | null}
 */
export function thresholdOf(alert) {
  if (!alert || !ON_ITS_AXIS.has(alert.rule)) return null;
  const found = /\(alert (?:above|below|from) (-?[\d.,]+(?:e[+-]?\d+)?) ?(%?)/.exec(alert.evidence);
  if (!found) return null;
  const value = Number(found[1].replaceAll(",", "").replace(/\.$/, ""));
  return Number.isFinite(value) ? (found[2] ? value / 100 : value) : null;
}
