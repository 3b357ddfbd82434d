"""When a value was written, whatever its writer counted in."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

LATEST = 1e11
"""Seconds since the epoch: a wall time beyond the year 5000 is none, or counts smaller units."""

UNITS = (1e3, 1e6, 1e9)
"""Of a second: what other writers count in; now is above 1e11 of each and below 1e14."""


def seconds(wall_time: float) -> float:
    """Seconds since the epoch; 0 for what is no time: before 1970, or NaN."""
    if 0 <= wall_time < LATEST:
        return wall_time
    since = next((wall_time / unit for unit in UNITS if LATEST <= wall_time < LATEST * unit), 0.0)
    return since if math.isfinite(since) else 0.0


def all_seconds(wall_times: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same of many."""
    if ((wall_times >= 0) & (wall_times < LATEST)).all():
        return wall_times
    return np.array([seconds(wall_time) for wall_time in wall_times.tolist()])
