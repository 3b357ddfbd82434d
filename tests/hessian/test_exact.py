"""The whole matrix, its spectrum and the blocks of layers, against NumPy in float64."""

from __future__ import annotations

import numpy as np
import pytest

from tests.hessian.operators import MatrixOperator
from tests.hessian.oracle import NumpyMLP
from tests.hessian.spectra import SPECTRA, matrix_of
from tests.hessian.test_operator import mlp_operator

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
hessian = pytest.importorskip("tbgrad.hessian")


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-9), ("float32", 2e-6)])
def test_the_matrix_is_that_of_finite_differences(dtype: str, tolerance: float) -> None:
    oracle = NumpyMLP(seed=4)
    found = hessian.matrix(mlp_operator(oracle, dtype))
    assert found.dtype == dtype
    np.testing.assert_allclose(found, oracle.hessian(), atol=tolerance)
    np.testing.assert_array_equal(found, found.T)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("seed", range(3))
def test_the_spectrum_is_that_of_finite_differences(dtype: str, seed: int) -> None:
    oracle = NumpyMLP(seed=seed)
    true = np.linalg.eigvalsh(oracle.hessian())
    found = hessian.spectrum(mlp_operator(oracle, dtype))
    np.testing.assert_allclose(found.eigenvalues, true, atol=1e-9 + found.zero)
    assert found.zero < (1e-5 if dtype == "float32" else 1e-13)
    # Shifting all three logits does nothing, so that there are zeros to be told from signs.
    zeros = np.abs(true) < 1e-9
    assert zeros.sum() >= 5
    assert found.minimum_ratio.value == np.mean((true > 0) & ~zeros)
    assert found.negative_fraction.value == np.mean((true < 0) & ~zeros)
    assert found.zero_fraction.value == pytest.approx(np.mean(zeros))
    assert found.dtype == dtype


@pytest.mark.parametrize("name", SPECTRA)
def test_spectra_that_are_known(name: str) -> None:
    matrix = matrix_of(SPECTRA[name], np.float32)
    true = np.linalg.eigvalsh(matrix.astype(np.float64))
    found = hessian.spectrum(MatrixOperator(matrix))
    np.testing.assert_allclose(found.eigenvalues, true, atol=1e-5 * np.abs(true).max() + 1e-30)


def test_the_quadrature_agrees_within_its_stated_uncertainty() -> None:
    """The function fit of deep-learning courses: one input, 1,090 parameters."""
    keras.utils.set_random_seed(1)
    widths = [1, 10, 18, 24, 13, 7]  # 20 + 198 + 456 + 325 + 98 - 7 …
    model = keras.Sequential(
        [keras.Input((1,))]
        + [keras.layers.Dense(width, activation="tanh") for width in widths[1:]]
        + [keras.layers.Dense(1)]
    )
    assert 1_000 <= model.count_params() <= 1_150
    x = np.linspace(0.01, 1, 256)[:, None]
    y = np.sinc(5 * x)
    model.compile(keras.optimizers.Adam(3e-3), "mse")
    model.fit(x, y, epochs=30, batch_size=64, verbose=0)
    operator = hessian.HessianOperator(hessian.model_loss(model, x, y), model.trainable_variables)
    exact = hessian.spectrum(operator)
    found = hessian.spectral_density(operator, zero=exact.zero)
    for share, true in (
        (found.minimum_ratio, exact.minimum_ratio),
        (found.negative_fraction, exact.negative_fraction),
    ):
        assert share.low <= true.value <= share.high, (share, true)
    assert found.nodes.max() == pytest.approx(exact.eigenvalues[-1], rel=1e-3)
    trace = hessian.trace(operator)
    assert abs(trace.value - exact.eigenvalues.sum()) <= 4 * trace.standard_error


def test_too_large_a_matrix_is_refused_in_a_sentence() -> None:
    with pytest.raises(hessian.HessianError, match="max_size is 10"):
        hessian.matrix(MatrixOperator(np.eye(11)), max_size=10)


def test_blocks_of_layers() -> None:
    keras.utils.set_random_seed(2)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(5, "tanh", name="a"),
            keras.layers.Dense(3, name="b"),
        ]
    )
    x = np.random.default_rng(0).normal(size=(30, 4))
    y = np.random.default_rng(1).normal(size=(30, 3))
    model.compile("sgd", "mse")
    loss = hessian.model_loss(model, x, y)
    whole = hessian.matrix(loss, model.trainable_variables)
    blocks = hessian.layer_eigenvalues(loss, model.trainable_variables, k=2, which="BE", tol=1e-4)
    assert [name.split("/")[-1] for name in blocks] == ["a", "b"]
    for found, rows in zip(blocks.values(), (slice(0, 25), slice(25, 43)), strict=True):
        true = np.linalg.eigvalsh(whole[rows, rows].astype(np.float64))
        assert found.converged
        np.testing.assert_allclose(found.values, true[[-1, 0]], atol=2e-4 * abs(true).max())
    top = hessian.eigenvalues(loss, model.trainable_variables).values[0]
    assert max(found.values[0] for found in blocks.values()) <= top * 1.01


def test_blocks_take_plain_variables_and_a_k_beyond_a_small_one() -> None:
    w, b = tf.Variable([1.0, 2.0], name="w"), tf.Variable(3.0, name="b")
    blocks = hessian.layer_eigenvalues(lambda: tf.reduce_sum(w**3) + b**2, [w, b], k=2)
    assert {name: found.values.tolist() for name, found in blocks.items()} == {
        "w": pytest.approx([12, 6]),
        "b": pytest.approx([2]),
    }
