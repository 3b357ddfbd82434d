"""The alert that needs no rules: a gradient that is not finite. And calling back about alerts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tbgrad.records import STATISTICS, Alert
from tbgrad.training.ring import Drained


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
