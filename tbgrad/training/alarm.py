"""Alerts of a run that is being logged: found, written, warned of, called back about."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from tbgrad import logformat
from tbgrad.diagnosis import RULES, AlertSettings, Diagnosis, Record
from tbgrad.diagnosis.rules.gradients import NONFINITE_GRADIENT
from tbgrad.records import STATISTICS, Alert
from tbgrad.training.ring import Drained
from tbgrad.training.runfile import RunFile

logger = logging.getLogger("tbgrad")

_RULES = tuple(rule for rule in RULES if rule is not NONFINITE_GRADIENT)
"""The alarm here sees steps that are not logged, too, and names the first parameter."""


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
        self._alarm = NonfiniteAlarm()
        self._diagnosis: Diagnosis | None = Diagnosis(self._settings, _RULES)
        self._known: set[tuple[str, tuple[str, ...], int]] = set()
        self._calls = Calls(on_alert, self._call_failed) if on_alert is not None else None

    def after(self, drained: Drained, records: Iterable[Record], file: RunFile) -> None:
        """Log the alerts of what was drained, whose logged steps are `records`."""
        told = [
            (step, alert)
            for step, alert in self._alarm.update(drained)
            if not any(self._settings.silences(alert.rule, ("*", *alert.parameters)))
        ]
        told += [(record.step, alert) for record in records for alert in self._found(record)]
        self._tell(told, file)

    def after_estimate(self, record: Record, file: RunFile) -> None:
        """Log the alerts of an estimate of the curvature."""
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
        """What the rules say of a record; they end at a failure of their own."""
        if self._diagnosis is None:
            return []
        try:
            return self._diagnosis.update(record)
        except Exception as error:  # noqa: BLE001 - whatever it is, logging goes on
            self._diagnosis = None
            self._note(f"the diagnosis failed and is over. {type(error).__name__}: {error}")
            return []

    def _tell(self, told: list[tuple[int, Alert]], file: RunFile) -> None:
        """Log alerts; warn of new ones that are no mere hints; call about new and closed ones."""
        for step, alert in sorted(told, key=lambda pair: pair[0]):
            # Readers keep one value a step and series, and drop those after a step that goes back.
            last, before = self._last
            step = max(step, last)
            self._last = step, [*before, alert] if step == last else [alert]
            file.add(step, [logformat.alerts(self._last[1])])
            new = self._is_new(alert)
            if new:
                self.opened.add(alert.rule)
                if alert.severity != "info":
                    logger.warning("tbgrad: step %d, %s: %s", step, alert.rule, alert.evidence)
            if self._calls is not None and (new or alert.state == "closed"):
                self._calls.about(alert)

    def _is_new(self, alert: Alert) -> bool:
        key = alert.rule, alert.parameters, alert.first_step
        new = key not in self._known
        self._known.add(key)
        return new

    def _call_failed(self, error: Exception) -> None:
        reason = f"{type(error).__name__}: {error}"
        self._note(f"on_alert failed and is not called again. {reason}")


class NonfiniteAlarm:
    """Opens one alert when gradients cease to be finite and closes it when they are again.

    `last_step` of the alert is the last logged step in whose window there was such a value.
    """

    def __init__(self) -> None:
        self._open: Alert | None = None

    def update(self, drained: Drained) -> list[tuple[int, Alert]]:
        """What is to be told after a drain, each at a step of its own.

        The alert as it opens (with `last_step` where it begins), as it lasts, as it closes.
        """
        told: list[tuple[int, Alert]] = []
        if drained.nonfinite is not None:
            step, path = drained.nonfinite
            if self._open is None:
                self._open = _nonfinite(step, path)
                told.append((step, self._open))
        if self._open is None:
            return told
        column = STATISTICS.index("nonfinite")
        bad = [s.step for s in drained.steps if np.nansum(s.table[:, column]) > 0]
        if bad and bad[-1] > self._open.last_step:
            self._open = replace(self._open, last_step=bad[-1])
            told.append((bad[-1], self._open))
        if drained.steps and drained.steps[-1].step > self._open.last_step:
            told.append((drained.steps[-1].step, replace(self._open, state="closed")))
            self._open = None
        return told


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
