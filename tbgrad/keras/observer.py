"""What the monitor does inside the training step: look at every gradient, log what is due.

All state lives in TensorFlow variables on the training device. Nothing here waits for the host:
the training step writes, `drain` reads what has gathered between two steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from tbgrad.keras import gradient_statistics as statistics
from tbgrad.keras import replicas, sketch
from tbgrad.keras.graph import UNKNOWN, in_xla, rarely
from tbgrad.keras.parameters import layouts, tensorflow_variable
from tbgrad.keras.partial_updates import PartOfUpdates
from tbgrad.keras.ring import NUMBERS, StatisticsRing, own_variable
from tbgrad.keras.window import Window, peak, root
from tbgrad.log.records import STATISTICS, HistogramBins, Parameter
from tbgrad.monitoring.cadence import Cadence
from tbgrad.monitoring.logged_step import Drained

Tensor: TypeAlias = Any  # tf.Tensor: TensorFlow ships no types


TURN = 32
"""Logged steps in a row that a parameter may go without an update, where others take turns."""


class GradientObserver:
    """Observes gradients inside the training step and keeps the logged steps until drained.

    Steps are counted in updates: the first update is step `start_step + 1`. Logged are the first
    step and those that `every` or `histograms_every` names; the latter with histograms.

    An update may be of some of the variables, as where an actor and a critic take turns. What is
    logged is then put together: each parameter as it was in the last update of it up to the logged
    step. It is unknown where it had none since the step that was logged before.

    Attributes:
        losses: whether the loss of an update was shown so far; None before there was an update.
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
        # Below zero where the window has no gradient of a parameter.
        self._window_squares = own_variable(np.full(count, -1.0), tf.float32)
        self._window_nonfinite = own_variable(np.zeros(count), tf.float32)
        self._window_total = own_variable(0.0, tf.float32)
        # The first such step after the one that was told, and its first row. The training step
        # writes the one, the drain the other: neither takes back what the other says.
        self._nonfinite = own_variable([0, 0], tf.int64)
        self._told = own_variable(0, tf.int64)
        self._told_step = 0
        self._sketch = own_variable(np.zeros((count, sketch.BUCKETS)), tf.float32)
        self._skipped = own_variable(0.0, tf.float32)
        self._loss_sum = own_variable([0.0, 0.0], tf.float32)
        self._parts: dict[tuple[int, ...], PartOfUpdates] = {}
        self._rows: tuple[int, ...] = ()
        self._absent = np.zeros(count, np.int64)
        self._counts_skipped = False
        self.losses: bool | None = None
        self.looks = True
        self._pass_eagerly = tf.function(self._pass, autograph=False)
        self._observe_eagerly = tf.function(self._observe, autograph=False)
        self._finish_eagerly = tf.function(self._finish, autograph=False)
        self._complete_eagerly = tf.function(self._ring.complete, autograph=False)

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

    def resume(self, step: int) -> None:
        """Count on from here, and leave out what was seen since the last drain."""
        self._ring.forget()
        self.step.assign(step)
        self._told_step = max(step, int(self._nonfinite.numpy()[0]))
        self._told.assign(self._told_step)

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
        rows = self._rows = tuple(sorted(by_row))
        part = self._part(rows)
        true = [gradients[by_row[row]] for row in rows]
        self.losses = bool(self.losses) or loss is not None
        if not self.looks:
            function = self._pass_eagerly if tf.executing_eagerly() else self._pass
            function(true, rows)
            return None
        clipped = None if applied is None else [applied[by_row[row]] for row in rows]
        given = {"loss": loss, "learning_rate": learning_rate, "loss_scale": loss_scale}
        numbers = {name: tf.cast(x, tf.float32) for name, x in given.items() if x is not None}
        self._counts_skipped |= loss_scale is not None
        eager = tf.executing_eagerly()
        function = self._observe_eagerly if eager else self._observe
        conditional = with_values and self._copies_conditionally and not eager
        conditional = conditional and not in_xla()
        values: list[Tensor] = function(true, rows, part, numbers, clipped, conditional)
        if with_values and not conditional:
            values = self.values()
        return values if with_values else None

    def mean_loss(self, loss: Tensor, first: Tensor) -> Tensor:
        """Mean of the losses from the `first` of the batches that make up an update to this one."""
        before = tf.where(first, 0.0, self._loss_sum.read_value())
        total = self._loss_sum.assign(
            before + tf.stack([tf.cast(loss, tf.float32), 1.0]), read_value=True
        )
        return total[0] / total[1]

    def complete(self, loss: Tensor) -> None:
        """Give the newest logged step the loss that is known no sooner than after it."""
        if self.looks:
            self._complete_eagerly(loss) if tf.executing_eagerly() else self._ring.complete(loss)

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
            function(before, signal_to_noise, self._parts.get(self._rows))

    @property
    def count(self) -> int:
        """Updates observed so far, those before it was there included; waits for the device."""
        return int(self.step.numpy())

    @property
    def nonfinite(self) -> bool:
        """Whether a gradient was not finite since the last drain; waits for the device."""
        return bool(self._nonfinite.numpy()[0] > self._told_step)

    @property
    def skipped(self) -> bool:
        """Whether updates were left out since the last logged step; waits for the device."""
        return bool(self._skipped.numpy() > 0)

    def skip(self) -> None:
        """Count an update that the optimizer leaves out; call in the training step."""
        self._skipped.assign_add(1.0)

    def drain(self) -> Drained:
        """Read what gathered since the last drain; between two steps, or while one runs."""
        drained = self._ring.drain()
        for logged in drained.steps:
            self._tell_turns(logged.table)
        if self._counts_skipped:
            drained = replace(drained, skipped=int(self._skipped.numpy()))
        step, row = map(int, self._nonfinite.numpy())
        if step <= self._told_step:
            return drained
        self._told_step = step
        self._told.assign(step)
        return replace(drained, nonfinite=(step, self.parameters[row].path))

    def _tell_turns(self, table: Any) -> None:
        """Tell a parameter that waits for its turn from one that no gradient reaches.

        The former had no value that is not finite, of the latter that is not known. One that had an
        update which was not sampled has the norm of the largest.
        """
        if not self._parts:
            return
        norm, peak_norm, column = map(STATISTICS.index, ("norm", "norm_max", "nonfinite"))
        unsampled = np.isnan(table[:, norm]) & np.isfinite(table[:, peak_norm])
        table[unsampled, norm] = table[unsampled, peak_norm]
        absent = np.isnan(table[:, column])
        self._absent = np.where(absent, self._absent + 1, 0)
        if len(self._parts) > 1:
            met = np.zeros(len(absent), np.bool_)
            met[[row for rows in self._parts for row in rows]] = True
            table[absent & met & (self._absent <= TURN), column] = 0.0

    def _part(self, rows: tuple[int, ...]) -> PartOfUpdates | None:
        """What is kept of updates of these rows alone; nothing of those of all rows."""
        count = len(self.parameters)
        if len(rows) == count:
            return None
        if rows not in self._parts:
            self._parts[rows] = replicas.outside(
                PartOfUpdates, rows, count, self.bins.columns, self._parts
            )
        return self._parts[rows]

    def _observe(
        self,
        true: list[Any],
        rows: tuple[int, ...],
        part: PartOfUpdates | None,
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
        due = sampled = histograms_due | logs
        counted = histograms_due
        if part is not None:
            # The last of these updates ahead of the one that is logged stands in for it.
            coming = part.coming(step)
            last, last_counted = (
                coming > (step // every + 1) * every
                for every in (
                    _part(cadence, steps, step)
                    for cadence, steps in zip(self._cadences, self._every, strict=True)
                )
            )
            sampled, counted = due | last, histograms_due | last_counted
        # A non-finite value makes the sum non-finite, so that counting is needed then alone.
        finite = tf.math.is_finite(total)

        def look() -> list[Tensor]:
            counts = tf.cond(
                finite,
                lambda: tf.zeros_like(squares),
                lambda: statistics.nonfinite_counts(self._blocks(gradients, rows)),
            )
            window = self._raised(rows, squares, total, step, counts)

            def sample() -> None:
                table, norm, angles = self._table(gradients, rows, squares)

                def log(table: Tensor = table) -> None:
                    self._log(table, norm, window, step, numbers, clipped)

                if part is None:
                    self._sketch.assign(angles)
                    log()
                    return
                self._sketch.assign(tf.where(part.mask, angles, self._sketch))
                whole = part.put(table)
                tf.cond(due, lambda: log(whole), lambda: self._keep(window))

            def count() -> None:
                found = statistics.histograms(self._blocks(gradients, rows), self.bins)
                found = self._spread(found, rows, 0)
                if part is None:
                    self._ring.write_histograms(step, found)
                    return
                whole = part.put_counts(found)
                write = partial(self._ring.write_histograms, step)
                tf.cond(histograms_due, lambda: write(part.take_counts(whole)), _nothing)

            tf.cond(sampled, sample, lambda: self._keep(window))
            tf.cond(counted, count, _nothing)
            return self.values() if with_values else []

        def pass_by() -> list[Tensor]:
            self._raise(rows, squares, total)
            return [tf.zeros([0], v.dtype) for v in self._variables] if with_values else []

        values: list[Tensor] = rarely(sampled | counted | ~finite, look, pass_by)
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
        peaks = tf.maximum(self._window_squares, self._spread(squares, rows, -1.0))
        self._window_squares.assign(peaks)
        self._window_total.assign(tf.maximum(self._window_total, total))

    def _raised(
        self, rows: tuple[int, ...], squares: Tensor, total: Tensor, step: Tensor, counts: Tensor
    ) -> Window:
        """The window with this step in it; `counts` are its values that are not finite."""
        row = tf.gather(tf.constant(rows, tf.int64), tf.argmax(counts > 0))
        known = (self._nonfinite[0] > self._told) | tf.reduce_all(tf.equal(counts, 0.0))
        self._nonfinite.assign(tf.where(known, self._nonfinite, tf.stack([step, row])))
        return Window(
            squares=tf.maximum(self._window_squares, self._spread(peak(squares), rows, -1.0)),
            nonfinite=self._window_nonfinite + self._spread(counts, rows, 0.0),
            total=tf.maximum(self._window_total, peak(total)),
        )

    def _keep(self, window: Window) -> None:
        self._window_squares.assign(window.squares)
        self._window_nonfinite.assign(window.nonfinite)
        self._window_total.assign(window.total)

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
        if self._counts_skipped:
            numbers["skipped"] = self._skipped.read_value()
        if clipped is not None:
            prepared = [statistics.prepare(gradient) for gradient in clipped]
            numbers["applied_norm"] = tf.sqrt(tf.reduce_sum(statistics.square_sums(prepared)))
        known = tf.stack([numbers.get(name, UNKNOWN) for name in NUMBERS])
        self._ring.write(step, known, self._of_window(table, window))
        self._skipped.assign(0.0)
        self._keep(window.next())

    def _table(
        self, gradients: list[statistics.Gradient], rows: tuple[int, ...], squares: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What is told from these gradients alone: a table [P, S], the global norm, sketches."""
        blocks = self._blocks(gradients, rows)
        angles = self._spread(statistics.sketches(blocks), rows, 0.0)
        found = statistics.column_statistics(blocks)
        layouts = [self._layouts[row] for row in rows]
        found["norm"] = statistics.norms(gradients, layouts, squares)
        norm = statistics.norm(found["norm"])
        columns = {name: self._spread(column, rows, UNKNOWN) for name, column in found.items()}
        columns["cosine"] = sketch.cosine(angles, self._sketch)
        unknown = tf.fill([len(self.parameters)], UNKNOWN)
        return tf.stack([columns.get(name, unknown) for name in STATISTICS], axis=1), norm, angles

    def _of_window(self, table: Tensor, window: Window) -> Tensor:
        """The table with the columns that are about the window, and the weights as they are."""
        columns = dict(zip(STATISTICS, tf.unstack(table, axis=1), strict=True))
        seen = window.squares >= 0.0
        # The norm itself is right where its square is out of the range of float32.
        peaks = tf.maximum(root(tf.maximum(window.squares, 0.0)), peak(columns["norm"]))
        columns["norm_max"] = tf.where(seen, peaks, UNKNOWN)
        columns["nonfinite"] = tf.where(seen, window.nonfinite, UNKNOWN)
        columns["weight_norm"] = self._norms(self.values())
        return tf.stack(list(columns.values()), axis=1)

    def _finish(
        self,
        before: Sequence[Tensor] | None,
        signal_to_noise: Callable[[Sequence[Any]], Tensor] | None,
        part: PartOfUpdates | None,
    ) -> None:
        def after() -> Tensor:
            unknown = tf.fill([len(self.parameters)], UNKNOWN)
            changes = ratios = unknown
            if before is not None:
                pairs = zip(self.values(), before, strict=True)
                changes = self._norms([new - old for new, old in pairs])
            if signal_to_noise is not None:
                ratios = signal_to_noise(self._variables)
            return tf.stack([changes, ratios])

        def close() -> None:
            self._ring.finish(after())

        def take() -> None:
            # Without a conditional in this one, which takes XLA long to compile.
            assert part is not None
            self._ring.finish(part.put_after(after(), self._ring.begun))

        if part is None:
            rarely(self._ring.begun, close, _nothing)
        else:
            rarely(part.sampled, take, _nothing)

    def _blocks(
        self, gradients: Sequence[statistics.Gradient], rows: tuple[int, ...]
    ) -> statistics.Blocks:
        return statistics.Blocks(gradients, [self._layouts[row] for row in rows])

    def _norms(self, tensors: Sequence[Tensor]) -> Tensor:
        """Norms of tensors with the shapes of the variables: [P]."""
        return statistics.norms([statistics.prepare(tensor) for tensor in tensors], self._layouts)

    def _spread(self, values: Tensor, rows: tuple[int, ...], blank: Any) -> Tensor:
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


def _parts(cadence: Cadence) -> Any:
    """The steps of its parts; of one part a scalar, which costs the training step less."""
    return cadence.steps if len(cadence.steps) > 1 else cadence.steps[0]


def _part(cadence: Cadence, steps: Tensor, step: Tensor) -> Tensor:
    """Which of the `_parts` of a cadence holds at a step."""
    if len(cadence.starts) == 1:
        return steps
    begun = tf.reduce_sum(tf.cast(step >= tf.constant(cadence.starts, tf.int64), tf.int32))
    return tf.gather(steps, begun - 1)


def _nothing() -> None:
    """The branch of a step in which nothing is to be done."""
