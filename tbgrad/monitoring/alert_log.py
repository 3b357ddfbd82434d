"""Alerts of a run that is being logged: found, written, warned of, called back about."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeAlias

from tbgrad.diagnosis import AlertSettings, Diagnosis, Record
from tbgrad.log import encode
from tbgrad.log.records import Alert, Manifest
from tbgrad.log.steps import Steps
from tbgrad.monitoring.sentences import brief, logger

Events: TypeAlias = list[tuple[int, list[Any]]]
"""What is to be written: steps, which rise, and the values there."""


class AlertLog:
    """The alerts of one run.

    All of it runs on the thread that writes the log: its methods give the events to write and warn
    of new alerts that are no mere hints; `on_alert` is called about new and closed ones. `note`
    warns and leaves a note in the log, where a part of this fails.

    Attributes:
        opened: the rules that have opened an alert; whoever begins a session clears it.
    """

    def __init__(
        self,
        on_alert: Callable[[Alert], object] | None,
        note: Callable[[str], None],
        settings: AlertSettings | None = None,
    ) -> None:
        self._note = note
        self._settings = settings or AlertSettings()
        self.opened: set[str] = set()
        self._last: tuple[int, list[Alert]] = (-1, [])
        self._diagnosis: Diagnosis | None = Diagnosis(self._settings)
        self._known: set[tuple[str, int]] = set()
        self._calls = Calls(on_alert, self._call_failed) if on_alert is not None else None

    def begin(self, step: int) -> Events:
        """Begin a session of the same run: what was open in the last one is closed."""
        self._last = (-1, [])
        events = self._events(step, self._diagnosis.end() if self._diagnosis else [])
        self._diagnosis = Diagnosis(self._settings)
        return events

    def stepped(self, steps: Steps, manifest: Manifest) -> Events:
        """These steps were done."""
        told = self._found(lambda diagnosis: diagnosis.add_steps(steps, manifest))
        events: dict[int, list[Any]] = {}
        for alert in told:
            events.update(self._events(alert.last_step, [alert]))
        return list(events.items())

    def logged(self, record: Record) -> Events:
        """A step was logged, the curvature was estimated, or there was a validation."""
        return self._events(record.step, self._found(lambda diagnosis: diagnosis.update(record)))

    def end(self, step: int) -> Events:
        """How long the alerts that are still open have lasted."""
        return self._events(step, self._diagnosis.open if self._diagnosis else [])

    def wait(self) -> None:
        """Give the calls of the user's function that are under way some time to end."""
        if self._calls is not None:
            self._calls.wait()

    def _found(self, ask: Callable[[Diagnosis], list[Alert]]) -> list[Alert]:
        """What the rules say when asked; those that fail are left out from there on."""
        if self._diagnosis is None:
            return []
        try:
            told = ask(self._diagnosis)
        except Exception as error:  # noqa: BLE001 - whatever it is, logging goes on
            self._note(f"the diagnosis failed and is over. {brief(error)}")
            self._diagnosis = None
            return []
        while self._diagnosis.failures:
            self._note(f"a rule failed and is left out. {self._diagnosis.failures.pop()}")
        return told

    def _events(self, step: int, alerts: list[Alert]) -> Events:
        """These alerts as what is to be written, with those told at the same step before."""
        if not alerts:
            return []
        last, before = self._last
        # Readers keep one value a step and series, and take a step that falls for another session.
        step = max(step, last)
        self._last = step, [*before, *alerts] if step == last else alerts
        for alert in alerts:
            new = alert.key not in self._known
            self._known.add(alert.key)
            if new:
                self.opened.add(alert.rule)
                if alert.severity != "info":
                    logger.warning("tbgrad: %s", alert)
            if self._calls is not None and (new or alert.state == "closed"):
                self._calls.tell(alert)
        return [(step, [encode.alerts(self._last[1])])]

    def _call_failed(self, error: Exception) -> None:
        self._note(f"on_alert failed and is not called again. {brief(error)}")


class Calls:
    """Calls a user's function about alerts, in their order and in threads: it may take its time.

    The first failure goes to `on_error` and ends the calls.
    """

    def __init__(
        self, function: Callable[[Alert], object], on_error: Callable[[Exception], None]
    ) -> None:
        self._function, self._on_error = function, on_error
        self._failed = False
        self._last: threading.Thread | None = None

    def tell(self, alert: Alert) -> None:
        """Call the function with `alert`."""
        arguments = alert, self._last
        self._last = threading.Thread(
            target=self._call, args=arguments, name="tbgrad-alert", daemon=True
        )
        self._last.start()

    def wait(self, timeout: float = 5.0) -> None:
        """Give the calls under way so many seconds to end."""
        if self._last is not None:
            self._last.join(timeout)

    def _call(self, alert: Alert, before: threading.Thread | None) -> None:
        if before is not None:
            before.join()
        if self._failed:
            return
        try:
            self._function(alert)
        except Exception as error:  # noqa: BLE001 - whatever it is, training goes on
            self._failed = True
            self._on_error(error)
