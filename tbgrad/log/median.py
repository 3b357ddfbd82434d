"""The median of a few numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def median(values: Any) -> float:
    """The median of numbers, NaN where one of them is, or where there are none.

    That of NumPy takes ten times as long for a few, and at first loads all of `numpy.ma`, which a
    terminal that is to open at once would wait for.

    >>> median([1.0, 4.0, 2.0])
    2.0
    """
    ordered = np.sort(np.asarray(values, np.float64))
    count = len(ordered)
    if not count or math.isnan(ordered[-1]):
        return math.nan
    return float(ordered[(count - 1) // 2] + ordered[count // 2]) / 2
