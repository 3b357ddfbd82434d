/** Numbers, times and names as people read them. */

const SUPERSCRIPT = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
const MINUS = "−";

export const superscript = (exponent) => [...String(exponent)].map((c) => SUPERSCRIPT[c]).join("");
export const powerOfTen = (exponent) => (exponent === 0 ? "1" : `10${superscript(exponent)}`);

/** A number to three or four significant digits: "0.0549", "1,234", "5.49×10⁻⁶", "infinite". */
export function number(value, digits = 3) {
  if (Number.isNaN(value)) return "not a number";
  if (!Number.isFinite(value)) return value > 0 ? "infinite" : `${MINUS}infinite`;
  if (value === 0) return "0";
  const sign = value < 0 ? MINUS : "";
  const size = Math.abs(value);
  if (Number.isInteger(size) && size < 1e6) return sign + size.toLocaleString("en-US");
  if (size >= 1e-3 && size < 1e6) {
    const rounded = Number(size.toPrecision(size >= 1000 ? Math.max(digits, 4) : digits));
    return sign + rounded.toLocaleString("en-US", { maximumFractionDigits: 9 });
  }
  const [mantissa, exponent] = size.toExponential(digits - 1).split("e");
  return `${sign}${mantissa}×10${superscript(Number(exponent))}`;
}

export const count = (value) => value.toLocaleString("en-US");

export function percent(share) {
  const value = 100 * share;
  if (value > 0 && value < 0.1) return "under 0.1 %";
  return `${number(value, value < 10 ? 2 : 3)} %`;
}

/** Seconds that have passed, as "3 s", "5 min", "2 h", "12 days". */
export function age(seconds) {
  if (seconds < 90) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

/** A name from a log on one line: control and direction characters made visible. */
export function clean(name) {
  const visible = String(name).replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, "\uFFFD");
  return visible === "" ? "(no name)" : visible;
}

export function shorten(name, limit) {
  const text = [...clean(name)];
  if (text.length <= limit) return text.join("");
  // The end tells kernels from biases, the beginning tells layers apart: cut the middle.
  const head = Math.ceil((limit - 1) / 2);
  return [...text.slice(0, head), "…", ...text.slice(text.length - (limit - 1 - head))].join("");
}

/** Text from a log for Plotly, whose labels understand a small HTML. */
export function plotText(text) {
  return clean(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}
