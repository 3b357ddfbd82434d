"""The course of the loss within epochs: where it is the same in each, the order of data shows."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.batches import Batches

LEAST = 16
"""Of epochs of fewer steps nothing is said."""

PARTS = 128
"""An epoch is cut into so many parts, or into its steps where these are fewer."""

PAIRS = 4
"""So many neighbouring epochs are compared, the newest."""


class Epochs:
    """How alike the courses of the newest epochs are, the first epoch aside.

    A network forgets what it has not seen for long: where samples come sorted by their class, the
    loss leaps where a class begins, falls until the next, and does the same in each epoch. Of data
    that are shuffled, one epoch says nothing of the next. Of data in the same random order the
    batches that are hard are the same, but those beside them are not hard, too: then a course is
    like the next at the same place, and unlike it one step away.

    Two epochs are compared by the ranks of their losses, from which a straight line through both is
    taken: a loss that falls through both, however steeply, is that line. Losses that go up and
    down slowly by themselves are alike by chance more often: the errors say how often (Bartlett,
    "On the theoretical specification of sampling properties of autocorrelated time series", 1946).

    Attributes:
        likeness: mean correlation of a course with that of the next epoch, of the newest `PAIRS`.
        likeness_error: deviation that it has where courses have nothing in common.
        smoothness: the same correlation between neighbouring parts in place of the same.
        smoothness_error: deviation that it has where neighbours have nothing in common.
        amplitude: deviation of the newest course from a straight line, over its mean.
    """

    def __init__(self) -> None:
        self.likeness = self.smoothness = self.amplitude = math.nan
        self.likeness_error = self.smoothness_error = math.nan
        self._length = self._parts = 0
        self._epoch = -1
        self._sums: list[float] = []
        self._counts: list[int] = []
        self._before: NDArray[np.float64] | None = None
        self._pairs: deque[_Pair] = deque(maxlen=PAIRS)

    def add(self, first: int, losses: Sequence[float], width: int, batches: Batches) -> None:
        """Take in losses from step `first` on, each the mean of `width` steps."""
        length = batches.steps_per_epoch
        if length < LEAST or not all(map(math.isfinite, losses)):
            return
        if length != self._length:
            self._length, self._parts = length, min(length, PARTS)
            self._forget()
            self._begin(-1)
        if 2 * width > length // self._parts and width > 1:
            return  # neighbours would be alike for being the mean of the same steps
        for i in range(len(losses) * width):
            done = first + i - batches.first_step
            if done < 0:
                continue
            epoch, place = divmod(done, length)
            if epoch != self._epoch:
                self._finish()
                if epoch != self._epoch + 1:
                    self._forget()
                self._begin(epoch)
            part = place * self._parts // length
            self._sums[part] += losses[i // width]
            self._counts[part] += 1

    def _forget(self) -> None:
        """What was seen so far is no neighbour of what comes."""
        self._before = None
        self._pairs.clear()

    def _begin(self, epoch: int) -> None:
        self._epoch = epoch
        self._sums, self._counts = [0.0] * self._parts, [0] * self._parts

    def _finish(self) -> None:
        """An epoch is over."""
        if self._epoch < 1:
            return
        if not all(self._counts):
            self._forget()
            return
        means = np.array(self._sums) / self._counts
        before, self._before = self._before, means
        if before is None:
            return
        self._pairs.append(_compared(before, means))
        known, count = np.array(self._pairs), len(self._pairs)
        self.likeness, self.smoothness, error = known.mean(axis=0).tolist()
        self.likeness_error = error / math.sqrt(count)
        alike = min(1.0, self.likeness**2)
        noise = alike / self._parts + (1 - alike) * error**2 / count
        self.smoothness_error = math.sqrt(noise)
        middle = abs(float(means.mean()))
        self.amplitude = float(_straightened(means).std()) / middle if middle else math.nan


class _Pair(NamedTuple):
    """Two neighbouring epochs: correlation, that of neighbouring parts, error by chance."""

    likeness: float
    smoothness: float
    error: float


def _straightened(course: NDArray[np.float64]) -> NDArray[np.float64]:
    """What a straight line leaves of a course."""
    places = np.arange(len(course)) - (len(course) - 1) / 2
    rest: NDArray[np.float64] = (
        course - course.mean() - places * (places @ course) / (places @ places)
    )
    return rest


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """How many of the values are smaller; those that are equal share their ranks."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: NDArray[np.float64] = (ends - counts / 2)[place]
    return ranks


def _compared(before: NDArray[np.float64], now: NDArray[np.float64]) -> _Pair:
    count = len(now)
    ranks = _straightened(_ranks(np.concatenate([before, now])))
    one, other = (course - course.mean() for course in ranks.reshape(2, count))
    scale = float(np.linalg.norm(one) * np.linalg.norm(other))
    if scale < 1e-9 * count:
        return _Pair(0.0, 0.0, 1 / math.sqrt(count))
    likeness = float(one @ other) / scale
    smoothness = float(one[1:] @ other[:-1] + one[:-1] @ other[1:]) / (2 * scale)
    of_one, of_other = _with_itself(one), _with_itself(other)
    ends = np.flatnonzero((of_one <= 0) | (of_other <= 0))
    together = (of_one * of_other)[: ends[0] if len(ends) else None]
    return _Pair(likeness, smoothness, math.sqrt((1 + 2 * float(together.sum())) / count))


def _with_itself(course: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlation of a course with itself, one part later, two, and up to half of all."""
    count = len(course)
    full = np.correlate(course, course, "full")[count - 1 : count - 1 + count // 2]
    found: NDArray[np.float64] = full[1:] / full[0]
    return found
