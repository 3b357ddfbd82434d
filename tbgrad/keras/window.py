"""What is carried from step to step until one is logged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import tensorflow as tf

from tbgrad.keras.graph import INFINITE

Tensor: TypeAlias = Any  # tf.Tensor: TensorFlow ships no types


@dataclass(frozen=True)
class Window:
    """What is carried from step to step since the last logged one; peaks are those of squares."""

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


def peak(values: Tensor) -> Tensor:
    """Values as they count for a maximum: one that is not a number exceeds everything."""
    return tf.where(tf.math.is_finite(values), values, INFINITE)


def root(squares: Tensor) -> Tensor:
    """Square roots of peaks."""
    return tf.where(squares < INFINITE, tf.sqrt(squares), INFINITE)
