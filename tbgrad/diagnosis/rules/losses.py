"""Faults that show in the course of the loss."""

from __future__ import annotations

import math
from typing import Any

from tbgrad.diagnosis.change import raised_rate, rate_of, safe_rate
from tbgrad.diagnosis.initial_weights import alike, thin_weights
from tbgrad.diagnosis.rule import Advice, Moment, Rows, Rule, Severity
from tbgrad.diagnosis.suspects import (
    LEARNED,
    Explained,
    blocked,
    came_to_rest,
    chance,
    decay,
    dropout,
    inputs,
    momentum,
    moves_far,
    rate,
    restless,
    saturated_output,
    schedule,
    targets,
    wrong_output,
)
from tbgrad.diagnosis.trend import FIRST, GRAVE, RECENT
from tbgrad.log.brief import percent
from tbgrad.log.median import median
from tbgrad.log.tags import LOSS
from tbgrad.log.text import number

SLOW_START = 256
"""So many steps a training may take to begin, where no cause is known that keeps it from it."""

STEADY = 3.0
"""A fall of so many of its standard errors is one."""

STEADY_FALL = 0.1
"""Of the fall below which a loss counts as flat, what is still none."""

GROWS = 0.1
"""The gradient's norm, where it grows by so much: the way down from a plateau begins like that."""


def _speaks(moment: Moment) -> bool:
    """Whether the loss says by itself how the training goes.

    Not where models train against each other, nor where it has been zero from the start: then
    there is nothing to set it against. A loss that may be negative is set against its own spread.
    """
    trend = moment.trend
    known = LOSS in moment.record.scalars and not moment.has_rival
    return known and (trend.scale > 0 if trend.signed else trend.undisturbed_loss > 0)


def _diverging(moment: Moment) -> Any:
    if not _speaks(moment):
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


def _stuck(moment: Moment) -> Any:
    trend, limits = moment.trend, moment.settings
    if not _speaks(moment) or trend.resumed or trend.warming_up or trend.count < FIRST + 40:
        return None
    if _never_moved(moment):
        return not _diverging(moment)
    if trend.signed:
        return None
    try:
        fell, error = trend.late_fall()
    except ValueError:
        return None
    scale = _stuck_scale(moment)
    least = limits.restless_loss if moves_far(moment) else limits.flat_loss
    high = trend.recent_loss > least * scale
    flat = high and abs(fell) + 2 * error < limits.flat_fall * scale
    flat |= high and came_to_rest(moment)
    flat |= _worse_than_a_guess(moment)
    return flat and not _begins(moment) and not _diverging(moment)


def _begins(moment: Moment) -> bool:
    """Whether a loss that is flat may be that of a slow start: it goes down, or soon will."""
    trend = moment.trend
    fell, error = trend.late_fall()
    if fell > max(STEADY * error, STEADY_FALL * moment.settings.flat_fall * _stuck_scale(moment)):
        return True
    if trend.count < SLOW_START and not _STUCK.known(moment):
        return True
    try:
        grown, error = trend.late_growth()
    except ValueError:
        return False
    return grown > max(error, GROWS)


def _at_chance(moment: Moment) -> bool:
    """Whether the loss is that of a classifier that knows nothing."""
    guessing = chance(moment)
    return abs(moment.trend.recent_loss - guessing) < moment.settings.at_chance * guessing


def _worse_than_a_guess(moment: Moment) -> bool:
    """Whether a classifier still is: however much its loss goes up and down, it has not learned.

    A loss that is weighted may be, at half of what it was at first.
    """
    trend, guess = moment.trend, chance(moment)
    learned = trend.best[0] < (1 - moment.settings.at_chance) * guess
    above = trend.recent_loss > max(guess, LEARNED * trend.first_loss)
    return trend.count >= SLOW_START and above and not learned


def _stuck_scale(moment: Moment) -> float:
    """What a loss that is stuck is set against: that at first, or where nothing is learned."""
    return min(moment.trend.scale, chance(moment)) if _at_chance(moment) else moment.trend.scale


def _hardly_moves(moment: Moment) -> bool:
    return moment.trend.update_ratio < moment.settings.small_update


def _never_moved(moment: Moment) -> bool:
    """Whether updates are so small that the loss is still that of the beginning."""
    trend = moment.trend
    near = trend.fall()[0] < moment.settings.stuck_loss * trend.scale
    return near and _hardly_moves(moment)


