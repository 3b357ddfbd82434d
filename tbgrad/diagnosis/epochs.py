"""The course of the loss within epochs: where it is the same in each, the order of data shows."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.batches import Batches

LEAST = 16
"""Of epochs of fewer steps nothing is said."""

PARTS = 64
"""An epoch is cut into so many parts, or into its steps where these are fewer."""


class Epochs:
    """How alike the courses of the newest two epochs are, the first epoch aside.

    A network forgets what it has not seen for long: where samples come sorted by their class, the
    loss leaps where a class begins, falls until the next, and does the same in each epoch. Of data
    that are shuffled, one epoch says nothing of the next; of data in the same random order the
    batches that are hard are the same, but those beside them are not hard, too.

    Attributes:
        likeness: correlation of the two courses, their trend taken out.
        smoothness: correlation of a course with itself, one part later.
        amplitude: deviation of the newest course over its mean.
        error: deviation that the correlations of mere noise have.
    """

    def __init__(self) -> None:
        self.likeness = self.smoothness = self.amplitude = math.nan
        self.error = math.nan
        self._length = self._parts = 0
        self._epoch = -1
        self._sums: list[float] = []
        self._counts: list[int] = []
        self._courses: deque[NDArray[np.float64]] = deque(maxlen=2)

    def add(self, first: int, last: int, loss: float, batches: Batches) -> None:
        """Take in the mean loss of some steps."""
        length = batches.steps_per_epoch
        if length < LEAST or last - first >= length or not math.isfinite(loss):
            return
        if length != self._length:
            self._length, self._parts = length, min(length, PARTS)
            self._courses.clear()
            self._begin(-1)
        for done in range(max(0, first - batches.first_step), last - batches.first_step + 1):
            epoch, place = divmod(done, length)
            if epoch != self._epoch:
                self._finish()
                self._begin(epoch)
            part = place * self._parts // length
            self._sums[part] += loss
            self._counts[part] += 1

    def _begin(self, epoch: int) -> None:
        self._epoch = epoch
        self._sums, self._counts = [0.0] * self._parts, [0] * self._parts

    def _finish(self) -> None:
        """An epoch is over."""
        if self._epoch < 1 or not all(self._counts):
            return
        course = np.array(self._sums) / self._counts
        places = np.arange(self._parts) - (self._parts - 1) / 2
        middle = float(course.mean())
        self._courses.append(course - middle - places * (places @ course) / (places @ places))
        if len(self._courses) < 2:
            return
        before, now = self._courses
        self.likeness = _correlation(before, now)
        self.smoothness = _correlation(now[1:], now[:-1])
        self.amplitude = float(now.std()) / abs(middle) if middle else math.nan
        self.error = 1 / math.sqrt(self._parts)


def _correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    scale = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / scale if scale > 0 else math.nan
