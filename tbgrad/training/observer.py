"""What the monitor does inside the training step: look at every gradient, log what is due.

All state lives in TensorFlow variables on the training device. Nothing here waits for the host:
the training step writes, `drain` reads what has gathered between two steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from tbgrad.records import STATISTICS, HistogramBins, Parameter
from tbgrad.training import statistics
from tbgrad.training.cadence import Cadence
from tbgrad.training.graph import in_xla, rarely
from tbgrad.training.parameters import layouts, tensorflow_variable
from tbgrad.training.ring import NUMBERS, Drained, StatisticsRing, own_variable

Tensor: TypeAlias = Any  # tf.Tensor: TensorFlow ships no types


class GradientObserver:
    """Observes gradients inside the training step and keeps the logged steps until drained.

    Steps are counted in updates: the first update is step `start_step + 1`. Logged are the first
    step and those that `every` or `histograms_every` names; the latter with histograms.
    """

    def __init__(
        self,
        variables: Sequence[Any],
        parameters: tuple[Parameter, ...],
        *,
        every: Cadence,
        histograms_every: Cadence,
        start_step: int = 0,
        steps_per_execution: int = 1,
        copies_conditionally: bool = False,
    ) -> None:
        self.parameters = parameters
        self.bins = HistogramBins.powers_of_two()
        self._layouts = layouts(parameters)
        self._copies_conditionally = copies_conditionally
        self._variables = [tensorflow_variable(variable) for variable in variables]
        self._row = {id(variable): row for row, variable in enumerate(self._variables)}
        count = len(parameters)
        self._ring = StatisticsRing(
            count,
            self.bins,
            every=every.shortest,
            histograms_every=histograms_every.shortest,
            steps_per_execution=steps_per_execution,
        )
        self.step = own_variable(start_step, tf.int64)
        self._first = start_step + 1
        self._cadences = (every, histograms_every)
        self._every = [own_variable(_parts(cadence), tf.int64) for cadence in self._cadences]
        self._window_squares = own_variable(np.zeros(count), tf.float32)
        self._window_nonfinite = own_variable(np.zeros(count), tf.float32)
        self._window_total = own_variable(0.0, tf.float32)
        # The first such step since the last drain, and its first row.
        self._nonfinite = own_variable([0, 0], tf.int64)
        self._sample = own_variable(np.zeros((count, statistics.COSINE_SAMPLE)), tf.float32)
        self._skipped = own_variable(0.0, tf.float32)
        self._shown: set[str] = set()
        self.looks = True
        self._pass_eagerly = tf.function(self._pass, autograph=False)
        self._observe_eagerly = tf.function(self._observe, autograph=False)
        self._finish_eagerly = tf.function(self._finish, autograph=False)

    def knows(self, variables: Sequence[Any]) -> bool:
        """Whether all of `variables` have a row."""
        return all(id(tensorflow_variable(variable)) in self._row for variable in variables)

    def log_every(self, every: Cadence, histograms_every: Cadence) -> None:
        """Change how often steps and histograms are logged, from the next step on.

        A cadence has as many parts as the one it replaces.
        """
        self._cadences = (every, histograms_every)
        for assigned, cadence in zip(self._every, self._cadences, strict=True):
            assigned.assign(_parts(cadence))

    def due(self, step: int) -> bool:
        """Whether this step is to be logged."""
        return step == self._first or any(cadence.due(step) for cadence in self._cadences)

    def max_steps_between_drains(self, step: int) -> int:
        """Steps after `step` within which a drain is due, or rows may be overwritten."""
        return self._ring.max_steps_between_drains(*(c.soonest(step) for c in self._cadences))

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def observe(
        self,
        gradients: Sequence[Any],
        variables: Sequence[Any],
        *,
        loss: Tensor | None = None,
        learning_rate: Tensor | None = None,
        loss_scale: Tensor | None = None,
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
        given = {"loss": loss, "learning_rate": learning_rate, "loss_scale": loss_scale}
        numbers = {name: tf.cast(x, tf.float32) for name, x in given.items() if x is not None}
        self._shown = {"norm", "norm_max", *numbers}
        self._shown |= {"applied_norm"} if applied is not None else set()
        self._shown |= {"skipped"} if loss_scale is not None else set()
        eager = tf.executing_eagerly()
        function = self._observe_eagerly if eager else self._observe
        conditional = with_values and self._copies_conditionally and not eager
        conditional = conditional and not in_xla()
        values: list[Tensor] = function(true, rows, numbers, clipped, conditional)
        if with_values and not conditional:
            values = self.values()
        return values if with_values else None

    def values(self) -> list[Tensor]:
        """The present values of all variables, in row order."""
        return [tf.convert_to_tensor(variable) for variable in self._variables]

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def finish(
        self,
        before: Sequence[Tensor] | None,
        signal_to_noise: Callable[[Sequence[Any]], Tensor] | None = None,
    ) -> None:
        """Close the step after the update.

        `before` are the values that `observe` returned; `signal_to_noise` is asked for the column
        of that name [P], by variables in row order, where the step is logged.
        """
        if self.looks:
            function = self._finish_eagerly if tf.executing_eagerly() else self._finish
            function(before, signal_to_noise)

    @property
    def nonfinite(self) -> bool:
        """Whether a gradient was not finite since the last drain; waits for the device."""
        return bool(self._nonfinite.numpy()[0] > 0)

    def skip(self) -> None:
        """Count an update that the optimizer leaves out; call in the training step."""
        self._skipped.assign_add(1.0)

    def drain(self) -> Drained:
        """Read what gathered since the last drain; between two steps, or while one runs."""
        drained = self._ring.drain(self._shown)
        if "skipped" in self._shown:
            drained = replace(drained, skipped=int(self._skipped.numpy()))
        step, row = map(int, self._nonfinite.numpy())
        if step == 0:
            return drained
        self._nonfinite.assign([0, 0])
        return replace(drained, nonfinite=(step, self.parameters[row].path))

    def _observe(
        self,
        true: list[Any],
        rows: tuple[int, ...],
        numbers: dict[str, Tensor],
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
        logs, counts = (
            tf.equal(step % _part(cadence, steps, step), 0)
            for cadence, steps in zip(self._cadences, self._every, strict=True)
        )
        histograms_due = counts | tf.equal(step, self._first)
        due = histograms_due | logs
        # A non-finite value makes the sum non-finite, so that counting is needed then alone.
        finite = tf.math.is_finite(total)

        def look() -> list[Tensor]:
            counts = tf.cond(
                finite,
                lambda: tf.zeros_like(squares),
                lambda: statistics.nonfinite_counts(self._blocks(gradients, rows)),
            )
            window = self._raised(rows, squares, total, step, counts)

            def log() -> None:
                self._log(gradients, rows, squares, window, step, numbers, clipped)

            def count() -> None:
                found = statistics.histograms(self._blocks(gradients, rows), self.bins)
                self._ring.write_histograms(step, self._spread(found, rows, 0))

            tf.cond(due, log, lambda: self._keep(window))
            tf.cond(histograms_due, count, _nothing)
            return self.values() if with_values else []

        def pass_by() -> list[Tensor]:
            self._raise(rows, squares, total)
            return [tf.zeros([0], v.dtype) for v in self._variables] if with_values else []

        values: list[Tensor] = rarely(due | ~finite, look, pass_by)
        return values

    def _pass(self, true: list[Any], rows: tuple[int, ...]) -> None:
        """A step that is not logged.

        The step is counted inside the conditional: one that waits for a counter ahead of it costs a
        transformer 4 % of its step.
        """
        gradients = [statistics.prepare(gradient) for gradient in true]
        squares = statistics.square_sums(gradients)
        total = tf.reduce_sum(squares)

        def count() -> None:
            step = self.step.assign_add(1, read_value=True)
            counts = statistics.nonfinite_counts(self._blocks(gradients, rows))
            self._keep(self._raised(rows, squares, total, step, counts))

        def pass_by() -> None:
            self.step.assign_add(1)
            self._raise(rows, squares, total)

        rarely(~tf.math.is_finite(total), count, pass_by)

    def _raise(self, rows: tuple[int, ...], squares: Tensor, total: Tensor) -> None:
        """Raise the peaks of the window to those of a step in which all is finite."""
        peaks = tf.maximum(self._window_squares, self._spread(squares, rows, 0.0))
        self._window_squares.assign(peaks)
        self._window_total.assign(tf.maximum(self._window_total, total))

    def _raised(
        self, rows: tuple[int, ...], squares: Tensor, total: Tensor, step: Tensor, counts: Tensor
    ) -> _Window:
        """The window with this step in it; `counts` are its values that are not finite."""
        row = tf.gather(tf.constant(rows, tf.int64), tf.argmax(counts > 0))
        known = (self._nonfinite[0] > 0) | tf.reduce_all(tf.equal(counts, 0.0))
        self._nonfinite.assign(tf.where(known, self._nonfinite, tf.stack([step, row])))
        return _Window(
            squares=tf.maximum(self._window_squares, self._spread(_peak(squares), rows, 0.0)),
            nonfinite=self._window_nonfinite + self._spread(counts, rows, 0.0),
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
        numbers: dict[str, Tensor],
        clipped: list[Any] | None,
    ) -> None:
        """Write this step into the ring and begin a new window."""
        blocks = self._blocks(gradients, rows)
        sample = self._spread(statistics.samples(blocks), rows, np.nan)
        cosine = statistics.cosine(sample, self._sample)
        table, norm = self._table(gradients, blocks, rows, squares, window, cosine)
        numbers = numbers | {
            "norm": norm,
            "norm_max": tf.maximum(tf.sqrt(window.total), _peak(norm)),
            "skipped": self._skipped.read_value(),
        }
        if clipped is not None:
            prepared = [statistics.prepare(gradient) for gradient in clipped]
            numbers["applied_norm"] = tf.sqrt(tf.reduce_sum(statistics.square_sums(prepared)))
        unknown = np.float32(np.nan)
        self._ring.write(step, tf.stack([numbers.get(name, unknown) for name in NUMBERS]), table)
        self._skipped.assign(0.0)
        self._sample.assign(sample)
        self._keep(_Window(*(tf.zeros_like(part) for part in vars(window).values())))

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
        found = statistics.column_statistics(blocks)
        layouts = [self._layouts[row] for row in rows]
        found["norm"] = statistics.norms(gradients, layouts, squares)
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

    def _finish(
        self,
        before: Sequence[Tensor] | None,
        signal_to_noise: Callable[[Sequence[Any]], Tensor] | None,
    ) -> None:
        def close() -> None:
            unknown = tf.fill([len(self.parameters)], np.float32(np.nan))
            changes = ratios = unknown
            if before is not None:
                pairs = zip(self.values(), before, strict=True)
                changes = self._norms([new - old for new, old in pairs])
            if signal_to_noise is not None:
                ratios = signal_to_noise(self._variables)
            self._ring.finish(tf.stack([changes, ratios]))

        rarely(self._ring.begun, close, _nothing)

    def _blocks(
        self, gradients: Sequence[statistics.Gradient], rows: tuple[int, ...]
    ) -> statistics.Blocks:
        return statistics.Blocks(gradients, [self._layouts[row] for row in rows])

    def _norms(self, tensors: Sequence[Tensor]) -> Tensor:
        """Norms of tensors with the shapes of the variables: [P]."""
        return statistics.norms([statistics.prepare(tensor) for tensor in tensors], self._layouts)

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


def _parts(cadence: Cadence) -> Any:
    """The steps of its parts; of one part a scalar, which costs the training step less."""
    return cadence.steps if len(cadence.steps) > 1 else cadence.steps[0]


def _part(cadence: Cadence, steps: Tensor, step: Tensor) -> Tensor:
    """Which of the `_parts` of a cadence holds at a step."""
    if len(cadence.starts) == 1:
        return steps
    begun = tf.reduce_sum(tf.cast(step >= tf.constant(cadence.starts, tf.int64), tf.int32))
    return tf.gather(steps, begun - 1)


def _peak(values: Tensor) -> Tensor:
    """Values as they count for a maximum: one that is not a number exceeds everything."""
    return tf.where(tf.math.is_finite(values), values, np.float32(np.inf))


def _nothing() -> None:
    """The branch of a step in which nothing is to be done."""
