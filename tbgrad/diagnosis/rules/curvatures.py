"""Faults, and ends, that show in the Hessian."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tbgrad.diagnosis.change import literal, raised_rate, safe_rate
from tbgrad.diagnosis.initial_weights import alike
from tbgrad.diagnosis.rule import Advice, Moment, Rows, Rule
from tbgrad.diagnosis.suspects import Explained, momentum
from tbgrad.log.brief import percent
from tbgrad.log.median import median
from tbgrad.log.records import Eigenvalue
from tbgrad.log.tags import CURVATURE, LAMBDA_MIN, STABILITY
from tbgrad.log.text import measured, number

MOST = 0.5
"""Where fewer eigenvalues than that are above zero, the weights lie in no minimum."""

GAIN = 0.05
"""Near a saddle a step along the gradient gains less than this share of the loss."""


def _edge(moment: Moment) -> Any:
    estimate = moment.record.curvature
    if estimate is None or not np.isfinite(estimate.stability):
        return None
    return estimate.stability > moment.settings.stability


def _edge_evidence(moment: Moment, _: Rows) -> str:
    estimate = moment.record.curvature
    assert estimate is not None
    assert estimate.stability_threshold is not None
    top = measured(*_pair(estimate.lambda_max))
    what = f"the largest eigenvalue {top}"
    if estimate.preconditioned is not None:
        bounded = measured(*_pair(estimate.preconditioned))
        what = f"the largest preconditioned eigenvalue {bounded} (of the Hessian itself: {top})"
    return (
        f"{what} is {estimate.stability:.2f} times the limit "
        f"{number(estimate.stability_threshold, 3)} of the optimizer, {estimate.threshold_formula} "
        f"(alert above {number(moment.settings.stability)})"
    )


def _pair(eigenvalue: Eigenvalue) -> tuple[float, float]:
    return eigenvalue.value, eigenvalue.residual


def _edge_headline(moment: Moment, _: Rows) -> str:
    times = moment.facts.stability
    return f"learning rate {number(times, 2)} times beyond the stability threshold"


def _critical(moment: Moment) -> Any:
    estimate, trend = moment.record.curvature, moment.trend
    if estimate is None or not trend.norms or math.isnan(trend.first_norm):
        return None
    if not np.isfinite([estimate.lambda_min.value, estimate.lambda_max.value]).all():
        return None
    return bool(kind(moment))


def kind(moment: Moment) -> str:
    """What the weights are near: "minimum", "flat", "saddle", "plateau" or "" for none of them."""
    estimate, trend, limits = moment.record.curvature, moment.trend, moment.settings
    if estimate is None or len(trend.losses) < 20 or _falls(moment) or _probe_falls(moment):
        return ""
    small = median(list(trend.norms)[-10:]) <= limits.small_gradient * trend.first_norm
    top, bottom = estimate.lambda_max, estimate.lambda_min
    if bottom.value + bottom.residual < -limits.saddle * max(top.value, 0.0):
        return "saddle" if _gain(moment) < GAIN * abs(estimate.loss) else ""
    if not small or _may_fall(moment):
        return ""
    if not top.value - top.residual > 0:
        return "plateau"
    return "flat" if trend.minimum_ratio < MOST else "minimum"


def _falls(moment: Moment) -> bool:
    """Whether the loss fell within the newest records."""
    losses = np.fromiter(moment.trend.losses, np.float64)
    half = len(losses) // 2
    older, newer = losses[:half], losses[half:]
    error = math.hypot(older.std(), newer.std()) / math.sqrt(half)
    return bool(older.mean() - newer.mean() > max(2 * error, 0.01 * abs(older.mean())))


def _probe_falls(moment: Moment) -> bool:
    """Whether the loss of the estimates, whose samples are the same, fell over the last quarter."""
    step, now = moment.facts.probe_losses[-1]
    before = [loss for at, loss in moment.facts.probe_losses if at <= 0.75 * step]
    return bool(before) and before[-1] - now > moment.settings.flat_fall * abs(now)


def _gain(moment: Moment) -> float:
    """What a step along the gradient, as long as the curvature allows, takes off the loss."""
    estimate = moment.record.curvature
    assert estimate is not None
    norm = median(list(moment.trend.norms)[-10:])
    most = max(abs(eigenvalue.value) for eigenvalue in estimate.eigenvalues)
    return norm**2 / (2 * most) if most > 0 else math.inf


def _may_fall(moment: Moment) -> bool:
    """Whether the loss may have fallen over the last quarter of all: noise hides a slow fall."""
    try:
        fell, error = moment.trend.late_fall()
    except ValueError:
        return False
    return fell + 2 * error > moment.settings.flat_fall * abs(moment.trend.recent_loss)


def _critical_evidence(moment: Moment, _: Rows) -> str:
    estimate, trend = moment.record.curvature, moment.trend
    assert estimate is not None
    place, small = kind(moment), ""
    if place != "saddle":
        now = median(list(trend.norms)[-10:])
        small = (
            f"the gradient norm is {number(now, 2)} after {number(trend.first_norm, 2)} at first, "
        )
    said = (
        f"{place}: the loss has not fallen of late, {small}and the eigenvalues of the "
        f"Hessian lie between {measured(*_pair(estimate.lambda_min))} and "
        f"{measured(*_pair(estimate.lambda_max))}"
    )
    if math.isnan(trend.minimum_ratio):
        return f"{said}; how many of them are above zero was not measured"
    only = "only " if trend.minimum_ratio < MOST else ""
    return f"{said}; {only}{percent(trend.minimum_ratio)} of them are above zero"


def _critical_advice(moment: Moment, _: Rows) -> Advice:
    place = kind(moment)
    if place in ("minimum", "flat"):
        return Advice(
            "compare with the validation loss: whether this is as low as it gets",
            "whether the training loss can still fall shows with another learning_rate",
        )
    zero = alike(moment)
    if place == "saddle" and zero is not None:
        return Advice(zero.remedy)
    facts = moment.facts
    if facts.no_gradient or facts.dead >= moment.settings.dead_units:
        return Advice("look for what lets no gradient through: the alerts of single layers name it")
    if facts.ended_since >= 0:
        return Advice(
            f"keep learning_rate at {literal(facts.peak_rate, 3)}: its schedule ended too early"
        )
    return Advice(raised_rate(moment, facts.largest_update), "begin with other random weights")


def _critical_headline(moment: Moment, _: Rows) -> str:
    place = kind(moment)
    return f"the training rests at a {'flat place' if place == 'flat' else place}"


_EDGE = Explained(
    (momentum,),
    (
        "the learning rate is larger than the curvature allows, so that steps overshoot",
        "the curvature grew while training, as it does until something stops it",
    ),
    lambda moment, _: Advice(safe_rate(moment), "begin with a warm-up of the learning rate"),
)
EDGE = Rule(
    name="edge_of_stability",
    shows=STABILITY,
    needs=CURVATURE,
    severity="warning",
    applies=_edge,
    evidence=_edge_evidence,
    causes=_EDGE.causes,
    advice=_EDGE.advice,
    headline=_edge_headline,
    threshold=lambda moment: moment.settings.stability,
    opens_after=2,
    closes_after=2,
    told_always=True,
)
CRITICAL = Rule(
    name="critical_point",
    shows=LAMBDA_MIN,
    needs=CURVATURE,
    severity="info",
    applies=_critical,
    evidence=_critical_evidence,
    causes=(
        "the training has come to rest, at the end of what its learning rate and data allow",
        "the weights lie where the gradient vanishes, though the loss could be lower",
    ),
    advice=_critical_advice,
    headline=_critical_headline,
    opens_after=2,
    closes_after=2,
    told_always=True,
)
