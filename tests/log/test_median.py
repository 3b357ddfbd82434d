"""The median against that of NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tbgrad.log.median import median


@pytest.mark.parametrize("count", range(1, 9))
def test_it_is_that_of_numpy(count: int) -> None:
    values = np.random.default_rng(count).standard_normal(count)
    assert median(values) == pytest.approx(np.median(values), rel=1e-15)
    assert median(values.tolist()) == median(values)


def test_of_none_and_of_what_is_not_finite() -> None:
    assert math.isnan(median([]))
    assert math.isnan(median([1.0, math.nan, 2.0]))
    assert median([1.0, math.inf, math.inf]) == math.inf
    assert median([1.0, 2.0, -math.inf]) == 1.0
