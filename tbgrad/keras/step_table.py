"""The table of a step: statistics of all parameters, from the gradients of those that have one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from tbgrad.keras import gradient_statistics as statistics
from tbgrad.keras import sketch
from tbgrad.keras.graph import UNKNOWN
from tbgrad.keras.matrices import Matrices
from tbgrad.keras.parameters import Layout, layouts
from tbgrad.log.records import STATISTICS, HistogramBins, Parameter

Tensor: TypeAlias = Any  # tf.Tensor: TensorFlow ships no types


class StepTable:
    """Statistics of the gradients of some rows as columns [P] for all.

    `rows` are those of the gradients, rising. Its methods belong into the training step.

    Attributes:
        layouts: how each of all rows lies in memory.
    """

    def __init__(self, parameters: tuple[Parameter, ...]) -> None:
        self._count = len(parameters)
        self.layouts = layouts(parameters)

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

    def matrices(self, gradients: Sequence[Any], rows: tuple[int, ...]) -> Matrices:
        """The gradients of these rows."""
        return Matrices.of(gradients, self.layouts_of(rows))

    def weights(self, values: Sequence[Tensor]) -> Matrices:
        """The variables, whose values these are."""
        return Matrices.of(values, self.layouts)

    def layouts_of(self, rows: Sequence[int]) -> list[Layout]:
        """How these rows lie in memory."""
        return [self.layouts[row] for row in rows]

    def histograms(self, matrices: Matrices, rows: tuple[int, ...], bins: HistogramBins) -> Tensor:
        """Counts of the values by bin: [P, B]."""
        return self.spread(statistics.histograms(matrices, bins), rows, 0)

    def norms(self, matrices: Matrices, rows: tuple[int, ...], squares: Tensor) -> Tensor:
        """Their norms, also where their `squares` leave the range of float32: [P]."""
        return self.spread(statistics.norms(matrices, squares), rows, UNKNOWN)

    def of_gradients(
        self,
        matrices: Matrices,
        rows: tuple[int, ...],
        before: Tensor,
        others: Mapping[str, Tensor],
    ) -> tuple[Tensor, Tensor]:
        """What is told from these gradients, and `others`: a table [P, S], and their sketches.

        `before` are the sketches [P, K] to take the angles to.
        """
        angles = self.spread(statistics.sketches(matrices), rows, 0.0)
        known = statistics.column_statistics(matrices)
        columns = {name: self.spread(column, rows, UNKNOWN) for name, column in known.items()}
        columns |= others
        columns["cosine"] = sketch.cosine(angles, before)
        unknown = tf.fill([self._count], UNKNOWN)
        return tf.stack([columns.get(name, unknown) for name in STATISTICS], axis=1), angles
