"""One run being logged: from the ring on the device to the event file."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tbgrad.diagnosis import RULE_NAMES, AlertSettings, Record
from tbgrad.keras import layers, replicas
from tbgrad.keras.observer import GradientObserver
from tbgrad.keras.parameters import Selection, describe
from tbgrad.keras.ring import Drained, LoggedStep
from tbgrad.keras.tap import OptimizerTap, innermost
from tbgrad.keras.update_watch import UpdateWatch
from tbgrad.log import encode
from tbgrad.log.records import STATISTICS, Alert, CurvatureEstimate, Manifest
from tbgrad.log.tags import (
    CURVATURE,
    ENDED,
    LAMBDA_MAX,
    LAMBDA_MIN,
    LOSS,
    MINIMUM_RATIO,
    NEGATIVE_FRACTION,
    SKIPPED_UPDATES,
    STABILITY,
    TRACE,
    VALIDATION_LOSS,
)
from tbgrad.monitoring.alert_log import AlertLog
from tbgrad.monitoring.cadence import Cadence
from tbgrad.monitoring.rounding import Rounding
from tbgrad.monitoring.run_file import RunFile
from tbgrad.monitoring.sentences import brief, logger
from tbgrad.monitoring.step_values import scalars_of, values_of

DRAIN_SECONDS = 2.0
"""The longest time between two drains, and so the most that a killed process loses."""

ALARM_SECONDS = 0.25
"""The longest time until a gradient that is not finite is noticed, which makes a drain due."""


SKIPPED = 20
"""Updates left out in a row from which on that is logged without a logged step."""


class RunLog:
    """One run being logged: the observer on the device, the tap on the optimizer, the event file.

    The run begins when its variables are known (`observer_for`), which may be no sooner than the
    first training step is traced. With `own` its directory is that of `rundirectory.choose`. Not
    before its beginning is the number of updates read that were done, with
    `counted`: until the first step whatever loads a checkpoint may change it.

    Attributes:
        logdir: the directory that was asked for; once the run has begun, the one that it is in.
        logged: the tags that were logged, of those that not every training has.
    """

    NEVER = 2**62
    """As a number of steps: more than there will be."""

    def __init__(
        self,
        logdir: str | Path,
        *,
        own: bool = True,
        group: str = "",
        model: Any = None,
        optimizer: Any = None,
        every: Cadence,
        histograms_every: Cadence,
        curvature_every: int = 0,
        selection: Selection | None = None,
        on_alert: Callable[[Alert], object] | None = None,
        alerts: AlertSettings | None = None,
        listeners: Sequence[Callable[[Record], None]] = (),
        counted: Callable[[], int] = lambda: 0,
        steps_per_execution: int = 1,
        compiled_by_xla: bool = True,
    ) -> None:
        self.logdir = logdir
        self._own = own
        self._group = group
        self.failed = False
        self.observer: GradientObserver | None = None
        self.batches_per_update = 1
        self._tap: OptimizerTap | None = None
        self._watch: UpdateWatch | None = None
        if optimizer is not None:
            inner = innermost(optimizer)
            self.batches_per_update = inner.gradient_accumulation_steps or 1
            self._watch = UpdateWatch(optimizer, inner, self._observer_of_update, self.give_up)
        self._model, self._optimizer = model, optimizer
        self._every, self._histograms_every = every, histograms_every
        self._curvature_every = curvature_every
        self._selection = selection or Selection()
        self._steps_per_execution = steps_per_execution
        self._compiled_by_xla = compiled_by_xla
        self._manifest: Manifest | None = None
        self._rounding = Rounding(())
        self._file: RunFile | None = None
        self._lock = threading.RLock()
        self._time = time.time()
        self._counted = counted
        self._step = 0
        self._begun_at = 0
        self._left_at: int | None = None
        self._first_step = 0
        self._noting = threading.Lock()
        self._noted = (-1, "")
        self._early: list[str] = []
        self._told: set[str] = set()
        self.logged: set[str] = set()
        self._alerts = AlertLog(on_alert, self.note, alerts)
        self._listeners = listeners
        self._latest: tuple[Manifest, LoggedStep] | None = None

    @property
    def step(self) -> int:
        """Updates observed so far, those before this log included; waits for the device."""
        return self._counted() if self.observer is None else int(self.observer.step.numpy())

    @property
    def seen(self) -> int:
        """Updates observed since the log was begun or gone on with; waits for the device."""
        return 0 if self.observer is None else self.step - self._begun_at

    @property
    def skipped(self) -> bool:
        """Whether updates were left out since the last one that was not."""
        return self.observer is not None and self.observer.skipped

    @property
    def lossless(self) -> bool:
        """Whether updates were seen, and with none of them a loss."""
        return self.observer is not None and self.observer.losses is False

    @property
    def latest(self) -> Mapping[str, Any] | None:
        """The newest logged step that was drained: numbers by tag, statistics by parameter."""
        if self._latest is None:
            return None
        manifest, logged = self._latest
        rows = zip(manifest.names, logged.table.tolist(), strict=True)
        parameters = {name: dict(zip(STATISTICS, row, strict=True)) for name, row in rows}
        return {"step": logged.step, **scalars_of(logged), "parameters": parameters}

    def observer_for(self, variables: Sequence[Any]) -> GradientObserver:
        """The observer of the run; variables it does not know yet begin it anew at this step.

        Raises:
            ValueError: `variables` is empty, or none of them is selected.
            OSError: the directory of the run cannot be created or written.
        """
        variables = self._selection.of(variables)
        if self.observer is not None and self.observer.knows(variables):
            return self.observer
        self.drain()
        with self._lock:
            start_step = self.step
            if self.observer is None:
                self._step = self._begun_at = start_step
                self._first_step = start_step + 1
            parameters = describe(variables, layers.activations(self._model))
            self.observer = GradientObserver(
                variables,
                parameters,
                every=self._every,
                histograms_every=self._histograms_every,
                start_step=start_step,
                steps_per_execution=self._steps_per_execution,
                copies_conditionally=not self._compiled_by_xla,
            )
            self._rounding = Rounding(parameters, layers.halved(self._model))
            self._manifest = Manifest(
                parameters=parameters,
                histogram_bins=self.observer.bins,
                optimizer=describe_optimizer(self._optimizer),
                cadences=self._cadences(start_step + 1),
                frozen=layers.frozen(self._model),
                rules=RULE_NAMES,
                group=self._group,
                first_step=self._first_step,
            )
            if self._file is None:
                self.open()
            else:
                self._file.add(start_step, [encode.manifest(self._manifest)])
        return self.observer

    def _observer_of_update(self, variables: Sequence[Any]) -> GradientObserver | None:
        """The observer for an update of these variables; None where it is of others alone."""
        return self.observer_for(variables) if self._selection.has_any(variables) else None

    def go_on(self) -> None:
        """Begin another event file of the run, where a former training has left it."""
        if self.observer is None:
            return
        if self._optimizer is not None and self._left_at is not None:
            # Others may have trained or set it back since.
            step = self.step + updates_done(self._optimizer) - self._left_at
            self.observer.resume(max(0, step))
        self._begun_at = self.step
        self.open()

    def log_every(self, every: Cadence, histograms_every: Cadence, *, lasting: bool = True) -> None:
        """Change how often steps and histograms are logged; the log says so where it lasts."""
        assert self.observer is not None
        self.observer.log_every(every, histograms_every)
        if lasting:
            self._every, self._histograms_every = every, histograms_every
            self._tell_cadences(self.step)

    def open(self) -> None:
        """Begin an event file that continues the run after the present step, if it has begun."""
        if self._manifest is not None:
            self._time, self._step = time.time(), self.step
            asked, own, self._own = self.logdir, self._own, False
            self._file = RunFile(
                asked,
                group=self._group,
                start_step=self._step + 1,
                on_error=self.give_up,
                choose=own,
                optimizer=self._optimizer,
            )
            self.logdir = self._file.logdir
            if own and self.logdir != asked and self._step == 0:
                logger.warning(
                    "tbgrad: %s has the log of another training: this one, which begins anew, is "
                    "logged in %s",
                    asked,
                    self.logdir,
                )
            self._first_step = self._step + 1
            self._manifest = replace(self._manifest, first_step=self._first_step)
            self._file.add(self._step, [encode.manifest(self._manifest)])
            self._alerts.begin(self._step, self._file)
            with self._noting:  # what there was to say before there was a file
                early, self._early = "\n".join(self._early), []
                if early:
                    self._noted = self._step, early
                    self._file.add(self._step, [encode.note(early)])

    @property
    def alarmed(self) -> bool:
        """Whether a gradient was not finite since the last drain; waits for the device."""
        return self.observer is not None and not self.failed and self.observer.nonfinite

    @property
    def alerted(self) -> set[str]:
        """The rules that have opened an alert."""
        return self._alerts.opened

    @property
    def loss_is_lost(self) -> bool:
        """Whether the loss of the newest logged step is not finite."""
        loss = None if self._latest is None else scalars_of(self._latest[1]).get(LOSS)
        return loss is not None and not math.isfinite(loss)

    @property
    def steps_are_batches(self) -> bool:
        """Whether every batch is one update, so that the step of a batch is known beforehand."""
        return (
            self._steps_per_execution == 1
            and self.batches_per_update == 1
            and innermost(self._optimizer) is self._optimizer
        )

    def max_steps_between_drains(self, step: int) -> int:
        """Steps after `step` within which a drain is due, or logged steps may be lost."""
        return self.NEVER if self.observer is None else self.observer.max_steps_between_drains(step)

    def attach(self) -> None:
        """Begin to observe the updates of the optimizer, where there is one."""
        if self._watch is not None:
            self._tap = OptimizerTap.on(self._optimizer)
            self._tap.add(self._watch)

    @property
    def alone(self) -> bool:
        """Whether nobody else observes the optimizer."""
        return self._tap is None or len(self._tap.watches) == 1

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
                if replicas.index() == 0 and not self.failed:
                    observer = replicas.outside(self.observer_for, variables)
                    observer.observe(gradients, variables, loss=loss)
                    observer.finish(None)
        except Exception as error:  # noqa: BLE001 - whatever it is, training goes on
            self.give_up(error)

    def complete(self, loss: Any) -> None:
        """Take the loss of a step that was observed without; call in the training step."""
        if self.observer is not None:
            self.observer.complete(loss)

    def drain(self) -> None:
        """Move what gathered on the device into the event file; never raises."""
        # Whoever is collected while a function is traced is closed in the midst of that.
        with self._lock, tf.init_scope():
            if self.failed or self._file is None or self.observer is None:
                return
            try:
                self._write(self.observer.drain(), self._file)
            except Exception as error:  # noqa: BLE001 - whatever it is, training goes on
                self.give_up(error)

    def add_curvature(
        self,
        step: int,
        estimate: CurvatureEstimate,
        density: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
    ) -> None:
        """Log one curvature estimate at the weights after `step` updates.

        `density` is a grid of eigenvalues and their density there, where it was estimated too.
        """
        scalars = {
            LAMBDA_MAX: estimate.lambda_max.value,
            LAMBDA_MIN: estimate.lambda_min.value,
            STABILITY: estimate.stability,
            TRACE: estimate.trace,
        }
        shares = {
            MINIMUM_RATIO: estimate.minimum_ratio,
            NEGATIVE_FRACTION: estimate.negative_fraction,
        }
        # A share that is hardly known would be taken for a number.
        scalars |= {tag: share.value for tag, share in shares.items() if share and share.known}
        values = [encode.scalar(tag, x) for tag, x in scalars.items() if not math.isnan(x)]
        if density is not None:
            values.append(encode.density(*density))
        known = {tag: x for tag, x in scalars.items() if tag in shares}
        with self._lock:
            if self._file is not None:
                self._file.add(step, [encode.curvature(estimate), *values])
                self.logged.add(CURVATURE)
                self._alerts.after_estimate(Record(step, known, curvature=estimate), self._file)

    def add_validation_loss(self, loss: float) -> None:
        """Log the loss on data that is not trained on, at the newest step; never raises."""
        with self._lock:
            if self.failed or self._file is None:
                return
            try:
                step = self.step
                self._file.add(step, [encode.scalar(VALIDATION_LOSS, loss)])
                self.logged.add(VALIDATION_LOSS)
                record = Record(step, {VALIDATION_LOSS: loss}, manifest=self._manifest)
                self._alerts.after_estimate(record, self._file)
            except Exception as error:  # noqa: BLE001 - whatever it is, training goes on
                self.give_up(error)

    def note(self, text: str) -> None:
        """One warning, and a note in the log, at the last step that was drained."""
        logger.warning("tbgrad: %s", text)
        with self._noting:  # the writer's thread has something to say, too
            step, (noted, before) = self._step, self._noted
            # Readers keep one value a step and series.
            self._noted = step, f"{before}\n{text}" if step == noted else text
            file = self._file
            if file is not None:
                file.add(step, [encode.note(self._noted[1])])
            elif self._manifest is None:
                self._early.append(text)

    def note_once(self, subject: str, text: str) -> None:
        """The same, unless there was a note on this subject before."""
        if subject not in self._told:
            self._told.add(subject)
            self.note(text)

    def give_up(self, error: Exception) -> None:
        """End the monitoring after a failure of its own; says so once."""
        if not self.failed:
            self.failed = True
            group = f" ({self._group})" if self._group else ""
            self.note(
                f"monitoring of {self.logdir}{group} {ENDED}; training goes on. {brief(error)}"
            )

    def flush(self) -> None:
        """Wait until everything drained is on disk."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Detach from the optimizer, write what is left and close the event file."""
        if self._tap is not None and self._watch is not None:
            self._tap.remove(self._watch)
        self.drain()
        with tf.init_scope():
            self._left_at = 0 if self._optimizer is None else updates_done(self._optimizer)
        with self._lock:
            file, self._file = self._file, None
        if file is not None:
            self._alerts.end(file)
            file.close()
        self._alerts.wait()

    def _cadences(self, step: int) -> dict[str, int]:
        """What holds at a step, for the manifest."""
        found = {
            "every": self._every.at(step),
            "histograms_every": self._histograms_every.at(step),
        }
        return found | ({"curvature_every": self._curvature_every} if self._curvature_every else {})

    def _tell_cadences(self, step: int) -> None:
        """Write the manifest again where the cadences of a step are not those it names."""
        assert self._manifest is not None
        cadences = self._cadences(step)
        if cadences != self._manifest.cadences and self._file is not None:
            self._manifest = replace(self._manifest, cadences=cadences)
            self._file.add(step, [encode.manifest(self._manifest)])

    def _write(self, drained: Drained, file: RunFile) -> None:
        assert self._manifest is not None
        for logged in drained.steps:
            self._rounding.blank(logged.table)
        records = [
            Record(logged.step, scalars_of(logged), logged.table, self._manifest)
            for logged in drained.steps
        ]
        self.logged.update(tag for record in records for tag in record.scalars)
        self._alerts.after(drained, records, file)
        now = time.time()
        last = max([s.step for s in drained.steps], default=self._step)
        seconds_a_step = (now - self._time) / max(1, last - self._step)
        histograms = dict(drained.histograms)
        for logged in drained.steps:
            counts = histograms.pop(logged.step, None)
            wall_time = self._time + seconds_a_step * (logged.step - self._step)
            self._tell_cadences(logged.step)
            values = partial(values_of, self._manifest, logged, counts)
            file.add(logged.step, values, wall_time)
        if drained.steps:
            self._latest = self._manifest, drained.steps[-1]
            self._time, self._step = now, last
        if drained.skipped >= SKIPPED:
            # Where every update is left out no step is logged that could say so.
            file.add(last, [encode.scalar(SKIPPED_UPDATES, drained.skipped)])
            scalars = {SKIPPED_UPDATES: float(drained.skipped)}
            self._alerts.after_estimate(Record(last, scalars), file)
        for listener in tuple(self._listeners):
            for record in records:
                listener(record)
        if drained.lost:
            self.note(
                f"{drained.lost} logged steps before step {last} were overwritten before they "
                "could be written; a larger `every` or smaller `steps_per_execution` prevents this"
            )


def updates_done(optimizer: Any) -> int:
    """How many updates of the variables the optimizer has made."""
    return int(tf.convert_to_tensor(innermost(optimizer).iterations))


def describe_optimizer(optimizer: Any) -> Mapping[str, object]:
    """The optimizer's name and its plain settings, for the manifest."""
    if optimizer is None:
        return {}
    inner = innermost(optimizer)
    settings: dict[str, object] = {
        key: value
        for key, value in inner.get_config().items()
        if (value is True or (isinstance(value, int | float) and value is not False))
        and (inner.use_ema or not key.startswith("ema_"))
    }
    return {"name": type(inner).__name__, **settings}
