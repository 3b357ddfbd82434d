"""Which parameters of a run have a gradient that is zero but for rounding."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.rounding import HALF, beside_kernels
from tbgrad.reading.layer_history import norm_history
from tbgrad.reading.run import Run


def is_rounding(run: Run) -> NDArray[np.bool_]:
    """Whether the gradient of each parameter never was more than rounding: [P].

    So it is of the biases of attention's keys. A log does not say in which precision a layer
    computes: the limit is that of 16 bits, from which all others are three times away.

    >>> is_rounding(runs["a"])
    """
    pairs = np.array(beside_kernels(run.parameters), np.intp).reshape(-1, 2)
    history = norm_history(run)
    found = np.zeros(len(run.parameters), np.bool_)
    if not len(pairs) or history is None or not len(history.values):
        return found
    values = np.where(np.isfinite(history.values), history.values, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of parameters that never had any
        largest = np.nanmax(values, axis=0)
    biases, kernels = pairs.T
    with np.errstate(invalid="ignore"):
        found[biases] = (largest[biases] > 0) & (largest[biases] <= HALF * largest[kernels])
    return found
