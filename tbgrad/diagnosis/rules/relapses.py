"""A loss that had fallen, and has risen again: far above its lowest, or back where it began."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from tbgrad.diagnosis.quarters import middle_of
from tbgrad.diagnosis.rule import Moment, Rows
from tbgrad.diagnosis.rules.losses import DIVERGING
from tbgrad.diagnosis.suspects import chance
from tbgrad.diagnosis.trend import RECENT
from tbgrad.log.brief import percent
from tbgrad.log.tags import LOSS
from tbgrad.log.text import number

BACK = 0.95
"""A loss above so much of that at first, or of a guess, is back there."""

LOST = 0.2
"""So much of it, at least, had been learned."""

TIMES = 3.0
"""A loss so many times its lowest has risen far, where that is no mere nothing."""

SHARE = 0.1
"""Of the loss at first, what is more than nothing."""

SURE = 6.0
"""The difference is so many times what noise makes of it: a lowest value is chosen among many."""


def _beginning(moment: Moment) -> float:
    """The loss of a network that has learned nothing, as far as that is known."""
    return float(min(moment.trend.first_loss, _or_infinite(chance(moment))))


def _or_infinite(loss: float) -> float:
    return math.inf if math.isnan(loss) else loss


def _limit(moment: Moment) -> float:
    """The loss from which on it has risen far: half of the way back, in orders of magnitude."""
    began, best = _beginning(moment), moment.trend.best[0]
    far = max(TIMES * best, math.sqrt(began * max(best, 0.0)), best + SHARE * began)
    return min(BACK * began, far)


def _relapsed(moment: Moment) -> Any:
    trend = moment.trend
    if LOSS not in moment.record.scalars or moment.has_rival or trend.signed or trend.resumed:
        return None
    if len(trend.losses) < RECENT or not trend.first_loss > 0:
        return None
    began, best, limit = _beginning(moment), trend.best, _limit(moment)
    if not (trend.recent_loss >= limit and best[0] < (1 - LOST) * began):
        return False
    now, error = middle_of(trend.losses)
    sure = now - best[0] > SURE * math.hypot(error, best[1])
    return sure and now >= limit and not DIVERGING.applies(moment)


def _headline(moment: Moment, _: Rows) -> str:
    now, best = moment.trend.recent_loss, moment.trend.best[0]
    if now >= BACK * _beginning(moment):
        return f"the loss is back at {number(now, 3)}, where it began, after {number(best, 3)}"
    return f"the loss rises, to {number(now, 3)} after {number(best, 3)}"


def _evidence(moment: Moment, _: Rows) -> str:
    trend, guess = moment.trend, chance(moment)
    said = "" if math.isnan(guess) else f" (a guess has {number(guess, 3)})"
    return (
        f"the loss is {number(trend.recent_loss, 3)}; it was "
        f"{number(trend.first_loss, 3)} at first{said} and "
        f"had come down to {number(trend.best[0], 3)} (alert from {number(_limit(moment), 3)}: "
        f"{number(TIMES)} times the lowest and half of the way back in orders of magnitude, "
        f"or {percent(BACK)} of where it began)"
    )


RELAPSED = replace(
    DIVERGING,
    severity="warning",
    applies=_relapsed,
    evidence=_evidence,
    headline=_headline,
    threshold=_limit,
)
