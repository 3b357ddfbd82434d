"""One thing to change, with its present and its new value, as a sentence of advice."""

from __future__ import annotations

import math

from tbgrad.diagnosis.rule import Moment

USUAL_UPDATE = 1e-3
"""Of the weights, what an update usually changes."""

MOST = 100.0
"""A rate is changed by at most so much at once, unless an update outweighs the weights."""

MARGIN = 1.25
"""So far below the limit of stability a rate is safe from what the estimate may be off."""


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
        return f"divide learning_rate by {factor:.2g}"
    return f"lower learning_rate from {rate:.3g} to {rate / factor:.1g}"


def safe_rate(moment: Moment, least: float = 3.0) -> str:
    """Advice to lower the learning rate: below the limit of stability, or to usual updates.

    `least` is the factor where neither is known.
    """
    return divided_rate(moment, excess(moment, least))


def excess(moment: Moment, least: float = 3.0) -> float:
    """How many times too large the learning rate seems to be."""
    facts = moment.facts
    largest = facts.worst_update
    if facts.stability > 1 and not largest > 1:
        return max(1.5, MARGIN * facts.stability)
    if math.isnan(largest) or largest < 0.02:
        return least
    most = MOST if largest < 10 else 10 * MOST
    return min(most, max(least, largest / USUAL_UPDATE))


def raised_rate(moment: Moment, ratio: float) -> str:
    """Advice to raise the learning rate until updates change as much as is usual."""
    factor = min(MOST, max(3.0, USUAL_UPDATE / ratio)) if ratio > 0 else MOST
    rate = rate_of(moment)
    if not rate > 0:
        return f"multiply learning_rate by {factor:.2g}"
    return f"raise learning_rate from {rate:.3g} to {rate * factor:.1g}"
