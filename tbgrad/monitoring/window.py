"""What logged steps say of the steps between them: peaks, what was not finite, whose turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.records import STATISTICS
from tbgrad.log.steps import Steps
from tbgrad.log.tags import GRADIENT_NORM, LEARNING_RATE, LOSS
from tbgrad.monitoring.logged_step import Drained, LoggedStep

TURN = 32
"""Logged steps in a row that a parameter may go without an update, where others take turns."""

_NORM, _PEAK, _NONFINITE = map(STATISTICS.index, ("norm", "norm_max", "nonfinite"))
_NAMES = {LOSS: "loss", LEARNING_RATE: "learning_rate", GRADIENT_NORM: "norm"}


class Window:
    """Joins the statistics of logged steps with every step since the one logged before.

    A tap may tell of a step at one drain and hand over its statistics at the next, no later.
    """

    def __init__(self, count: int) -> None:
        self._gathered = _Peaks(count)
        self._recent: tuple[Steps, ...] = ()
        self._absent = np.zeros(count, np.int64)
        self._met = np.zeros(count, np.bool_)

    def join(self, drained: Drained) -> tuple[LoggedStep, ...]:
        """The logged steps with what every step tells of them."""
        former, parts = self._recent, (*self._recent, *drained.every)
        joined = []
        for logged in drained.steps:
            for part in parts:
                self._gathered.add(_until(part, logged.step))
            joined.append(self._with_window(logged, drained.every + former))
            self._gathered.clear()
            parts = tuple(_behind(part, logged.step) for part in parts)
        # What was there at the drain before belongs to no logged step that is still to come but one
        # at its end.
        for part in parts[: len(former)]:
            self._gathered.add(part)
        self._recent = tuple(part for part in parts[len(former) :] if len(part))
        return tuple(joined)

    def _with_window(self, logged: LoggedStep, parts: Sequence[Steps]) -> LoggedStep:
        peaks, table = self._gathered, logged.table
        seen = peaks.norms >= 0
        table[:, _PEAK] = np.where(seen, peaks.norms, np.nan)
        table[:, _NONFINITE] = np.where(seen, peaks.nonfinite, np.nan)
        self._tell_turns(table, seen)
        at = next((p for p in parts if p.first_step <= logged.step <= p.last_step), None)
        known = {} if at is None else at.scalars
        numbers = {
            name: float(known[tag][logged.step - at.first_step])
            for tag, name in _NAMES.items()
            if at is not None and tag in known
        }
        if "norm" not in numbers:  # its row was overwritten
            numbers["norm"] = float(np.sqrt(np.nansum(np.square(table[:, _NORM], dtype=float))))
        numbers["norm_max"] = max(peaks.total, numbers["norm"])
        return replace(logged, numbers={**logged.numbers, **numbers})

    def _tell_turns(self, table: NDArray[np.float32], seen: NDArray[np.bool_]) -> None:
        """Tell a parameter that waits for its turn from one that no gradient reaches.

        The former had no value that is not finite, of the latter that is not known. One that had an
        update which was not sampled has the norm of the largest.
        """
        unsampled = np.isnan(table[:, _NORM]) & np.isfinite(table[:, _PEAK])
        table[unsampled, _NORM] = table[unsampled, _PEAK]
        self._absent = np.where(seen, 0, self._absent + 1)
        self._met |= seen
        table[~seen & self._met & (self._absent <= TURN), _NONFINITE] = 0.0


class _Peaks:
    """The largest norms [P] of a window, below zero where there was none, and of the whole."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.clear()

    def clear(self) -> None:
        self.norms = np.full(self._count, -1.0, np.float32)
        self.nonfinite = np.zeros(self._count, np.float32)
        self.total = 0.0

    def add(self, steps: Steps) -> None:
        """Take in these steps, too."""
        if not len(steps):
            return
        self.norms = np.fmax(self.norms, np.fmax.reduce(steps.norms, axis=0))
        self.nonfinite += np.count_nonzero(np.isinf(steps.norms), axis=0)
        self.total = max(self.total, float(steps.scalars[GRADIENT_NORM].max()))


def _until(steps: Steps, last: int) -> Steps:
    """Those up to a step."""
    return steps[: max(0, last + 1 - steps.first_step)]


def _behind(steps: Steps, last: int) -> Steps:
    """Those after a step."""
    return steps[max(0, last + 1 - steps.first_step) :]
