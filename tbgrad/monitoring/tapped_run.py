"""A run whose steps come from a tap: what happens between the two, whatever framework trains."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from tbgrad.log.records import Manifest
from tbgrad.monitoring.cadence import NEVER, Cadence, Cadences
from tbgrad.monitoring.logged_step import Drained
from tbgrad.monitoring.rounding import Rounding
from tbgrad.monitoring.run_log import RunLog
from tbgrad.monitoring.tap import Tap
from tbgrad.monitoring.trajectory import Trajectory


class TappedRun:
    """Brings what a tap gathers into a `RunLog`.

    The tap may come late, while a training step is traced; the log is begun by the first drain
    after that. Another tap may follow where the parameters are others.

    Args:
        log: where it goes.
        counted: how many updates were done before the first tap, asked as it comes.
        training: what is trained with, an optimizer, say: tells, while it lives, that a later
            session goes on with this training.
        updates_done: how many updates `training` has made; None where that is not known.
    """

    def __init__(
        self,
        log: RunLog,
        counted: Callable[[], int],
        training: Any = None,
        updates_done: Callable[[], int] | None = None,
    ) -> None:
        self.log = log
        self.tap: Tap | None = None
        self._counted = counted
        self._training = training
        self._updates_done = updates_done
        self._lock = threading.RLock()
        self._open = False
        self._begun_at = 0
        self._left_at: int | None = None
        self._trajectory: Trajectory | None = None
        self._undescribed: list[tuple[int, Manifest, Rounding, Drained]] = []

    @property
    def step(self) -> int:
        """Updates observed so far, those before this log included; waits for the device."""
        return self._counted() if self.tap is None else self.tap.count

    @property
    def seen(self) -> int:
        """Updates observed since the log was begun or gone on with; waits for the device."""
        return 0 if self.tap is None else self.step - self._begun_at

    @property
    def skipped(self) -> bool:
        """Whether updates were left out since the last one that was not."""
        return self.tap is not None and self.tap.skipped

    def room(self, step: int) -> int:
        """Steps after `step` within which a drain is due, or steps may be lost."""
        return NEVER if self.tap is None else self.tap.max_steps_between_drains(step)

    def use(self, make: Callable[[int], Tap], describe: Callable[[Tap], Manifest]) -> None:
        """From the present step on have the tap that is made for it."""
        with self._lock:
            former, step = self.tap, self.step
            gathered = Drained() if former is None else former.drain()
            if former is None:
                self._begun_at = step
            self.tap = make(step)
            manifest = describe(self.tap)
            self._undescribed.append((step, manifest, self._rounding(manifest), gathered))

    def begin(self) -> None:
        """Begin the log, or say in it what the rows are of now.

        Raises:
            OSError: the directory of the run cannot be created or written.
        """
        with self._lock, self._aside():
            while self._undescribed:
                step, manifest, rounding, gathered = self._undescribed.pop(0)
                self.log.add(gathered)
                self.log.describe(step, manifest, rounding)
                if not self._open:
                    self._open = True
                    self.log.open(step, self._training)

    def go_on(self) -> None:
        """Begin another event file of the run, where a former training has left it."""
        if self.tap is None:
            return
        if self._updates_done is not None and self._left_at is not None:
            # Others may have trained or set it back since.
            self.tap.resume(max(0, self.step + self._updates_done() - self._left_at))
        self._begun_at = self.step
        if self.log.begun:
            self._open = True
            self.log.open(self.step, self._training)

    def log_every(self, every: Cadence, histograms_every: Cadence, *, lasting: bool = True) -> None:
        """Change how often steps and histograms are logged; the log says so where it lasts."""
        assert self.tap is not None
        self.tap.log_every(every, histograms_every)
        if lasting:
            curvature_every = self.log.cadences.curvature_every
            self.log.log_every(self.step, Cadences(every, histograms_every, curvature_every))

    def drain(self) -> bool:
        """Move what gathered in the tap into the log; whether there were steps. Never raises."""
        with self._lock, self._aside():
            if self.log.failed or self.tap is None:
                return False
            try:
                self.begin()
                drained = self.tap.drain()
                self.log.add(drained)
            except Exception as error:  # noqa: BLE001 - whatever it is, training goes on
                self.log.give_up(error)
                return False
            return bool(drained.every)

    def log_trajectory(self, exact: bool) -> None:
        """From now on log where the weights are, all of them if `exact`."""
        if self._trajectory is None:
            self._trajectory = Trajectory(exact, self.log.add_values, self.log.note_once)

    def place_due(self, step: int) -> bool:
        """Whether it is time to log where the weights are."""
        return self._trajectory is not None and self._trajectory.due(step)

    def take_place(self) -> None:
        """Log where the weights are, between two steps, where that is asked for; never raises."""
        if self._trajectory is None or self.tap is None:
            return
        self.drain()  # the steps before stand before it in the log
        try:
            self._trajectory.take(self.step, self.tap.parameters, self.tap.weights)
        except Exception as error:  # noqa: BLE001 - whatever it is, training goes on
            self.log.give_up(error)

    def log_value(self, value: Any) -> None:
        """Log a value that comes between two steps."""
        self.drain()
        self.log.add_values(self.step, lambda: [value])

    def add_validation_loss(self, loss: float) -> None:
        """Log the loss on data that is not trained on, at the newest step; never raises."""
        try:
            self.log.add_validation_loss(self.step, loss)
        except Exception as error:  # noqa: BLE001 - whatever it is, training goes on
            self.log.give_up(error)

    def close(self) -> None:
        """Write what is left and close the event file."""
        self.drain()
        with self._lock, self._aside():
            self._left_at = None if self._updates_done is None else self._updates_done()
            self._open = False
        self.log.close()

    def _rounding(self, manifest: Manifest) -> Rounding:
        """What tells gradients that are nothing but rounding."""
        return Rounding(manifest.parameters)

    def _aside(self) -> AbstractContextManager[Any]:
        """Keeps what is done within out of any step that is being traced."""
        return nullcontext()
