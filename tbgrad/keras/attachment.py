"""What ties a training to its log: the observer on the device, the tap on the optimizer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import tensorflow as tf

from tbgrad.keras import layers, model_facts, optimizers, replicas
from tbgrad.keras.fit_call import Fit
from tbgrad.keras.names import Names
from tbgrad.keras.observer import GradientObserver
from tbgrad.keras.parameters import describe, is_selected, selected
from tbgrad.keras.tap import OptimizerTap
from tbgrad.keras.update_watch import UpdateWatch
from tbgrad.log.records import Manifest
from tbgrad.monitoring.rounding import Rounding
from tbgrad.monitoring.run_log import RunLog
from tbgrad.monitoring.selection import Selection
from tbgrad.monitoring.state_log import Plan
from tbgrad.monitoring.tapped_run import TappedRun


class Attachment(TappedRun):
    """Observes the updates of an optimizer, or of a loop without one, for a `RunLog`.

    The observer is made when its variables are known, which may be no sooner than the first
    training step is traced. Not before then is the number of updates read that were done, with
    `counted`: until the first step whatever loads a checkpoint may change it.
    """

    tap: GradientObserver | None

    def __init__(
        self,
        log: RunLog,
        *,
        model: Any = None,
        optimizer: Any = None,
        selection: Selection | None = None,
        counted: Callable[[], int] = lambda: 0,
        steps_per_execution: int = 1,
        compiled_by_xla: bool = True,
    ) -> None:
        done = None if optimizer is None else partial(optimizers.updates_done, optimizer)
        super().__init__(log, counted, optimizer, done)
        self.optimizer = optimizer
        self.batches_per_update = 1
        self._model = model
        self._selection = selection or Selection()
        self._names = Names((), model)
        self._steps_per_execution = steps_per_execution
        self._compiled_by_xla = compiled_by_xla
        self._optimizer_tap: OptimizerTap | None = None
        self._watch: UpdateWatch | None = None
        if optimizer is not None:
            inner = optimizers.innermost(optimizer)
            self.batches_per_update = inner.gradient_accumulation_steps or 1
            self._watch = UpdateWatch(optimizer, inner, self._observer_of_update, log.give_up)

    @property
    def lossless(self) -> bool:
        """Whether updates were seen, and with none of them a loss."""
        return self.tap is not None and self.tap.losses is False

    def plan(self, fit: Fit) -> Plan:
        """What a call of `fit` sets out to do, in updates."""
        alone = self.optimizer is None or optimizers.innermost(self.optimizer) is self.optimizer
        return fit.plan(
            batches_per_update=self.batches_per_update,
            steps_are_batches=alone and self.batches_per_update == 1,
        )

    def observer_for(self, variables: Sequence[Any]) -> GradientObserver:
        """The observer; variables it does not know yet begin it anew at this step.

        Raises:
            ValueError: `variables` is empty, or none of them is selected.
        """
        names = Names(variables, self._model)
        variables = selected(variables, self._selection, names)
        if self.tap is None or not self.tap.knows(variables):
            self._names = names
            self.use(partial(self._new_observer, variables), self._manifest)
        assert self.tap is not None
        return self.tap

    def attach(self) -> None:
        """Begin to observe the updates of the optimizer, where there is one."""
        if self._watch is not None:
            self._optimizer_tap = OptimizerTap.on(self.optimizer)
            self._optimizer_tap.add(self._watch)

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def observe(self, gradients: Sequence[Any], variables: Sequence[Any], loss: Any) -> None:
        """Take in one step of a custom loop; never raises."""
        try:
            if self._watch is not None:
                self._watch.expect(gradients, variables, loss)
            else:
                # Even after a failure: other workers wait for these sums.
                if replicas.count() > 1:
                    *gradients, loss = replicas.sums([*gradients, loss])
                if replicas.index() == 0 and not self.log.failed:
                    observer = replicas.outside_tracing(self.observer_for, variables)
                    observer.observe(gradients, variables, loss=loss)
                    observer.finish(None)
        except Exception as error:  # noqa: BLE001 - whatever it is, training goes on
            self.log.give_up(error)

    def complete(self, loss: Any) -> None:
        """Take the loss of a step that was observed without; call in the training step."""
        if self.tap is not None:
            self.tap.complete(loss)

    def close(self) -> None:
        """Detach from the optimizer, write what is left and close the event file."""
        if self._optimizer_tap is not None and self._watch is not None:
            self._optimizer_tap.remove(self._watch)
        super().close()

    def _observer_of_update(self, variables: Sequence[Any]) -> GradientObserver | None:
        """The observer for an update of these variables; None where it is of others alone."""
        names = Names(variables, self._model)
        if variables and not any(is_selected(v, self._selection, names) for v in variables):
            return None
        return self.observer_for(variables)

    def _new_observer(self, variables: Sequence[Any], step: int) -> GradientObserver:
        return GradientObserver(
            variables,
            describe(variables, self._names, layers.facts(self._model)),
            every=self.log.cadences.every,
            histograms_every=self.log.cadences.histograms_every,
            start_step=step,
            steps_per_execution=self._steps_per_execution,
            copies_conditionally=not self._compiled_by_xla,
        )

    def _manifest(self, observer: Any) -> Manifest:
        return Manifest(
            parameters=observer.parameters,
            histogram_bins=observer.bins,
            optimizer=optimizers.settings(self.optimizer),
            frozen=tuple(map(self._names.layer, layers.frozen(self._model))),
            **model_facts.facts(self._model),
        )

    def _rounding(self, manifest: Manifest) -> Rounding:
        halved, centred = (
            set(map(self._names.layer, found(self._model)))
            for found in (layers.halved, layers.centred)
        )
        return Rounding(manifest.parameters, halved, centred)

    def _aside(self) -> AbstractContextManager[Any]:
        # Whoever is collected while a function is traced is closed in the midst of that.
        scope: AbstractContextManager[Any] = tf.init_scope()
        return scope
