"""How often steps are logged: every so many, in parts of a training."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

SHORTEST = 10
"""Steps between two logged ones that are never fallen short of."""

HISTOGRAMS = 10
"""Logged steps between two histograms."""

FIRST = 10
"""So many steps are logged one by one, where it is not said how often they are."""

NEVER = 2**62
"""As a number of steps: more than there will be."""


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


def dense_at_first(steps: int) -> Cadence:
    """What holds where no cadence was asked for: each of the first steps, then every so many.

    A rate ten times too high is over by then.
    """
    return Cadence(starts=(0, FIRST + 1), steps=(1, steps))


def histograms_with(every: Cadence) -> Cadence:
    """How often histograms are logged beside steps, where it was not asked for.

    Where steps are logged as no one asked for, so that the shortest training has some, too.
    """
    if every.starts != dense_at_first(SHORTEST).starts:
        return every.times(HISTOGRAMS)
    steps = (FIRST // 2, 10 * FIRST, HISTOGRAMS * every.steps[-1])
    return Cadence(steps, (0, FIRST + 1, 100 * FIRST + 1))


@dataclass(frozen=True)
class Cadences:
    """How often each kind of thing is logged; estimates of the curvature with 0 never."""

    every: Cadence
    histograms_every: Cadence
    curvature_every: int = 0

    def at(self, step: int) -> dict[str, int]:
        """What holds at a step, as a manifest says it."""
        cadences = {
            "every": self.every.at(step),
            "histograms_every": self.histograms_every.at(step),
        }
        return cadences | (
            {"curvature_every": self.curvature_every} if self.curvature_every else {}
        )
