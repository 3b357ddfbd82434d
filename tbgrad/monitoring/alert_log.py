"""Alerts of a run that is being logged: found, written, warned of, called back about."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from tbgrad.diagnosis import RULES, AlertSettings, Diagnosis, Record
from tbgrad.diagnosis.rules.gradients import NONFINITE_GRADIENT
from tbgrad.log import encode
from tbgrad.log.records import STATISTICS, Alert, Manifest
from tbgrad.monitoring.sentences import brief, logger

_RULES = tuple(rule for rule in RULES if rule is not NONFINITE_GRADIENT)
"""The alarm here sees steps that are not logged, too, and names the first parameter."""

SOUND = 20
"""Logged steps without a value that is not finite after which the alarm is over."""


class AlertLog:
    """The alerts of one run: those of the rules, and that a gradient is not finite.

    All of it runs on the thread that writes the log: its methods give the values to write at a step
    and warn of new alerts that are no mere hints; `on_alert` is called about new and closed ones.
    `note` warns and leaves a note in the log, where a part of this fails.

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
        self._full_paths: dict[str, str] = {}
        self._alarm = NonfiniteAlarm(self._settings, self._full_paths)
        self._diagnosis: Diagnosis | None = Diagnosis(self._settings, _RULES)
        self._known: set[tuple[str, int]] = set()
        self._calls = Calls(on_alert, self._call_failed) if on_alert is not None else None

    def begin(self, step: int) -> list[Any]:
        """Begin a session of the same run: what was open in the last one is closed."""
        closed = self._alarm.end() + (self._diagnosis.end() if self._diagnosis else [])
        values = self._values(step, closed)
        self._diagnosis = Diagnosis(self._settings, _RULES)
        self._alarm = NonfiniteAlarm(self._settings, self._full_paths)
        return values

    def describe(self, manifest: Manifest) -> None:
        """What the parameters are called in full from here on."""
        self._full_paths.update(manifest.full_paths)

    def nonfinite(self, step: int, path: str) -> list[Any]:
        """A gradient was not finite at this step, which need not be logged, first of `path`."""
        return self._values(step, self._alarm.begin(step, path))

    def logged(self, record: Record) -> list[Any]:
        """A step was logged."""
        return self._values(record.step, self._alarm.update(record) + self._found(record))

    def estimated(self, record: Record) -> list[Any]:
        """The curvature was estimated, or there was a validation."""
        return self._values(record.step, self._found(record))

    def end(self, step: int) -> list[Any]:
        """How long the alerts that are still open have lasted."""
        return self._values(step, self._diagnosis.open if self._diagnosis else [])

    def wait(self) -> None:
        """Give the calls of the user's function that are under way some time to end."""
        if self._calls is not None:
            self._calls.wait()

    def _found(self, record: Record) -> list[Alert]:
        """What the rules say of a record; those that fail are left out from there on."""
        if self._diagnosis is None:
            return []
        try:
            told = self._diagnosis.update(record)
        except Exception as error:  # noqa: BLE001 - whatever it is, logging goes on
            self._note(f"the diagnosis failed and is over. {brief(error)}")
            self._diagnosis = None
            return []
        while self._diagnosis.failures:
            self._note(f"a rule failed and is left out. {self._diagnosis.failures.pop()}")
        return told

    def _values(self, step: int, alerts: list[Alert]) -> list[Any]:
        """These alerts as what is to be written, with those told at the same step before."""
        if not alerts:
            return []
        last, before = self._last
        # Readers keep one value a step and series.
        self._last = step, [*before, *alerts] if step == last else alerts
        for alert in alerts:
            new = alert.key not in self._known
            self._known.add(alert.key)
            if new:
                self.opened.add(alert.rule)
                if alert.severity != "info":
                    logger.warning("tbgrad: step %d, %s: %s", step, alert.rule, alert.evidence)
            if self._calls is not None and (new or alert.state == "closed"):
                self._calls.tell(alert)
        return [encode.alerts(self._last[1])]

    def _call_failed(self, error: Exception) -> None:
        self._note(f"on_alert failed and is not called again. {brief(error)}")


class NonfiniteAlarm:
    """Opens an alert when gradients cease to be finite and closes it when they are again.

    `last_step` of the alert is the last logged step in whose window there was such a value. It is
    closed after so many logged steps in a row without one, and twice as many each time it has come
    back. `full_paths` are what the framework calls the parameters, which may be silenced so, too.
    """

    def __init__(
        self, settings: AlertSettings, full_paths: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self._settings = settings
        self._full_paths = full_paths
        self._alert: Alert | None = None
        self._unheard: int | None = None
        self._patience = 0
        self._sound = 0

    def begin(self, step: int, path: str) -> list[Alert]:
        """The alert, where one opens with this step, `path` being the first such parameter."""
        self._sound = 0
        if self._alert is not None:
            return []
        if self._silenced(path):
            self._unheard = step  # others may be met by it, too
            return []
        return [self._open(step, path)]

    def update(self, record: Record) -> list[Alert]:
        """The alert, where it opens, lasts or closes with this logged step."""
        assert record.table is not None
        bad = record.table[:, STATISTICS.index("nonfinite")] > 0
        if self._alert is None:
            names = record.manifest.names if record.manifest is not None else ()
            heard = (name for name, is_bad in zip(names, bad, strict=False) if is_bad)
            path = next((name for name in heard if not self._silenced(name)), None)
            if self._unheard is None or path is None:
                return []
            opened = self._open(self._unheard, path)
            self._alert = replace(opened, last_step=max(opened.last_step, record.step))
            return [self._alert]
        if record.step <= self._alert.last_step:
            return []
        if bad.any():
            self._sound = 0
            self._alert = replace(self._alert, last_step=record.step)
            return [self._alert]
        self._sound += 1
        return self.end() if self._sound >= self._patience else []

    def end(self) -> list[Alert]:
        """Close the alert, if there is one."""
        alert, self._alert, self._sound = self._alert, None, 0
        return [] if alert is None else [replace(alert, state="closed")]

    def _open(self, step: int, path: str) -> Alert:
        self._unheard = None
        self._alert = _nonfinite(step, path)
        self._patience = 2 * self._patience or SOUND
        return self._alert

    def _silenced(self, path: str) -> bool:
        names = ("*", path, self._full_paths.get(path, path))
        return any(self._settings.silences("nonfinite", names))


def _nonfinite(step: int, path: str) -> Alert:
    return Alert(
        rule="nonfinite",
        severity="error",
        parameters=(path,),
        first_step=step,
        last_step=step,
        state="open",
        evidence=f"the gradient is not finite at step {step}; the first such parameter is {path}",
        causes=(
            "a batch or its labels hold NaN or infinite values",
            "the learning rate is so large that the weights diverged",
            "an operation left its range: a logarithm or a quotient of zero, float16 beyond 65,504",
        ),
        advice=(
            f"check the batch of step {step} with np.isfinite; if it is sound, lower learning_rate "
            "or set global_clipnorm=1.0 in the optimizer"
        ),
    )


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
