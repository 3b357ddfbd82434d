"""How often to log: as asked for, or as often as a given share of the training time allows."""

from __future__ import annotations

import math
import statistics
import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

SHORTEST = 10
"""Steps between two logged ones that are never fallen short of."""

HISTOGRAMS = 10
"""Logged steps between two histograms."""

WARM_UP_STEPS, BLOCK_STEPS, PAIRS = 10, 8, 5
"""Of the search. The ring has room for as many logged steps as a block has."""


@dataclass(frozen=True)
class Cadence:
    """Every so many `steps`, in parts that begin at `starts`, the first of them 0.

    >>> dense_at_first = Cadence(starts=(0, 100), steps=(1, 10))
    >>> [step for step in range(97, 131) if dense_at_first.due(step)]
    [97, 98, 99, 100, 110, 120, 130]
    """

    steps: tuple[int, ...]
    starts: tuple[int, ...] = (0,)

    @property
    def shortest(self) -> int:
        """The steps of the densest part."""
        return min(self.steps)

    def at(self, step: int) -> int:
        """The steps of the part that holds at `step`."""
        return self.steps[bisect_right(self.starts, step) - 1]

    def soonest(self, step: int) -> int:
        """The steps of the densest of this part and the next."""
        part = bisect_right(self.starts, step) - 1
        return min(self.steps[part : part + 2])

    def due(self, step: int) -> bool:
        """Whether `step` is one of them."""
        return step % self.at(step) == 0

    def times(self, factor: int) -> Cadence:
        """So many times as seldom."""
        return Cadence(tuple(factor * steps for steps in self.steps), self.starts)

    def throughout(self, steps: int) -> Cadence:
        """The same `steps` in all parts."""
        return Cadence((steps,) * len(self.steps), self.starts)


class CadenceSearch:
    """Times blocks of steps that log nothing against blocks that log densely.

    The two kinds take turns, since a machine's speed drifts, and the median of the differences is
    what a logged step costs. `every` is set once that is known: the smallest round number of steps
    for which the cost is at most the share `overhead` of the training time.

    Args:
        overhead: share of the training time that logging may take, above 0.
        settle: waits until all steps so far are done and all that they logged is written.
        steps_a_call: steps between two calls of `step`.
        clock: seconds.
    """

    def __init__(
        self,
        overhead: float,
        settle: Callable[[], object],
        steps_a_call: float = 1.0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.every: int | None = None
        self.logging = False
        self._calls = math.ceil(BLOCK_STEPS / steps_a_call)
        self._steps = self._calls * steps_a_call
        self.densest = math.ceil(self._steps / BLOCK_STEPS)
        """Steps between two logged ones in a block that logs, so that the ring has room for it."""
        self._overhead = overhead
        self._settle = settle
        self._clock = clock
        self._left = math.ceil(WARM_UP_STEPS / steps_a_call)
        self._timing = False
        self._since: float | None = None
        self._spent = 0.0
        self._seconds: dict[bool, list[float]] = {False: [], True: []}

    def step(self) -> bool:
        """Call before every step; whether `logging` or `every` has changed."""
        if self.every is not None:
            return False
        if self._timing and self._since is None:
            self._since = self._clock()
        self._left -= 1
        if self._left >= 0:
            return False
        self._left = self._calls - 1
        if self._timing:
            self.pause()
            self._seconds[self.logging].append(self._spent / self._steps)
            self.logging = not self.logging
            if len(self._seconds[True]) == PAIRS:
                self._finish()
        else:
            self._settle()
        self._timing, self._spent, self._since = True, 0.0, self._clock()
        return True

    def pause(self) -> None:
        """Stop the clock until the next step: something other than training takes time now."""
        if self._since is not None:
            self._settle()
            self._spent += self._clock() - self._since
            self._since = None

    def _finish(self) -> None:
        pairs = zip(self._seconds[True], self._seconds[False], strict=True)
        cost = self.densest * statistics.median(logged - plain for logged, plain in pairs)
        plain = statistics.median(self._seconds[False])
        self.every = round_up(max(SHORTEST, cost / (self._overhead * plain)))
        self.logging = False


def round_up(steps: float) -> int:
    """The next of 10, 20, 50, 100, 200, 500, …

    >>> [round_up(x) for x in (3, 20, 21, 700)]
    [10, 20, 50, 1000]
    """
    power: int = 10 ** max(1, math.floor(math.log10(max(1.0, steps))))
    return next(power * k for k in (1, 2, 5, 10) if power * k >= steps)
