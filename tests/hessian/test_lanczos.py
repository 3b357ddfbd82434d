"""Lanczos on operators whose spectrum is known, against LAPACK and ARPACK."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse.linalg
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tbgrad.hessian import Eigenvalues, eigenvalues
from tbgrad.hessian.basis import Basis
from tbgrad.hessian.operator import SymmetricOperator
from tbgrad.hessian.ritz import SCALE_FLOOR
from tests.hessian.operators import DiagonalOperator, MatrixOperator, on_device
from tests.hessian.spectra import SPECTRA, matrix_of

pytestmark = pytest.mark.tensorflow

TASKS = [(1, "LA"), (1, "SA"), (2, "BE"), (3, "LA"), (3, "BE"), (2, "LM")]
Place = Callable[[np.ndarray], SymmetricOperator]


@pytest.fixture(params=[MatrixOperator, on_device], ids=["host", "device"], scope="module")
def place(request: pytest.FixtureRequest) -> Any:
    """Where the vectors are: in host memory, or as on a device with memory of its own."""
    return request.param


def solve(matrix: Any, k: int, which: Any, place: Place = MatrixOperator, **options: Any) -> Any:
    operator = place(matrix)
    operator.deterministic = True  # it is, and every product counts
    return eigenvalues(operator, k=k, which=which, **{"seed": 3, "progress": False, **options})


def extremes(true: np.ndarray, k: int, which: str) -> np.ndarray:
    """The k wanted of the rising `true`, falling."""
    if which == "LM":
        return np.sort(true[np.argsort(-np.abs(true))[:k]])[::-1]
    top = {"LA": k, "SA": 0, "BE": k - k // 2}[which]
    return np.r_[true[len(true) - top :][::-1], true[: k - top][::-1]]


def check(found: Eigenvalues, matrix: np.ndarray, k: int, which: str, tol: float) -> None:
    true = np.linalg.eigvalsh(matrix.astype(np.float64))
    # Of LAPACK's answer itself, and of the sum of k products in the matrix's own precision.
    lapack = 1e-14 * np.abs(true).max()
    nearest = np.abs(found.values[:, None] - true).min(axis=1)
    assert (nearest <= found.residuals + lapack).all(), (nearest, found.residuals)
    allowed = tol * np.maximum(np.abs(found.values), SCALE_FLOOR * np.abs(true).max()) + lapack
    if which != "LM":  # ±λ of nearly equal magnitude are equally right there
        error = np.abs(found.values - extremes(true, k, which))
        assert (error <= allowed).all(), (found.values, extremes(true, k, which))
    else:
        magnitudes = np.sort(np.abs(found.values)) - np.sort(np.abs(extremes(true, k, which)))
        assert (np.abs(magnitudes) <= allowed.max()).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", SPECTRA)
def test_eigenvalues_lie_within_their_residuals(name: str, dtype: Any, place: Place) -> None:
    matrix = matrix_of(SPECTRA[name], dtype)
    # What differs on a device is the arithmetic of rows, which two of the tasks go all through.
    for k, which in TASKS if place is MatrixOperator else TASKS[2:4]:
        if k > len(matrix):
            continue
        found = solve(matrix, k, which, place)
        assert found.converged, (k, which, found)
        assert (np.diff(found.values) <= 0).all()
        check(found, matrix, k, which, 1e-2)
        residuals = np.linalg.norm(
            matrix.astype(np.float64) @ found.vectors.T - found.vectors.T * found.values, axis=0
        )
        assert (residuals <= found.residuals).all()
        np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("name", SPECTRA)
def test_a_sharp_tolerance_is_met_in_double_precision(name: str) -> None:
    matrix = matrix_of(SPECTRA[name], np.float64)
    for k, which in TASKS[:3]:
        if k <= len(matrix):
            found = solve(matrix, k, which, tol=1e-8, max_products=2000, max_basis=250)
            assert found.converged, (k, which, found)
            check(found, matrix, k, which, 1e-8)


def test_what_single_precision_cannot_give_is_not_called_converged(place: Place) -> None:
    matrix = matrix_of(SPECTRA["network-like"], np.float32)
    found = solve(matrix, 1, "LA", place, tol=1e-9)
    assert not found.converged
    assert found.hvps < 60  # it stops at the noise instead of running on to max_products
    assert 1e-9 * found.values[0] < found.residuals[0] < 1e-5 * found.values[0]


def test_stopping_early_says_so() -> None:
    matrix = matrix_of(SPECTRA["spread"], np.float64)
    found = solve(matrix, 1, "LA", tol=1e-6, max_products=4)
    assert (found.converged, found.hvps) == (False, 4)
    check_bound = np.abs(found.values[0] - SPECTRA["spread"]).min()
    assert check_bound <= found.residuals[0]
    assert found.residuals[0] > 1e-6 * found.values[0]


@pytest.mark.parametrize(("k", "which"), TASKS)
def test_restarts_reach_the_same_answer_in_little_memory(k: int, which: Any, place: Place) -> None:
    matrix = matrix_of(np.linspace(-8, 10, 300), np.float64)
    found = solve(matrix, k, which, place, tol=1e-6, max_basis=12, max_products=3000)
    assert found.converged
    assert found.hvps > 24  # so that there was more than one restart
    check(found, matrix, k, which, 1e-6)


def test_basis_vectors_stay_orthogonal(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    matrix = matrix_of(np.r_[1e4, np.linspace(0, 1, 199)], np.float64)

    def watched(matrix: np.ndarray) -> SymmetricOperator:
        operator = place(matrix)
        multiply = operator.multiply
        monkeypatch.setattr(operator, "multiply", lambda v: (seen.append(v), multiply(v))[1])
        return operator

    solve(matrix, 1, "SA", watched, tol=1e-10, max_products=35)
    q = np.array(seen)
    assert len(q) == 35  # many products after the outlier has converged, where plain Lanczos fails
    np.testing.assert_allclose(q @ q.T, np.eye(35), atol=1e-13)


def test_a_direction_almost_inside_the_basis_is_made_orthogonal_all_the_same(place: Place) -> None:
    rng = np.random.default_rng(0)
    basis = Basis(place(np.zeros((50, 50))), 30)
    for _ in range(20):
        q = basis.new_direction(rng.normal(size=50), rng)
        basis.append(q, np.zeros(50))
    rows = basis.vectors(np.eye(20))
    inside, outside = rng.normal(size=20) @ rows, rng.normal(size=50)
    q = np.asarray(basis.new_direction(inside + 1e-9 * outside, rng))
    np.testing.assert_allclose(rows @ q, 0, atol=1e-14)
    outside -= rows.T @ (rows @ outside)
    assert q @ outside > 0.999 * np.linalg.norm(outside)  # the direction, not a random one
    q = np.asarray(basis.new_direction(inside, rng))
    np.testing.assert_allclose(rows @ q, 0, atol=1e-14)
    assert np.linalg.norm(q) == pytest.approx(1)


@pytest.mark.parametrize("size", [1_000, 100_000])
@pytest.mark.parametrize("bulk", ["zero", "uniform", "outliers"])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_warm_start_orthogonal_to_the_new_extreme_does_not_trap(
    size: int, bulk: str, sign: int
) -> None:
    # The start is still an exact eigenvector, and exactly orthogonal to the new extreme.
    rng = np.random.default_rng(5)
    diagonal = {
        "zero": np.zeros(size),
        "uniform": rng.uniform(-1, 1, size),
        "outliers": np.r_[0, 0, np.linspace(1, 4, 9), 0.01 * rng.normal(size=size - 11)],
    }[bulk]
    diagonal[:2] = 5, 10
    diagonal *= sign
    start = np.eye(1, size)
    for seed in range(5):
        end = "LA" if sign > 0 else "SA"
        found = solve(diagonal, 1, end, DiagonalOperator, start=start, seed=seed)
        assert found.converged
        assert abs(found.values[0] - sign * 10) <= 0.1
        assert found.hvps <= 10


def test_a_close_neighbour_is_not_taken_for_the_extreme() -> None:
    # 1.69 and 1.72 both have small residuals against 1 %: the residual alone stopped at the wrong
    # one in 28 % of the starts.
    spectrum = np.repeat([1.72, 1.69, 1.02, 0.89, 0.81, 0.71, 0.45], 2)
    matrix = matrix_of(spectrum, np.float64)
    found = [solve(matrix, 1, "LA", seed=seed).values[0] for seed in range(200)]
    assert np.mean(np.array(found) < 0.99 * 1.72) <= 0.02


def test_a_warm_start_with_the_answer_costs_less_than_a_cold_one(place: Place) -> None:
    matrix = matrix_of(SPECTRA["semicircle"], np.float64)
    for k, which in [(1, "LA"), (2, "BE"), (3, "LA")]:
        cold = solve(matrix, k, which, place)
        warm = solve(matrix, k, which, place, start=cold.vectors)
        assert warm.converged
        check(warm, matrix, k, which, 1e-2)
        assert warm.hvps < 0.8 * cold.hvps, (which, cold.hvps, warm.hvps)


@pytest.mark.parametrize("start", [np.zeros((2, 60)), np.full((1, 60), np.nan), np.ones((7, 60))])
def test_a_useless_warm_start_does_no_harm(start: np.ndarray) -> None:
    matrix = matrix_of(SPECTRA["spread"], np.float64)
    found = solve(matrix, 2, "BE", start=start)
    assert found.converged
    check(found, matrix, 2, "BE", 1e-2)


@pytest.mark.parametrize(("k", "which"), [(1, "LA"), (3, "LA"), (2, "SA"), (4, "BE"), (3, "LM")])
def test_agrees_with_arpack_on_the_same_operator(k: int, which: Any) -> None:
    matrix = matrix_of(SPECTRA["network-like"], np.float64)
    operator = scipy.sparse.linalg.aslinearoperator(matrix)
    theirs = scipy.sparse.linalg.eigsh(operator, k=k, which=which, return_eigenvectors=False)
    ours = solve(matrix, k, which, tol=1e-7, max_products=1000)
    assert ours.converged
    np.testing.assert_allclose(ours.values, np.sort(theirs)[::-1], rtol=1e-9)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    spectrum=st.lists(
        st.one_of(st.floats(-10, 10), st.sampled_from([0.0, 1.0, -1.0, 10.0])),
        min_size=1,
        max_size=40,
    ),
    exponent=st.integers(-12, 12),
    single=st.booleans(),
    task=st.sampled_from(TASKS),
    seed=st.integers(0, 1000),
)
@example([0.0, 1.401298464324817e-45], 0, True, (1, "LA"), 0)  # the smallest number of float32
def test_any_spectrum_at_any_scale(
    spectrum: list[float], exponent: int, single: bool, task: tuple[int, Any], seed: int
) -> None:
    k, which = task
    k = min(k, len(spectrum))
    values = np.array(spectrum) * 10.0**exponent
    values[np.abs(values) < 1e-100] = 0  # the square of a norm of that size is zero in float64
    matrix = matrix_of(values, np.float32 if single else np.float64, seed)
    found = solve(matrix, k, which, seed=seed)
    true = np.linalg.eigvalsh(matrix.astype(np.float64))
    lapack = 1e-14 * np.abs(true).max()
    nearest = np.abs(found.values[:, None] - true).min(axis=1)
    assert (nearest <= found.residuals + lapack).all()
    if found.converged:
        allowed = 1e-2 * np.maximum(np.abs(found.values), SCALE_FLOOR * np.abs(true).max())
        assert (found.residuals <= allowed * 1.0001 + lapack).all()
