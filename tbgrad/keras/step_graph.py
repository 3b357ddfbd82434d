"""What runs inside the training step: look at every gradient, log what is due.

All state lives in TensorFlow variables on the training device, and nothing waits for the host.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import tensorflow as tf

from tbgrad.keras import gradient_statistics as statistics
from tbgrad.keras import sketch
from tbgrad.keras.device_cadence import DeviceCadence
from tbgrad.keras.graph import UNKNOWN, conditional_call, in_xla, own_variable
from tbgrad.keras.matrices import Matrices, count_of_matrices
from tbgrad.keras.parameters import Layout
from tbgrad.keras.partial_updates import PartialUpdates
from tbgrad.keras.ring import NUMBERS, StatisticsRing
from tbgrad.keras.step_ring import Scalars, StepRing
from tbgrad.keras.step_table import StepTable
from tbgrad.log.records import HistogramBins, Parameter
from tbgrad.monitoring.cadence import Cadence

Tensor: TypeAlias = Any  # tf.Tensor: TensorFlow ships no types

LOOK = 1024
"""Steps within which it is asked anew what is due, should a change of the cadence go unseen."""


class StepGraph:
    """The part of the monitor that is traced into the training step, and its state.

    Attributes:
        every, histograms_every: which steps are logged, and which with histograms.
        steps: what is known of every step; it counts them.
        ring: the logged ones, with all statistics.
        skipped: updates left out since the last of these, a variable; `counts_skipped` where there
            may be any.
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
        self.every, self.histograms_every = DeviceCadence(every), DeviceCadence(histograms_every)
        self.steps = StepRing(count, start_step=start_step, steps_per_execution=steps_per_execution)
        self.ring = StatisticsRing(
            count,
            bins,
            every=every.shortest,
            histograms_every=histograms_every.shortest,
            steps_per_execution=steps_per_execution,
        )
        self._look_at = own_variable(0, tf.int64)
        self._outside = own_variable(-1, tf.int64)
        self.skipped = own_variable(0.0, tf.float32)
        self.counts_skipped = False

    def values(self) -> list[Tensor]:
        """The present values of all variables, in row order."""
        return [tf.convert_to_tensor(variable) for variable in self._variables]

    def begin(self, update: Update, keeps: bool) -> tuple[Begun, list[Tensor]]:
        """Leave the row of a step, ahead of the update; what is to be handed to `finish`.

        Where it `keeps` them, it also returns the variables in matrices, or empty tensors where the
        step is not due: reading them at every step would make the optimizer copy them at every
        step.
        """
        rows, matrices = update.rows, None
        if in_xla():
            matrices = self._tables.matrices(update.true, rows)
            halves = 0.5 * matrices.squares
            finite = tf.math.is_finite(tf.reduce_sum(halves))
        else:
            parts = statistics.halved_squares(update.true)
            halves = parts if update.part is None else tf.stack(parts)
            finite = tf.math.is_finite(tf.add_n(parts))
        row = self.steps.row(update.scalars, self._tables.spread(halves, rows, UNKNOWN))
        step = self.steps.write(row)
        if update.part is None and matrices is None:
            return self._look(step, row, finite, keeps)
        due = self._due(step)
        due = due._replace(step=due.step | self._overflows(step, finite))
        if update.part is not None:
            # The last of these updates ahead of the one that is logged stands in for it.
            coming = update.part.coming(step)
            counted = due.histograms | self.histograms_every.passed_by(step, coming)
            sampled = due.step | counted | self.every.passed_by(step, coming)
            begun = Begun(step, row, due, sampled, counted, matrices=matrices)
        else:
            begun = Begun(step, row, due, due.step, due.histograms, matrices=matrices)
        return begun, self._keep(begun.sampled) if keeps else []

    def _look(
        self, step: Tensor, row: Tensor, finite: Tensor, keeps: bool
    ) -> tuple[Begun, list[Tensor]]:
        """The same where next to nothing is to be done at a step that is not due.

        Whether it is, is asked at those alone that may be, and known ahead of the gradients: else
        no variable could be updated before the last gradient is there. XLA needs none of it.
        """
        blank = [tf.zeros([0])] * (count_of_matrices(self._tables.layouts) if keeps else 0)

        def look() -> list[Tensor]:
            due, counted = self._due(step)
            coming = self.every.after(step), self.histograms_every.after(step)
            self._look_at.assign(tf.minimum(tf.minimum(*coming), step + LOOK))
            return [due, counted, *(self._tables.weights(self.values()).values if keeps else ())]

        def pass_by() -> list[Tensor]:
            return [tf.constant(False)] * 2 + blank

        may_be = step >= self._look_at.read_value()
        due, counted, *kept = conditional_call(may_be, look, pass_by)
        return Begun(step, row, Due(due, counted), due, counted, finite=finite), kept

    def _keep(self, sampled: Tensor) -> list[Tensor]:
        """The variables in matrices where a step is `sampled`; empty tensors elsewhere."""
        blank = [tf.zeros([0])] * count_of_matrices(self._tables.layouts)
        kept: list[Tensor] = conditional_call(
            sampled, lambda: self._tables.weights(self.values()).values, lambda: blank
        )
        return kept

    def _due(self, step: Tensor) -> Due:
        """Whether a step is to be logged, and with histograms."""
        histograms = self.histograms_every.due(step) | tf.equal(step, self._first)
        return Due(histograms | self.every.due(step), histograms)

    def _overflows(self, step: Tensor, finite: Tensor) -> Tensor:
        """Whether the squares leave the range of float32, and did not the step before.

        Of such a step all is logged: whether the gradient is finite, only its values tell.
        """
        before = self._outside.read_value()
        self._outside.assign(tf.where(finite, before, step))
        return ~finite & (before < step - 1)

    def log_every(self, every: Cadence, histograms_every: Cadence) -> None:
        """Change how often steps and histograms are logged, from the next step on."""
        self.every.change(every)
        self.histograms_every.change(histograms_every)
        self._look_at.assign(0)

    def resume(self, step: int) -> None:
        """Count on from here, and leave out what was seen since the last drain."""
        self.ring.forget()
        self.steps.resume(step)
        self._look_at.assign(0)

    def finish(
        self,
        update: Update,
        begun: Begun,
        before: Sequence[Tensor] | None,
        stacked: bool,
        signal_to_noise: Callable[[Sequence[Any], Sequence[Layout]], Tensor] | None,
    ) -> None:
        """Log what is due of the step, once the update is done: one conditional for all.

        `before` are the variables ahead of the update: each, or `stacked` as `begin` returns them.
        """
        part, rows = update.part, update.rows
        tables, due = self._tables, begun.due

        def sample() -> None:
            matrices = begun.matrices or tables.matrices(update.true, rows)
            norms = tables.norms(matrices, rows, self.steps.squares(begun.row, rows))
            others = self._after_update(before, stacked, signal_to_noise) | {"norm": norms}
            table, angles = tables.of_gradients(matrices, rows, self._sketch, others)
            counts = partial(tables.histograms, matrices, rows, self._bins)
            write = partial(self.ring.write_histograms, begun.step)
            if part is None:
                self._sketch.assign(angles)
                self._log(table, begun.step, update)
                tf.cond(begun.counted, lambda: write(counts()), _nothing)
                return
            self._sketch.assign(tf.where(part.mask, angles, self._sketch))
            whole = part.put(table, due.step)
            tf.cond(due.step, lambda: self._log(whole, begun.step, update), _nothing)

            def count() -> None:
                kept = part.put_counts(counts())
                tf.cond(due.histograms, lambda: write(part.counts_to_log(kept)), _nothing)

            tf.cond(begun.counted, count, _nothing)

        def sample_if_overflowing() -> None:
            overflows = self._overflows(begun.step, begun.finite)
            tf.cond(begun.sampled | overflows, sample, _nothing)

        if begun.finite is None:
            conditional_call(begun.sampled, sample, _nothing)
        else:
            conditional_call(begun.sampled | ~begun.finite, sample_if_overflowing, _nothing)

    def _after_update(
        self,
        before: Sequence[Tensor] | None,
        stacked: bool,
        signal_to_noise: Callable[[Sequence[Any], Sequence[Layout]], Tensor] | None,
    ) -> dict[str, Tensor]:
        """What the variables, now and ahead of the update, and the optimizer tell: [P] each."""
        if before is None:
            norms = statistics.square_sums(self.values(), self._tables.layouts)
            told = {"weight_norm": tf.sqrt(norms)}
        else:
            after = self._tables.weights(self.values())
            known: Tensor = True
            former = self._tables.weights(before) if not stacked else after
            if stacked:
                kept, known = list(before), tf.size(before[0]) > 0
                former = after.holding(tf.cond(known, lambda: kept, lambda: after.values))
                for earlier, later in zip(former.values, after.values, strict=True):
                    earlier.set_shape(later.shape)  # unknown of what comes out of a conditional
            moved = tf.sqrt(after.minus(former).squares)
            told = {
                "weight_norm": tf.sqrt(former.squares),
                "update_norm": tf.where(known, moved, UNKNOWN),
            }
        if signal_to_noise is not None:
            told["snr"] = signal_to_noise(self._variables, self._tables.layouts)
        return told

    def _log(self, table: Tensor, step: Tensor, update: Update) -> None:
        """Write this step into the ring of those that are logged."""
        numbers = dict(update.numbers)
        if self.counts_skipped:
            numbers["skipped"] = self.skipped.read_value()
        if update.clipped is not None:
            layouts = self._tables.layouts_of(update.rows)
            squares = statistics.square_sums(update.clipped, layouts)
            numbers["applied_norm"] = tf.sqrt(tf.reduce_sum(squares))
        known = tf.stack([numbers.get(name, UNKNOWN) for name in NUMBERS])
        self.ring.write(step, known, table)
        self.skipped.assign(0.0)


class Update(NamedTuple):
    """What is known of an update ahead of it.

    `true` are the gradients of the `rows`, which rise, and of which `part` keeps what is theirs;
    `scalars` the loss and the learning rate, `numbers` what else is known, and `clipped` the
    gradients that are applied where these are others.
    """

    true: list[Any]
    rows: tuple[int, ...]
    part: PartialUpdates | None
    scalars: Scalars
    numbers: dict[str, Tensor]
    clipped: list[Any] | None


class Due(NamedTuple):
    """Whether a step is to be logged, and whether with histograms."""

    step: Tensor
    histograms: Tensor


class Begun(NamedTuple):
    """A step ahead of its update: its number, its row among all steps, and what is to be done.

    It is `due`, or only `sampled`, and `counted`, since it stands in for one that is. The gradients
    as `matrices`, where they were needed already; whether their squares are `finite`, where it is
    still to be asked what comes of that.
    """

    step: Tensor
    row: Tensor
    due: Due
    sampled: Tensor
    counted: Tensor
    matrices: Matrices | None = None
    finite: Tensor | None = None


def _nothing() -> None:
    """The branch of a step in which nothing is to be done."""
