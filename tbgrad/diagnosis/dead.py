"""How many units of a layer are dead: inactive in batch after batch, not in one batch alone."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

WINDOW = 64
"""So many records are looked at together, the newest."""

FEW = 8
"""Of fewer records nothing is said of some units of a layer."""

SAMPLES = 96
"""Where no unit is active in so many samples, or in all of `WINDOW` records, the layer is dead."""

SURE = 2.5
"""So many standard deviations from what is likely."""

UNKNOWN = 6
"""Of batches of unknown size it takes so many."""


class DeadUnits:
    """Share of the units of each layer that are dead, at most.

    A record tells how many units had no gradient, not which. Where these are the same each time,
    their number stays; where other units rest in each batch, it varies. Of units that are active by
    chance, each by itself, with probabilities p, the number of active ones has the mean sum(p) and
    the variance sum(p) - sum(p²); as sum(p)² is at most n · sum(p²), there are at least
    n = mean² / (mean - variance) that are not dead. The variance is that between neighbouring
    records, without the largest leap, with which units may have died; it is taken as large as it
    may well be, for it is not known better than from so many records.
    """

    def __init__(self) -> None:
        self._seen: deque[NDArray[np.float64]] = deque(maxlen=WINDOW)

    def add(
        self, shares: NDArray[np.float64], units: NDArray[np.float64], batch_size: int
    ) -> NDArray[np.float64]:
        """The share that is dead of each layer [L], which has so many units [L].

        `shares` [L] are those without a gradient in the newest record, NaN where that is not known.
        """
        if self._seen and len(self._seen[-1]) != len(shares):
            self._seen.clear()
        self._seen.append(shares)
        least = math.ceil(SAMPLES / batch_size) if batch_size > 0 else UNKNOWN
        least = max(3, min(WINDOW, least))
        newest = np.array(self._seen)
        # A batch of usual size says so by itself: how long it lasts is for the rule to see.
        whole = (newest[-least:] >= 1).all(axis=0) & (len(newest) >= least or least == 3)
        if len(newest) < FEW or not (shares > 0).any():
            return np.where(whole, 1.0, 0.0)
        active = (1 - newest) * units
        leaps = np.sort(np.square(np.diff(active, axis=0)), axis=0)[:-1]
        mean, variance = active.mean(axis=0), _at_most(len(active)) * leaps.mean(axis=0) / 2
        surplus = np.maximum(mean - variance, 1e-9)
        alive = np.where(mean > 0, np.square(mean) / surplus, units)  # of none `whole` tells
        found: NDArray[np.float64] = np.where(whole, 1.0, 1 - np.minimum(alive / units, 1.0))
        return np.nan_to_num(found)


def _at_most(records: int) -> float:
    """How many times its estimate from neighbouring records a variance may be.

    Such an estimate has about two thirds of a degree of freedom a record (von Neumann 1941). Of the
    chi-square that it follows this is over the quantile `SURE` deviations below the middle (Wilson
    and Hilferty 1931); the largest of the squares, which is left out, is some fifth of their sum.
    """
    spread = 2 / (9 * (2 / 3) * records)
    return 1.25 / max(0.05, 1 - spread - SURE * math.sqrt(spread)) ** 3
