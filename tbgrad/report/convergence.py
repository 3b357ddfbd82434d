"""Whether the gradient norm still falls at the end of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.brief import percent
from tbgrad.log.median import median
from tbgrad.log.tags import GRADIENT_NORM, Kind
from tbgrad.reading.run import Run

FEWEST = 10
"""Values in a tenth of a run from which on two tenths are compared."""

SLIGHT = 0.05
"""A norm that changes by less than this share from one tenth to the next is steady."""


@dataclass(frozen=True, slots=True)
class Convergence:
    """The median gradient norm in the last tenth of the steps, that in the tenth before, and what
    they say: "steady" where they differ by less than 5 %, or three times their own noise.
    """

    last: float
    before: float
    trend: Literal["falling", "rising", "steady"]

    def __str__(self) -> str:
        change = abs(self.last / self.before - 1)
        words = {
            "steady": "converged: steady within its noise",
            "falling": f"still falling, by {percent(change)}",
            "rising": f"rising, by {percent(change)}",
        }
        return words[self.trend]


def convergence_of(run: Run) -> Convergence | None:
    """That of a run; None of too few finite norms. Steps of a short batch do not count."""
    series = run.full.get(GRADIENT_NORM) or run.get(GRADIENT_NORM)
    if series is None or series.kind is not Kind.SCALAR:
        return None
    norms = np.asarray(series.values, np.float64)
    norms = norms[np.isfinite(norms) & (norms > 0)]
    tenth = len(norms) // 10
    if tenth < FEWEST:
        return None
    before, last = (np.log(part) for part in (norms[-2 * tenth : -tenth], norms[-tenth:]))
    apart = median(last) - median(before)
    noise = float(np.hypot(_error(before), _error(last)))
    steady = abs(apart) <= max(SLIGHT, 3 * noise)
    return Convergence(
        last=float(np.exp(median(last))),
        before=float(np.exp(median(before))),
        trend="steady" if steady else "falling" if apart < 0 else "rising",
    )


def _error(logs: NDArray[np.float64]) -> float:
    """The standard error of a median, from the median distance to it, as of a normal variable."""
    spread = 1.4826 * median(np.abs(logs - median(logs)))
    return 1.2533 * spread / float(np.sqrt(len(logs)))
