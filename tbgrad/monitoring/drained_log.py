"""What a tap hands over as events of the log: every step, and the logged ones in full."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from tbgrad.diagnosis import Record
from tbgrad.log.records import STATISTICS, Manifest
from tbgrad.log.steps import Steps
from tbgrad.monitoring.alert_log import AlertLog, Events
from tbgrad.monitoring.logged_step import Drained, LoggedStep, encoded
from tbgrad.monitoring.rounding import Rounding
from tbgrad.monitoring.run_file import RunFile
from tbgrad.monitoring.step_log import StepLog, Values
from tbgrad.monitoring.window import Window


class DrainedLog:
    """Brings what was drained into a file; rules and listeners see it on the thread that writes.

    `note` leaves a sentence in the log.
    """

    def __init__(
        self,
        alerts: AlertLog,
        steps: StepLog,
        listeners: Sequence[Callable[[Record], None]],
        note: Callable[[str], None],
    ) -> None:
        self._latest: tuple[Manifest, LoggedStep] | None = None
        self._alerts = alerts
        self._steps = steps
        self._listeners = listeners
        self._note = note
        self._rounding = Rounding(())
        self._window = Window(0)

    @property
    def latest(self) -> Mapping[str, Any] | None:
        """The newest logged step that was written: numbers by tag, statistics by parameter."""
        if self._latest is None:
            return None
        manifest, logged = self._latest
        rows = zip(manifest.names, logged.table.tolist(), strict=True)
        parameters = {name: dict(zip(STATISTICS, row, strict=True)) for name, row in rows}
        return {"step": logged.step, **logged.scalars, "parameters": parameters}

    def describe(self, manifest: Manifest, rounding: Rounding) -> None:
        """What the rows are of from now on."""
        self._rounding = rounding
        self.begin(manifest)

    def begin(self, manifest: Manifest) -> None:
        """A session begins: nothing was seen yet."""
        self._window = Window(len(manifest.parameters))

    def add(
        self,
        file: RunFile,
        drained: Drained,
        manifest: Manifest,
        clock: Callable[[int], float],
        ahead: Callable[[LoggedStep], None],
    ) -> None:
        """Add it; `clock` tells when a step was, `ahead` is called ahead of every logged one."""
        for part in drained.every:
            times = clock(part.first_step), clock(part.last_step)
            file.add_each(partial(self._step_values, part, *times), times[1])
        histograms = dict(drained.histograms)
        waiting = list(drained.every)
        for logged in self._window.join(drained):
            ahead(logged)
            before = _taken_until(waiting, logged.step)
            counts = histograms.pop(logged.step, None)
            events = partial(self._events_of, logged, before, manifest, self._rounding, counts)
            file.add_each(events, clock(logged.step))
        for part in waiting:
            told = partial(self._alerts.stepped, part, manifest)
            file.add_each(told, clock(part.last_step))

    def finish(self, file: RunFile, wall_time: float) -> None:
        """Add what is held back of the steps so far, ahead of another manifest and of the end."""
        file.add_each(self._steps.finish, wall_time)

    def _step_values(self, steps: Steps, start: float, end: float) -> Values:
        values = self._steps.values(steps, start, end)
        if (notice := self._steps.notice()) is not None:
            self._note(notice[1])
        return values

    def _events_of(
        self,
        logged: LoggedStep,
        before: Sequence[Steps],
        manifest: Manifest,
        rounding: Rounding,
        counts: Any,
    ) -> Events:
        """The events of a logged step; the rules see those `before` it."""
        rounding.blank(logged.table)
        record = logged.record(manifest)
        told = [event for part in before for event in self._alerts.stepped(part, manifest)]
        told += self._alerts.logged(record)
        self._latest = manifest, logged
        for listener in tuple(self._listeners):
            listener(record)
        # Each telling holds those of the same step ahead of it.
        return [(logged.step, encoded(record, manifest, counts)), *dict(told).items()]


def _taken_until(waiting: list[Steps], step: int) -> list[Steps]:
    """Those up to a step, which are taken out of what is waiting."""

    def taken() -> Iterator[Steps]:
        while waiting and waiting[0].first_step <= step:
            part = waiting.pop(0)
            count = step + 1 - part.first_step
            yield part[:count]
            if count < len(part):
                waiting.insert(0, part[count:])

    return list(taken())
