"""The median of a few numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def median(values: Any) -> float:
    """The median of numbers, NaN where one of them is, or where there are none.

    That of NumPy takes ten times as long for a few, and at first loads all of `numpy.ma`; that of
    `statistics` loads exact fractions. A terminal that is to open at once would wait for them.

    >>> median([1.0, 4.0, 2.0])
    2.0
    """
    if isinstance(values, np.ndarray):
        ordered: Any = np.sort(values.astype(np.float64))  # what is no number comes last
        unknown = len(ordered) and math.isnan(ordered[-1])
    else:
        ordered = sorted(values)
        unknown = any(map(math.isnan, ordered))
    count = len(ordered)
    if not count or unknown:
        return math.nan
    return float(ordered[(count - 1) // 2] + ordered[count // 2]) / 2
