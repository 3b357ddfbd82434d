/** Numbers, times and names as people read them. */

import { isVague } from "./tables.js";

/** @type {Record<string, string>} */
const SUPERSCRIPT = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
const MINUS = "−";

const grouped = new Intl.NumberFormat("en-US");
const short = new Intl.NumberFormat("en-US", { maximumFractionDigits: 9 });
/** With so many decimals. @type {Map<number, Intl.NumberFormat>} */
const decimal = new Map();

/** @param {number | string} exponent */
export const superscript = (exponent) => [...String(exponent)].map((c) => SUPERSCRIPT[c]).join("");
/** @param {number | string} exponent */
export const powerOfTen = (exponent) => (exponent === 0 ? "1" : `10${superscript(exponent)}`);

/** A number to three or four significant digits: "0.0549", "1,234", "5.49×10⁻⁶", "infinite". @param {number} value @param {number} [digits] */
export function number(value, digits = 3) {
  if (Number.isNaN(value)) return "not a number";
  if (!Number.isFinite(value)) return value > 0 ? "infinite" : `${MINUS}infinite`;
  if (value === 0) return "0";
  const sign = value < 0 ? MINUS : "";
  const size = Math.abs(value);
  if (Number.isInteger(size) && size < 1e6) return sign + grouped.format(size);
  if (size >= 1e-3 && size < 1e6) {
    const rounded = Number(size.toPrecision(size >= 1000 ? Math.max(digits, 4) : digits));
    return sign + short.format(rounded);
  }
  const [mantissa, exponent] = size.toExponential(digits - 1).split("e");
  return `${sign}${Number(mantissa)}×10${superscript(Number(exponent))}`;
}

/** @param {number} value @param {number} digits */
const scientific = (value, digits) => {
  const [mantissa, exponent] = Math.abs(value).toExponential(digits).split("e");
  return `${value < 0 ? MINUS : ""}${mantissa}×10${superscript(Number(exponent))}`;
};
/** @param {number} value @param {number} digits */
const magnitude = (value, digits) => Number(value.toExponential(digits).split("e")[1]);

/** A value and its error, the one rounded to two significant digits of the other. @param {number} value @param {number} error */
export function rounded(value, error) {
  if (!Number.isFinite(value) || !(error > 0) || error === Infinity) {
    return [number(value, 6), Number.isNaN(error) ? "unknown" : number(error, 2)];
  }
  let decimals = 1 - magnitude(error, 1);
  if (value !== 0) decimals = Math.min(decimals, 14 - magnitude(value, 14)); // no more is held
  const size = Math.max(Math.abs(value), error);
  if (!(size >= 1e-4 && size < 1e6)) {
    return [scientific(value, value === 0 ? 1 : Math.max(0, magnitude(value, 14) + decimals)), scientific(error, 1)];
  }
  const shown = Math.max(0, decimals);
  /** @param {number} v */
  const fixed = (v) => {
    const whole = decimals < 0 ? Math.round(v / 10 ** -decimals) * 10 ** -decimals : v;
    if (!decimal.has(shown)) decimal.set(shown, new Intl.NumberFormat("en-US", { minimumFractionDigits: shown, maximumFractionDigits: shown }));
    const text = /** @type {Intl.NumberFormat} */ (decimal.get(shown)).format(Math.abs(whole));
    return (whole < 0 && Number(text.replaceAll(",", "")) !== 0 ? MINUS : "") + text;
  };
  return [fixed(value), shown <= 5 ? fixed(error) : scientific(error, 1)];
}

/** A value with its error: "10.0156300 ± 5.9×10⁻⁶". @param {number} value @param {number} error */
export const measured = (value, error) => rounded(value, error).join(" ± ");

/** A share with its interval: "12.3 % (11.0 to 13.6)"; "between 21 and 84 %" where it is vague. @param {{value: number, low: number, high: number}} given */
export function percentBetween({ value, low, high }) {
  /** @param {number} share @param {number} digits */
  const shown = (share, digits) => (100 * share).toFixed(digits);
  if (isVague({ low, high })) return `between ${shown(low, 0)} and ${shown(high, 0)} %`;
  const digits = 100 * (high - low) < 10 ? 1 : 0;
  return `${shown(value, digits)} % (${shown(low, digits)} to ${shown(high, digits)})`;
}

/** @param {number} value */
export const count = (value) => grouped.format(value);

/** @param {number} share */
export function percent(share) {
  const value = 100 * share;
  if (value > 0 && value < 0.1) return "under 0.1 %";
  return `${number(value, value < 10 ? 2 : 3)} %`;
}

/** Seconds that have passed, as "3 s", "5 min", "2 h", "12 days". @param {number} seconds */
export function age(seconds) {
  if (seconds < 90) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

/** A name from a log on one line: control and direction characters made visible. @param {string | number | boolean | null} name */
export function clean(name) {
  const visible = String(name).replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, "\uFFFD");
  return visible === "" ? "(no name)" : visible;
}

/** @param {string | number | boolean | null} name @param {number} limit */
export function shorten(name, limit) {
  const text = [...clean(name)];
  if (text.length <= limit) return text.join("");
  // The end tells kernels from biases, the beginning tells layers apart: cut the middle.
  const head = Math.ceil((limit - 1) / 2);
  return [...text.slice(0, head), "…", ...text.slice(text.length - (limit - 1 - head))].join("");
}

/** Text from a log for Plotly, whose labels understand a small HTML. @param {string} text */
export function plotText(text) {
  return clean(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}