def _stuck_evidence(moment: Moment, _: Rows) -> str:
    trend, limits = moment.trend, moment.settings
    never_moved = _never_moved(moment)
    if never_moved:
        fell, error, scale = *trend.fall(), trend.scale
        since, limit = "since the first steps", limits.stuck_loss
    else:
        fell, error, scale = *trend.late_fall(), _stuck_scale(moment)
        since, limit = "over the last quarter of the training so far", limits.flat_fall
    said = (
        f"the loss is {number(trend.recent_loss, 4)} after {number(trend.first_loss, 4)} at first"
    )
    if _at_chance(moment):
        said += f", which is chance ({number(chance(moment), 4)})"
    elif _worse_than_a_guess(moment):
        said += f", where a guess has {number(chance(moment), 4)}"
    said += (
        f"; {since} it {'fell' if fell >= 0 else 'rose'} by {percent(abs(fell) / scale)} of that "
        f"± {percent(error / scale)}"
    )
    if never_moved or abs(fell) + 2 * error < limit * scale:
        said += f" (alert where that is less than {percent(limit)})"
    else:
        said += ", no more than it varies by"
    ratio, left = trend.update_ratio, trend.usual_norm / trend.first_norm
    if math.isfinite(ratio):
        said += f", and an update changes {number(ratio, 1)} of the weights"
    if came_to_rest(moment):
        said += (
            f"; the gradient's norm is {number(left, 1)} of that at first (alert below "
            f"{number(limits.small_gradient)} where the loss stays high)"
        )
    return said


def _stuck_headline(moment: Moment, _: Rows) -> str:
    at = ", at chance" if _at_chance(moment) else ""
    at = at or (", worse than a guess" if _worse_than_a_guess(moment) else "")
    return f"the loss is stuck at {number(moment.trend.recent_loss, 3)}{at}"


def _stuck_otherwise(moment: Moment, _: Rows) -> Advice:
    fit = "try to fit ten samples alone: where that fails the model is at fault, not the data"
    if came_to_rest(moment):
        return Advice(
            "check the last layer: an activation that saturates lets nothing through", fit
        )
    if not _hardly_moves(moment):
        labels = "check that inputs and labels belong together: shuffle them alike"
        return Advice(labels, fit)
    now, ratio = rate_of(moment), moment.trend.update_ratio
    if now >= 0.1 or moment.facts.ended_since >= 0:
        return Advice("look for what makes updates tiny: clipping, a loss that is scaled down", fit)
    return Advice(raised_rate(moment, ratio), fit)


def _stuck_causes(moment: Moment) -> tuple[str, ...]:
    if came_to_rest(moment):
        return ("a plateau: the gradient is next to nothing where the loss is still high",)
    if _hardly_moves(moment):
        return ("updates that change less than a ten-thousandth: the learning rate is too small",)
    return (
        "labels that do not belong to the inputs",
        "a network that lets nothing through: dead, saturated or vanishing layers",
    )


def _oscillating_otherwise(moment: Moment, _: Rows) -> Advice:
    return Advice(safe_rate(moment, 5.0), "lower the momentum of the optimizer")


_DIVERGING = Explained(
    (wrong_output, momentum, rate, inputs, targets),
    ("the learning rate is too large", "inputs or targets that are not scaled"),
    lambda moment, _: Advice(safe_rate(moment, 10.0), "set global_clipnorm=1.0 in the optimizer"),
)
_OSCILLATING = Explained(
    (momentum,),
    ("the learning rate is so large that every step overshoots the valley and comes back",),
    _oscillating_otherwise,
)
_STUCK = Explained(
    (
        wrong_output,
        saturated_output,
        alike,
        thin_weights,
        dropout,
        blocked,
        schedule,
        decay,
        momentum,
        rate,
        inputs,
        restless,
    ),
    _stuck_causes,
    _stuck_otherwise,
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
STUCK = Rule(
    name="loss_stuck",
    shows=LOSS,
    needs=LOSS,
    severity="warning",
    applies=_stuck,
    evidence=_stuck_evidence,
    causes=_STUCK.causes,
    advice=_STUCK.advice,
    headline=_stuck_headline,
    opens_after=5,
    closes_after=20,
    every_step=True,
)
