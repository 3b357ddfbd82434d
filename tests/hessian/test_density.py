"""Quadratures against spectra that are known, and their bounds against all shares."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tbgrad import hessian
from tbgrad.hessian.iteration import run
from tbgrad.hessian.quadrature import LanczosQuadrature
from tests.hessian.operators import MatrixOperator, interrupting
from tests.hessian.spectra import SPECTRA, matrix_of


def gaussians(spectrum: np.ndarray, grid: np.ndarray, width: float) -> np.ndarray:
    """The density of a known spectrum, broadened alike."""
    away = (grid[:, None] - spectrum) / width
    return np.exp(-0.5 * away**2).mean(axis=1) / (width * np.sqrt(2 * np.pi))


def integral(density: np.ndarray, grid: np.ndarray) -> float:
    return float(np.sum((density[1:] + density[:-1]) / 2 * np.diff(grid)))


@pytest.mark.parametrize("name", SPECTRA)
def test_shares_lie_within_what_is_stated(name: str) -> None:
    matrix = matrix_of(SPECTRA[name], np.float64, seed=11)  # of other numbers than the probes
    true = np.linalg.eigvalsh(matrix)
    found = hessian.spectral_density(MatrixOperator(matrix), probes=8, steps=30)
    assert found.weights.sum() == pytest.approx(1)
    assert (found.nodes >= true[0] - 1e-9 * abs(true).max()).all()
    for share, exact in (
        (found.minimum_ratio, np.mean(true > found.zero)),
        (found.negative_fraction, np.mean(true < -found.zero)),
    ):
        assert 0 <= share.low <= share.value <= share.high <= 1
        assert share.low <= exact <= share.high, (share, exact)
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
    rng = np.random.default_rng((seed, 0))
    found = run(LanczosQuadrature(lambda v: matrix @ v, MatrixOperator(matrix), steps, rng))
    values, vectors = np.linalg.eigh(matrix)
    v = np.random.default_rng((seed, 0)).standard_normal(len(matrix))
    seen = (vectors.T @ v / np.linalg.norm(v)) ** 2
    exact = seen[values > 0.5 + 1e-9].sum()
    low, high = found.above(0.5)
    assert low - 1e-6 <= exact + seen[np.abs(values - 0.5) < 1e-8].sum()
    assert exact <= high + 1e-6


def test_single_precision_calls_rounding_zero() -> None:
    spectrum = np.r_[8.0, 3.0, np.zeros(150), np.linspace(0.1, 0.5, 48)]
    matrix = matrix_of(spectrum, np.float32)
    found = hessian.spectral_density(MatrixOperator(matrix), probes=10)
    assert 1e-8 < found.zero < 1e-4
    assert found.minimum_ratio.low <= 0.25 <= found.minimum_ratio.high
    assert found.minimum_ratio.value == pytest.approx(0.25, abs=0.06)
    assert found.negative_fraction.value == pytest.approx(0, abs=0.02)
    assert found.zero_fraction.value == pytest.approx(0.75, abs=0.06)


def test_ctrl_c_returns_the_steps_there_are() -> None:
    matrix = matrix_of(SPECTRA["spread"], np.float64)
    whole = hessian.spectral_density(MatrixOperator(matrix), probes=2, steps=20)
    found = hessian.spectral_density(interrupting(matrix, after=42), probes=9, steps=20)
    np.testing.assert_array_equal(found.nodes, whole.nodes)
    found = hessian.spectral_density(interrupting(matrix, after=12), probes=9, steps=20)
    assert (len(found.nodes), found.reason) == (10, "interrupted")
    with pytest.raises(KeyboardInterrupt) as interrupt:
        hessian.spectral_density(interrupting(matrix, after=1), probes=9, steps=20)
    assert interrupt.type is KeyboardInterrupt  # and nothing of ours in the traceback of a user


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("vectors", [4, 12, 300])
def test_shares_hold_the_truth_with_little_memory_and_with_much(dtype: Any, vectors: int) -> None:
    """A bulk about zero, as a tenth of the outliers, the way networks have it."""
    rng = np.random.default_rng(0)
    spectrum = np.r_[np.geomspace(1, 60, 12), rng.normal(0.02, 0.1, 300), np.zeros(88)]
    matrix = matrix_of(spectrum, dtype, seed=11)
    held, widths = [], []
    for seed in range(40):
        found = hessian.spectral_density(
            MatrixOperator(matrix),
            steps=120,
            seed=seed,
            zero=1e-3,
            max_bytes=vectors * matrix[0].nbytes,
        )
        for share, exact in (
            (found.minimum_ratio, np.mean(spectrum > 1e-3)),
            (found.negative_fraction, np.mean(spectrum < -1e-3)),
            (found.zero_fraction, np.mean(np.abs(spectrum) <= 1e-3)),
        ):
            held.append(share.low <= exact <= share.high)
        widths.append(found.minimum_ratio.high - found.minimum_ratio.low)
    assert np.mean(held) >= 0.95
    if vectors > 100:
        assert np.median(widths) < 0.3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [({"probes": 0}, "from 1 on"), ({"steps": 0}, "from 1 on"), ({"broadening": 0.0}, "above 0")],
)
def test_arguments_out_of_range_are_refused(arguments: Any, sentence: str) -> None:
    with pytest.raises(hessian.HessianError, match=sentence):
        hessian.spectral_density(MatrixOperator(np.eye(3)), **arguments)
