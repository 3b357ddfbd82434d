"""Faults that show in the course of the loss."""

from __future__ import annotations

import math
from typing import Any

from tbgrad.diagnosis.change import safe_rate
from tbgrad.diagnosis.output import wrong_output
from tbgrad.diagnosis.rule import Advice, Moment, Rows, Rule, Severity
from tbgrad.diagnosis.suspects import (
    Explained,
    half_precision,
    inputs,
    momentum,
    raised,
    rate,
    targets,
)
from tbgrad.diagnosis.trend import FIRST, GRAVE, RECENT
from tbgrad.log.median import median
from tbgrad.log.tags import LOSS
from tbgrad.log.text import number


def speaks(moment: Moment) -> bool:
    """Whether the loss says by itself how the training goes.

    Not where models train against each other, nor where it has been zero from the start: then
    there is nothing to set it against. A loss that may be negative is set against its own spread.
    """
    trend = moment.trend
    known = LOSS in moment.record.scalars and not moment.has_rival
    return known and (trend.scale > 0 if trend.signed else trend.undisturbed_loss > 0)


def _diverging(moment: Moment) -> Any:
    if not speaks(moment):
        return None
    trend = moment.trend
    if trend.signed:
        return trend.count > 2 * FIRST and _rise(moment) > GRAVE
    newest, before = list(trend.losses)[-2 * FIRST :], trend.undisturbed_loss
    if len(newest) > 3 and min(newest[-3:]) > GRAVE**2 * before:
        return True
    limit = _diverges_from(moment)
    if max(newest, default=0.0) <= limit:
        return False
    return sum(loss > limit for loss in newest) >= 1.5 * FIRST  # some of any are large by chance


def _diverges_from(moment: Moment) -> float:
    """The largest loss that is no fault, of a few steps together."""
    trend = moment.trend
    if trend.signed:
        return trend.first_loss + GRAVE * trend.scale
    return moment.settings.diverging_loss * trend.undisturbed_loss


def _rise(moment: Moment) -> float:
    """How far a loss that may be negative has risen, in units of its spread at first."""
    trend = moment.trend
    return (trend.recent_loss - trend.first_loss) / trend.scale


def _diverging_headline(moment: Moment, _: Rows) -> str:
    now, before = moment.trend.recent_loss, moment.trend.undisturbed_loss
    return f"the loss diverges, from {number(before, 3)} to {number(now, 3)}"


def _diverging_evidence(moment: Moment, _: Rows) -> str:
    now, before = moment.trend.recent_loss, moment.trend.undisturbed_loss
    if moment.trend.signed:
        return (
            f"the loss has risen from {number(moment.trend.first_loss, 3)} to {number(now, 3)}, "
            f"{_rise(moment):.0f} times what it varied by at first (alert above "
            f"{number(GRAVE)} times)"
        )
    return (
        f"the loss is {number(now, 3)}, {number(now / before, 3)} times that of the "
        f"first steps, {number(before, 3)} "
        f"(alert above {number(moment.settings.diverging_loss)} times)"
    )


def _diverging_severity(moment: Moment) -> Severity:
    trend = moment.trend
    if trend.signed:
        return "error" if _rise(moment) > GRAVE**2 else "warning"
    return "error" if trend.recent_loss > GRAVE * trend.undisturbed_loss else "warning"


def _oscillating(moment: Moment) -> Any:
    trend = moment.trend
    cosine = trend.mean_cosine
    if moment.record.table is None or math.isnan(cosine) or len(trend.losses) < RECENT:
        return None
    losses = list(trend.losses)
    falls = median(losses[RECENT // 2 :]) <= 0.98 * median(losses[: RECENT // 2])
    return cosine < (-0.9 if falls else moment.settings.opposite_gradients)


def _oscillating_evidence(moment: Moment, _: Rows) -> str:
    trend = moment.trend
    return (
        f"successive gradients point against each other (cosine {trend.mean_cosine:.2f} on "
        f"average, alert below {number(moment.settings.opposite_gradients)}) and the loss, between "
        f"{number(min(trend.losses), 3)} and {number(max(trend.losses), 3)}, falls slowly if at all"
    )


def _oscillating_otherwise(moment: Moment, _: Rows) -> Advice:
    return Advice(safe_rate(moment, 5.0), "lower the momentum of the optimizer")


_DIVERGING = Explained(
    (wrong_output, half_precision, raised, momentum, rate, inputs, targets),
    ("the learning rate is too large", "inputs or targets that are not scaled"),
    lambda moment, _: Advice(safe_rate(moment, 10.0), "set global_clipnorm=1.0 in the optimizer"),
)
_OSCILLATING = Explained(
    (momentum,),
    ("the learning rate is so large that every step overshoots the valley and comes back",),
    _oscillating_otherwise,
)
DIVERGING = Rule(
    name="loss_diverging",
    shows=LOSS,
    needs=LOSS,
    severity=_diverging_severity,
    applies=_diverging,
    evidence=_diverging_evidence,
    causes=_DIVERGING.causes,
    advice=_DIVERGING.advice,
    headline=_diverging_headline,
    threshold=_diverges_from,
    opens_after=3,
    closes_after=10,
    every_step=True,
)
OSCILLATING = Rule(
    name="loss_oscillating",
    shows=LOSS,
    needs=LOSS,
    severity="warning",
    applies=_oscillating,
    evidence=_oscillating_evidence,
    causes=_OSCILLATING.causes,
    advice=_OSCILLATING.advice,
    headline="steps go to and fro across a valley",
    opens_after=3,
    closes_after=10,
)
