"""The rules: what each looks for in one record, from what on, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tbgrad.records import CurvatureEstimate, Manifest
from tbgrad.tags import CLIP_FACTOR, LEARNING_RATE, LOSS_SCALE


@dataclass(frozen=True)
class Record:
    """What was logged of one step: scalars by tag, the packed statistics [P, S], an estimate."""

    step: int
    scalars: Mapping[str, float]
    table: NDArray[np.float32] | None = None
    manifest: Manifest | None = None
    curvature: CurvatureEstimate | None = None

    def statistic(self, name: str) -> NDArray[np.float32] | None:
        """One statistic of every parameter, [P]; None where the record does not have it."""
        if self.table is None or self.manifest is None or self.manifest.column(name) < 0:
            return None
        found: NDArray[np.float32] = self.table[:, self.manifest.column(name)]
        return found


@dataclass(frozen=True)
class Rule:
    """A fault, and how it shows.

    `applies` says of a record where the fault is: of the run (a bool) or of each parameter (bools
    [P]); None where the record cannot tell. An alert is opened once that was so for `opens_after`
    such records in a row, and closed once it was not for `closes_after` of them. `evidence` says in
    words what was measured in the record that opened it, of these rows.
    """

    name: str
    severity: Literal["info", "warning", "error"]
    applies: Callable[[Record, Thresholds], Any]
    evidence: Callable[[Record, Thresholds, NDArray[np.intp]], str]
    causes: tuple[str, ...]
    advice: str
    opens_after: int = 1
    closes_after: int = 1


@dataclass(frozen=True)
class Thresholds:
    """From what on a rule applies.

    Attributes:
        clip_factor: applied over true gradient norm below which clipping leaves next to nothing of
            the gradient. A tenth: the clip value is then no guard against spikes, but the step.
        stability: largest eigenvalue over the optimizer's own threshold. Full-batch training
            hovers at 1 (Cohen et al., "Gradient descent on neural networks typically occurs at the
            edge of stability", 2021); a tenth above is what the estimates may be off.
        lost_update: learning rate · gradient norm over weight norm up to which it is no wonder that
            an update changes nothing: ten times the rounding of float32, as where the training has
            converged.
        loss_scale: below 1 even gradients that are not scaled up overflow in float16.
    """

    clip_factor: float = 0.1
    stability: float = 1.1
    lost_update: float = 1e-6
    loss_scale: float = 1.0


def _no_gradient(record: Record, _: Thresholds) -> Any:
    norms, weights = record.statistic("norm"), record.statistic("weight_norm")
    if norms is None or weights is None or np.isnan(norms).all():
        return None
    return np.isnan(norms) & ~np.isnan(weights)  # of what is not trained now there are no weights


def _frozen(record: Record, thresholds: Thresholds) -> Any:
    norms, updates = record.statistic("norm"), record.statistic("update_norm")
    weights, rate = record.statistic("weight_norm"), record.scalars.get(LEARNING_RATE, 0.0)
    if norms is None or updates is None or weights is None or not rate > 0:
        return None
    return (updates == 0) & (rate * norms > thresholds.lost_update * weights)


def _clipping(record: Record, thresholds: Thresholds) -> Any:
    factor = record.scalars.get(CLIP_FACTOR)
    return None if factor is None else factor < thresholds.clip_factor


def _edge(record: Record, thresholds: Thresholds) -> Any:
    estimate = record.curvature
    if estimate is None or not np.isfinite(estimate.stability):
        return None
    return estimate.stability > thresholds.stability


def _loss_scale(record: Record, thresholds: Thresholds) -> Any:
    scale = record.scalars.get(LOSS_SCALE)
    return None if scale is None else scale < thresholds.loss_scale


def _share(record: Record, rows: NDArray[np.intp]) -> str:
    assert record.table is not None
    return f"{len(rows)} of {len(record.table)} parameters"


def _edge_evidence(record: Record, thresholds: Thresholds, _: NDArray[np.intp]) -> str:
    estimate = record.curvature
    assert estimate is not None
    assert estimate.stability_threshold is not None
    value = (estimate.preconditioned or estimate.lambda_max).value
    return (
        f"the largest eigenvalue {value:.3g} is {estimate.stability:.2f} times the limit "
        f"{estimate.stability_threshold:.3g} of the optimizer, {estimate.threshold_formula} "
        f"(alert above {thresholds.stability:g})"
    )


RULES: tuple[Rule, ...] = (
    Rule(
        name="no_gradient",
        severity="warning",
        applies=_no_gradient,
        evidence=lambda record, _, rows: f"no gradient reached {_share(record, rows)}",
        causes=(
            "the loss does not depend on it: a layer or a branch whose output is not used",
            "the way to it is cut: tf.stop_gradient, NumPy or Python code, an integer cast",
        ),
        advice=(
            "follow the layer's output to the loss in call(); if the layer is meant to stay as it "
            "is, set trainable=False"
        ),
        opens_after=3,
        closes_after=1,
    ),
    Rule(
        name="frozen_parameter",
        severity="warning",
        applies=_frozen,
        evidence=lambda record, _, rows: (
            f"the update changed nothing in {_share(record, rows)} although there is a gradient, "
            f"at a learning rate of {record.scalars[LEARNING_RATE]:.3g}"
        ),
        causes=(
            "the update is smaller than the precision of the weight: float16 or bfloat16 weights, "
            "a learning rate far too small",
            "a constraint, or a callback, puts the weight back after each update",
            "the optimizer was built with other variables than those that are trained",
        ),
        advice="raise learning_rate, keep weights in float32 (dtype policy mixed_float16), or look "
        "for what sets the weight back",
        opens_after=5,
        closes_after=2,
    ),
    Rule(
        name="clipping_always",
        severity="warning",
        applies=_clipping,
        evidence=lambda record, thresholds, _: (
            f"clipping leaves {record.scalars[CLIP_FACTOR]:.2g} of the gradient "
            f"(alert below {thresholds.clip_factor:g})"
        ),
        causes=(
            "the clip value is far below the usual norm, so that it sets the size of every step",
            "the gradient is far larger than it should be: targets or inputs that are not scaled",
        ),
        advice="set clipnorm or global_clipnorm to about the largest gradient/norm of a calm "
        "stretch, and scale targets and inputs to the order of one",
        opens_after=20,
        closes_after=5,
    ),
    Rule(
        name="edge_of_stability",
        severity="warning",
        applies=_edge,
        evidence=_edge_evidence,
        causes=(
            "the learning rate is larger than the curvature allows, so that steps overshoot",
            "the curvature grew while training, as it does until something stops it",
        ),
        advice="divide learning_rate by the factor named, begin with a warm-up, or use larger "
        "batches",
        opens_after=2,
        closes_after=2,
    ),
    Rule(
        name="loss_scale_collapse",
        severity="error",
        applies=_loss_scale,
        evidence=lambda record, thresholds, _: (
            f"the loss scale fell to {record.scalars[LOSS_SCALE]:.3g}, "
            f"below {thresholds.loss_scale:g}"
        ),
        causes=(
            "the gradients overflow float16 even without a scale: the training diverges",
            "a batch holds NaN or infinite values, so that every scale fails",
        ),
        advice="look for the step where skipped_updates begins to rise; lower learning_rate, or "
        "train in mixed_bfloat16",
    ),
)
