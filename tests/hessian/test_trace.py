"""The trace against operators whose trace is known; its error bar against the errors made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tbgrad import hessian
from tests.hessian.operators import MatrixOperator, interrupting
from tests.hessian.spectra import SPECTRA, matrix_of

METHODS = ["hutch++", "hutchinson"]
BULK = np.abs(np.random.default_rng(1).normal(size=984))
OUTLIERS = np.r_[60 * 0.75 ** np.arange(15), -8.0, 0.05 * BULK]
WITH_TRACE = [name for name, s in SPECTRA.items() if abs(s.sum()) > 0.2 * np.linalg.norm(s)]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", WITH_TRACE)
def test_the_trace_lies_within_five_standard_errors(name: str, method: Any) -> None:
    matrix = matrix_of(SPECTRA[name], np.float64)
    true = np.trace(matrix)
    for seed in range(3):
        found = hessian.trace(MatrixOperator(matrix), method=method, seed=seed, max_products=9000)
        assert found.converged, found
        allowed = 5 * found.standard_error + 1e-10 * np.linalg.norm(matrix)
        assert abs(found.value - true) <= allowed, (found, true)
        assert found.standard_error <= 0.05 * abs(found.value)
        assert found.value == pytest.approx(found.samples.mean())


@pytest.mark.parametrize("method", METHODS)
def test_the_error_bar_is_that_of_the_errors(method: Any) -> None:
    matrix = matrix_of(OUTLIERS, np.float64)
    found = [hessian.trace(MatrixOperator(matrix), method=method, seed=s) for s in range(60)]
    scores = [(f.value - OUTLIERS.sum()) / f.standard_error for f in found]
    assert abs(np.mean(scores)) < 0.5
    assert 0.7 < np.std(scores) < 1.5
    assert np.mean(np.abs(scores) < 2) > 0.85


def test_outliers_are_taken_out_for_less_than_half_of_the_products() -> None:
    operator = MatrixOperator(matrix_of(OUTLIERS, np.float64))
    spent = {
        method: np.median([
            hessian.trace(operator, method=method, seed=s, tol=0.05).hvps for s in range(15)
        ])
        for method in METHODS
    }  # fmt: skip
    assert spent["hutch++"] <= 0.5 * spent["hutchinson"], spent


def test_where_nothing_stands_out_it_costs_little_more_than_hutchinson() -> None:
    operator = MatrixOperator(matrix_of(np.linspace(0.5, 1.5, 800), np.float64))
    spent = {method: hessian.trace(operator, method=method).hvps for method in METHODS}
    assert spent["hutch++"] <= spent["hutchinson"] + 12


def test_random_signs_have_the_variance_of_the_formula() -> None:
    matrix = matrix_of(SPECTRA["network-like"], np.float64)
    found = hessian.trace(MatrixOperator(matrix), method="hutchinson", tol=1e-9, max_products=4000)
    variance = 2 * (np.sum(matrix**2) - np.sum(np.diag(matrix) ** 2))
    assert found.samples.var(ddof=1) == pytest.approx(variance, rel=0.15)
    assert (found.converged, found.reason) == (False, "budget")
    assert found.hvps == 4000 + 2


def test_a_small_operator_is_summed_exactly() -> None:
    matrix = np.diag([5.0, -2.0, 1.0])
    found = hessian.trace(MatrixOperator(matrix))
    assert found.value == pytest.approx(4.0, rel=1e-12)
    assert (found.standard_error, found.converged) == (0.0, True)


def test_memory_is_bounded_whatever_the_number_of_products() -> None:
    matrix = matrix_of(np.linspace(-1, 3, 400), np.float64)
    found = hessian.trace(MatrixOperator(matrix), tol=1e-3, max_products=2000, max_basis=5)
    assert abs(found.value - 400) <= 4 * found.standard_error


@pytest.mark.tensorflow
def test_a_network_in_single_precision() -> None:
    from tests.hessian.oracle import NumpyMLP
    from tests.hessian.test_operator import mlp_operator

    oracle = NumpyMLP(seed=2)
    true = np.trace(oracle.hessian())
    for method in METHODS:
        found = hessian.trace(mlp_operator(oracle, "float32"), method=method, max_products=2000)
        assert abs(found.value - true) <= 4 * found.standard_error + 1e-5 * abs(true)
        assert found.loss == pytest.approx(oracle.loss(oracle.flat), rel=1e-5)


def test_ctrl_c_returns_what_there_is() -> None:
    matrix = matrix_of(SPECTRA["spread"], np.float64)
    found = hessian.trace(interrupting(matrix, after=30), method="hutchinson", tol=1e-6)
    assert (found.converged, found.reason) == (False, "interrupted")
    assert len(found.samples) == 28  # two products have shown that the loss keeps still
    assert abs(found.value - np.trace(matrix)) <= 4 * found.standard_error
    with pytest.raises(KeyboardInterrupt):
        hessian.trace(interrupting(matrix, after=1))
    with pytest.raises(KeyboardInterrupt):  # as within a training, which is to end
        hessian.trace(interrupting(matrix, after=30), tol=1e-6, progress=False)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"method": "magic"}, "method is one of"),
        ({"tol": 0}, "tol must be above 0"),
        ({"max_products": 1}, "max_products must be at least 2"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: Any, sentence: str) -> None:
    with pytest.raises(hessian.HessianError, match=sentence):
        hessian.trace(MatrixOperator(np.eye(3)), **arguments)
