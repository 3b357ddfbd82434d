/** The views, named as the screens of the terminal app: what each shows, and the key that brings it. */

/**
 * `panels` are laid out by the style sheet; `plain` are those of a run without gradients, where they
 * are others; `ofRun` says that the view is of the run in front.
 * @typedef {{name: string, title: string, key: string, panels: string[], plain?: string[], ofRun: boolean}} View
 */

/** @type {View[]} */
export const VIEWS = [
  { name: "overview", title: "Overview", key: "r", panels: ["overview"], ofRun: false },
  { name: "run", title: "Run", key: "1", panels: ["alerts", "scalar", "norm", "layers", "parameter", "curvature"], plain: ["absence", "alerts", "scalars"], ofRun: true },
  { name: "layers", title: "Layers", key: "5", panels: ["layers", "flow", "parameter"], plain: ["absence"], ofRun: true },
  { name: "distributions", title: "Distributions", key: "9", panels: ["ridges", "overlay"], plain: ["absence"], ofRun: true },
  { name: "curvature", title: "Curvature", key: "4", panels: ["curvature", "stability", "density", "trace", "shares"], plain: ["absence"], ofRun: true },
  { name: "scalars", title: "Scalars", key: "7", panels: ["scalars"], ofRun: true },
  { name: "alerts", title: "Alerts", key: "a", panels: ["alerts", "scalar", "norm", "layers"], plain: ["alerts", "scalar"], ofRun: true },
  { name: "landscape", title: "Landscape", key: "8", panels: ["landscape"], ofRun: true },
  { name: "compare", title: "Compare", key: "c", panels: ["compare"], ofRun: false },
];

/** @param {string} name */
export const viewOf = (name) => VIEWS.find((view) => view.name === name);

/** Panels of the run view that their digit in the terminal app shows alone. @type {Record<string, string>} */
export const ALONE = { 2: "scalar", 3: "norm", 6: "parameter" };
