"""How often steps can be logged within a given share of the training time: measured at first."""

from __future__ import annotations

import math
import statistics

from tbgrad.monitoring.cadence import SHORTEST

WARM_UP_STEPS, BLOCK_STEPS, PAIRS = 10, 8, 5
"""A tap has room for as many logged steps as a block has."""


class CadenceSearch:
    """Times blocks of steps that log nothing against blocks that log densely.

    The two kinds take turns, since a machine's speed drifts, and the median of the differences is
    what a logged step costs. `every` is set once that is known: the smallest round number of steps
    for which the cost is at most the share `overhead` of the training time.

    Whoever uses it waits, ahead of `turn` and of `pause`, until all steps so far are done and all
    that they logged is written; `now` are seconds on one clock.

    Args:
        overhead: share of the training time that logging may take, above 0.
        steps_a_call: steps between two calls of `step`.
    """

    def __init__(self, overhead: float, steps_a_call: float = 1.0) -> None:
        self.every: int | None = None
        self.logging = False
        self._calls = math.ceil(BLOCK_STEPS / steps_a_call)
        self._steps = self._calls * steps_a_call
        self.densest = math.ceil(self._steps / BLOCK_STEPS)
        """Steps between two logged ones in a block that logs, so that the tap has room for it."""
        self._overhead = overhead
        self._left = math.ceil(WARM_UP_STEPS / steps_a_call)
        self._timing = False
        self._since: float | None = None
        self._spent = 0.0
        self._seconds: dict[bool, list[float]] = {False: [], True: []}

    @property
    def running(self) -> bool:
        """Whether the clock runs."""
        return self._since is not None

    def step(self, now: float) -> bool:
        """Call ahead of every step; whether a block is over and it is time to `turn`."""
        if self.every is not None:
            return False
        if self._timing and self._since is None:
            self._since = now
        self._left -= 1
        return self._left < 0

    def turn(self, now: float) -> None:
        """Begin the next block, or end the search: `logging` or `every` has changed."""
        self._left = self._calls - 1
        if self._timing:
            self.pause(now)
            self._seconds[self.logging].append(self._spent / self._steps)
            self.logging = not self.logging
            if len(self._seconds[True]) == PAIRS:
                self._finish()
        self._timing, self._spent, self._since = True, 0.0, now

    def pause(self, now: float) -> None:
        """Stop the clock until the next step: something other than training takes time now."""
        if self._since is not None:
            self._spent += now - self._since
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
