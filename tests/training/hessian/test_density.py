"""Quadratures against spectra that are known, and their bounds against all shares."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.hessian.operators import MatrixOperator, interrupting
from tests.training.hessian.test_lanczos import SPECTRA, matrix_of

pytestmark = pytest.mark.tensorflow

hessian = pytest.importorskip("tbgrad.training.hessian")


def gaussians(spectrum: np.ndarray, grid: np.ndarray, width: float) -> np.ndarray:
    """The density of a known spectrum, broadened alike."""
    away = (grid[:, None] - spectrum) / width
    return np.exp(-0.5 * away**2).mean(axis=1) / (width * np.sqrt(2 * np.pi))


def integral(density: np.ndarray, grid: np.ndarray) -> float:
    return float(np.sum((density[1:] + density[:-1]) / 2 * np.diff(grid)))


@pytest.mark.parametrize("name", SPECTRA)
def test_shares_lie_within_what_is_stated(name: str) -> None:
    matrix = matrix_of(SPECTRA[name], np.float64)
    true = np.linalg.eigvalsh(matrix)
    found = hessian.spectral_density(MatrixOperator(matrix), probes=8, steps=30)
    assert found.weights.sum() == pytest.approx(1)
    assert (found.nodes >= true[0] - 1e-9 * abs(true).max()).all()
    for share, exact in (
        (found.minimum_ratio, np.mean(true > found.zero)),
        (found.negative_fraction, np.mean(true < -found.zero)),
    ):
        assert -1e-9 <= share.low <= share.value + 1e-9 <= share.high + 2e-9 <= 1 + 3e-9
        error = 4 * share.standard_error + 1e-9
        assert share.low - error <= exact <= share.high + error, (share, exact)
    assert found.zero < 1e-9 * max(abs(true).max(), 1e-30)


@pytest.mark.parametrize("name", ["spread", "semicircle", "network-like", "symmetric about zero"])
def test_the_density_is_that_of_the_spectrum(name: str) -> None:
    spectrum = SPECTRA[name]
    matrix = matrix_of(spectrum, np.float64)
    found = hessian.spectral_density(MatrixOperator(matrix), probes=20, steps=60)
    expected = gaussians(spectrum, found.grid, found.broadening)
    assert integral(found.density, found.grid) == pytest.approx(1, abs=1e-3)
    away = np.abs(found.density - expected)
    # What is left is the quadrature's own: much smaller than the density.
    assert (away <= 5 * found.standard_error + 0.1 * expected.max()).all()
    assert integral(away, found.grid) < 0.25


def test_moments_are_exact_for_each_probe() -> None:
    """A quadrature of m nodes integrates polynomials of degree below 2 m exactly."""
    matrix = matrix_of(SPECTRA["semicircle"], np.float64)
    found = hessian.spectral_density(MatrixOperator(matrix), probes=1, steps=6, seed=3)
    v = np.random.default_rng((3, 0)).standard_normal(len(matrix))
    v /= np.linalg.norm(v)
    for degree in range(12):
        exact = v @ np.linalg.matrix_power(matrix, degree) @ v
        assert found.weights @ found.nodes**degree == pytest.approx(exact, abs=1e-12)


def test_a_grid_and_a_broadening_of_ones_own() -> None:
    matrix = matrix_of(SPECTRA["spread"], np.float64)
    grid = np.linspace(0, 5, 7)
    found = hessian.spectral_density(MatrixOperator(matrix), grid=grid, broadening=2.0, probes=40)
    np.testing.assert_array_equal(found.grid, grid)
    expected = gaussians(SPECTRA["spread"], grid, 2.0)
    np.testing.assert_allclose(found.density, expected, rtol=0.1)
    again = hessian.spectral_density(MatrixOperator(matrix), grid=grid, zero=3.0, probes=40)
    assert again.zero == 3.0
    assert again.minimum_ratio.value == pytest.approx(np.mean(SPECTRA["spread"] > 3), abs=0.1)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(-10, 10), min_size=2, max_size=25),
    st.integers(1, 8),
    st.integers(0, 1000),
)
def test_bounds_hold_for_any_spectrum_and_any_probe(
    spectrum: list[float], steps: int, seed: int
) -> None:
    matrix = matrix_of(np.array(spectrum), np.float64)
    found = hessian.spectral_density(
        MatrixOperator(matrix), probes=1, steps=steps, seed=seed, zero=0.5, progress=False
    )
    values, vectors = np.linalg.eigh(matrix)
    v = np.random.default_rng((seed, 0)).standard_normal(len(matrix))
    seen = (vectors.T @ v / np.linalg.norm(v)) ** 2
    for share, exact in (
        (found.minimum_ratio, seen[values > 0.5 + 1e-9].sum()),
        (found.negative_fraction, seen[values < -0.5 - 1e-9].sum()),
    ):
        assert share.low - 1e-6 <= exact + seen[np.abs(np.abs(values) - 0.5) < 1e-8].sum()
        assert exact <= share.high + 1e-6


def test_single_precision_calls_rounding_zero() -> None:
    spectrum = np.r_[8.0, 3.0, np.zeros(150), np.linspace(0.1, 0.5, 48)]
    matrix = matrix_of(spectrum, np.float32)
    found = hessian.spectral_density(MatrixOperator(matrix), probes=10)
    assert 1e-8 < found.zero < 1e-4
    assert found.minimum_ratio.low <= 0.25 <= found.minimum_ratio.high + 0.03
    assert found.minimum_ratio.value == pytest.approx(0.25, abs=0.06)
    assert found.negative_fraction.value == pytest.approx(0, abs=0.02)


def test_ctrl_c_returns_the_probes_there_are() -> None:
    matrix = matrix_of(SPECTRA["spread"], np.float64)
    whole = hessian.spectral_density(MatrixOperator(matrix), probes=2, steps=20)
    found = hessian.spectral_density(interrupting(matrix, after=50), probes=9, steps=20)
    np.testing.assert_array_equal(found.nodes, whole.nodes)
    with pytest.raises(KeyboardInterrupt):
        hessian.spectral_density(interrupting(matrix, after=10), probes=9, steps=20)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [({"probes": 0}, "from 1 on"), ({"steps": 0}, "from 1 on"), ({"broadening": 0.0}, "above 0")],
)
def test_arguments_out_of_range_are_refused(arguments: Any, sentence: str) -> None:
    with pytest.raises(hessian.HessianError, match=sentence):
        hessian.spectral_density(MatrixOperator(np.eye(3)), **arguments)
