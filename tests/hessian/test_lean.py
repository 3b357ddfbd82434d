"""Eigenvalues in the memory of ten vectors: as right as with room for all, at few products more."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from tbgrad import hessian
from tbgrad.hessian import memory
from tests.hessian.operators import DiagonalOperator, MatrixOperator, interrupting, on_device
from tests.hessian.spectra import SPECTRA, matrix_of

SIZE = 300_000


def spectrum(dtype: Any = np.float32) -> np.ndarray:
    """Outliers and a bulk about zero, the way networks have them, in no order."""
    rng = np.random.default_rng(5)
    outliers = np.r_[10 * 0.8 ** np.arange(20), -0.2, -0.25, -0.3, -0.31, -0.5]
    found = np.r_[outliers, rng.normal(size=SIZE - len(outliers)) * 0.03].astype(dtype)
    rng.shuffle(found)
    return found


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("k", "which"), [(2, "BE"), (1, "SA"), (3, "LA"), (2, "LM")])
def test_ten_vectors_are_enough(k: int, which: str, dtype: Any) -> None:
    diagonal = spectrum(dtype)
    ordered = np.sort(diagonal.astype(np.float64))
    true = {"BE": ordered[[-1, 0]], "SA": ordered[:1], "LA": ordered[::-1][:3]}.get(which)
    true = ordered[::-1][:2] if true is None else true
    operator = DiagonalOperator(diagonal)
    allowed = 10 * diagonal.nbytes
    roomy = hessian.eigenvalues(operator, k=k, which=which, max_bytes=300 * diagonal.nbytes)
    tracemalloc.start()
    found = hessian.eigenvalues(operator, k=k, which=which, max_bytes=allowed)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.converged
    assert (np.abs(found.values - true) <= found.residuals).all()
    np.testing.assert_allclose(found.values, true, rtol=0.01)
    for value, vector in zip(found.values, found.vectors, strict=True):
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
        away = np.linalg.norm(diagonal * vector - value * vector)
        assert away <= 0.01 * max(abs(value), 0.01 * ordered[-1])
    assert found.hvps <= 1.5 * roomy.hvps + k  # and a product to see each vector through
    # The vectors of the answer are its own; the operator here makes one more with each product.
    assert peak <= allowed + (k + 2) * diagonal.nbytes
    again = hessian.eigenvalues(
        operator, k=k, which=which, max_bytes=allowed, start=found.vectors, seed=1
    )
    assert again.converged
    assert again.hvps <= found.hvps


@pytest.mark.tensorflow
def test_products_may_come_from_a_device() -> None:
    matrix = matrix_of(SPECTRA["spread"], np.float32)
    room = 12 * matrix[0].nbytes
    host, device = (
        hessian.eigenvalues(place(matrix), k=2, which="BE", max_bytes=room)
        for place in (MatrixOperator, on_device)
    )
    assert device.converged
    np.testing.assert_allclose(device.values, host.values, rtol=1e-5)


@pytest.mark.parametrize("name", ["spread", "network-like", "semicircle", "alternating"])
def test_many_restarts_come_to_the_same(name: str) -> None:
    matrix = matrix_of(SPECTRA[name], np.float64, seed=11)
    true = np.linalg.eigvalsh(matrix)
    found = hessian.eigenvalues(
        MatrixOperator(matrix),
        k=2,
        which="BE",
        tol=1e-4,
        max_products=2000,
        max_bytes=12 * matrix[0].nbytes,
    )
    assert found.converged
    scale = np.abs(true).max()
    np.testing.assert_allclose(found.values, true[[-1, 0]], atol=1e-5 * scale)


def test_ctrl_c_returns_what_there_is() -> None:
    matrix = matrix_of(SPECTRA["spread"], np.float64)
    room = 12 * matrix[0].nbytes
    found = hessian.eigenvalues(interrupting(matrix, after=9), tol=1e-12, max_bytes=room)
    assert (found.converged, found.reason) == (False, "interrupted")
    assert found.values.shape == (1,)
    assert np.abs(np.linalg.eigvalsh(matrix) - found.values[0]).min() <= found.residuals[0]


@pytest.mark.parametrize("after", range(12, 24))
def test_ctrl_c_after_a_restart_states_bounds_that_hold(after: int) -> None:
    matrix = matrix_of(SPECTRA["spread"], np.float64)
    room, true = 12 * matrix[0].nbytes, np.linalg.eigvalsh(matrix)
    found = hessian.eigenvalues(interrupting(matrix, after), k=3, tol=1e-12, max_bytes=room)
    assert (np.abs(found.values[:, None] - true).min(axis=1) <= found.residuals).all()


def test_too_little_memory_is_told_before_it_begins() -> None:
    matrix = matrix_of(SPECTRA["spread"], np.float64)
    operator = MatrixOperator(matrix)
    operator.prepare()
    with pytest.raises(hessian.HessianError, match=r"take at least .* MiB of vectors"):
        hessian.eigenvalues(operator, k=2, which="BE", max_bytes=6 * matrix[0].nbytes)
    assert operator.products == 2
    with pytest.raises(hessian.HessianError, match=r"the machine has .* MiB left"):
        memory.require_free(1e18)
    memory.require_free(1.0)


def test_the_default_is_ten_vectors_and_for_small_models_more() -> None:
    assert memory.vectors_in(None, 50_000_000, np.dtype(np.float32)) == 10
    assert memory.vectors_in(None, 100_000, np.dtype(np.float32)) == 167
    assert memory.vectors_in(4_000, 100, np.dtype(np.float64)) == 5
