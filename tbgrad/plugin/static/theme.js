/** Colours of both themes, and how large letters are on this screen. */

/** @typedef {"text" | "muted" | "grid" | "panel" | "blue" | "orange" | "faint" | "purple" | "teal" | "red" | "amber" | "bars" | "zero" | "selected"} ColorName */
/** @type {Record<string, Record<ColorName, string>>} */
const THEMES = {
  light: {
    text: "#202124", muted: "#5f6368", grid: "#e4e6ea", panel: "#ffffff",
    blue: "#1967d2", orange: "#c2570a", faint: "#f0b27f", purple: "#7b3fc4", teal: "#0b8378",
    red: "#c5221f", amber: "#a15c00", bars: "#4a86e0", zero: "#80868b", selected: "#ff6d00",
  },
  dark: {
    text: "#e8eaed", muted: "#a8adb4", grid: "#3d4147", panel: "#25282c",
    blue: "#8ab4f8", orange: "#ffa657", faint: "#8f6238", purple: "#c58af9", teal: "#5ed1c4",
    red: "#ff7b72", amber: "#f2b84b", bars: "#6ea0ee", zero: "#9aa0a6", selected: "#ff8f3d",
  },
};

/** Colour of a severity, by its name in a theme. @type {Record<string, "red" | "amber" | "blue">} */
export const SEVERITY_COLORS = { error: "red", warning: "amber", info: "blue" };

let theme = "light";

/** @param {string} name */
export const setTheme = (name) => {
  theme = name;
};
export const themeName = () => theme;
export const colors = () => THEMES[theme];

/** What letters of 13 pixels are on an ordinary screen. */
const USUAL = 13;

/** Asking for a style makes the browser lay out the page: once a size of the window is enough. */
let known = 0;
window.addEventListener("resize", () => {
  known = 0;
}, { capture: true });

/** How much larger than on an ordinary screen everything is drawn. */
export function unit() {
  known ||= (Number.parseFloat(getComputedStyle(document.documentElement).fontSize) || USUAL) / USUAL;
  return known;
}

/** Forgets how large letters are, as before the style sheet was there. */
export const measureAgain = () => {
  known = 0;
};

export const FONT = "Roboto, system-ui, sans-serif";

const ruler = /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d"));

/** Width in pixels of a label of an axis. @param {string} text @param {number} [size] @param {string} [weight] */
export function labelWidth(text, size = 11 * unit(), weight = "") {
  ruler.font = `${weight} ${size}px ${FONT}`;
  return ruler.measureText(text).width;
}
