"""One thing to change, with its present and its new value, as a sentence of advice."""

from __future__ import annotations

import math

from tbgrad.diagnosis.rule import Moment
from tbgrad.log.text import number

USUAL_UPDATE = 1e-3
"""Of the weights, what an update usually changes."""

EARLY_UPDATE = 3e-3
"""The same of the first updates: half of the healthy trainings of the clinic change more."""

FURTHEST = 1e4
"""A rate that is far too low is raised by at most so much: updates then were measured, and tiny."""

MOST = 100.0
"""A rate is changed by at most so much at once, unless an update outweighs the weights."""

DEFAULT_RATE = 1e-3
"""Of the optimizers in `SCALED`, what they have where nothing else is said."""

SCALED = {"adam", "adamw", "nadam", "adamax", "rmsprop"}
"""Optimizers whose steps have the size of the rate, whatever the gradient's."""

NEAR = 10.0
"""A new rate so near to the default may as well be the default, which suits most trainings."""

LATE = 10.0
"""A rate with which updates were as they should be at first is not more times too large."""

TO_AND_FRO = 5.0
"""A rate with which steps go to and fro, but not away, is not many times too large."""

MARGIN = 1.25
"""So far below the limit of stability a rate is safe from what the estimate may be off."""


def amount(value: float) -> str:
    """A new value: one digit is enough, but where that is a 1, which may stand for half as much."""
    exact = f"{value:.1e}"
    return literal(float(exact if exact.startswith("1") else f"{value:.0e}"))


def literal(value: float, digits: int = 6) -> str:
    """A setting as it is typed into a program: "0.001", "1e-5", "2000"."""
    return number(value, digits).replace(",", "")


def setting(moment: Moment, *names: str) -> float:
    """The first of these settings of the optimizer that is a number; NaN for none."""
    known = moment.manifest.optimizer if moment.manifest is not None else {}
    for name in names:
        value = known.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    return math.nan


def rate_of(moment: Moment) -> float:
    """The learning rate now, else that in the settings; NaN where neither is known."""
    rate = moment.facts.rate
    return rate if rate > 0 else setting(moment, "learning_rate")


def divided_rate(moment: Moment, factor: float) -> str:
    """Advice to divide the learning rate."""
    rate = rate_of(moment)
    if not rate > 0:
        return f"divide learning_rate by {literal(factor, 2)}"
    return f"lower learning_rate from {literal(rate, 3)} to {amount(rate / factor)}"


def by_default(moment: Moment, factor: float) -> float:
    """The factor by which to change the rate so that it is the default, where that is near."""
    manifest, rate = moment.manifest, rate_of(moment)
    name = str(manifest.optimizer.get("name", "")) if manifest is not None else ""
    to_default = rate / DEFAULT_RATE
    near = 1 / NEAR < factor / to_default < NEAR if rate > 0 else False
    far = min(factor, to_default) >= NEAR or max(factor, to_default) <= 1 / NEAR
    return to_default if name.lower() in SCALED and near and far else factor


def safe_rate(moment: Moment, least: float = 3.0) -> str:
    """Advice to lower the learning rate: below the limit of stability, or to usual updates.

    `least` is the factor where neither is known.
    """
    factor = excess(moment, least)
    measured = moment.facts.worst_stability > 1 or factor == TO_AND_FRO
    return divided_rate(moment, factor if measured else by_default(moment, factor))


def excess(moment: Moment, least: float = 3.0) -> float:
    """How many times too large the learning rate seems to be."""
    facts = moment.facts
    if facts.worst_stability > 1:
        return min(MOST, max(1.5, MARGIN * facts.worst_stability))
    trend = moment.trend
    stays = trend.recent_loss < moment.settings.diverging_loss * trend.undisturbed_loss
    if stays and trend.mean_cosine < moment.settings.opposite_gradients:
        return TO_AND_FRO
    early = facts.early_update > moment.settings.update_ratio
    largest = facts.early_update if early else facts.worst_update
    if math.isnan(largest) or largest < 0.02:
        return least
    # What grew later was set going by a rate that is beyond stability, but by how little?
    most = LATE if not early else MOST if largest < 10 else 10 * MOST
    return min(most, max(least, largest / USUAL_UPDATE))


def raised_rate(moment: Moment, ratio: float) -> str:
    """Advice to raise the learning rate until updates change as much as is usual.

    Updates that were tiny from the first on are so for the rate; others, since the gradient is.
    """
    most = FURTHEST if moment.facts.early_update < moment.settings.small_update else MOST
    factor = min(most, max(3.0, EARLY_UPDATE / ratio)) if ratio > 0 else MOST
    rate = rate_of(moment)
    if not rate > 0:
        return f"multiply learning_rate by {literal(factor, 2)}"
    raised = amount(rate / by_default(moment, 1 / factor))
    return f"raise learning_rate from {literal(rate, 3)} to {raised}"
