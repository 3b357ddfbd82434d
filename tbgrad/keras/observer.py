"""Sees the gradients of a training: brings them into the step's graph, and drains it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tbgrad.keras import replicas
from tbgrad.keras.graph import in_xla, own_variable
from tbgrad.keras.parameters import Layout, tensorflow_variable
from tbgrad.keras.partial_updates import PartialUpdates
from tbgrad.keras.step_graph import Begun, StepGraph, Update
from tbgrad.keras.step_ring import total
from tbgrad.log.records import STATISTICS, HistogramBins, Parameter
from tbgrad.log.steps import Steps
from tbgrad.log.tags import GRADIENT_NORM
from tbgrad.monitoring.cadence import Cadence
from tbgrad.monitoring.logged_step import Drained, LoggedStep

Tensor: TypeAlias = Any  # tf.Tensor: TensorFlow ships no types


@dataclass(frozen=True)
class Before:
    """The variables ahead of an update: each in row order, or `stacked` in matrices."""

    tensors: list[Tensor]
    stacked: bool = False


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
        self._copies_conditionally = copies_conditionally
        self._variables = [tensorflow_variable(variable) for variable in variables]
        self._row = {id(variable): row for row, variable in enumerate(self._variables)}
        self._graph = StepGraph(
            self._variables,
            parameters,
            self.bins,
            every=every,
            histograms_every=histograms_every,
            start_step=start_step,
            steps_per_execution=steps_per_execution,
        )
        self._loss_sum = own_variable([0.0, 0.0], tf.float32)
        self._parts: dict[tuple[int, ...], PartialUpdates] = {}
        self._begun: tuple[Update, Begun] | None = None
        self.losses: bool | None = None
        self._begin_eagerly = tf.function(self._graph.begin, autograph=False)
        self._finish_eagerly = tf.function(self._graph.finish, autograph=False)
        self._complete_eagerly = tf.function(self._graph.steps.complete, autograph=False)

    def knows(self, variables: Sequence[Any]) -> bool:
        """Whether all of `variables` have a row."""
        return all(id(tensorflow_variable(variable)) in self._row for variable in variables)

    def weights(self) -> list[NDArray[Any]]:
        """Copies of the variables as they are now, in row order; waits for the device."""
        return [variable.numpy() for variable in self._variables]

    def log_every(self, every: Cadence, histograms_every: Cadence) -> None:
        """Change how often steps and histograms are logged, from the next step on.

        A cadence has as many parts as the one it replaces.
        """
        self._graph.log_every(every, histograms_every)

    def resume(self, step: int) -> None:
        """Count on from here, and leave out what was seen since the last drain."""
        self._graph.resume(step)

    def max_steps_between_drains(self, step: int) -> int:
        """Steps after `step` within which a drain is due, or rows may be overwritten."""
        both = self._graph.every.cadence, self._graph.histograms_every.cadence
        of_logged = self._graph.ring.max_steps_between_drains(
            *(cadence.soonest(step) for cadence in both)
        )
        return min(of_logged, self._graph.steps.max_steps_between_drains)

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
    ) -> Before | None:
        """Take in the gradients of one step; call in the training step, before the update.

        `gradients` belong to `variables`; variables that are not given have no gradient. `applied`
        are the gradients after clipping, where they were clipped. `with_values` returns the values
        of all variables, in row order, for `finish`.
        """
        by_row: dict[int, int] = {}
        for position, (gradient, variable) in enumerate(zip(gradients, variables, strict=True)):
            row = self._row.get(id(tensorflow_variable(variable)))
            if row is not None and gradient is not None:
                by_row[row] = position
        if not by_row:
            return None
        rows = tuple(sorted(by_row))
        part = self._part(rows)
        true = [gradients[by_row[row]] for row in rows]
        clipped = None if applied is None else [applied[by_row[row]] for row in rows]
        self.losses = bool(self.losses) or loss is not None
        self._graph.counts_skipped |= loss_scale is not None
        loss, rate, scale = (
            None if x is None else tf.cast(x, tf.float32) for x in (loss, learning_rate, loss_scale)
        )
        eager = tf.executing_eagerly()
        keeps = with_values and self._copies_conditionally and not eager and not in_xla()
        begin = self._begin_eagerly if eager else self._graph.begin
        numbers = {} if scale is None else {"loss_scale": scale}
        update = Update(true, rows, part, (loss, rate), numbers, clipped)
        begun, kept = begin(update, keeps)
        self._begun = update, begun
        if not with_values:
            return None
        return Before(kept, stacked=True) if keeps else self.values()

    def mean_loss(self, loss: Tensor, first: Tensor) -> Tensor:
        """Mean of the losses from the `first` of the batches that make up an update to this one."""
        before = tf.where(first, 0.0, self._loss_sum.read_value())
        total = self._loss_sum.assign(
            before + tf.stack([tf.cast(loss, tf.float32), 1.0]), read_value=True
        )
        return total[0] / total[1]

    def values(self) -> Before:
        """The variables as they are."""
        return Before(self._graph.values())

    def complete(self, loss: Tensor) -> None:
        """Give the newest step the loss that is known no sooner than after it."""
        eager = tf.executing_eagerly()
        (self._complete_eagerly if eager else self._graph.steps.complete)(loss)

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def finish(
        self,
        before: Before | None,
        signal_to_noise: Callable[[Sequence[Any], Sequence[Layout]], Tensor] | None = None,
    ) -> None:
        """Close the step after the update.

        `before` is what `observe` returned; `signal_to_noise` is asked for the column of that name
        [P], by variables in row order and their layouts, where the step is logged.
        """
        if self._begun is None:
            return
        (update, begun), self._begun = self._begun, None
        tensors, stacked = (None, False) if before is None else (before.tensors, before.stacked)
        finish = self._finish_eagerly if tf.executing_eagerly() else self._graph.finish
        finish(update, begun, tensors, stacked, signal_to_noise)

    @property
    def count(self) -> int:
        """Updates observed so far, those before it was there included; waits for the device."""
        return int(self._graph.steps.step.numpy())

    @property
    def skipped(self) -> bool:
        """Whether updates were left out since the last logged step; waits for the device."""
        return bool(self._graph.skipped.numpy() > 0)

    def skip(self) -> None:
        """Count an update that the optimizer leaves out; call in the training step."""
        self._graph.skipped.assign_add(1.0)

    def drain(self) -> Drained:
        """Read what gathered since the last drain; between two steps, or while one runs."""
        # The logged ones first: of each of them the row among all steps is there by now.
        logged, histograms, unlogged = self._graph.ring.drain()
        every, lost = self._graph.steps.drain()
        skipped = int(self._graph.skipped.numpy()) if self._graph.counts_skipped else 0
        return Drained(_exact(every, logged), logged, histograms, lost, unlogged, skipped)

    def _part(self, rows: tuple[int, ...]) -> PartialUpdates | None:
        """What is kept of updates of these rows alone; nothing of those of all rows."""
        count = len(self.parameters)
        if len(rows) == count:
            return None
        if rows not in self._parts:
            self._parts[rows] = replicas.outside_tracing(
                PartialUpdates, rows, count, self.bins.columns, self._parts
            )
        return self._parts[rows]


def _exact(every: Sequence[Steps], logged: Sequence[LoggedStep]) -> tuple[Steps, ...]:
    """The steps, with the norms of those that are logged, which are right of all sizes."""
    column = STATISTICS.index("norm")
    for part in every:
        for step in logged:
            if part.first_step <= step.step <= part.last_step:
                at, norms = step.step - part.first_step, step.table[:, column]
                known = np.isfinite(norms) & ~np.isnan(part.norms[at])
                part.norms[at, known] = norms[known]
                part.scalars[GRADIENT_NORM][at] = total(part.norms[at])
    return tuple(every)
