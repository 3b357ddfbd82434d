"""A cadence on the device, where the training step asks it and the host may change it."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from tbgrad.keras.graph import own_variable
from tbgrad.monitoring.cadence import NEVER, Cadence

Tensor: TypeAlias = Any  # tf.Tensor: TensorFlow ships no types


class DeviceCadence:
    """Which steps are due, told in the graph and on the host alike."""

    def __init__(self, cadence: Cadence) -> None:
        self.cadence = cadence
        self._steps = own_variable(_parts(cadence), tf.int64)

    def change(self, cadence: Cadence) -> None:
        """Another cadence from the next step on, with as many parts as this one."""
        self.cadence = cadence
        self._steps.assign(_parts(cadence))

    def at(self, step: Tensor) -> Tensor:
        """The steps of the part that holds at `step`."""
        if len(self.cadence.starts) == 1:
            return self._steps
        starts = tf.constant(self.cadence.starts, tf.int64)
        begun = tf.reduce_sum(tf.cast(step >= starts, tf.int32))
        return tf.gather(self._steps, begun - 1)

    def due(self, step: Tensor) -> Tensor:
        """Whether `step` is one of them."""
        return tf.equal(step % self.at(step), 0)

    def after(self, step: Tensor) -> Tensor:
        """The first due step after `step`."""
        starts = np.array(self.cadence.starts, np.int64)
        earliest = tf.maximum(step + 1, starts)
        coming = -(-earliest // self._steps) * self._steps
        return tf.reduce_min(tf.where(coming < [*starts[1:], NEVER], coming, NEVER))

    def passed_by(self, step: Tensor, coming: Tensor) -> Tensor:
        """Whether a due step lies behind `step` and ahead of the one that is `coming`."""
        every = self.at(step)
        return coming > (step // every + 1) * every


def _parts(cadence: Cadence) -> Any:
    """The steps of its parts; of one part a scalar, which costs the training step less."""
    return cadence.steps if len(cadence.steps) > 1 else cadence.steps[0]
