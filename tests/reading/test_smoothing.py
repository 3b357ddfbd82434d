"""Smoothing against the sum that defines it."""

from __future__ import annotations

import numpy as np
import pytest

from tbgrad.reading.smoothing import smoothed


def expected(values: np.ndarray, weight: float) -> np.ndarray:
    """The weighted mean of all finite values so far, the newest with weight 1, in long doubles."""
    result, weights, total = values.astype(np.float64), np.longdouble(0), np.longdouble(0)
    for at, value in enumerate(values):
        if np.isfinite(value):
            total = total * np.longdouble(weight) + np.longdouble(value)
            weights = weights * np.longdouble(weight) + 1
            result[at] = float(total / weights)
    return result


@pytest.mark.parametrize("weight", [0.0, 0.05, 0.6, 0.9, 0.98, 0.9999])
def test_it_is_the_weighted_mean_of_what_came_so_far(weight):
    rng = np.random.default_rng(3)
    values = rng.standard_normal(5000) * 10.0 ** rng.integers(-8, 8, 5000)
    values[[0, 7, 8, 4000]] = np.nan, np.inf, -np.inf, np.nan
    found = smoothed(values, weight)
    scale = expected(np.abs(values), weight)
    finite = np.isfinite(values)
    wanted = expected(values, weight)
    assert (np.abs(found[finite] - wanted[finite]) <= 1e-11 * scale[finite]).all()
    np.testing.assert_array_equal(found[~finite], values[~finite])


def test_the_beginning_hangs_on_no_first_guess_and_a_constant_stays():
    assert smoothed(np.array([4.0, 8.0]), 0.5).tolist() == pytest.approx([4.0, 20 / 3])
    np.testing.assert_allclose(smoothed(np.full(900, 3.5), 0.98), 3.5, rtol=1e-12)
    assert len(smoothed(np.zeros(0), 0.9)) == 0
    assert np.isnan(smoothed(np.full(3, np.nan), 0.9)).all()


@pytest.mark.parametrize("weight", [1.0, -0.1, float("nan")])
def test_a_weight_that_is_none(weight):
    with pytest.raises(ValueError, match="weight is a number from 0"):
        smoothed(np.ones(3), weight)
