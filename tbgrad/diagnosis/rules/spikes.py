"""A gradient that leaps: one step far beyond what is usual."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tbgrad.diagnosis.change import amount
from tbgrad.diagnosis.rule import Advice, Moment, Rows, Rule
from tbgrad.diagnosis.suspects import Explained, raised
from tbgrad.log.batches import may_be_short
from tbgrad.log.median import median
from tbgrad.log.tags import GRADIENT_NORM_MAX, LOSS
from tbgrad.log.text import number

MOST_EXPONENT = 700.0
"""e to the power of ten more is no number any more."""


def _spike_score(moment: Moment) -> tuple[float, float, float]:
    """Peak norm of the record, the usual one, and robust standard deviations between them."""
    peak = moment.record.scalars.get(GRADIENT_NORM_MAX, math.nan)
    usual, spread = _usual(moment)
    return peak, usual, math.log(max(peak, 1e-300) / usual) / spread


def _usual(moment: Moment) -> tuple[float, float]:
    """The usual norm, and the robust standard deviation of its logarithm."""
    logs = np.log(np.fromiter(moment.trend.norms, np.float64))
    middle = median(logs)
    spread = 1.4826 * median(np.abs(logs - middle))
    return math.exp(middle), max(spread, 0.1)


def _leaps_from(moment: Moment) -> float:
    """The largest peak that does not stand out."""
    limits, trend = moment.settings, moment.trend
    usual, spread = _usual(moment)
    # Near the end, gradients of next to nothing vary by orders of magnitude and do no harm.
    large = limits.spike_ratio * max(usual, trend.first_norm / limits.spike_ratio)
    return max(large, usual * math.exp(min(limits.spike_score * spread, MOST_EXPONENT)))


def _spike(moment: Moment) -> Any:
    peak = moment.record.scalars.get(GRADIENT_NORM_MAX, math.nan)
    if not math.isfinite(peak) or len(moment.trend.norms) < 20:
        return None
    if peak < moment.settings.spike_ratio * moment.trend.norms[-1]:
        return False
    if not peak > _leaps_from(moment) or moment.trend.unmoved(
        moment.record.scalars.get(LOSS, math.nan)
    ):
        return False
    return None if _of_few_samples(moment) else True


def _of_few_samples(moment: Moment) -> bool:
    """Whether the batch may be the short last one of an epoch, whose gradient is large for that.

    Of steps that are taken together none stands out: such a one is shown by itself.
    """
    record, manifest = moment.record, moment.manifest
    if manifest is None or len(record.losses) > 1:
        return False
    return may_be_short(record.first_step or record.step, record.step, manifest.batches)


def _spike_evidence(moment: Moment, _: Rows) -> str:
    record, trend = moment.record, moment.trend
    peak, usual, score = _spike_score(moment)
    said = (
        f"the gradient norm of {number(peak, 3)} is {number(peak / usual, 3)} times "
        f"the usual {number(usual, 2)}, "
        f"{score:.0f} robust standard deviations (alert above "
        f"{number(moment.settings.spike_ratio)} "
        f"times and {number(moment.settings.spike_score)})"
    )
    loss, before = record.scalars.get(LOSS, math.nan), list(trend.losses)[:-1]
    if math.isfinite(loss) and before:
        said += f"; the loss is {number(loss, 3)}, before {number(median(before), 3)}"
    peaks = record.peaks
    if peaks is not None and record.manifest is not None:
        largest = int(np.argmax(np.nan_to_num(peaks, nan=-1.0)))
        said += f"; largest in {record.manifest.names[largest]}, {number(peaks[largest], 3)}"
    return said


def _spike_advice(moment: Moment, _: Rows) -> Advice:
    usual = moment.trend.usual_norm
    return Advice(
        f"look at the batch of step {moment.since:,}",
        f"set global_clipnorm={amount(3 * usual)} in the optimizer, three times the usual norm",
    )


_EXPLAINED = Explained(
    (raised,),
    (
        "a batch with wrong or unusual samples or labels",
        "a learning rate near the limit, so that a step leaves the valley",
        "of Adam: a second moment that was small when large gradients came back",
    ),
    _spike_advice,
)
SPIKE = Rule(
    name="gradient_spike",
    shows=GRADIENT_NORM_MAX,
    severity="warning",
    applies=_spike,
    evidence=_spike_evidence,
    causes=_EXPLAINED.causes,
    advice=_EXPLAINED.advice,
    headline="the gradient leaps",
    threshold=_leaps_from,
    closes_after=10,
    every_step=True,
)
