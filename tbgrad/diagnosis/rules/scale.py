"""A loss of a size that such a loss cannot sensibly have."""

from __future__ import annotations

import math
from typing import Any

from tbgrad.diagnosis.change import safe_rate
from tbgrad.diagnosis.initial_weights import wide_weights
from tbgrad.diagnosis.output import wrong_output
from tbgrad.diagnosis.regularization import penalty
from tbgrad.diagnosis.rule import Advice, Moment, Rows, Rule, Severity
from tbgrad.diagnosis.suspects import (
    SQUARED,
    Explained,
    Suspect,
    chance,
    from_the_start,
    inputs,
    target_scale,
    targets,
)
from tbgrad.log.tags import LOSS
from tbgrad.log.text import number

POSITIVE = ("crossentropy", "squared", "absolute", "huber", "hinge", "log_cosh", "logarithmic")
"""Parts of the names of losses that cannot be negative."""

NEGATIVE = -1e-3
"""Below zero by more than rounding."""

ABSURD = 1e6
"""Of a loss of which nothing is known."""

STAYS = 0.5
"""A loss above so much of that at first has not fallen."""

DEEP = 8
"""So many layers behind each other are deep."""

LASTS = 60
"""Steps after which a loss that has not fallen will not."""


def _negative(moment: Moment) -> bool:
    manifest = moment.manifest
    name = manifest.loss if manifest is not None and "," not in manifest.loss else ""
    known = any(part in name for part in POSITIVE)
    return known and moment.trend.recent_loss < NEGATIVE


def _limit(moment: Moment) -> float:
    """The largest loss that is none of a fault."""
    limits, guess = moment.settings, chance(moment)
    if not math.isnan(guess):
        return limits.implausible_loss * guess
    if math.isnan(target_scale(moment)):
        return ABSURD
    squared = moment.manifest is not None and moment.manifest.loss in SQUARED
    return limits.target_scale ** (2 if squared else 1)


def _implausible(moment: Moment) -> Any:
    trend = moment.trend
    if LOSS not in moment.record.scalars or trend.count == 0 or moment.has_rival:
        return None
    if _negative(moment):
        return True
    large = trend.recent_loss > _limit(moment)
    return large and trend.newest_loss > STAYS * trend.first_loss


def _severity(moment: Moment) -> Severity:
    trend = moment.trend
    if _negative(moment):
        return "error" if trend.recent_loss < -1 else "warning"
    stays = trend.count >= LASTS and trend.recent_loss > 1e3 * _limit(moment)
    return "error" if stays else "warning"


def _evidence(moment: Moment, _: Rows) -> str:
    loss, manifest = moment.trend.recent_loss, moment.manifest
    name = manifest.loss if manifest is not None else ""
    if _negative(moment):
        return f"the loss is {number(loss, 3)}, but {name} cannot be negative"
    said = (
        f"the loss is {number(loss, 3)} and does not fall (alert above {number(_limit(moment), 3)}"
    )
    guess = chance(moment)
    if not math.isnan(guess):
        return f"{said}); who guesses has {number(guess, 3)}"
    scale = target_scale(moment)
    return f"{said}: an error of {number(scale, 2)})" if math.isfinite(scale) else f"{said})"


def _headline(moment: Moment, _: Rows) -> str:
    loss = moment.trend.recent_loss
    if _negative(moment):
        return f"the loss is {number(loss, 3)}, below zero, which it cannot be"
    if targets(moment) is not None:
        return f"the targets are not scaled: the loss is {number(loss, 2)}"
    return f"the loss is absurd, {number(loss, 2)}"


def _labels(moment: Moment) -> Suspect | None:
    manifest = moment.manifest
    if manifest is None or not _negative(moment):
        return None
    if "binary" in manifest.loss:
        return Suspect("labels that are not 0 or 1", "bring the labels to 0 and 1")
    return Suspect(
        "labels that are no classes or probabilities: negative, or above one",
        "bring the labels to whole numbers from 0 on, or to probabilities",
    )


def _fitting_output(moment: Moment) -> Suspect | None:
    """Labels explain what is negative; an output that does not fit, what is large."""
    return None if _negative(moment) else wrong_output(moment)


def _grown(moment: Moment) -> Suspect | None:
    """Small inputs, and a loss that is not: what lies between makes more and more of them."""
    layers, facts = moment.layers, moment.facts
    if layers is None or layers.normalized or len(layers.kernels) < DEEP:
        return None
    small = facts.input_scale <= moment.settings.input_scale
    if not small or not from_the_start(moment, moment.since):
        return None
    return Suspect(
        f"{len(layers.kernels)} layers without normalization, which make more and more of inputs "
        f"whose size is about {number(facts.input_scale, 2)}",
        "put a BatchNormalization layer before each activation of the deep part",
    )


_EXPLAINED = Explained(
    (_labels, _fitting_output, penalty, inputs, targets, wide_weights, _grown),
    ("inputs or targets that are not scaled", "weights that begin, or became, far too large"),
    lambda moment, _: Advice("scale the inputs to mean 0 and deviation 1", safe_rate(moment, 10.0)),
)

IMPLAUSIBLE = Rule(
    name="loss_implausible",
    shows=LOSS,
    needs=LOSS,
    severity=_severity,
    applies=_implausible,
    evidence=_evidence,
    causes=_EXPLAINED.causes,
    advice=_EXPLAINED.advice,
    headline=_headline,
    threshold=lambda moment: 0.0 if _negative(moment) else _limit(moment),
    opens_after=20,
    closes_after=10,
    at_once=lambda moment: _negative(moment) and moment.trend.count >= 3,
    every_step=True,
)
