"""`GradientMonitor`, the Keras callback: it decides when; the other rooms do the work."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tbgrad import hessian
from tbgrad.diagnosis import AlertSettings, Record
from tbgrad.diagnosis.needs import OF_LOSS, silent
from tbgrad.keras import replicas
from tbgrad.keras.curvature import Curvature, CurvatureProbe
from tbgrad.keras.fit_call import Callback, Fit
from tbgrad.keras.probe import check_fixed, probe_batch, with_weights
from tbgrad.keras.supported import foreign
from tbgrad.keras.train_function import WatchedFunction
from tbgrad.keras.unseen import calls_of, updates_unseen
from tbgrad.log.records import Alert
from tbgrad.log.tags import CURVATURE, VALIDATION_LOSS
from tbgrad.monitoring.arguments import (
    check_alerts,
    check_cadence,
    check_group,
    check_logdir,
    check_on_alert,
    check_optimizer,
    check_rules,
    check_selection,
)
from tbgrad.monitoring.cadence import HISTOGRAMS, SHORTEST, Cadence, CadenceSearch
from tbgrad.monitoring.run_log import ALARM_SECONDS, DRAIN_SECONDS, RunLog, updates_done
from tbgrad.monitoring.sentences import brief, logger


class GradientMonitor(Callback):
    """Logs what the gradients and the curvature of a model do while `model.fit` trains it.

    Works with plain `fit` and with custom `train_step`s that apply gradients through
    `self.optimizer`, compiled by XLA or not, eagerly, and with `steps_per_execution`. The
    statistics are computed inside the training step, on its device; what is logged is written by a
    thread. Training gives the same result with and without it, and any failure of the monitor
    becomes one warning and a note in the log, while training goes on.

    Args:
        logdir: directory of the run, which is created; also one that TensorFlow can write and
            Python cannot, such as `gs://bucket/runs/a`, where the log is seen to grow every 30 s.
            A second `fit` of the model, or one from a checkpoint with the optimizer's count,
            continues the run. A training that begins anew where there is a log already, as the next
            trial of a search or fold of a validation, is logged in `runs/a-2`, and so on; a copy of
            the monitor is as good as the monitor.
        every: steps between two logged ones. Norms and non-finite values are taken at every step
            whatever this is, and show as the largest of each window. By default 10, or as many more
            as keep the time that logged steps take within `overhead`: about the first hundred steps
            are timed in turns with and without logging. A mapping is a schedule: `{0: 1, 1000: 10}`
            logs each of the first 1,000 steps and every 10th from there on.
        histograms_every: steps between two histograms of the gradients, as a number or a schedule;
            by default 10 · `every`.
        curvature: a `tbgrad.Curvature`, for periodic estimates of the extreme Hessian eigenvalues;
            None for none.
        overhead: share of the training time that logged steps may take where `every` is not given.
            Curvature is not part of it, nor the norms of every step.
        include, exclude: patterns of parameter paths, one or several, as of file names in a shell:
            `include="*/kernel"`. Parameters that are not included, or are excluded, are not
            observed at all; the global norm is of the others. By default all are.
        on_alert: called with a `tbgrad.Alert` when one opens and when it closes, in a
            thread, so that it may take its time.
        alerts: a `tbgrad.AlertSettings`, or the path of a TOML file of them: from what on the rules
            raise an alert, and which are silenced, where.
        stop_on: names of rules whose alert ends the training: `{"nonfinite", "loss_diverging"}`.
            `fit` then returns as with `EarlyStopping`; the log and one warning say why. A loss that
            is not finite any more has diverged, too.
        optimizer: the optimizer to watch where it is not `model.optimizer`, as in a model that has
            two of them.
        group: name of these parameters in the run, for several monitors that write to one `logdir`:
            the generator and the discriminator of a GAN. Tags begin with it (`generator/loss`), and
            the tab, the terminal app and `tbgrad.read` show each group as a run of its own.

    Raises:
        ValueError: a cadence is not a whole number from 1 on, a schedule does not begin at step 0,
            `overhead` is not above 0, `group` has a `/`, or `curvature` has no data.
        TypeError: `curvature` is not a `tbgrad.Curvature`, `optimizer` is not one of Keras 3, or a
            pattern is not a string.
        NotADirectoryError: `logdir` is a file.

    Example::

        monitor = tbgrad.GradientMonitor("runs/a", every=10)
        model.fit(x, y, callbacks=[monitor])
    """

    def __init__(
        self,
        logdir: str | Path,
        every: int | Mapping[int, int] | None = None,
        histograms_every: int | Mapping[int, int] | None = None,
        curvature: Curvature | None = None,
        overhead: float = 0.01,
        include: str | Sequence[str] | None = None,
        exclude: str | Sequence[str] | None = None,
        on_alert: Callable[[Alert], object] | None = None,
        alerts: AlertSettings | str | Path | None = None,
        stop_on: Iterable[str] = (),
        optimizer: Any = None,
        group: str = "",
    ) -> None:
        super().__init__()
        self._arguments = {
            name: value for name, value in locals().items() if name not in ("self", "__class__")
        }
        if curvature is not None and not isinstance(curvature, Curvature):
            raise TypeError(
                f"curvature is a tbgrad.Curvature, not {type(curvature).__name__}: "
                "write curvature=tbgrad.Curvature(data=(x, y))"
            )
        if curvature is not None and curvature.data is None:
            raise ValueError("curvature needs data to be of: tbgrad.Curvature(data=(x, y))")
        self.logdir = check_logdir(logdir)
        if not overhead > 0:
            raise ValueError(f"overhead is a share of the training time above 0, not {overhead!r}")
        self.every = None if every is None else check_cadence("every", every)
        self.histograms_every = (
            None
            if histograms_every is None
            else check_cadence("histograms_every", histograms_every)
        )
        self.curvature = curvature
        self.overhead = overhead
        self._selection = check_selection(include, exclude)
        self._on_alert = check_on_alert(on_alert)
        self._alerts = check_alerts(alerts)
        self._stop_on = check_rules("stop_on", stop_on)
        self._chosen_optimizer = check_optimizer(optimizer)
        self._group = check_group(group)
        self._listeners: list[Callable[[Record], None]] = []
        self._search: CadenceSearch | None = None
        self._found: Cadence | None = None
        self._fit_ends: weakref.finalize[Any, Any] | None = None
        self._log: RunLog | None = None
        self._probe: CurvatureProbe | None = None
        self._optimizer: Any = None
        self._logged_model: Any = None
        self._function: WatchedFunction | None = None
        self._active = self._begun = False
        self._fit_arguments: Mapping[str, Any] = {}
        self._validates = False
        self._batches = self._counted_before = 0
        self._epoch_start = 0
        self._updates_a_batch = 1.0
        self._last_drain_step = 0
        self._last_drain_time = 0.0
        self._alarm_seconds = ALARM_SECONDS
        self._own = frozenset(vars(self)) | {"_own", "_model", "model", "params"}

    @property
    def latest(self) -> Mapping[str, Any] | None:
        """The newest logged step that was drained, None before there is one.

        A mapping from `step`, `loss`, `gradient/norm` and the other tags of the log to numbers, and
        from `parameters` to every statistic of every parameter by name.
        """
        return None if self._log is None else self._log.latest

    @property
    def directory(self) -> str | Path:
        """Where the newest training is logged: `logdir`, or that with a number behind it."""
        return self.logdir if self._log is None else self._log.logdir

    def listen(self, function: Callable[[Record], None]) -> None:
        """Call a function with every logged step, soon after it, between two steps."""
        self._listeners.append(function)

    def unlisten(self, function: Callable[[Record], None]) -> None:
        """Call it no more."""
        if function in self._listeners:
            self._listeners.remove(function)

    def __deepcopy__(self, memo: object) -> GradientMonitor:
        """A monitor with the same settings, for another training."""
        return _again(type(self), self._arguments, self._of_subclasses)

    def __reduce__(self) -> Any:
        return _again, (type(self), self._arguments, self._of_subclasses)

    @property
    def _of_subclasses(self) -> dict[str, Any]:
        """What a subclass has set."""
        return {name: value for name, value in vars(self).items() if name not in self._own}

    # Only `..._batch_begin` is overridden: a callback with an `..._batch_end` makes Keras wait for
    # the results of every single step.

    def on_train_begin(self, logs: Any = None) -> None:
        """Attach to the model's optimizer."""
        if sentence := foreign(self.model, "model"):
            logger.warning("tbgrad: this training is not monitored, and goes on. %s", sentence)
        else:
            self._guard(self._attach)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Read the true step, which the count of batches may have missed at an epoch's end."""
        if self._begun:
            self._guard(self._drain)
            self._guard(self._begin_epoch)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Between two steps: drain and estimate the curvature, where due."""
        if self._active and not self._begun:
            # No sooner: callbacks behind this one may load a checkpoint as training begins.
            self._begun = True
            self._guard(self._begin)
        if self._begun:
            self._batches += 1
            self._guard(self._between_steps, batch)

    def on_test_begin(self, logs: Any = None) -> None:
        """Show what training did so far before a validation, which may take long."""
        if self._begun:
            self._guard(self._pause)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Bring the epoch's last steps into the log, and the loss of a validation."""
        if self._begun:
            self._guard(self._end_epoch, epoch, logs or {})

    def on_train_end(self, logs: Any = None) -> None:
        """Estimate the final curvature, close the event file and leave no trace on the model."""
        if self._active:
            self._guard(self._finish)
            self.leave()

    def leave(self) -> None:
        """Close the event file and leave no trace on the model. What `fit` does at its end."""
        if self._fit_ends is not None:
            self._fit_ends.detach()
        if not self._active:
            return
        self._active = self._begun = False
        if self._log is not None:
            self._log.close()
            if self._log.observer is not None:
                self._log.observer.looks = True
        if self._function is not None:
            self._function.exit(self)

    def returned(self, loss: Any) -> None:
        """Take the loss that a train step returned, where it was not seen before."""
        log = self._log
        if log is not None and log.lossless and replicas.index() == 0 and not self._group:
            self._guard(log.complete, loss)

    def _attach(self) -> None:
        """Watch the optimizer and the train function; what is left of a former fit goes."""
        self.leave()
        self._active = True
        model = self.model
        self._function = WatchedFunction.of(model, self._function)
        fit = Fit()
        self._fit_arguments = fit.arguments
        self._validates = fit.arguments["validation_data"] is not None
        # An exception in `fit` calls no hook, but ends its list of callbacks; so does the exit of
        # the interpreter.
        self._fit_ends = weakref.finalize(fit.callbacks or model, self.leave)
        self._last_drain_time = time.monotonic()
        optimizer = self._chosen_optimizer or model.optimizer
        log = self._log if self._logged_model is model else None
        if log is None or log.failed or self._optimizer is not optimizer:
            log = self._new_log(optimizer, log)
        self._log, self._optimizer, self._logged_model = log, optimizer, model
        log.attach()
        self._function.enter(self)

    def _new_log(self, optimizer: Any, former: RunLog | None) -> RunLog:
        """A log of this model; it goes on where `former` is one of the same model."""
        model = self.model
        done = 0 if former is None else former.step
        every = self.every or self._found or Cadence((SHORTEST,))
        log = RunLog(
            self.logdir if former is None else former.logdir,
            own=former is None,
            group=self._group,
            model=model,
            optimizer=optimizer,
            counted=lambda: done + updates_done(optimizer),
            every=every,
            histograms_every=self.histograms_every or every.times(HISTOGRAMS),
            selection=self._selection,
            on_alert=self._on_alert,
            alerts=self._alerts,
            listeners=self._listeners,
            curvature_every=self.curvature.every if self.curvature else 0,
            steps_per_execution=model.steps_per_execution,
            compiled_by_xla=bool(model.jit_compile),
        )
        self._updates_a_batch = 1 / log.batches_per_update
        if not (self.every or self._found):
            steps_a_call = model.steps_per_execution * self._updates_a_batch
            self._search = CadenceSearch(self.overhead, self._settle, steps_a_call)
        self._probe = None
        return log

    def _begin(self) -> None:
        """Open the event file, and make the functions of the training step."""
        model, log, function = self.model, self._log, self._function
        assert log is not None
        assert function is not None
        if log.observer is not None:
            log.go_on()
        elif model.built and self._optimizer is model.optimizer:
            # Those of another optimizer are known when it is first applied.
            replicas.outside(log.observer_for, model.trainable_variables)
        self._epoch_start = self._last_drain_step = log.step
        self._batches, self._counted_before = 0, calls_of(self._optimizer)
        if self.curvature is not None and self._probe is None:
            self._probe = self._new_probe(self.curvature, log)
        self._fit_arguments = {}
        # Workers wait for one another's sums, so that all of them have to run one function; so have
        # the monitors of several optimizers, whose logged steps need not be the same.
        alone = self._optimizer is model.optimizer and not self._group
        alone = alone and log.alone and len(function.watchers) == 1
        several = replicas.several_workers(model.distribute_strategy)
        function.make(may_pass=log.steps_are_batches and alone and not several)

    def _new_probe(self, curvature: Curvature, log: RunLog) -> CurvatureProbe | None:
        model = self.model
        try:
            batch, samples = probe_batch(curvature.data, curvature.samples)
            check_fixed(model, samples)
            batch, sentence = with_weights(batch, self._fit_arguments)
            if sentence:
                log.note_once("weights", sentence)
        except Exception as error:  # noqa: BLE001 - the gradients are logged all the same
            log.note(f"no curvature. {brief(error)}")
            return None
        return CurvatureProbe(
            curvature,
            lambda: (hessian.model_loss(model, *batch), model.trainable_variables),
            self._optimizer,
            log,
            samples,
        )

    def _begin_epoch(self) -> None:
        assert self._log is not None
        self._epoch_start = self._log.step

    def _between_steps(self, batch: int) -> None:
        log = self._log
        assert log is not None
        assert self._function is not None
        if log.observer is None:
            return  # the model creates its variables in the first step
        step = self._epoch_start + int(batch * self._updates_a_batch)
        if self._search is not None and self._search.step():
            self._follow(self._search)
        self._choose_function(step + 1)
        waited = time.monotonic() - self._last_drain_time
        if self._probe is not None and self._probe.due(step):
            if self._search is not None:
                self._search.pause()
            self._probe.estimate()
            self._stop_if_asked()
        elif (
            waited >= DRAIN_SECONDS
            or step - self._last_drain_step >= log.max_steps_between_drains(step)
            or (self._last_drain_step == self._epoch_start and step > self._epoch_start)
            or self._alarmed(waited)
        ):
            self._drain()
        else:
            return
        if batch and log.step != step:  # updates that are skipped, or several a batch
            self._updates_a_batch = (log.step - self._epoch_start) / batch
            self._function.never_pass()
            self._choose_function(log.step + 1)
        self._last_drain_step, self._last_drain_time = step, time.monotonic()
        self._alarm_seconds = ALARM_SECONDS

    def _alarmed(self, waited: float) -> bool:
        """Look now and then, so long after the last drain, for gradients that are not finite."""
        assert self._log is not None
        if waited < self._alarm_seconds:
            return False
        self._alarm_seconds = waited + ALARM_SECONDS
        return self._log.alarmed

    def _end_epoch(self, epoch: int, logs: Mapping[str, Any]) -> None:
        assert self._log is not None
        if self._search is not None:
            self._search.pause()
        self._log.drain()
        if "val_loss" in logs:
            self._log.add_validation_loss(float(logs["val_loss"]))
        if epoch + 1 != (self.params or {}).get("epochs"):
            self._stop_if_asked()
            self._tell_unseen()

    def _pause(self) -> None:
        """Drain, and keep what follows out of the time that training takes."""
        if self._search is not None:
            self._search.pause()
        self._drain()

    def _settle(self) -> None:
        """Wait for the device and for the event file."""
        self._drain()
        if self._log is not None:
            self._log.flush()

    def _follow(self, search: CadenceSearch) -> None:
        """Log as the search for the cadence wants it, and in the end as it found."""
        log = self._log
        assert log is not None
        histograms = self.histograms_every or Cadence((SHORTEST,))
        if search.every is None:
            every = Cadence((search.densest if search.logging else log.NEVER,))
            log.log_every(every, histograms.throughout(log.NEVER), lasting=False)
        else:
            self._search, self._found = None, Cadence((search.every,))
            histograms = self.histograms_every or self._found.times(HISTOGRAMS)
            log.log_every(self._found, histograms)

    def _choose_function(self, step: int) -> None:
        """Look where this step is logged; elsewhere a step that cannot log costs less."""
        assert self._log is not None
        assert self._log.observer is not None
        assert self._function is not None
        looks = not self._function.may_pass or self._log.observer.due(step)
        self._log.observer.looks = looks
        self._function.passes = not looks

    def _drain(self) -> None:
        if self._log is not None:
            self._log.drain()
            self._stop_if_asked()

    def _stop_if_asked(self) -> None:
        """End the training after an alert of `stop_on`."""
        assert self._log is not None
        alerted = self._log.alerted
        found = sorted(self._stop_on & alerted)
        if "loss_diverging" in self._stop_on and "nonfinite" in alerted and self._log.loss_is_lost:
            found = ["nonfinite, of the loss"]  # which has diverged for good
        if found and not self.model.stop_training:
            self.model.stop_training = True
            self._log.note(
                f"training was stopped, as stop_on asks, by the alert {', '.join(found)}"
            )

    def _finish(self) -> None:
        assert self._log is not None
        if self._probe is not None and self._log.observer is not None:
            self._probe.end()
        self._log.drain()
        self._tell_unseen()

    def _tell_unseen(self) -> None:
        """Say once what of this training cannot be seen, and which rules are silent for it."""
        log, model = self._log, self.model
        assert log is not None
        if not model.distribute_strategy.extended.should_save_summary:
            return  # another worker does
        if log.seen:
            rules = self._stop_on if self._group else self._stop_on | OF_LOSS
            # What is yet to come, or is told of elsewhere where it fails, is not missing.
            coming = {VALIDATION_LOSS} if self._validates else set[str]()
            coming |= {CURVATURE} if self.curvature else set[str]()
            if sentence := silent(rules, log.logged | coming):
                log.note_once("silent", sentence)
            return
        calls = calls_of(self._optimizer) - self._counted_before
        if self._batches and not log.skipped and not 0 < calls < log.batches_per_update:
            sentence = updates_unseen(model, self._optimizer, calls, self._batches)
            log.note_once("unseen", sentence)

    def _guard(self, action: Callable[..., None], *args: Any) -> None:
        """Run `action`; whatever fails in it ends the monitoring, never the training."""
        if self._log is not None and self._log.failed and action != self._attach:
            return
        try:
            action(*args)
        except Exception as error:  # noqa: BLE001 - whatever it is, training goes on
            if self._log is not None:
                self._log.give_up(error)
            else:
                logger.warning(
                    "tbgrad: this training is not monitored, and goes on. %s", brief(error)
                )


def _again(kind: type[GradientMonitor], arguments: Any, others: Any) -> GradientMonitor:
    """A monitor of this class as it was made, without what it has seen since."""
    monitor = object.__new__(kind)
    monitor.__dict__.update(others)
    GradientMonitor.__init__(monitor, **arguments)
    return monitor
