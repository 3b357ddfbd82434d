"""Updates of some of the variables only, as where an actor and a critic take turns."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from tbgrad.keras.graph import UNKNOWN, own_variable
from tbgrad.log.records import STATISTICS

Tensor: TypeAlias = Any  # tf.Tensor: TensorFlow ships no types


class PartialUpdates:
    """The updates of some of the variables: when they are sampled, and what is kept until logged.

    All parts of an observer share what is kept.
    """

    def __init__(
        self,
        rows: tuple[int, ...],
        count: int,
        columns: int,
        others: dict[tuple[int, ...], PartialUpdates],
    ) -> None:
        mask = np.zeros((count, 1), np.bool_)
        mask[list(rows)] = True
        self.mask = mask
        self._last = own_variable(-(2**40), tf.int64)
        shared = next(iter(others.values()), None)
        self._shared: tuple[Any, Any] = (
            shared._shared
            if shared is not None
            else (
                own_variable(np.full((count, len(STATISTICS)), UNKNOWN), tf.float32),
                own_variable(np.zeros((count, columns)), tf.int64),
            )
        )
        self._kept, self._counts = self._shared

    def coming(self, step: Tensor) -> Tensor:
        """The step of the next of these updates, which come as far apart as the last two."""
        coming = step + (step - self._last.read_value())
        self._last.assign(step)
        return coming

    def put(self, table: Tensor, logs: Tensor) -> Tensor:
        """Keep the rows of this part; the table of all parts.

        Where this update is logged, what it says of other rows stands for those that did not come
        since the last time, and nothing is kept any more.
        """
        own = tf.where(self.mask, table, self._kept)
        self._kept.assign(tf.where(logs, UNKNOWN, own))
        return tf.where(tf.equal(own, UNKNOWN), table, own)

    def put_counts(self, counts: Tensor) -> Tensor:
        """Keep the histograms [P, B] of the rows of this part; those of all parts."""
        whole = tf.where(self.mask, tf.cast(counts, tf.int64), self._counts)
        self._counts.assign(whole)
        return whole

    def counts_to_log(self, whole: Tensor) -> Tensor:
        """What is logged of them, whereupon nothing is kept any more."""
        self._counts.assign(tf.zeros_like(whole))
        return whole
