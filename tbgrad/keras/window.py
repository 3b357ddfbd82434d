"""What is carried from step to step until one is logged: peaks, and what was not finite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from tbgrad.keras.graph import INFINITE
from tbgrad.keras.ring import own_variable

Tensor: TypeAlias = Any  # tf.Tensor: TensorFlow ships no types


@dataclass(frozen=True)
class Window:
    """What was seen since the last logged step.

    `squares` [P] are the largest squared norms, below zero where there was no gradient;
    `nonfinite` [P] counts values; `total` is the largest squared global norm.
    """

    squares: Tensor
    nonfinite: Tensor
    total: Tensor

    def next(self) -> Window:
        """The one behind it, of which nothing is seen yet."""
        return Window(
            squares=-tf.ones_like(self.squares),
            nonfinite=tf.zeros_like(self.nonfinite),
            total=tf.zeros_like(self.total),
        )


class WindowOnDevice:
    """The window of the steps since the last logged one, for `count` parameters.

    Its methods belong into the training step, but for `nonfinite`, `tell` and `resume`. What comes
    [P] is below zero, or zero of counts, for parameters without a gradient in this step.
    """

    def __init__(self, count: int) -> None:
        self._squares = own_variable(np.full(count, -1.0), tf.float32)
        self._nonfinite = own_variable(np.zeros(count), tf.float32)
        self._total = own_variable(0.0, tf.float32)
        # The first such step after the one that was told, and its first row. The training step
        # writes the one, the drain the other: neither takes back what the other says.
        self._mark = own_variable([0, 0], tf.int64)
        self._told = own_variable(0, tf.int64)
        self._told_step = 0

    def add_finite(self, squares: Tensor, total: Tensor) -> None:
        """Take in a step in which all is finite."""
        self._squares.assign(tf.maximum(self._squares, squares))
        self._total.assign(tf.maximum(self._total, total))

    def with_step(self, step: Tensor, squares: Tensor, total: Tensor, counts: Tensor) -> Window:
        """The window with this step in it, and a mark where it has values that are not finite."""
        row = tf.argmax(counts > 0)
        known = (self._mark[0] > self._told) | tf.reduce_all(tf.equal(counts, 0.0))
        self._mark.assign(tf.where(known, self._mark, tf.stack([step, row])))
        return Window(
            squares=tf.maximum(self._squares, peak(squares)),
            nonfinite=self._nonfinite + counts,
            total=tf.maximum(self._total, peak(total)),
        )

    def keep(self, window: Window) -> None:
        """Go on from this window."""
        self._squares.assign(window.squares)
        self._nonfinite.assign(window.nonfinite)
        self._total.assign(window.total)

    @property
    def nonfinite(self) -> bool:
        """Whether there is a step that is not finite and was not told; waits for the device."""
        return bool(self._mark.numpy()[0] > self._told_step)

    def tell(self) -> tuple[int, int] | None:
        """The first such step and its first row, once."""
        step, row = map(int, self._mark.numpy())
        if step <= self._told_step:
            return None
        self._told_step = step
        self._told.assign(step)
        return step, row

    def resume(self, step: int) -> None:
        """Forget what was not told up to this step."""
        self._told_step = max(step, int(self._mark.numpy()[0]))
        self._told.assign(self._told_step)


def peak(values: Tensor) -> Tensor:
    """Values as they count for a maximum: one that is not a number exceeds everything."""
    return tf.where(tf.math.is_finite(values), values, INFINITE)


def root(squares: Tensor) -> Tensor:
    """Square roots of peaks."""
    return tf.where(squares < INFINITE, tf.sqrt(squares), INFINITE)
