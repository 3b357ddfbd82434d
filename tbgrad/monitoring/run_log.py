"""The log of one run: takes logged steps, estimates and notes, whatever framework trains."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad.diagnosis import RULE_NAMES, AlertSettings, Record
from tbgrad.log import encode
from tbgrad.log.records import Alert, CurvatureEstimate, Manifest
from tbgrad.log.state import Hyperparameter
from tbgrad.log.tags import CURVATURE, ENDED, LOSS, SKIPPED_UPDATES, VALIDATION_LOSS
from tbgrad.monitoring.alert_log import AlertLog
from tbgrad.monitoring.cadence import Cadences
from tbgrad.monitoring.curvature_values import curvature_values
from tbgrad.monitoring.drained_log import DrainedLog
from tbgrad.monitoring.logged_step import Drained, LoggedStep
from tbgrad.monitoring.note_log import NoteLog
from tbgrad.monitoring.rounding import Rounding
from tbgrad.monitoring.run_file import RunFile
from tbgrad.monitoring.sentences import brief, logger
from tbgrad.monitoring.state_log import StateLog
from tbgrad.monitoring.step_log import BYTES_PER_MINUTE, StepLog
from tbgrad.monitoring.storage import Storage

SKIPPED = 20
"""Updates left out in a row from which on that is logged without a logged step."""


class RunLog:
    """One run being logged, from the session's `begin` to its `close`.

    Whatever is added is queued; tables are encoded, rules asked and listeners called on the thread
    that writes the file. With `own` the directory is that of `run_directory.choose`.

    Attributes:
        directory: where it logs: what was asked for, or that with a number behind it.
        cadences: how often steps are logged, which the manifest says.
        failed: whether the monitoring has ended after a failure of its own.
        logged: the tags that were logged, of those that not every training has.
        state: how the training goes, which is logged every few seconds and as it ends.
    """

    def __init__(
        self,
        logdir: str | Path,
        cadences: Cadences,
        *,
        own: bool = True,
        group: str = "",
        on_alert: Callable[[Alert], object] | None = None,
        alerts: AlertSettings | None = None,
        listeners: Sequence[Callable[[Record], None]] = (),
        storage: Storage | None = None,
        bytes_per_minute: float = BYTES_PER_MINUTE,
        hparams: Mapping[str, Hyperparameter] = MappingProxyType({}),
    ) -> None:
        self.directory = logdir
        self.cadences = cadences
        self.failed = False
        self.logged: frozenset[str] = frozenset()
        self._own = own
        self._group = group
        self._storage = storage
        self._alerts = AlertLog(on_alert, self.note, alerts)
        self._drained = DrainedLog(self._alerts, StepLog(bytes_per_minute), listeners, self.note)
        self._manifest: Manifest | None = None
        self._file: RunFile | None = None
        self._step, self._time = 0, time.time()
        self.state = StateLog(hparams, storage)
        self._notes = NoteLog()

    @property
    def begun(self) -> bool:
        """Whether a session was begun."""
        return self._manifest is not None

    @property
    def alerted(self) -> set[str]:
        """The rules that have opened an alert."""
        return self._alerts.opened

    @property
    def loss_is_lost(self) -> bool:
        """Whether the loss of the newest logged step is not finite."""
        loss = (self.latest or {}).get(LOSS)
        return loss is not None and not math.isfinite(loss)

    @property
    def latest(self) -> Mapping[str, Any] | None:
        """The newest logged step that was written: numbers by tag, statistics by parameter."""
        return self._drained.latest

    def describe(self, step: int, manifest: Manifest, rounding: Rounding) -> None:
        """What the rows are of from the step after this one on; begin a session where none is.

        Raises:
            OSError: the directory of the run cannot be created or written.
        """
        first = self._manifest.first_step if self._manifest is not None else step + 1
        self._manifest = replace(
            manifest,
            cadences=self.cadences.at(step + 1),
            rules=RULE_NAMES,
            group=self._group,
            first_step=first,
            batches=self.state.batches,
        )
        self._drained.describe(manifest, rounding)
        if self._file is not None:
            self._drained.finish(self._file, time.time())
            self._file.add(step, [encode.manifest(self._manifest)])

    def open(self, step: int, training: Any = None) -> None:
        """Begin an event file that continues the run after this step.

        `training` is what tells, while it lives, that a later session goes on with this training.

        Raises:
            OSError: the directory of the run cannot be created or written.
        """
        assert self._manifest is not None
        asked, own, self._own = self.directory, self._own, False
        self._time, self._step = time.time(), step
        self._file = RunFile(
            asked,
            group=self._group,
            start_step=step + 1,
            on_error=self.give_up,
            on_full=self._wait_for_room,
            choose=own,
            optimizer=training,
            storage=self._storage,
        )
        self.directory = self._file.logdir
        if own and self.directory != asked and step == 0:
            logger.warning(
                "tbgrad: %s has the log of another training: this one, which begins anew, is "
                "logged in %s",
                asked,
                self.directory,
            )
        self._manifest = replace(
            self._manifest, first_step=step + 1, batches=self.state.data_from(step + 1)
        )
        self._drained.begin(self._manifest)
        self._file.add(step, [encode.manifest(self._manifest)])
        self.state.open(self._file, step)
        self._alerts.opened.clear()
        self._file.add_each(partial(self._alerts.begin, step), self._time)
        self._notes.open(self._file, step)

    def log_every(self, step: int, cadences: Cadences) -> None:
        """Say from this step on that it is logged so often."""
        self.cadences = cadences
        self._tell_cadences(step)

    def add(self, drained: Drained) -> None:
        """Log what was drained."""
        file = self._file
        if self.failed or file is None or self._manifest is None:
            return
        now, start, before = time.time(), self._time, self._step
        steps = [part.last_step for part in drained.every] + [part.step for part in drained.steps]
        last = max(steps, default=before)
        seconds_a_step = (now - start) / max(1, last - before)
        for part in drained.every:
            self.logged |= part.scalars.keys()
        self._drained.add(
            file,
            drained,
            self._manifest,
            lambda step: start + seconds_a_step * (step - before),
            self._ahead_of,
        )
        if steps:
            self._time, self._step = now, last
            self.state.stepped(last)
        if drained.skipped >= SKIPPED:
            # Where every update is left out no step is logged that could say so.
            self._add_scalar(SKIPPED_UPDATES, last, float(drained.skipped))
        for lost, what in ((drained.lost, ""), (drained.unlogged, "the statistics of ")):
            if lost:
                self.note(
                    f"{what}{lost} steps before step {last} were overwritten before they could be "
                    "written; a larger `every` or smaller `steps_per_execution` prevents this"
                )

    def add_curvature(
        self,
        step: int,
        estimate: CurvatureEstimate,
        density: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
    ) -> None:
        """Log one curvature estimate at the weights after `step` updates.

        `density` is a grid of eigenvalues and their density there, where it was estimated too.
        """
        if self._file is not None:
            values, record = curvature_values(step, estimate, density)
            self.logged |= {CURVATURE}
            self._file.add_each(
                lambda: [(step, list(values)), *self._alerts.logged(record)], time.time()
            )

    def add_values(self, step: int, make: Callable[[], Sequence[Any]]) -> None:
        """Log what `make`, called on the thread that writes, makes of a step."""
        if not self.failed and self._file is not None:
            self._file.add(step, make)

    def add_validation_loss(self, step: int, loss: float) -> None:
        """Log the loss on data that is not trained on."""
        if not self.failed and self._file is not None:
            self._add_scalar(VALIDATION_LOSS, step, loss)

    def note(self, text: str) -> None:
        """One warning, and a note in the log, at the last step that was drained."""
        self._notes.add(self._step, text)

    def note_once(self, subject: str, text: str) -> None:
        """The same, unless there was a note on this subject before."""
        self._notes.add_once(subject, self._step, text)

    def give_up(self, error: Exception) -> None:
        """End the monitoring after a failure of its own; says so once."""
        if not self.failed:
            self.failed = True
            group = f" ({self._group})" if self._group else ""
            self.note(
                f"monitoring of {self.directory}{group} {ENDED}; training goes on. {brief(error)}"
            )

    def _wait_for_room(self, error: Exception) -> None:
        self.note(
            f"the disk of {self.directory} is full: what is logged waits in memory until there is "
            f"room; training goes on. {brief(error)}"
        )

    def settle(self, timeout: float = 2.0) -> bool:
        """Wait until all that was added is written and judged; whether it is."""
        if self._file is None or self.failed:  # then nothing is written any more
            return False
        done = threading.Event()
        self._file.add(self._step, partial(_set, done))
        return done.wait(timeout)

    def flush(self) -> None:
        """Wait until all that was added is on disk."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Write what is left and close the event file."""
        if self._file is not None:
            self._drained.finish(self._file, self._time)
            self._file.add_each(partial(self._alerts.end, self._step), self._time)
            self.settle(timeout=10.0)
        self._alerts.wait()  # a call that fails leaves a note
        if self._file is not None:
            self.state.close(self._file)
        self._notes.close()
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _ahead_of(self, logged: LoggedStep) -> None:
        self.logged |= logged.tags
        self._tell_cadences(logged.step)

    def _add_scalar(self, tag: str, step: int, value: float) -> None:
        """Log a number that comes aside from logged steps; rules look at it, too."""
        assert self._file is not None
        self.logged |= {tag}
        record = Record(step, {tag: value}, manifest=self._manifest)
        self._file.add_each(
            lambda: [(step, [encode.scalar(tag, value)]), *self._alerts.logged(record)],
            time.time(),
        )

    def _tell_cadences(self, step: int) -> None:
        """Write the manifest again where the cadences of a step are not those it names."""
        if self._manifest is None or self._file is None:
            return
        cadences = self.cadences.at(step)
        if cadences != self._manifest.cadences:
            self._manifest = replace(self._manifest, cadences=cadences)
            self._file.add(step, [encode.manifest(self._manifest)])


def _set(event: threading.Event) -> tuple[()]:
    event.set()
    return ()
