"""What takes weights away: their decay, and penalties in the loss."""

from __future__ import annotations

import math

import numpy as np

from tbgrad.diagnosis.change import amount, literal, rate_of, setting
from tbgrad.diagnosis.rule import Moment
from tbgrad.diagnosis.suspects import Suspect
from tbgrad.log.brief import percent
from tbgrad.log.text import number

SLOW_DECAY = 1e-4
"""A step takes learning rate · decay of the weights: so much leaves them for thousands of steps."""

MOST_OF = 0.5
"""A penalty of so much of the loss is what the training is about."""


def decay(moment: Moment) -> Suspect | None:
    """A weight decay, or a penalty, that takes the weights away."""
    fallen = fallen_weights(moment)
    if not fallen < moment.settings.decayed_weights:
        return None
    value, manifest = setting(moment, "weight_decay"), moment.manifest
    if value > 0:
        rate = rate_of(moment)
        slow = SLOW_DECAY / rate if rate > 0 else math.inf
        lower = amount(min(value / 10, 0.01, slow))
        remedy = f"lower weight_decay from {literal(value)} to {lower}"
        return Suspect(
            f"weight_decay of {literal(value)} has taken {percent(1 - fallen)} of the weights",
            remedy,
        )
    kinds = {p.regularizer for p in manifest.parameters if p.regularizer} if manifest else set()
    if not kinds:
        return None
    kind = min(kinds)
    return Suspect(
        f"the regularizer {kind} has taken {percent(1 - fallen)} of the weights",
        _weaker(kind, 100.0),
    )


def penalty(moment: Moment) -> Suspect | None:
    """A regularizer whose penalty is most of the loss.

    Of L2 it is known from the norms of the weights.
    """
    manifest, weights, loss = moment.manifest, moment.facts.first_weights, moment.trend.first_loss
    if manifest is None or weights is None or len(weights) != len(manifest.parameters):
        return None
    parts: dict[str, float] = {}
    for parameter, norm in zip(manifest.parameters, weights, strict=True):
        factor = _strength(parameter.regularizer)
        if parameter.regularizer.startswith("l2(") and math.isfinite(factor * norm):
            known = parts.get(parameter.regularizer, 0.0)
            parts[parameter.regularizer] = known + factor * float(norm) ** 2
    kind = max(parts, key=lambda each: parts[each], default="")
    if not kind or not parts[kind] > MOST_OF * loss > 0:
        return None
    return Suspect(
        f"the regularizer {kind} is {number(parts[kind], 3)} of the loss of {number(loss, 3)} at "
        "first",
        _weaker(kind, max(100.0, 10 * parts[kind])),
    )


def _strength(regularizer: str) -> float:
    """The factor of a regularizer that has one; NaN of others."""
    try:
        return float(regularizer.rstrip(")").partition("(")[2])
    except ValueError:
        return math.nan


def _weaker(regularizer: str, times: float) -> str:
    factor, name = _strength(regularizer), regularizer.partition("(")[0]
    if math.isnan(factor):
        return f"divide the factor of the regularizer {regularizer} by {literal(times, 1)}"
    return f"lower the regularizer from {regularizer} to {name}({amount(factor / times)})"


def fallen_weights(moment: Moment) -> float:
    """Norm of all kernels over that at first; NaN where it is not known."""
    facts, layers = moment.facts, moment.layers
    first, now = facts.first_weights, facts.weights
    if layers is None or first is None or now is None or len(first) != len(now):
        return math.nan
    rows = layers.kernels
    before = float(np.linalg.norm(first[rows]))
    return float(np.linalg.norm(now[rows])) / before if before > 0 else math.nan
