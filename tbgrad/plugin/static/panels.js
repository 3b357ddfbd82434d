/** The panels of all views but the overview, which is there before them, by their names. */

import { AlertsView } from "./views/alerts.js";
import { CompareView } from "./views/compare.js";
import { CurvatureView } from "./views/curvature.js";
import { OverlayView, RidgesView } from "./views/distributions.js";
import { NoGradientsView } from "./views/empty.js";
import { FlowView } from "./views/flow.js";
import { LandscapeView } from "./views/landscape.js";
import { LayersView } from "./views/layers.js";
import { LossView } from "./views/loss.js";
import { NormView } from "./views/norm.js";
import { ParameterView } from "./views/parameter.js";
import { ScalarsView } from "./views/scalars.js";
import { DensityView, SharesView, StabilityView, TraceView } from "./views/spectrum.js";

/**
 * `wants` names the answers that `draw` is given; it draws again when one of them or `variant`
 * changes. `follows` names what these answers make it ask for besides. `needsParameter` says that it is
 * of the selected parameter, `absent` that there is nothing to be shown.
 * @typedef {{box: HTMLElement, wants?: (app: import("../types.d.ts").App) => Record<string, import("./ask.js").Question>, variant?: (app: import("../types.d.ts").App) => any,
 *   follows?: (app: import("../types.d.ts").App, answers: any) => Record<string, import("./ask.js").Question>,
 *   draw: (app: import("../types.d.ts").App, answers: any) => any, needsParameter?: boolean, absent?: boolean}} Panel
 */

/** @param {import("../types.d.ts").App} app @returns {Record<string, any>} */
export function panelsOf(app) {
  return {
    absence: new NoGradientsView(),
    alerts: new AlertsView(app),
    scalar: new LossView(app),
    norm: new NormView(app),
    layers: new LayersView(app),
    flow: new FlowView(app),
    parameter: new ParameterView(app),
    ridges: new RidgesView(app),
    overlay: new OverlayView(app),
    curvature: new CurvatureView(app),
    stability: new StabilityView(app),
    density: new DensityView(app),
    trace: new TraceView(app),
    shares: new SharesView(app),
    scalars: new ScalarsView(app),
    landscape: new LandscapeView(app),
    compare: new CompareView(app),
  };
}
