"""The device side of the monitor: window statistics of every step and a ring of logged steps.

All state lives in TensorFlow variables on the training device. Nothing here waits for the host:
the training step writes, `drain` reads what has gathered between two steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tbgrad.records import STATISTICS, HistogramBins, Parameter
from tbgrad.training import statistics
from tbgrad.training.graph import in_xla, rarely
from tbgrad.training.parameters import tensorflow_variable

Tensor: TypeAlias = Any  # tf.Tensor: TensorFlow ships no types

RING_BYTES = 1 << 18
HISTOGRAM_RING_BYTES = 1 << 18
MIN_ROWS, MAX_ROWS = 16, 256
GLOBALS = 5  # loss, learning rate, norm, norm_max, applied norm


@dataclass(frozen=True)
class LoggedStep:
    """One row of the ring on the host. What the training step does not show is None.

    `table` is float32 [P, S] with the columns of `records.STATISTICS`. `norm` is the global norm of
    the true gradient, `norm_max` its largest value since the logged step before, `applied_norm`
    the norm after clipping.
    """

    step: int
    loss: float | None
    learning_rate: float | None
    norm: float
    norm_max: float
    applied_norm: float | None
    table: NDArray[np.float32]


@dataclass(frozen=True)
class Drained:
    """What gathered on the device since the last drain; `lost` logged steps were overwritten.

    `nonfinite` is the first step with a gradient that is not finite, logged or not, and the path of
    the first such parameter.
    """

    steps: tuple[LoggedStep, ...]
    histograms: tuple[tuple[int, NDArray[np.int32]], ...]
    lost: int
    nonfinite: tuple[int, str] | None = None


class StatisticsRing:
    """Observes gradients inside the training step and keeps the logged steps until drained.

    Steps are counted in updates: the first update is step `start_step + 1`. Logged are the first
    step, every step divisible by `every`, and those with histograms, divisible by
    `histograms_every`.
    """

    def __init__(
        self,
        variables: Sequence[Any],
        parameters: tuple[Parameter, ...],
        *,
        every: int,
        histograms_every: int,
        start_step: int = 0,
        steps_per_execution: int = 1,
        bins: HistogramBins | None = None,
        copies_conditionally: bool = False,
    ) -> None:
        self.parameters = parameters
        self._copies_conditionally = copies_conditionally
        self.bins = bins or HistogramBins.powers_of_two()
        self._variables = [tensorflow_variable(variable) for variable in variables]
        self._row = {id(variable): row for row, variable in enumerate(self._variables)}
        count, columns = len(parameters), len(STATISTICS)
        wanted = RING_BYTES // (4 * count * columns)
        needed = math.ceil(steps_per_execution / every) + 2
        self.rows = max(needed, min(MAX_ROWS, max(MIN_ROWS, wanted)))
        needed = math.ceil(steps_per_execution / histograms_every) + 2
        as_long = math.ceil(self.rows * every / histograms_every) + 2
        room = HISTOGRAM_RING_BYTES // (8 * count * self.bins.columns)
        self.histogram_rows = max(needed, min(as_long, room))
        self.step = _variable(start_step, tf.int64)
        self._first = start_step + 1
        self._cadences = (every, histograms_every)
        self._every = _variable(every, tf.int64)
        self._histograms_every = _variable(histograms_every, tf.int64)
        self._logged = _variable(0, tf.int64)
        self._slot = _variable(-1, tf.int64)
        self._window_squares = _variable(np.zeros(count), tf.float32)
        self._window_nonfinite = _variable(np.zeros(count), tf.float32)
        self._window_total = _variable(0.0, tf.float32)
        self._nonfinite = _variable([0, 0], tf.int64)  # first such step since the drain, first row
        self._sample = _variable(np.zeros((count, statistics.COSINE_SAMPLE)), tf.float32)
        self._ring_step = _variable(np.zeros(self.rows), tf.int64)
        self._ring_globals = _variable(np.zeros((self.rows, GLOBALS)), tf.float32)
        self._ring_table = _variable(np.zeros((self.rows, count, columns)), tf.float32)
        self._ring_update = _variable(np.full((self.rows, count), np.nan), tf.float32)
        # int64, since TensorFlow keeps int32 variables off the GPU, out of XLA's reach.
        self._histograms_logged = _variable(0, tf.int64)
        self._histogram_step = _variable(np.zeros(self.histogram_rows), tf.int64)
        self._histogram_ring = _variable(
            np.zeros((self.histogram_rows, count, self.bins.columns)), tf.int64
        )
        self._shows_loss = self._shows_rate = self._shows_clipping = False
        self._drained = 0
        self._histograms_drained = 0
        self.looks = True
        self._pass_eagerly = tf.function(self._pass, autograph=False)
        self._observe_eagerly = tf.function(self._observe, autograph=False)
        self._finish_eagerly = tf.function(self._finish, autograph=False)

    def knows(self, variables: Sequence[Any]) -> bool:
        """Whether all of `variables` have a row."""
        return all(id(tensorflow_variable(variable)) in self._row for variable in variables)

    def log_every(self, every: int, histograms_every: int) -> None:
        """Change how often steps and histograms are logged, from the next step on."""
        self._cadences = (every, histograms_every)
        self._every.assign(every)
        self._histograms_every.assign(histograms_every)

    def due(self, step: int) -> bool:
        """Whether this step is to be logged."""
        return step == self._first or any(step % cadence == 0 for cadence in self._cadences)

    @property
    def max_steps_between_drains(self) -> int:
        """Steps after which a drain is due, or rows may be overwritten."""
        every, histograms_every = self._cadences
        return max(
            1, min((self.rows - 1) * every, (self.histogram_rows - 1) * histograms_every) // 2
        )

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def observe(
        self,
        gradients: Sequence[Any],
        variables: Sequence[Any],
        *,
        loss: Tensor | None = None,
        learning_rate: Tensor | None = None,
        applied: Sequence[Any] | None = None,
        with_values: bool = False,
    ) -> list[Tensor] | None:
        """Take in the gradients of one step; call in the training step, before the update.

        What is traced while `looks` is False never logs: it is for steps that are known not to be
        due, and costs less than finding out. `gradients` belong to `variables`; variables that are
        not given have no gradient. `applied` are the gradients after clipping, where they were
        clipped. `with_values` returns the values of all variables, in row order, for `finish`.
        """
        by_row: dict[int, int] = {}
        for position, (gradient, variable) in enumerate(zip(gradients, variables, strict=True)):
            row = self._row.get(id(tensorflow_variable(variable)))
            if row is not None and gradient is not None:
                by_row[row] = position
        if not by_row:
            return None
        rows = tuple(sorted(by_row))
        true = [gradients[by_row[row]] for row in rows]
        if not self.looks:
            function = self._pass_eagerly if tf.executing_eagerly() else self._pass
            function(true, rows)
            return None
        clipped = None if applied is None else [applied[by_row[row]] for row in rows]
        self._shows_loss = loss is not None
        self._shows_rate = learning_rate is not None
        self._shows_clipping = applied is not None
        nothing = tf.constant(np.nan, tf.float32)
        loss = nothing if loss is None else tf.cast(loss, tf.float32)
        rate = nothing if learning_rate is None else tf.cast(learning_rate, tf.float32)
        eager = tf.executing_eagerly()
        function = self._observe_eagerly if eager else self._observe
        conditional = with_values and self._copies_conditionally and not eager
        conditional = conditional and not in_xla()
        values: list[Tensor] = function(true, rows, loss, rate, clipped, conditional)
        if with_values and not conditional:
            values = self.values()
        return values if with_values else None

    def values(self) -> list[Tensor]:
        """The present values of all variables, in row order."""
        return [tf.convert_to_tensor(variable) for variable in self._variables]

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def finish(self, before: Sequence[Tensor] | None) -> None:
        """Close the step after the update; `before` are the values that `observe` returned."""
        if self.looks:
            function = self._finish_eagerly if tf.executing_eagerly() else self._finish
            function(before)

    def _observe(
        self,
        true: list[Any],
        rows: tuple[int, ...],
        loss: Tensor,
        learning_rate: Tensor,
        clipped: list[Any] | None,
        with_values: bool,
    ) -> list[Tensor]:
        """One conditional a step: nearly all steps only raise the peaks of the window.

        `with_values` returns the variables as they are, or empty tensors where this step is not
        logged: reading them at every step would make the optimizer copy them at every step.
        """
        gradients = [statistics.prepare(gradient) for gradient in true]
        squares = statistics.square_sums(gradients)
        total = tf.reduce_sum(squares)
        step = self.step.assign_add(1, read_value=True)
        histograms_due = (step % self._histograms_every == 0) | tf.equal(step, self._first)
        due = histograms_due | (step % self._every == 0)
        # A non-finite value makes the sum non-finite, so that counting is needed then alone.
        finite = tf.math.is_finite(total)

        def look() -> list[Tensor]:
            window = self._raised(gradients, rows, squares, total, step)

            def log() -> None:
                self._log(gradients, rows, squares, window, step, (loss, learning_rate), clipped)

            tf.cond(due, log, lambda: self._keep(window))
            tf.cond(histograms_due, lambda: self._log_histograms(gradients, rows, step), _nothing)
            return self.values() if with_values else []

        def pass_by() -> list[Tensor]:
            self._raise(rows, squares, total)
            return [_empty(v.dtype) for v in self._variables] if with_values else []

        values: list[Tensor] = rarely(due | ~finite, look, pass_by)
        return values

    def _pass(self, true: list[Any], rows: tuple[int, ...]) -> None:
        """A step that is not logged."""
        gradients = [statistics.prepare(gradient) for gradient in true]
        squares = statistics.square_sums(gradients)
        total = tf.reduce_sum(squares)
        step = self.step.assign_add(1, read_value=True)

        def count() -> None:
            self._keep(self._raised(gradients, rows, squares, total, step))

        rarely(~tf.math.is_finite(total), count, lambda: self._raise(rows, squares, total))

    def _raise(self, rows: tuple[int, ...], squares: Tensor, total: Tensor) -> None:
        """Raise the peaks of the window to those of a step in which all is finite."""
        peaks = tf.maximum(self._window_squares, self._spread(squares, rows, 0.0))
        self._window_squares.assign(peaks)
        self._window_total.assign(tf.maximum(self._window_total, total))

    def _raised(
        self,
        gradients: list[statistics.Gradient],
        rows: tuple[int, ...],
        squares: Tensor,
        total: Tensor,
        step: Tensor,
    ) -> _Window:
        """The window with this step in it, whatever its values are."""

        def count() -> Tensor:
            blocks = statistics.Blocks(gradients, [self.parameters[row] for row in rows])
            counts = statistics.nonfinite_counts(blocks)
            row = tf.gather(tf.constant(rows, tf.int64), tf.argmax(counts > 0))
            known = (self._nonfinite[0] > 0) | tf.reduce_all(tf.equal(counts, 0.0))
            self._nonfinite.assign(tf.where(known, self._nonfinite, tf.stack([step, row])))
            return counts

        nonfinite = tf.cond(tf.math.is_finite(total), lambda: tf.zeros_like(squares), count)
        return _Window(
            squares=tf.maximum(self._window_squares, self._spread(_peak(squares), rows, 0.0)),
            nonfinite=self._window_nonfinite + self._spread(nonfinite, rows, 0.0),
            total=tf.maximum(self._window_total, _peak(total)),
        )

    def _keep(self, window: _Window) -> None:
        self._window_squares.assign(window.squares)
        self._window_nonfinite.assign(window.nonfinite)
        self._window_total.assign(window.total)

    def _log(
        self,
        gradients: list[statistics.Gradient],
        rows: tuple[int, ...],
        squares: Tensor,
        window: _Window,
        step: Tensor,
        scalars: tuple[Tensor, Tensor],
        clipped: list[Any] | None,
    ) -> None:
        """Write this step into the ring and begin a new window."""
        slot = self._logged % self.rows
        blocks = statistics.Blocks(gradients, [self.parameters[row] for row in rows])
        sample = self._spread(statistics.samples(blocks), rows, np.nan)
        cosine = statistics.cosine(sample, self._sample)
        table, norm = self._table(gradients, blocks, rows, squares, window, cosine)
        applied = np.float32(np.nan)
        if clipped is not None:
            prepared = [statistics.prepare(gradient) for gradient in clipped]
            applied = tf.sqrt(tf.reduce_sum(statistics.square_sums(prepared)))
        peak = tf.maximum(tf.sqrt(window.total), _peak(norm))
        numbers = tf.stack([*scalars, norm, peak, applied])
        written = [
            _write(self._ring_step, slot, step),
            _write(self._ring_globals, slot, numbers),
            _write(self._ring_table, slot, table),
            self._sample.assign(sample),
        ]
        with tf.control_dependencies(written):
            self._keep(_Window(*(tf.zeros_like(part) for part in vars(window).values())))
            self._slot.assign(slot)

    def _log_histograms(
        self, gradients: list[statistics.Gradient], rows: tuple[int, ...], step: Tensor
    ) -> None:
        slot = self._histograms_logged % self.histogram_rows
        blocks = statistics.Blocks(gradients, [self.parameters[row] for row in rows])
        counts = tf.cast(statistics.histograms(blocks, self.bins), tf.int64)
        counts = self._spread(counts, rows, 0)
        written = [
            _write(self._histogram_step, slot, step),
            _write(self._histogram_ring, slot, counts),
        ]
        with tf.control_dependencies(written):
            self._histograms_logged.assign_add(1)

    def _table(
        self,
        gradients: list[statistics.Gradient],
        blocks: statistics.Blocks,
        rows: tuple[int, ...],
        squares: Tensor,
        window: _Window,
        cosine: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """The packed statistics [P, S] of this step and the global norm."""
        parameters = [self.parameters[row] for row in rows]
        found = statistics.column_statistics(blocks, [parameter.role for parameter in parameters])
        found["norm"] = statistics.norms(gradients, parameters, squares)
        norm = statistics.norm(found["norm"])
        columns = {name: self._spread(column, rows, np.nan) for name, column in found.items()}
        unseen = np.full(len(self.parameters), np.nan, dtype=np.float32)
        seen = unseen.copy()
        seen[list(rows)] = 0.0
        # The norm itself is right where its square is out of the range of float32.
        columns["norm_max"] = tf.maximum(tf.sqrt(window.squares), _peak(columns["norm"])) + seen
        columns["nonfinite"] = window.nonfinite + seen
        columns["cosine"] = cosine
        columns["weight_norm"] = self._norms(self.values())
        return tf.stack([columns.get(name, unseen) for name in STATISTICS], axis=1), norm

    def _finish(self, before: Sequence[Tensor] | None) -> None:
        slot = self._slot.read_value()

        def close() -> None:
            changes = tf.fill([len(self.parameters)], np.float32(np.nan))
            if before is not None:
                pairs = zip(self.values(), before, strict=True)
                changes = self._norms([new - old for new, old in pairs])
            written = _write(self._ring_update, slot, changes)
            with tf.control_dependencies([written]):
                self._slot.assign(-1)
                self._logged.assign_add(1)

        rarely(slot >= 0, close, _nothing)

    def drain(self) -> Drained:
        """Read what gathered since the last drain; between two steps, or while one runs."""
        logged, histograms_logged = int(self._logged.numpy()), int(self._histograms_logged.numpy())
        nonfinite = self._drain_nonfinite()
        if logged == self._drained:
            return Drained((), (), 0, nonfinite)
        numbers, table = self._ring_globals.numpy(), self._ring_table.numpy().copy()
        table[:, :, STATISTICS.index("update_norm")] = self._ring_update.numpy()
        at = self._ring_step.numpy()
        # A step that runs meanwhile may have begun to overwrite the oldest row.
        first = max(self._drained, int(self._logged.numpy()) + 1 - self.rows)
        steps = []
        for slot in (index % self.rows for index in range(first, logged)):
            loss, learning_rate, norm, norm_max, applied_norm = map(float, numbers[slot])
            steps.append(
                LoggedStep(
                    step=int(at[slot]),
                    loss=loss if self._shows_loss else None,
                    learning_rate=learning_rate if self._shows_rate else None,
                    norm=norm,
                    norm_max=norm_max,
                    applied_norm=applied_norm if self._shows_clipping else None,
                    table=table[slot],
                )
            )
        lost, self._drained = first - self._drained, logged
        histograms = self._drain_histograms(histograms_logged, steps)
        return Drained(tuple(steps), histograms, lost, nonfinite)

    def _norms(self, tensors: Sequence[Tensor]) -> Tensor:
        """Norms of tensors with the shapes of the variables: [P]."""
        dense = [statistics.Gradient(tf.cast(tensor, tf.float32)) for tensor in tensors]
        return statistics.norms(dense, self.parameters)

    def _drain_nonfinite(self) -> tuple[int, str] | None:
        step, row = map(int, self._nonfinite.numpy())
        if step == 0:
            return None
        self._nonfinite.assign([0, 0])
        return step, self.parameters[row].path

    def _drain_histograms(
        self, logged: int, steps: list[LoggedStep]
    ) -> tuple[tuple[int, NDArray[np.int32]], ...]:
        """The histograms of the drained steps; that of a step still running waits for it."""
        first = max(self._histograms_drained, logged - self.histogram_rows)
        if logged == first or not steps:
            return ()
        at, counts = self._histogram_step.numpy(), self._histogram_ring.numpy()
        taken = []
        for index in range(first, logged):
            slot = index % self.histogram_rows
            if at[slot] > steps[-1].step:
                break
            taken.append((int(at[slot]), counts[slot].astype(np.int32)))
            self._histograms_drained = index + 1
        return tuple(taken)

    def _spread(self, values: Tensor, rows: tuple[int, ...], blank: float) -> Tensor:
        """From the rows that have a gradient to all P rows, `blank` in the others."""
        count = len(self.parameters)
        if len(rows) == count:
            return values
        position = np.full(count, len(rows), dtype=np.int32)
        position[list(rows)] = np.arange(len(rows))
        filler = tf.fill(
            tf.concat([[1], tf.shape(values)[1:]], axis=0), tf.cast(blank, values.dtype)
        )
        return tf.gather(tf.concat([values, filler], axis=0), position)


@dataclass(frozen=True)
class _Window:
    """What is carried from step to step since the last logged one; peaks are those of squares."""

    squares: Tensor
    nonfinite: Tensor
    total: Tensor


def _peak(values: Tensor) -> Tensor:
    """Values as they count for a maximum: one that is not a number exceeds everything."""
    return tf.where(tf.math.is_finite(values), values, np.float32(np.inf))


def _empty(dtype: Any) -> Tensor:
    return tf.zeros([0], dtype)


def _nothing() -> None:
    """The branch of a step in which nothing is to be done."""


def _variable(value: Any, dtype: Any) -> Any:
    return tf.Variable(tf.cast(value, dtype), trainable=False, name="tbgrad")


def _write(ring: Any, slot: Tensor, value: Tensor) -> Tensor:
    return ring.scatter_nd_update([[slot]], tf.expand_dims(value, 0))
