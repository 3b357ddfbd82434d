/** What each statistic of a parameter is called, means, and is coloured like. */

/**
 * `scale`: "log" for sizes over decades, "signed" for values on both sides of zero, "unit" for
 * shares from 0 to 1, "correlation" from -1 to 1.
 * @typedef {{label: string, meaning: string, scale: "log" | "signed" | "unit" | "correlation"}} Statistic
 */

/** @type {Record<string, Statistic>} */
const KNOWN = {
  norm: { label: "gradient norm", meaning: "L2 norm of the gradient", scale: "log" },
  norm_max: { label: "peak norm", meaning: "largest norm since the step logged before", scale: "log" },
  mean: { label: "mean", meaning: "mean of the gradient's values", scale: "signed" },
  std: { label: "spread", meaning: "standard deviation of the gradient's values", scale: "log" },
  abs_max: { label: "largest value", meaning: "largest magnitude of any value", scale: "log" },
  zero_fraction: { label: "zeros", meaning: "share of values that are exactly zero", scale: "unit" },
  dead_fraction: { label: "dead units", meaning: "share of output units without any gradient", scale: "unit" },
  nonfinite: { label: "not finite", meaning: "NaN and infinite values since the step logged before", scale: "log" },
  weight_norm: { label: "weight norm", meaning: "L2 norm of the weights", scale: "log" },
  update_norm: { label: "update norm", meaning: "L2 norm of the applied update", scale: "log" },
  cosine: { label: "direction", meaning: "cosine to the gradient logged before: 1 same, −1 opposite", scale: "correlation" },
  snr: { label: "signal to noise", meaning: "squared mean of the gradient over its variance, from the optimizer's moments", scale: "log" },
};

/** @returns {Statistic} */
export function statistic(name) {
  return KNOWN[name] ?? { label: name, meaning: "a statistic this version does not know", scale: "signed" };
}
