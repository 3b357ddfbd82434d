"""Which epoch a step lies in, and which steps had a short batch: the last of an epoch that the
samples do not fill."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

MOST = 64
"""So many stretches are remembered; of more of them, the newest."""


@dataclass(frozen=True, slots=True)
class Batches:
    """How the data came from `first_step` on: a call of `fit`, or several that went on alike.

    `samples` are those of an epoch, of which `steps_per_epoch` steps had `batch_size` each, but for
    the last. 0 is not known.
    """

    first_step: int
    batch_size: int = 0
    samples: int = 0
    steps_per_epoch: int = 0

    @property
    def rest(self) -> int:
        """Samples in the last batch of an epoch where it is short; 0 where it is full or unknown.

        Where an epoch ends sooner or later than the samples do, no step is known to be short.
        """
        if not (self.batch_size > 0 and self.samples > 0 and self.steps_per_epoch > 0):
            return 0
        whole = -(-self.samples // self.batch_size) == self.steps_per_epoch
        return self.samples % self.batch_size if whole else 0


def is_short(steps: NDArray[np.int64], batches: Sequence[Batches]) -> NDArray[np.bool_]:
    """Whether each of these steps [T] had the short last batch of an epoch: [T].

    False where that is not known: before the first of `batches` (`Manifest.batches`), and where
    one says too little. A gradient of a few samples is larger or smaller than others for that
    reason alone, so that extremes are those of other steps.

    >>> is_short(np.arange(1, 7), [Batches(1, batch_size=32, samples=70, steps_per_epoch=3)])
    array([False, False,  True, False, False,  True])
    """
    short = np.zeros(len(steps), np.bool_)
    for number, stretch in enumerate(batches):
        if stretch.rest:
            end = batches[number + 1].first_step if number + 1 < len(batches) else np.inf
            own = (steps >= stretch.first_step) & (steps < end)
            position = (steps - stretch.first_step) % stretch.steps_per_epoch
            short |= own & (position == stretch.steps_per_epoch - 1)
    return short


def may_be_short(first: int, last: int, batches: Sequence[Batches]) -> bool:
    """Whether one of the steps from `first` to `last` may have had a short batch.

    Other than `is_short` this is true as well of the last step of an epoch where it is not known
    how many samples that had.

    >>> may_be_short(6, 6, [Batches(1, steps_per_epoch=3)])
    True
    """
    there = [stretch for stretch in batches if stretch.first_step <= last]
    if not there or not there[-1].steps_per_epoch:
        return False
    stretch = there[-1]
    if stretch.batch_size and stretch.samples and not stretch.rest:
        return False
    done = max(0, first - stretch.first_step) // stretch.steps_per_epoch
    return (last - stretch.first_step + 1) // stretch.steps_per_epoch > done


def epoch_of(step: int, batches: Sequence[Batches]) -> int | None:
    """The epoch of a step, from 1 on over all calls of `fit`; None where it is not known.

    >>> epoch_of(7, [Batches(1, steps_per_epoch=3)])
    3
    """
    done = 0
    for number, stretch in enumerate(batches):
        if step < stretch.first_step or not stretch.steps_per_epoch:
            return None
        last = number + 1 == len(batches)
        if last or step < batches[number + 1].first_step:
            return done + (step - stretch.first_step) // stretch.steps_per_epoch + 1
        length = batches[number + 1].first_step - stretch.first_step
        done += -(-length // stretch.steps_per_epoch)
    return None


def followed_by(batches: Sequence[Batches], new: Batches) -> tuple[Batches, ...]:
    """These, then a new stretch: not told again where it goes on at the start of an epoch."""
    before = [each for each in batches if each.first_step < new.first_step]
    if before:
        last = before[-1]
        done = new.first_step - last.first_step
        goes_on = not last.steps_per_epoch or done % last.steps_per_epoch == 0
        if goes_on and replace(last, first_step=new.first_step) == new:
            return tuple(before)
    return (*before, new)[-MOST:]
