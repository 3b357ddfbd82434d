"""The ring of logged steps: on the training device, filled by the step, emptied by drains."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from tbgrad.keras.graph import UNKNOWN, from_graph, own_variable
from tbgrad.log.records import STATISTICS, HistogramBins
from tbgrad.monitoring.logged_step import Histograms, LoggedStep

Tensor: TypeAlias = Any  # tf.Tensor: TensorFlow ships no types

RING_BYTES = 1 << 18
HISTOGRAM_RING_BYTES = 1 << 18
MIN_ROWS, MAX_ROWS = 16, 256
NUMBERS = ("applied_norm", "loss_scale", "skipped")
"""What a row has besides its table, and beyond what every step has."""


class StatisticsRing:
    """Keeps logged steps on the device until they are drained.

    Args:
        count: parameters.
        bins: columns of the histograms.
        every: steps between two logged ones, at their densest.
        histograms_every: the same for histograms.
        steps_per_execution: steps that may pass without a chance to drain.
    """

    def __init__(
        self,
        count: int,
        bins: HistogramBins,
        *,
        every: int,
        histograms_every: int,
        steps_per_execution: int = 1,
    ) -> None:
        wanted = RING_BYTES // (4 * count * len(STATISTICS))
        needed = math.ceil(steps_per_execution / every) + 2
        self.rows = max(needed, min(MAX_ROWS, max(MIN_ROWS, wanted)))
        needed = math.ceil(steps_per_execution / histograms_every) + 2
        as_long = math.ceil(self.rows * every / histograms_every) + 2
        room = HISTOGRAM_RING_BYTES // (8 * count * bins.columns)
        self.histogram_rows = max(needed, min(as_long, room))
        self._count = count
        self._logged = own_variable(0, tf.int64)
        self._step = own_variable(np.zeros(self.rows), tf.int64)
        self._numbers = own_variable(np.zeros((self.rows, len(NUMBERS))), tf.float32)
        self._table = own_variable(np.zeros((self.rows, count, len(STATISTICS))), tf.float32)
        # int64, since TensorFlow keeps int32 variables off the GPU, out of XLA's reach.
        self._histograms_logged = own_variable(0, tf.int64)
        self._histogram_step = own_variable(np.zeros(self.histogram_rows), tf.int64)
        self._histograms = own_variable(
            np.zeros((self.histogram_rows, count, bins.columns)), tf.int64
        )
        self._drained = 0
        self._histograms_drained = 0

    def max_steps_between_drains(self, every: int, histograms_every: int) -> int:
        """Steps after which a drain is due, or rows may be overwritten."""
        full = min((self.rows - 1) * every, (self.histogram_rows - 1) * histograms_every)
        return max(1, full // 2)

    def write(self, step: Tensor, numbers: Tensor, table: Tensor) -> None:
        """Write the `NUMBERS` and the table [P, S] of a step."""
        slot = self._logged % self.rows
        written = [
            _write(self._step, slot, step),
            _write(self._numbers, slot, numbers),
            _write(self._table, slot, table),
        ]
        with tf.control_dependencies(written):
            self._logged.assign_add(1)

    def write_histograms(self, step: Tensor, counts: Tensor) -> None:
        """Write the histograms [P, B] of a step."""
        slot = self._histograms_logged % self.histogram_rows
        written = [
            _write(self._histogram_step, slot, step),
            _write(self._histograms, slot, tf.cast(counts, tf.int64)),
        ]
        with tf.control_dependencies(written):
            self._histograms_logged.assign_add(1)

    def forget(self) -> None:
        """Leave out what has gathered so far."""
        self._drained = int(self._logged.numpy())
        self._histograms_drained = int(self._histograms_logged.numpy())

    def drain(self) -> tuple[tuple[LoggedStep, ...], Histograms, int]:
        """Read what gathered since the last drain, and how many were overwritten before it.

        Between two steps, or while one runs.
        """
        logged, histograms_logged = int(self._logged.numpy()), int(self._histograms_logged.numpy())
        if logged == self._drained:
            return (), (), 0
        raw, table = self._numbers.numpy(), self._table.numpy()
        numbers, table = from_graph(raw), from_graph(table)
        at = self._step.numpy()
        # Steps that ran meanwhile may have overwritten the oldest rows, or even all of them.
        first = max(self._drained, min(logged, int(self._logged.numpy()) + 1 - self.rows))
        steps = []
        for slot in (index % self.rows for index in range(first, logged)):
            named = zip(NUMBERS, numbers[slot].tolist(), strict=True)
            shown = dict(zip(NUMBERS, raw[slot] != UNKNOWN, strict=True))
            row = {name: number for name, number in named if shown[name]}
            steps.append(LoggedStep(int(at[slot]), row, table[slot]))
        lost, self._drained = first - self._drained, logged
        return tuple(steps), self._drain_histograms(histograms_logged, steps), lost

    def _drain_histograms(self, logged: int, steps: list[LoggedStep]) -> Histograms:
        """The histograms of the drained steps; that of a step still running waits for it."""
        first = max(self._histograms_drained, logged - self.histogram_rows)
        if logged == first or not steps:
            return ()
        at, counts = self._histogram_step.numpy(), self._histograms.numpy()
        taken = []
        for index in range(first, logged):
            slot = index % self.histogram_rows
            if at[slot] > steps[-1].step:
                break
            taken.append((int(at[slot]), counts[slot].astype(np.int32)))
            self._histograms_drained = index + 1
        return tuple(taken)


def _write(ring: Any, slot: Tensor, value: Tensor) -> Tensor:
    return ring.scatter_nd_update([[slot]], tf.expand_dims(value, 0))
