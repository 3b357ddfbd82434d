"""When to do what between two steps of a training. It knows neither a clock nor a device."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum, auto

from tbgrad.monitoring.cadence_search import CadenceSearch

DRAIN_SECONDS = 1.0
"""The longest time between two drains, and so the most that a killed process loses, and the longest
until a fault is noticed."""

SHORTEST_PAUSE = 0.02
"""Seconds that a thread which is not called at every step sleeps at least."""


class Action(Enum):
    """What is to be done ahead of the next step."""

    GO_ON = auto()
    DRAIN = auto()
    ESTIMATE = auto()
    """Estimate the curvature, which drains ahead of that."""
    SEARCH = auto()
    """A block of the search for the cadence is over: drain, wait for it, and turn."""


class Schedule:
    """Decides between two steps what is due: shared by `fit` and by loops of one's own.

    Args:
        step, now: updates done and seconds on any clock as it begins.
        estimate_due: whether an estimate of the curvature is due at a step and a time; None where
            there are none.
        search: the search for the cadence, as long as there is one.
    """

    def __init__(
        self,
        step: int,
        now: float,
        *,
        estimate_due: Callable[[int, float], bool] | None = None,
        search: CadenceSearch | None = None,
    ) -> None:
        self.estimate_due = estimate_due
        self.search = search
        self._pause = 0.05
        self._last = step, now
        self.restart(step, now)

    def restart(self, step: int, now: float) -> None:
        """A training begins: the first drain comes right after its first step."""
        self._first, self._begun_at = True, step
        self.drained(step, now, logged=False)

    def drained(self, step: int, now: float, logged: bool = True) -> None:
        """What gathered was drained; the first drain is one that had steps that were logged.

        One in the midst of the first step finds none.
        """
        self._first = self._first and not logged
        self._drained_step, self._drained_at = step, now

    def next_action(self, step: int, now: float, room: int) -> Action:
        """What is due now that `step` updates are done and `room` steps fit between two drains.

        Behind a SEARCH there may be more: ask `action` what.
        """
        if self.search is not None and self.search.step(now):
            return Action.SEARCH
        return self.action(step, now, room)

    def action(self, step: int, now: float, room: int) -> Action:
        """The same, the search for the cadence aside."""
        if self.estimate_due is not None and self.estimate_due(step, now):
            return Action.ESTIMATE
        waited, steps = now - self._drained_at, step - self._drained_step
        if waited >= DRAIN_SECONDS or steps >= room or (self._first and step > self._begun_at):
            return Action.DRAIN
        return Action.GO_ON

    def pause(self, step: int, now: float, room: int) -> float:
        """Seconds until something may be due, for a thread that is not called at every step.

        It follows the pace of the training: at first it is short, and never longer than what
        fills the room.
        """
        before, then = self._last
        self._last = step, now
        if step > before and now > then:  # else it may be compiling, and be fast afterwards
            filled_in = room * (now - then) / (step - before)
            self._pause = min(DRAIN_SECONDS, max(SHORTEST_PAUSE, filled_in), 2 * self._pause)
        return self._pause


class EstimateSchedule:
    """When estimates are due: every so many steps, within a share of the rest of the time.

    The first is due at once, and whoever asks for the last has it whatever it takes.

    Attributes:
        spent: seconds that estimates have taken so far.
        left_out: whether the budget has left one out.
        overdue: whether it has left out one after the other.
    """

    def __init__(self, every: int, budget: float | None, now: float) -> None:
        self._every = every
        self._share = math.inf if budget is None else budget
        self._begun = now
        self._last: int | None = None
        self._cost = self.spent = 0.0
        self._ended = self.left_out = self.overdue = False

    def due(self, step: int, now: float) -> bool:
        """Whether an estimate is due between two steps, `step` updates being done."""
        if self._ended:
            return False
        if self._last is None:
            return True
        if step // self._every <= self._last // self._every:
            return False
        if self.affords(self._cost, now):
            return True
        self.left_out = True
        self.overdue = step - self._last >= 2 * self._every
        return False

    def has(self, step: int) -> bool:
        """Whether the last one was made at this step."""
        return step == self._last

    def missed(self, step: int) -> None:
        """One could not be made at this step; the next is due in its turn."""
        self._last = step

    def done(self, step: int, seconds: float, once: float = 0.0) -> None:
        """One was made; the part of its time that was needed `once` will not be needed again."""
        self._last, self.overdue = step, False
        self.spent += seconds
        self._cost = seconds - once

    def affords(self, seconds: float, now: float) -> bool:
        """Whether so much more time keeps the share."""
        rest = now - self._begun - self.spent
        return self.spent + seconds <= self._share * max(rest, 1e-9)

    def end(self) -> None:
        """No more of them."""
        self._ended = True
