"""What runs inside the training step: look at every gradient, log what is due.

All state lives in TensorFlow variables on the training device, and nothing waits for the host.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from tbgrad.keras import gradient_statistics as statistics
from tbgrad.keras import sketch
from tbgrad.keras.device_cadence import DeviceCadence
from tbgrad.keras.graph import UNKNOWN, conditional_call
from tbgrad.keras.partial_updates import PartialUpdates
from tbgrad.keras.ring import NUMBERS, StatisticsRing, own_variable
from tbgrad.keras.step_table import StepTable
from tbgrad.keras.window import Window, WindowOnDevice, peak, root
from tbgrad.log.records import HistogramBins, Parameter
from tbgrad.monitoring.cadence import Cadence

Tensor: TypeAlias = Any  # tf.Tensor: TensorFlow ships no types


class StepGraph:
    """The part of the monitor that is traced into the training step, and its state.

    Attributes:
        step: updates seen so far, a variable.
        every, histograms_every: which steps are logged, and which with histograms.
        ring: the logged steps.
        window: what was seen since the last of them.
        skipped: updates left out since then, a variable; `counts_skipped` where there may be any.
    """

    def __init__(
        self,
        variables: list[Any],
        parameters: tuple[Parameter, ...],
        bins: HistogramBins,
        *,
        every: Cadence,
        histograms_every: Cadence,
        start_step: int,
        steps_per_execution: int,
    ) -> None:
        self._variables = variables
        self._count = count = len(parameters)
        self._bins = bins
        self._first = start_step + 1
        self._tables = StepTable(parameters)
        self._sketch = own_variable(np.zeros((count, sketch.BUCKETS)), tf.float32)
        self.step = own_variable(start_step, tf.int64)
        self.every, self.histograms_every = DeviceCadence(every), DeviceCadence(histograms_every)
        self.window = WindowOnDevice(count)
        self.ring = StatisticsRing(
            count,
            bins,
            every=every.shortest,
            histograms_every=histograms_every.shortest,
            steps_per_execution=steps_per_execution,
        )
        self.skipped = own_variable(0.0, tf.float32)
        self.counts_skipped = False

    def due(self, step: int) -> bool:
        """Whether this step is to be logged, told on the host."""
        both = self.every.cadence, self.histograms_every.cadence
        return step == self._first or any(cadence.due(step) for cadence in both)

    def values(self) -> list[Tensor]:
        """The present values of all variables, in row order."""
        return [tf.convert_to_tensor(variable) for variable in self._variables]

    def observe(
        self,
        true: list[Any],
        rows: tuple[int, ...],
        part: PartialUpdates | None,
        numbers: dict[str, Tensor],
        clipped: list[Any] | None,
        with_values: bool,
    ) -> list[Tensor]:
        """Take in a step, which is logged where it is due.

        One conditional a step: nearly all steps only raise the peaks of the window. `true` are the
        gradients of the `rows`, which rise; `numbers` what else is known, `clipped` the gradients
        that are applied where these are others.

        `with_values` returns the variables as they are, or empty tensors where this step is not
        logged: reading them at every step would make the optimizer copy them at every step.
        """
        seen = self._seen(true, rows)
        step = self.step.assign_add(1, read_value=True)
        histograms_due = self.histograms_every.due(step) | tf.equal(step, self._first)
        due = sampled = histograms_due | self.every.due(step)
        counted = histograms_due
        if part is not None:
            # The last of these updates ahead of the one that is logged stands in for it.
            coming = part.coming(step)
            sampled = due | self.every.passed_by(step, coming)
            counted = histograms_due | self.histograms_every.passed_by(step, coming)

        def look() -> list[Tensor]:
            window = self._window_with(seen, step)

            def sample() -> None:
                table, norm, angles = self._tables.of_gradients(
                    seen.gradients, rows, seen.squares, self._sketch
                )
                if part is None:
                    self._sketch.assign(angles)
                    self._log(table, norm, window, step, numbers, clipped)
                    return
                self._sketch.assign(tf.where(part.mask, angles, self._sketch))
                whole = part.put(table)
                tf.cond(
                    due,
                    lambda: self._log(whole, norm, window, step, numbers, clipped),
                    lambda: self.window.keep(window),
                )

            def count() -> None:
                counts = self._tables.histograms(seen.gradients, rows, self._bins)
                if part is None:
                    self.ring.write_histograms(step, counts)
                    return
                whole = part.put_counts(counts)
                write = partial(self.ring.write_histograms, step)
                tf.cond(histograms_due, lambda: write(part.counts_to_log(whole)), _nothing)

            tf.cond(sampled, sample, lambda: self.window.keep(window))
            tf.cond(counted, count, _nothing)
            return self.values() if with_values else []

        def pass_by() -> list[Tensor]:
            self.window.add_finite(seen.spread, seen.total)
            return [tf.zeros([0], v.dtype) for v in self._variables] if with_values else []

        values: list[Tensor] = conditional_call(sampled | counted | ~seen.finite, look, pass_by)
        return values

    def pass_by(self, true: list[Any], rows: tuple[int, ...]) -> None:
        """Take in a step that is not logged.

        The step is counted inside the conditional: one that waits for a counter ahead of it costs a
        transformer 4 % of its step.
        """
        seen = self._seen(true, rows)

        def count() -> None:
            step = self.step.assign_add(1, read_value=True)
            self.window.keep(self._window_with(seen, step))

        def usual() -> None:
            self.step.assign_add(1)
            self.window.add_finite(seen.spread, seen.total)

        conditional_call(~seen.finite, count, usual)

    def _seen(self, true: list[Any], rows: tuple[int, ...]) -> _Seen:
        gradients = [statistics.prepare(gradient) for gradient in true]
        squares = statistics.square_sums(gradients)
        return _Seen(gradients, rows, squares, tf.reduce_sum(squares), self._tables)

    def _window_with(self, seen: _Seen, step: Tensor) -> Window:
        """The window with this step in it."""
        counts = tf.cond(
            seen.finite,
            lambda: tf.zeros([self._count]),
            lambda: self._tables.nonfinite_counts(seen.gradients, seen.rows),
        )
        return self.window.with_step(step, seen.spread, seen.total, counts)

    def _log(
        self,
        table: Tensor,
        norm: Tensor,
        window: Window,
        step: Tensor,
        numbers: dict[str, Tensor],
        clipped: list[Any] | None,
    ) -> None:
        """Write this step into the ring and begin a new window."""
        numbers = numbers | {
            "norm": norm,
            "norm_max": tf.maximum(root(window.total), peak(norm)),
        }
        if self.counts_skipped:
            numbers["skipped"] = self.skipped.read_value()
        if clipped is not None:
            prepared = [statistics.prepare(gradient) for gradient in clipped]
            numbers["applied_norm"] = tf.sqrt(tf.reduce_sum(statistics.square_sums(prepared)))
        known = tf.stack([numbers.get(name, UNKNOWN) for name in NUMBERS])
        table = self._tables.with_window(table, window, self.values())
        self.ring.write(step, known, table)
        self.skipped.assign(0.0)
        self.window.keep(window.next())

    def finish(
        self,
        before: Sequence[Tensor] | None,
        signal_to_noise: Callable[[Sequence[Any]], Tensor] | None,
        part: PartialUpdates | None,
    ) -> None:
        """Finish what is logged of the step, once the update is done."""

        def known_after_update() -> Tensor:
            unknown = tf.fill([self._count], UNKNOWN)
            changes = ratios = unknown
            if before is not None:
                pairs = zip(self.values(), before, strict=True)
                changes = self._tables.norms([new - old for new, old in pairs])
            if signal_to_noise is not None:
                ratios = signal_to_noise(self._variables)
            return tf.stack([changes, ratios])

        def close() -> None:
            self.ring.finish(known_after_update())

        def close_part() -> None:
            # Without a conditional in this one, which takes XLA long to compile.
            assert part is not None
            self.ring.finish(part.put_after_update(known_after_update(), self.ring.begun))

        if part is None:
            conditional_call(self.ring.begun, close, _nothing)
        else:
            conditional_call(part.sampled, close_part, _nothing)


@dataclass(frozen=True)
class _Seen:
    """The gradients of one step: their rows, squared norms [R], and the square of the global one.

    A value that is not finite makes the sum so, which is cheaper to see than to count.
    """

    gradients: list[statistics.Gradient]
    rows: tuple[int, ...]
    squares: Tensor
    total: Tensor
    tables: StepTable

    @property
    def finite(self) -> Tensor:
        """Whether all is finite."""
        return tf.math.is_finite(self.total)

    @property
    def spread(self) -> Tensor:
        """Squared norms of all rows [P], below zero where there is no gradient."""
        return self.tables.spread(self.squares, self.rows, -1.0)


def _nothing() -> None:
    """The branch of a step in which nothing is to be done."""
