"""How far two runs are apart, against numbers by hand."""

from __future__ import annotations

import numpy as np

from tbgrad.reading.compared import difference
from tbgrad.reading.layer_history import LayerHistory


def history(steps: list[int], rows: list[list[float]]) -> LayerHistory:
    """Values of parameters, a row each, at these steps."""
    values = np.array(rows, np.float32).T
    at = np.array(steps, np.int64)
    return LayerHistory(at, at, values, np.isinf(values), values[-1], np.isinf(values[-1]))


def test_ratios_of_what_both_have_at_the_steps_that_both_have() -> None:
    a = history([10, 20, 30, 40], [[1, 10, 100, 1000], [0, 0, 5, 5], [1, np.inf, 1, np.inf]])
    b = history([20, 30, 40, 50], [[1, 1, 1, 7], [1, 0, 5, 7], [1, 1, 1, 7]])
    found = difference(a, b, [(0, 0), (1, 1), (2, 2)], log=True)
    assert found.first_steps.tolist() == [20, 30, 40]
    assert found.steps.tolist() == [29, 39, 40]
    np.testing.assert_allclose(found.values[:, 0], [1, 2, 3])
    np.testing.assert_array_equal(found.values[:, 1], [-np.inf, np.inf, 0])
    np.testing.assert_array_equal(found.values[:, 2], [np.inf, 0, np.inf])
    np.testing.assert_allclose(found.median, [2, 0, 0])
    np.testing.assert_allclose(found.apart, [2, 0, np.inf])
    assert found.order.tolist() == [2, 0, 1]


def test_differences_of_what_stands_on_both_sides_of_zero() -> None:
    a = history([1, 2, 3], [[0.5, -0.25, np.nan]])
    b = history([1, 2, 3], [[0.25, 0.25, 1.0]])
    found = difference(a, b, [(0, 0)], log=False)
    np.testing.assert_array_equal(found.values[:, 0], np.float32([0.25, -0.5, np.nan]))
    assert found.median.tolist() == [-0.125]


def test_in_a_stretch_the_larger_magnitude_counts() -> None:
    a = history(list(range(1, 9)), [[1, -4, 2, 3, 8, 1, 1, -16]])
    b = history(list(range(1, 9)), [[1] * 8])
    found = difference(a, b, [(0, 0)], log=False, most=2)
    assert found.first_steps.tolist() == [1, 5]
    assert found.values[:, 0].tolist() == [-5, -17]


def test_runs_that_have_no_steps_or_parameters_in_common() -> None:
    a, b = history([1, 2], [[1, 1]]), history([5, 6], [[1, 1]])
    for rows in ([(0, 0)], []):
        found = difference(a, b, rows, log=True)
        assert found.values.shape == (0, len(rows))
        assert np.isnan(found.apart).all()
    assert difference(a, a, [], log=True).values.shape == (2, 0)
