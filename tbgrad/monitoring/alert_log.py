"""Alerts of a run that is being logged: found, written, warned of, called back about."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from tbgrad.diagnosis import RULES, AlertSettings, Diagnosis, Record
from tbgrad.diagnosis.rules.gradients import NONFINITE_GRADIENT
from tbgrad.keras.ring import Drained
from tbgrad.log import encode
from tbgrad.log.records import STATISTICS, Alert
from tbgrad.monitoring.run_file import RunFile
from tbgrad.monitoring.sentences import brief, logger

_RULES = tuple(rule for rule in RULES if rule is not NONFINITE_GRADIENT)
"""The alarm here sees steps that are not logged, too, and names the first parameter."""

SOUND = 20
"""Logged steps without a value that is not finite after which the alarm is over."""


class AlertLog:
    """The alerts of one run: those of the rules, and that a gradient is not finite.

    `note` warns and leaves a note in the log, where a part of this fails.

    Attributes:
        opened: the rules that have opened an alert.
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
        self._alarm = NonfiniteAlarm(self._settings)
        self._diagnosis: Diagnosis | None = Diagnosis(self._settings, _RULES)
        self._known: set[tuple[str, int]] = set()
        self._calls = Calls(on_alert, self._call_failed) if on_alert is not None else None

    def begin(self, step: int, file: RunFile) -> None:
        """Begin a session of the same run: what was open in the last one is closed."""
        closed = self._alarm.end() + (self._diagnosis.end() if self._diagnosis else [])
        self._tell([(step, alert) for alert in closed], file)
        self._diagnosis = Diagnosis(self._settings, _RULES)
        self._alarm = NonfiniteAlarm(self._settings)
        self.opened.clear()

    def after(self, drained: Drained, records: Sequence[Record], file: RunFile) -> None:
        """Log the alerts of what was drained, whose logged steps are `records`."""
        manifest = records[0].manifest if records else None
        told = self._alarm.update(drained, manifest.names if manifest is not None else ())
        told += [(record.step, alert) for record in records for alert in self._found(record)]
        self._tell(told, file)

    def after_estimate(self, record: Record, file: RunFile) -> None:
        """Log the alerts of an estimate of the curvature, or of a validation."""
        self._tell([(record.step, alert) for alert in self._found(record)], file)

    def end(self, file: RunFile) -> None:
        """Log how long the alerts that are still open have lasted."""
        if self._diagnosis is not None:
            self._tell([(alert.last_step, alert) for alert in self._diagnosis.open], file)

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

    def _tell(self, told: list[tuple[int, Alert]], file: RunFile) -> None:
        """Log alerts; warn of new ones that are no mere hints; call about new and closed ones."""
        for step, alert in sorted(told, key=lambda pair: pair[0]):
            # Readers keep one value a step and series, and drop those after a step that goes back.
            last, before = self._last
            step = max(step, last)
            self._last = step, [*before, alert] if step == last else [alert]
            file.add(step, [encode.alerts(self._last[1])])
            new = self._is_new(alert)
            if new:
                self.opened.add(alert.rule)
                if alert.severity != "info":
                    logger.warning("tbgrad: step %d, %s: %s", step, alert.rule, alert.evidence)
            if self._calls is not None and (new or alert.state == "closed"):
                self._calls.about(alert)

    def _is_new(self, alert: Alert) -> bool:
        new = alert.key not in self._known
        self._known.add(alert.key)
        return new

    def _call_failed(self, error: Exception) -> None:
        self._note(f"on_alert failed and is not called again. {brief(error)}")


class NonfiniteAlarm:
    """Opens an alert when gradients cease to be finite and closes it when they are again.

    `last_step` of the alert is the last logged step in whose window there was such a value. It is
    closed after so many logged steps in a row without one, and twice as many each time it has come
    back.
    """

    def __init__(self, settings: AlertSettings) -> None:
        self._settings = settings
        self._open: Alert | None = None
        self._patience = 0
        self._sound = 0

    def update(self, drained: Drained, names: Sequence[str] = ()) -> list[tuple[int, Alert]]:
        """What is to be told after a drain, each at a step of its own; `names` are those of rows.

        The alert as it opens (with `last_step` where it begins), as it lasts, as it closes.
        """
        told: list[tuple[int, Alert]] = []
        column = STATISTICS.index("nonfinite")
        if drained.nonfinite is not None:
            step, first = drained.nonfinite
            tables = [s.table[:, column] > 0 for s in drained.steps]
            rows = {int(i) for table in tables for i in np.flatnonzero(table)}
            every = [first, *(names[i] for i in sorted(rows) if i < len(names))]
            path = next((name for name in every if not self._silenced(name)), None)
            if self._open is None and path is not None:
                self._open = _nonfinite(step, path)
                self._patience = 2 * self._patience or SOUND
                told.append((step, self._open))
            self._sound = 0
        if self._open is None:
            return told
        bad = [s.step for s in drained.steps if np.nansum(s.table[:, column]) > 0]
        if bad and bad[-1] > self._open.last_step:
            self._open = replace(self._open, last_step=bad[-1])
            told.append((bad[-1], self._open))
        last = self._open.last_step
        self._sound += sum(logged.step > last for logged in drained.steps)
        if self._sound >= self._patience:
            told += [(drained.steps[-1].step, alert) for alert in self.end()]
        return told

    def end(self) -> list[Alert]:
        """Close the alert, if there is one."""
        alert, self._open, self._sound = self._open, None, 0
        return [] if alert is None else [replace(alert, state="closed")]

    def _silenced(self, path: str) -> bool:
        return any(self._settings.silences("nonfinite", ("*", path)))


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

    def about(self, alert: Alert) -> None:
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
