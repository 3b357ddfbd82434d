"""The table of a step: statistics of all parameters, from the gradients of those that have one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from tbgrad.keras import gradient_statistics as statistics
from tbgrad.keras import sketch
from tbgrad.keras.graph import UNKNOWN
from tbgrad.keras.parameters import layouts
from tbgrad.keras.window import Window, peak, root
from tbgrad.log.records import STATISTICS, HistogramBins, Parameter

Tensor: TypeAlias = Any  # tf.Tensor: TensorFlow ships no types


class StepTable:
    """Statistics of the gradients of some rows as columns [P] for all.

    `rows` are those of the gradients, rising. Its methods belong into the training step.
    """

    def __init__(self, parameters: tuple[Parameter, ...]) -> None:
        self._count = len(parameters)
        self._layouts = layouts(parameters)

    def spread(self, values: Tensor, rows: tuple[int, ...], blank: Any) -> Tensor:
        """From the rows that have a gradient to all P rows, `blank` in the others."""
        if len(rows) == self._count:
            return values
        position = np.full(self._count, len(rows), dtype=np.int32)
        position[list(rows)] = np.arange(len(rows))
        filler = tf.fill(
            tf.concat([[1], tf.shape(values)[1:]], axis=0), tf.cast(blank, values.dtype)
        )
        return tf.gather(tf.concat([values, filler], axis=0), position)

    def nonfinite_counts(
        self, gradients: Sequence[statistics.Gradient], rows: tuple[int, ...]
    ) -> Tensor:
        """Values that are not finite: [P]."""
        counts = statistics.nonfinite_counts(self._blocks(gradients, rows))
        return self.spread(counts, rows, 0.0)

    def histograms(
        self,
        gradients: Sequence[statistics.Gradient],
        rows: tuple[int, ...],
        bins: HistogramBins,
    ) -> Tensor:
        """Counts of the values by bin: [P, B]."""
        return self.spread(statistics.histograms(self._blocks(gradients, rows), bins), rows, 0)

    def of_gradients(
        self,
        gradients: list[statistics.Gradient],
        rows: tuple[int, ...],
        squares: Tensor,
        before: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What is told from these gradients alone: a table [P, S], the global norm, sketches.

        `squares` are their squared norms, `before` the sketches [P, K] to take the angles to.
        """
        blocks = self._blocks(gradients, rows)
        angles = self.spread(statistics.sketches(blocks), rows, 0.0)
        known = statistics.column_statistics(blocks)
        layouts = [self._layouts[row] for row in rows]
        known["norm"] = statistics.norms(gradients, layouts, squares)
        norm = statistics.norm(known["norm"])
        columns = {name: self.spread(column, rows, UNKNOWN) for name, column in known.items()}
        columns["cosine"] = sketch.cosine(angles, before)
        unknown = tf.fill([self._count], UNKNOWN)
        return tf.stack([columns.get(name, unknown) for name in STATISTICS], axis=1), norm, angles

    def with_window(self, table: Tensor, window: Window, values: Sequence[Tensor]) -> Tensor:
        """The table with the columns that are about the window, and the weights as they are."""
        columns = dict(zip(STATISTICS, tf.unstack(table, axis=1), strict=True))
        seen = window.squares >= 0.0
        # The norm itself is right where its square is out of the range of float32.
        peaks = tf.maximum(root(tf.maximum(window.squares, 0.0)), peak(columns["norm"]))
        columns["norm_max"] = tf.where(seen, peaks, UNKNOWN)
        columns["nonfinite"] = tf.where(seen, window.nonfinite, UNKNOWN)
        columns["weight_norm"] = self.norms(values)
        return tf.stack(list(columns.values()), axis=1)

    def norms(self, tensors: Sequence[Tensor]) -> Tensor:
        """Norms of tensors with the shapes of the variables: [P]."""
        return statistics.norms([statistics.prepare(tensor) for tensor in tensors], self._layouts)

    def _blocks(
        self, gradients: Sequence[statistics.Gradient], rows: tuple[int, ...]
    ) -> statistics.Blocks:
        return statistics.Blocks(gradients, [self._layouts[row] for row in rows])
