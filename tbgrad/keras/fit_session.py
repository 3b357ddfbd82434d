"""What a monitor does in the `fit`s of a model, between their steps: everything but the hooks."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tbgrad.diagnosis import Record
from tbgrad.diagnosis.needs import OF_LOSS, silent
from tbgrad.keras import replicas
from tbgrad.keras.attachment import Attachment
from tbgrad.keras.curvature import CurvatureProbe, probe_of_fit
from tbgrad.keras.fit_call import Fit
from tbgrad.keras.optimizers import calls_of
from tbgrad.keras.sensitivity import SensitivityProbe
from tbgrad.keras.settings import Settings
from tbgrad.keras.train_function import WatchedFunction
from tbgrad.keras.unseen import updates_unseen
from tbgrad.log.tags import CURVATURE, VALIDATION_LOSS
from tbgrad.monitoring.cadence import NEVER, dense_at_first, histograms_with
from tbgrad.monitoring.cadence_search import CadenceSearch
from tbgrad.monitoring.run_log import RunLog
from tbgrad.monitoring.schedule import Action, Schedule
from tbgrad.monitoring.sentences import brief, logger


class FitSession:
    """The monitoring of one model at a time, from `attach` to `leave`, fit after fit.

    Whatever fails in it ends the monitoring, never the training.
    """

    def __init__(self, settings: Settings, listeners: Sequence[Callable[[Record], None]]) -> None:
        self._settings = settings
        self._listeners = listeners
        self._model: Any = None
        self._epochs: int | None = None
        self._attachment: Attachment | None = None
        self._attached_model: Any = None
        self._function: WatchedFunction | None = None
        self._schedule = Schedule(0, time.monotonic())
        self._probe: CurvatureProbe | None = None
        self._maps: SensitivityProbe | None = None
        self._found: int | None = None
        self._fit: Fit | None = None
        self._overhear_no_more: Callable[[], None] | None = None
        self._fit_ends: weakref.finalize[Any, Any] | None = None
        self._validates = False
        self._batches = self._calls_before = 0
        self._epoch_start = 0
        self._updates_a_batch = 1.0
        self.active = self.begun = False

    @property
    def log(self) -> RunLog | None:
        """The log of the newest training."""
        return None if self._attachment is None else self._attachment.log

    def guard(self, action: Callable[..., None], *args: Any) -> None:
        """Run `action`; whatever fails in it ends the monitoring, never the training."""
        log = self.log
        if log is not None and log.failed and action != self.attach:
            return
        try:
            action(*args)
        except Exception as error:  # noqa: BLE001 - whatever it is, training goes on
            if self.log is not None:
                self.log.give_up(error)
            else:
                self.active = False
                logger.warning(
                    "tbgrad: this training is not monitored, and goes on. %s", brief(error)
                )

    def attach(self, model: Any, epochs: int | None) -> None:
        """Watch the optimizer and the train function; what is left of a former fit goes."""
        self.leave()
        self.active = True
        self._model, self._epochs = model, epochs
        self._function = WatchedFunction.of(model, self._function)
        self._fit = fit = Fit()
        self._overhear_no_more = fit.overhear(model)
        self._validates = fit.arguments["validation_data"] is not None
        # An exception in `fit` calls no hook, but ends its list of callbacks; so does the exit of
        # the interpreter.
        self._fit_ends = weakref.finalize(fit.callbacks or model, self.leave)
        optimizer = self._settings.optimizer or model.optimizer
        former = self._attachment if self._attached_model is model else None
        if former is None or former.log.failed or former.optimizer is not optimizer:
            self._attachment = self._new_attachment(optimizer, former)
        self._attached_model = model
        assert self._attachment is not None
        state = self._attachment.log.state
        state.plan, state.ended = self._attachment.plan(fit), lambda: fit.ended
        state.epoch, state.doing = 0, ""
        self._attachment.attach()
        self._function.enter(self)

    def begin(self) -> None:
        """Open the event file, and make the functions of the training step."""
        self.begun = True
        model, attachment, function = self._model, self._attachment, self._function
        assert attachment is not None
        assert function is not None
        optimizer = attachment.optimizer
        if attachment.tap is not None:
            attachment.go_on()
        elif model.built and optimizer is model.optimizer:
            # Those of another optimizer are known when it is first applied.
            replicas.outside_tracing(attachment.observer_for, model.trainable_variables)
            attachment.begin()
        self._epoch_start = attachment.step
        self._batches, self._calls_before = 0, calls_of(optimizer)
        assert self._fit is not None
        if self._settings.curvature is not None and self._probe is None:
            arguments = self._fit.arguments
            self._probe = probe_of_fit(self._settings.curvature, model, attachment, arguments)
        if self._settings.sensitivity is not None and self._maps is None:
            self._maps = SensitivityProbe(self._settings.sensitivity, model, attachment)
        self._schedule.estimate_due = None if self._probe is None else self._probe.due
        self._schedule.restart(self._epoch_start, time.monotonic())
        self._fit.arguments = {}
        function.make()

    def between_steps(self, batch: int) -> None:
        """Ahead of a batch of the epoch: what the schedule says."""
        self._batches += 1
        attachment = self._attachment
        assert attachment is not None
        self._stop_if_asked()
        if attachment.tap is None:
            return  # the model creates its variables in the first step
        step = self._epoch_start + int(batch * self._updates_a_batch)
        if attachment.place_due(step):
            attachment.take_place()
        if self._maps is not None:
            self._maps.look(step)
        now, room = time.monotonic(), attachment.room(step)
        action = self._schedule.next_action(step, now, room)
        if action is Action.SEARCH:
            self._turn()
            action = self._schedule.action(step, now, room)
        if action is Action.ESTIMATE:
            self._pause_search()
            assert self._probe is not None
            self._probe.estimate()
        elif action is Action.DRAIN:
            attachment.drain()
        else:
            return
        true_step = attachment.step
        if batch and true_step != step:  # updates that are skipped, or several a batch
            self._updates_a_batch = (true_step - self._epoch_start) / batch
        self._schedule.drained(step, time.monotonic())

    def begin_epoch(self, epoch: int) -> None:
        """Read the true step, which the count of batches may have missed at an epoch's end."""
        assert self._attachment is not None
        self._attachment.log.state.epoch = epoch + 1
        if self.begun:
            self._attachment.drain()
            self._epoch_start = self._attachment.step

    def pause(self, doing: str = "") -> None:
        """Drain, and keep what follows out of the time that training takes; say what that is."""
        assert self._attachment is not None
        self._attachment.log.state.doing = doing
        self._pause_search()
        self._attachment.drain()

    def end_epoch(self, epoch: int, logs: Mapping[str, Any]) -> None:
        """Bring the epoch's last steps into the log, and the loss of a validation."""
        assert self._attachment is not None
        self.pause()
        if VALIDATION_LOSS in logs:
            self._attachment.add_validation_loss(float(logs[VALIDATION_LOSS]))
        if epoch + 1 != self._epochs:
            if self._settings.stop_on:
                self._attachment.log.settle()
            self._stop_if_asked()
            self._tell_unseen()

    def finish(self) -> None:
        """Estimate the final curvature, and log what is left."""
        assert self._attachment is not None
        if self._probe is not None and self._attachment.tap is not None:
            self._probe.end()
        if self._maps is not None and self._attachment.tap is not None:
            self._maps.look(self._attachment.step, last=True)
        self._attachment.take_place()
        self._attachment.drain()
        self._tell_unseen()

    def log_value(self, value: Any) -> None:
        """Log a value at the present step."""
        assert self._attachment is not None
        self._attachment.log_value(value)

    def leave(self, *, finished: bool = False) -> None:
        """Close the event file and leave no trace on the model."""
        if self._fit_ends is not None:
            self._fit_ends.detach()
        if not self.active:
            return
        self.active = self.begun = False
        if self._overhear_no_more is not None:
            self._overhear_no_more()
        if self._attachment is not None:
            if not finished and self._fit is not None:
                self._attachment.log.state.end(self._fit.ending)
            self._attachment.close()
        if self._function is not None:
            self._function.exit(self)

    def returned(self, loss: Any) -> None:
        """Take the loss that a train step returned, where it was not seen before."""
        attachment = self._attachment
        if attachment is None or self._settings.group or not attachment.lossless:
            return
        if replicas.index() == 0:
            self.guard(attachment.complete, loss)

    def _new_attachment(self, optimizer: Any, former: Attachment | None) -> Attachment:
        """A log of this model; it goes on where `former` is one of the same model."""
        settings, model = self._settings, self._model
        attachment = settings.attachment(model, optimizer, former, self._found, self._listeners)
        self._updates_a_batch = 1 / attachment.batches_per_update
        search = None
        if not (settings.every or self._found):
            steps_a_call = model.steps_per_execution * self._updates_a_batch
            search = CadenceSearch(settings.overhead, steps_a_call)
        self._schedule = Schedule(0, time.monotonic(), search=search)
        self._probe = self._maps = None
        return attachment

    def _settle(self) -> None:
        """Wait for the device and for the event file."""
        assert self._attachment is not None
        self._attachment.drain()
        self._attachment.log.flush()

    def _pause_search(self) -> None:
        search = self._schedule.search
        if search is not None and search.running:
            self._settle()
            search.pause(time.monotonic())

    def _turn(self) -> None:
        """Log as the search for the cadence wants it next, and in the end as it found."""
        attachment, search = self._attachment, self._schedule.search
        assert attachment is not None
        assert search is not None
        self._settle()
        search.turn(time.monotonic())
        cadences = attachment.log.cadences
        if search.every is None:
            every = cadences.every.throughout(search.densest if search.logging else NEVER)
            none = cadences.histograms_every.throughout(NEVER)
            attachment.log_every(every, none, lasting=False)
        else:
            self._schedule.search, self._found = None, search.every
            every = dense_at_first(search.every)
            attachment.log_every(every, self._settings.histograms_every or histograms_with(every))

    def _stop_if_asked(self) -> None:
        """End the training after an alert of `stop_on`."""
        stop_on, log = self._settings.stop_on, self.log
        if not stop_on or log is None or self._model.stop_training:
            return
        alerted = log.alerted
        reasons = sorted(stop_on & alerted)
        if "loss_diverging" in stop_on and "nonfinite" in alerted and log.loss_is_lost:
            reasons = ["nonfinite, of the loss"]  # which has diverged for good
        if reasons:
            self._model.stop_training = True
            log.note(f"training was stopped, as stop_on asks, by the alert {', '.join(reasons)}")

    def _tell_unseen(self) -> None:
        """Say once what of this training cannot be seen, and which rules are silent for it."""
        attachment, model, settings = self._attachment, self._model, self._settings
        assert attachment is not None
        if not model.distribute_strategy.extended.should_save_summary:
            return  # another worker does
        log = attachment.log
        if attachment.seen:
            rules = settings.stop_on if settings.group else settings.stop_on | OF_LOSS
            # What is yet to come, or is told of elsewhere where it fails, is not missing.
            coming = {VALIDATION_LOSS} if self._validates else set[str]()
            coming |= {CURVATURE} if settings.curvature else set[str]()
            if sentence := silent(rules, log.logged | coming):
                log.note_once("silent", sentence)
            return
        calls = calls_of(attachment.optimizer) - self._calls_before
        accumulating = 0 < calls < attachment.batches_per_update
        if self._batches and not attachment.skipped and not accumulating:
            sentence = updates_unseen(model, attachment.optimizer, calls, self._batches)
            log.note_once("unseen", sentence)
