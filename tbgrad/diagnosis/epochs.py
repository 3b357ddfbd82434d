"""The course of the loss within epochs: where it is the same in each, the order of data shows."""

from __future__ import annotations

import math
from collections import deque

from tbgrad.log.batches import Batches

PARTS = 8
"""An epoch is cut into so many parts; of shorter ones nothing is said."""


class Epochs:
    """How far the loss jumps from the end of an epoch to the start of the next.

    A network forgets what it has not seen for long: where samples come sorted by their class, each
    epoch begins with what the one before has made it forget. The loss of data that are shuffled
    goes on as it was.

    Attributes:
        jumps: of the newest epochs, the mean loss of the first part over that of the last part of
            the epoch before, with the mean loss of that first part.
    """

    def __init__(self) -> None:
        self.jumps: deque[tuple[float, float]] = deque(maxlen=2)
        self.length = 0
        self._place = (-1, -1)
        self._sum = 0.0
        self._count = 0
        self._end = math.nan

    def add(self, step: int, loss: float, batches: Batches) -> None:
        """Take in the loss of a step."""
        self.length = batches.steps_per_epoch
        done = step - batches.first_step
        if self.length < PARTS or done < 0 or not math.isfinite(loss):
            return
        place = done // self.length, done % self.length * PARTS // self.length
        if place != self._place:
            self._finish()
            self._place, self._sum, self._count = place, 0.0, 0
        self._sum += loss
        self._count += 1

    def _finish(self) -> None:
        """A part is over."""
        if not self._count:
            return
        mean = self._sum / self._count
        epoch, part = self._place
        if part == PARTS - 1:
            self._end = mean
        elif part == 0 and epoch > 0 and self._end > 0:
            self.jumps.append((mean / self._end, mean))
            self._end = math.nan
