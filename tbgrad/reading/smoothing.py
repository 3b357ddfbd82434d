"""Smoothing of a noisy curve, as TensorBoard does it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

_SMALLEST = 1e-60
"""Powers of the weight go no further in one block, so that their inverses keep all digits."""


def smoothed(values: NDArray[np.float64], weight: float) -> NDArray[np.float64]:
    """The debiased exponential moving average of `values` [T]; those not finite stay as they are.

    The average begins at 0 and is divided by the sum of the weights so far, as in the bias
    correction of Adam (Kingma and Ba 2015), so that its start does not hang on the first value. A
    `weight` of 0 changes nothing; near 1 it averages over about 1 / (1 - weight) values.

    Raises:
        ValueError: the weight is not from 0 up to, but not including, 1.

    >>> smoothed(np.array([0.0, 1.0, 1.0]), 0.5)
    array([0.        , 0.66666667, 0.85714286])
    """
    if not 0 <= weight < 1:
        raise ValueError(f"weight is a number from 0 up to below 1, not {weight}")
    averaged = np.array(values, np.float64)
    finite = np.isfinite(averaged)
    given = averaged[finite]
    if weight == 0 or not len(given):
        return averaged
    block = max(1, int(math.log(_SMALLEST) / math.log(weight)))
    sums, carried = np.empty_like(given), 0.0
    for start in range(0, len(given), block):
        part = given[start : start + block]
        powers = weight ** np.arange(1, len(part) + 1)
        with np.errstate(over="ignore", invalid="ignore"):
            sums[start : start + block] = powers * (
                carried + np.cumsum((1 - weight) * part / powers)
            )
        carried = sums[start + len(part) - 1]
    averaged[finite] = sums / (1 - weight ** np.arange(1.0, len(given) + 1))
    return averaged
