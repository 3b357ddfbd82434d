"""How many units of a layer are dead: inactive in batch after batch, not in one batch alone."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

WINDOW = 32
"""So many records are looked at together, the newest."""

FEW = 8
"""Of fewer records nothing is said of some units of a layer."""

SAMPLES = 96
"""So many samples without any active unit make a layer dead, or so many as `WINDOW` records have."""

UNKNOWN = 10
"""Of batches of unknown size it takes so many."""


class DeadUnits:
    """Share of the units of each layer that are dead, at most.

    A record tells how many units had no gradient, not which. Where these are the same each time,
    their number stays; where other units rest in each batch, it varies. Of units that are active by
    chance, each by itself, with probabilities p, the number of active ones has the mean sum(p) and
    the variance sum(p) - sum(p²); as sum(p)² is at most n · sum(p²), there are at least
    n = mean² / (mean - variance) that are not dead. The variance is that between neighbouring
    records, without the largest leap, and two standard errors more.
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
        surely = 1 + 2 * math.sqrt(2 / len(leaps))
        mean, variance = active.mean(axis=0), surely * leaps.mean(axis=0) / 2
        alive = np.where(variance < mean, np.square(mean) / (mean - variance), units)
        found: NDArray[np.float64] = np.where(whole, 1.0, 1 - np.minimum(alive / units, 1.0))
        return np.nan_to_num(found)
