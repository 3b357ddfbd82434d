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
    """Times blocks of steps that log nothing against blocks in which every step is logged.

    The two kinds take turns, since a machine's speed drifts, and the median of the differences is
    what a logged step costs. `every` is set once that is known: the smallest round number of steps
    for which the cost is at most the share `overhead` of the training time.

    Args:
        overhead: share of the training time that logging may take, above 0.
        settle: waits until all steps so far are done and all that they logged is written.
        clock: seconds.
    """

    def __init__(
        self,
        overhead: float,
        settle: Callable[[], object],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.every: int | None = None
        self.logging = False
        self._overhead = overhead
        self._settle = settle
        self._clock = clock
        self._left = WARM_UP_STEPS
        self._begun: float | None = None
        self._seconds: dict[bool, list[float]] = {False: [], True: []}

    def step(self) -> bool:
        """Call before every step; whether `logging` or `every` has changed."""
        if self.every is not None:
            return False
        self._left -= 1
        if self._left >= 0:
            return False
        self._left = BLOCK_STEPS - 1
        self._settle()
        now = self._clock()
        if self._begun is not None:
            self._seconds[self.logging].append((now - self._begun) / BLOCK_STEPS)
            self.logging = not self.logging
            if len(self._seconds[True]) == PAIRS:
                self._finish()
        self._begun = now
        return True

    def interrupt(self) -> None:
        """Begin the present block anew: something other than training took time in it."""
        if self._begun is not None:
            self._left, self._begun = 0, None

    def _finish(self) -> None:
        pairs = zip(self._seconds[True], self._seconds[False], strict=True)
        cost = statistics.median(logged - plain for logged, plain in pairs)
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
