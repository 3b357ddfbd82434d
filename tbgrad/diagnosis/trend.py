"""What a run did so far, in a few numbers of bounded size: what a record is compared with."""

from __future__ import annotations

import math
from collections import deque
from statistics import median

import numpy as np

from tbgrad.diagnosis.record import Record
from tbgrad.tags import GRADIENT_NORM, GRADIENT_NORM_MAX, LEARNING_RATE, LOSS, VALIDATION_LOSS

FIRST = 10
"""So many records are the beginning of a run."""
RECENT = 32
"""So many records are its present."""


class Trend:
    """The course of the loss, of the gradient's size and of its direction.

    Rules see it before the record itself is added, but for the loss, which is added first.

    Attributes:
        losses: the newest losses that are finite, at most 2 · `RECENT`.
        norms: the newest gradient norms that are positive and finite, at most 2 · `RECENT`.
        cosines: the newest cosines between successive gradients, of all parameters together.
        validations: each validation loss with the median of the training losses before it, newest
            last, at most `RECENT`.
    """

    def __init__(self) -> None:
        self.losses: deque[float] = deque(maxlen=2 * RECENT)
        self.norms: deque[float] = deque(maxlen=2 * RECENT)
        self.cosines: deque[float] = deque(maxlen=RECENT)
        self.validations: deque[tuple[float, float]] = deque(maxlen=RECENT)
        self.count = 0
        self.signed = False
        self._first: list[float] = []
        self._first_norms: list[float] = []
        self._rate = math.nan
        self._since_rise = RECENT

    def before(self, record: Record) -> None:
        """Take in the loss of a record, ahead of the rules."""
        scalars = record.scalars
        loss = scalars.get(LOSS, math.nan)
        if math.isfinite(loss):
            self.count += 1
            self.signed |= loss < 0
            self.losses.append(loss)
            if len(self._first) < FIRST:
                self._first.append(loss)
        rate = scalars.get(LEARNING_RATE, math.nan)
        if not math.isnan(rate):
            self._since_rise = 0 if rate > self._rate else self._since_rise + 1
            self._rate = rate
        validation = scalars.get(VALIDATION_LOSS, math.nan)
        if math.isfinite(validation) and self.losses:
            self.validations.append((validation, median(self.losses)))

    def after(self, record: Record) -> None:
        """Take in the gradient of a record, behind the rules."""
        norm = record.scalars.get(GRADIENT_NORM, math.nan)
        peak = record.scalars.get(GRADIENT_NORM_MAX, norm)
        if math.isfinite(peak) and peak > 0:
            self.norms.append(peak)
            if len(self._first_norms) < FIRST:
                self._first_norms.append(peak)
        cosine = _cosine(record)
        if not math.isnan(cosine):
            self.cosines.append(cosine)

    @property
    def warming_up(self) -> bool:
        """Whether the learning rate rose of late."""
        return self._since_rise < RECENT

    @property
    def first_loss(self) -> float:
        """Median loss of the first records, NaN before there is one."""
        return median(self._first) if self._first else math.nan

    @property
    def recent_loss(self) -> float:
        """Median of the newest losses, a third of the window."""
        newest = list(self.losses)[-FIRST:]
        return median(newest) if newest else math.nan

    @property
    def first_norm(self) -> float:
        """Median gradient norm of the first records."""
        return median(self._first_norms) if self._first_norms else math.nan

    @property
    def mean_cosine(self) -> float:
        """Mean cosine between successive gradients, NaN before the window is full."""
        return sum(self.cosines) / RECENT if len(self.cosines) == RECENT else math.nan

    def fall(self) -> tuple[float, float]:
        """How far the loss fell from the first records to the newest, and its standard error."""
        return _fall(self._first, list(self.losses)[-RECENT:])

    def recent_fall(self) -> tuple[float, float]:
        """The same from the older half of the newest losses to the newer."""
        losses = list(self.losses)
        return _fall(losses[: len(losses) // 2], losses[len(losses) // 2 :])


def _fall(before: list[float], after: list[float]) -> tuple[float, float]:
    (middle_before, error_before), (middle_after, error_after) = map(_middle, (before, after))
    return middle_before - middle_after, math.hypot(error_before, error_after)


def _middle(values: list[float]) -> tuple[float, float]:
    """The median and its standard error, if all but a few values are normally distributed."""
    middle = median(values)
    deviation = 1.4826 * median([abs(value - middle) for value in values])
    return middle, 1.2533 * deviation / math.sqrt(len(values))


def _cosine(record: Record) -> float:
    """Cosine of the whole gradient to the one logged before, from those of the parameters.

    Weighted by the squared norm, as if the norms of the two were in the same proportions.
    """
    cosines, norms = record.statistic("cosine"), record.statistic("norm")
    if cosines is None or norms is None:
        return math.nan
    known = ~np.isnan(cosines) & np.isfinite(norms)
    squares = np.square(norms[known], dtype=np.float64)
    total = squares.sum()
    return float(cosines[known] @ squares / total) if total > 0 else math.nan
