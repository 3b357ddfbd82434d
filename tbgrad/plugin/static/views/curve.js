/** From a series as the server answers to a curve. */

import { clean } from "../format.js";
import { toNumber } from "../model.js";
import { scalar } from "../tables.js";

/** @typedef {{tag: string, steps: number[], values: import("../../types.d.ts").Num[], wall_times?: number[], run?: string, every_step?: boolean}} Series */

/**
 * @param {Series} series
 * @param {Partial<import("../curves.js").Curve>} look
 * @returns {import("../curves.js").Curve}
 */
export function curveOf(series, look) {
  return { name: clean(scalar(series.tag).label), color: "", steps: series.steps, values: series.values.map(toNumber), ...look };
}

/** The axis on which a scalar is seen best: a loss by its values, a share as one, else by the table. @param {string} tag */
export function scaleOf(tag) {
  if (/fraction$|^curvature\/minimum_ratio$/.test(tag)) return "unit";
  return scalar(tag).scale === "log" ? "log" : "auto";
}

/** @param {string} label */
export const capitalized = (label) => label.replace(/^[a-z]/, (letter) => letter.toUpperCase());

/** Series that are drawn with another. @type {Record<string, string>} */
export const COMPANIONS = { loss: "val_loss", "gradient/norm": "gradient/norm_max" };
