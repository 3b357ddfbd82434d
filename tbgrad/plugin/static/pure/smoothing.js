/** Smoothing of a noisy curve, as TensorBoard and the terminal app do it. */

/** Weights of the key `m`, as in the terminal app. */
export const WEIGHTS = [0, 0.6, 0.9, 0.98];

/**
 * The debiased exponential moving average; what is not finite stays as it is.
 * @param {(number | null)[]} values
 * @param {number} weight from 0 (changes nothing) to below 1
 */
export function smoothed(values, weight) {
  if (!(weight > 0)) return values;
  let [sum, power] = [0, 1];
  return values.map((v) => {
    if (v === null || !Number.isFinite(v)) return v;
    sum = weight * sum + (1 - weight) * v;
    power *= weight;
    return sum / (1 - power);
  });
}
