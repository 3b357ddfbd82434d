"""The ring of all steps: on the training device, a row at every step, emptied by drains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tbgrad.keras.graph import UNKNOWN, own_variable
from tbgrad.log.steps import Steps
from tbgrad.log.tags import GRADIENT_NORM, LEARNING_RATE, LOSS

Tensor: TypeAlias = Any  # tf.Tensor: TensorFlow ships no types
Scalars: TypeAlias = tuple[Tensor | None, Tensor | None]

RING_BYTES = 1 << 18
MIN_ROWS, MAX_ROWS = 32, 4096
_SCALARS = (LOSS, LEARNING_RATE)


class StepRing:
    """Keeps what is known of every step on the device until it is drained.

    A row is the loss, the learning rate and half the squared norms [P] of the gradients; what is
    not known, or not there, is `UNKNOWN`. The steps are counted here.

    Args:
        count: parameters.
        start_step: steps before the first.
        steps_per_execution: steps that may pass without a chance to drain.

    Attributes:
        step: steps written so far, those before `start_step` included, a variable.
    """

    def __init__(self, count: int, *, start_step: int, steps_per_execution: int = 1) -> None:
        wanted = RING_BYTES // (4 * (count + len(_SCALARS)))
        needed = 2 * steps_per_execution + 2
        self.rows = max(needed, min(MAX_ROWS, max(MIN_ROWS, wanted)))
        self.step = own_variable(start_step, tf.int64)
        empty = np.full((self.rows, len(_SCALARS) + count), UNKNOWN)
        self._values = own_variable(empty, tf.float32)
        self._drained = start_step

    @property
    def max_steps_between_drains(self) -> int:
        """Steps after which a drain is due, or rows may be overwritten."""
        return max(1, (self.rows - 1) // 2)

    def row(self, scalars: Scalars, halved_squares: Tensor | list[Tensor]) -> Tensor:
        """The row of a step; `scalars` are its loss and its rate, None where that is not known."""
        known = [UNKNOWN if scalar is None else scalar for scalar in scalars]
        if isinstance(halved_squares, list):  # one operation less
            return tf.stack([*known, *halved_squares])
        return tf.concat([known, halved_squares], axis=0)

    def squares(self, row: Tensor, of: Sequence[int]) -> Tensor:
        """The squared norms `of` these parameters in a row."""
        return 2.0 * tf.gather(row, np.add(of, len(_SCALARS)))

    def write(self, row: Tensor) -> Tensor:
        """Write the next step and count it; its number. Call in the training step."""
        step = self.step.read_value() + 1
        written = self._values.scatter_update(tf.IndexedSlices(row, step % self.rows))
        # Whoever drains meanwhile goes by the count.
        with tf.control_dependencies([written]):
            self.step.assign(step)
        return step

    def complete(self, loss: Tensor) -> None:
        """Give the newest row a loss that is known no sooner than after it."""
        column = tf.constant(_SCALARS.index(LOSS), tf.int64)
        at = [[self.step.read_value() % self.rows, column]]
        self._values.scatter_nd_update(at, [tf.cast(loss, tf.float32)])

    def resume(self, step: int) -> None:
        """Count on from here, and leave out what has gathered so far."""
        self.step.assign(step)
        self._drained = step

    def drain(self) -> tuple[tuple[Steps, ...], int]:
        """What gathered since the last drain, and how many steps were overwritten before it."""
        newest = int(self.step.numpy())
        if newest == self._drained:
            return (), 0
        values = self._values.numpy()
        # Steps that ran meanwhile may have overwritten the oldest rows, or even all of them.
        first = max(self._drained, min(newest, int(self.step.numpy()) + 1 - self.rows)) + 1
        lost, self._drained = first - self._drained - 1, newest
        taken = values[np.arange(first, newest + 1) % self.rows]
        return tuple(_stretches(first, taken)), lost


def _stretches(first_step: int, rows: NDArray[np.float32]) -> Iterator[Steps]:
    """Neighbours of which the same scalars are known."""
    known = rows[:, : len(_SCALARS)] != UNKNOWN
    starts = [0, *(1 + np.flatnonzero((known[1:] != known[:-1]).any(axis=1))), len(rows)]
    for start, end in pairwise(starts):
        part = rows[start:end]
        if not len(part):
            continue
        norms = _norms(part[:, len(_SCALARS) :])
        scalars = {tag: part[:, i] for i, tag in enumerate(_SCALARS) if known[start, i]}
        scalars[GRADIENT_NORM] = total(norms)
        yield Steps(first_step + start, scalars, norms)


def total(norms: NDArray[np.float32]) -> Any:
    """The global norm: [..., P] to [...]."""
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite
        return np.sqrt(np.nansum(np.square(norms, dtype=np.float64), axis=-1)).astype(np.float32)


def _norms(halved_squares: NDArray[np.float32]) -> NDArray[np.float32]:
    """Norms, infinite where they are not finite, NaN where they are not known."""
    unknown = halved_squares == UNKNOWN
    squares = 2.0 * np.where(unknown, 0.0, halved_squares.astype(np.float64))
    norms = np.sqrt(np.where(np.isfinite(squares), squares, np.inf)).astype(np.float32)
    return np.where(unknown, np.float32(np.nan), norms)
