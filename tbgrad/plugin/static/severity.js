/** How bad an alert is: from the worst on, and what is said of several together. */

export const SEVERITIES = ["error", "warning", "info"];

/** @param {{severity: string}} given */
const rank = ({ severity }) => SEVERITIES.indexOf(severity);

/**
 * The open alerts of every parameter that has some, the worst first.
 * @returns {Map<string, import("../types.d.ts").Alert[]>}
 * @param {import("../types.d.ts").Alert[]} alerts
 */
export function openByParameter(alerts) {
  /** @type {Map<string, import("../types.d.ts").Alert[]>} */
  const byParameter = new Map();
  for (const alert of alerts.filter(({ state }) => state === "open")) {
    for (const name of new Set(alert.parameters)) byParameter.set(name, [...(byParameter.get(name) ?? []), alert]);
  }
  for (const list of byParameter.values()) list.sort((a, b) => rank(a) - rank(b));
  return byParameter;
}

/** How many of each severity there are: [["error", "1 error"], ["warning", "2 warnings"]]. @param {import("../types.d.ts").Alert[]} alerts @returns {[string, string][]} */
export function tally(alerts) {
  return SEVERITIES.map((name) => /** @type {[string, number]} */ ([name, alerts.filter(({ severity }) => severity === name).length]))
    .filter(([, n]) => n > 0)
    .map(([name, n]) => [name, `${n.toLocaleString("en-US")} ${name}${n === 1 || name === "info" ? "" : "s"}`]);
}

/** What tells an alert from the others of its run. @param {Pick<import("../types.d.ts").Alert, "rule" | "first_step">} alert */
export const keyOf = (alert) => `${alert.rule}@${alert.first_step}`;
