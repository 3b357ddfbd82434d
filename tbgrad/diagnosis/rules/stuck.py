"""A loss that does not fall, though it has far to go."""

from __future__ import annotations

import math
from typing import Any

from tbgrad.diagnosis.architecture import batch_of_one, linear_network, softmax_within
from tbgrad.diagnosis.change import literal, raised_rate, rate_of, safe_rate
from tbgrad.diagnosis.initial_weights import alike, thin_weights
from tbgrad.diagnosis.output import relu_output, saturated_output, wrong_output
from tbgrad.diagnosis.regularization import decay, penalty
from tbgrad.diagnosis.rule import Advice, Moment, Rows, Rule
from tbgrad.diagnosis.rules.losses import DIVERGING, speaks
from tbgrad.diagnosis.suspects import (
    LEARNED,
    Explained,
    Suspect,
    came_to_rest,
    chance,
    dropout,
    epsilon,
    forgetful,
    inputs,
    momentum,
    moves_far,
    raised,
    rate,
    restless,
    schedule,
)
from tbgrad.diagnosis.trend import FIRST
from tbgrad.log.brief import percent
from tbgrad.log.tags import LOSS
from tbgrad.log.text import number

SLOW_START = 256
"""So many steps a training may take to begin, where no cause is known that keeps it from it."""

DEAD = 0.95
"""Share of dead units from which on a layer lets nothing through."""

SCALED_DOWN = 0.03
"""A loss that begins at so much of that of a guess has not been lucky."""

STEADY = 3.0
"""A fall of so many of its standard errors is one."""

STEADY_FALL = 0.1
"""Of the fall below which a loss counts as flat, what is still none."""

GROWS = 0.1
"""The gradient's norm, where it grows by so much: the way down from a plateau begins like that."""


def _blocked(moment: Moment) -> Suspect | None:
    """A network that lets nothing through."""
    facts = moment.facts
    if not facts.no_gradient and facts.dead < DEAD:
        return None
    if output := relu_output(moment):
        return output
    what = "the gradient is exactly zero" if facts.no_gradient else "all units of a layer are dead"
    if facts.worst_update > moment.settings.update_ratio:
        return Suspect(f"{what} since a step that was too large", safe_rate(moment))
    return Suspect(what, "replace activation='relu' by 'leaky_relu' in the hidden layers")


def _stuck(moment: Moment) -> Any:
    trend, limits = moment.trend, moment.settings
    if not speaks(moment) or trend.resumed or trend.count < FIRST + 40:
        return None
    if trend.warming_up:
        return trend.count >= SLOW_START and _never_moved(moment) and not DIVERGING.applies(moment)
    if _never_moved(moment):
        return not DIVERGING.applies(moment)
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
    return flat and not _begins(moment) and not DIVERGING.applies(moment)


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
    if moment.trend.warming_up:
        so_far = (
            f"after {moment.record.step:,} steps learning_rate is {literal(rate_of(moment), 2)}"
        )
        return Advice(f"shorten the warm-up: {so_far}", fit)
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
    if moment.trend.warming_up:
        return ("a warm-up of the learning rate that takes too long",)
    if came_to_rest(moment):
        return ("a plateau: the gradient is next to nothing where the loss is still high",)
    if _hardly_moves(moment):
        return ("updates that change less than a ten-thousandth: the learning rate is too small",)
    return (
        "labels that do not belong to the inputs",
        "a network that lets nothing through: dead, saturated or vanishing layers",
    )


def _scaled_down(moment: Moment) -> Suspect | None:
    """A loss that weights make next to nothing."""
    trend, guess = moment.trend, chance(moment)
    if trend.resumed or not 0 < trend.first_loss < SCALED_DOWN * guess or not _hardly_moves(moment):
        return None
    return Suspect(
        f"the loss began at {number(trend.first_loss, 2)}, where a guess has {number(guess, 3)}: "
        "it is scaled down",
        "divide sample_weight, class_weight or loss_weights by their mean",
    )


_STUCK = Explained(
    (
        wrong_output,
        saturated_output,
        alike,
        forgetful,
        batch_of_one,
        linear_network,
        softmax_within,
        thin_weights,
        dropout,
        _blocked,
        schedule,
        epsilon,
        _scaled_down,
        penalty,
        decay,
        raised,
        momentum,
        rate,
        inputs,
        restless,
    ),
    _stuck_causes,
    _stuck_otherwise,
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
