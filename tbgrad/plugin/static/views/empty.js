/** What the tab says when there is nothing to draw. */

import { element } from "../dom.js";

const EXAMPLE = `import tbgrad

monitor = tbgrad.GradientMonitor("runs/a", every=10)
model.fit(x, y, callbacks=[monitor])`;

export function noRuns() {
  return element(
    "section", { class: "words-only", id: "nothing" },
    element("h2", {}, "No runs yet"),
    element("p", {}, "TensorBoard has found no event files in its log directory so far. This page fills by itself as soon as a training writes there."),
    ...howTo(),
  );
}

export class NoGradientsView {
  constructor() {
    this.rest = element("p", {});
    this.box = element(
      "section", { class: "words-only", id: "absence" },
      element("h2", {}, "This run has no gradients logged"),
      this.rest,
      element("pre", { tabindex: "0" }, element("code", {}, EXAMPLE)),
    );
  }

  /** @param {import("../../types.d.ts").App} app */
  draw({ status, view }) {
    const below = view.name === "run" ? "Its scalars are shown below." : "Its scalars are in the view Scalars.";
    const instead = status.scalar_tags.length ? below : "It has no scalars either; what else it holds is in TensorBoard's other tabs.";
    this.rest.textContent = `${instead} To see gradients, layers and curvature here, add the monitor to the training:`;
  }
}

function howTo() {
  return [
    element("p", {}, "In a Keras training, this is all it takes:"),
    element("pre", { tabindex: "0" }, element("code", {}, EXAMPLE)),
    element("p", {}, "Then point TensorBoard at the same directory: tensorboard --logdir runs"),
  ];
}
