"""Ways to compute a product: all give the same Hessian, and the faster exact one is taken."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse.linalg

from tests.hessian.oracle import NumpyMLP
from tests.hessian.test_operator import mlp_operator

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
hessian = pytest.importorskip("tbgrad.hessian")

METHODS = ("reverse over reverse", "forward over reverse", "finite differences")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_the_hessian(method: str, dtype: str) -> None:
    oracle = NumpyMLP(seed=1)
    true = oracle.hessian()
    operator = mlp_operator(oracle, dtype, method=method)
    products = np.array([operator.product(e) for e in np.eye(operator.size)])
    exact = {"float64": 1e-9, "float32": 2e-6}[dtype]
    rough = {"float64": 1e-7, "float32": 2e-3}[dtype]
    tolerance = rough if method == "finite differences" else exact
    np.testing.assert_allclose(products, true, atol=tolerance)
    top = hessian.eigenvalues(operator, k=2, which="BE", tol=0.02)
    assert top.method == operator.method == method
    expected = np.linalg.eigvalsh(true)[[-1, 0]]
    assert (np.abs(top.values - expected) <= top.residuals).all()
    assert top.converged


def bicubic(w: Any) -> Any:
    """Its gradient has no derivative in TensorFlow."""
    resized = tf.raw_ops.ResizeBicubic(images=tf.reshape(w, [1, 1, 3, 1]), size=[4, 4])
    return tf.reduce_sum(resized**4)


def test_an_operation_without_a_second_derivative_falls_back_and_says_so() -> None:
    w = tf.Variable([1.0, 2.0, -0.5])
    found = hessian.eigenvalues(lambda: bicubic(w), [w], k=3, tol=1e-2)
    assert found.method == "finite differences"
    # d²/dw² of Σ (A w)⁴ is 12 Aᵀ diag(A w)² A, with A by columns.
    units = np.eye(3, dtype=np.float32)
    a = np.array([
        tf.raw_ops.ResizeBicubic(images=tf.reshape(e, [1, 1, 3, 1]), size=[4, 4]).numpy().ravel()
        for e in units
    ]).T.astype(np.float64)  # fmt: skip
    true = np.linalg.eigvalsh(12 * a.T @ np.diag((a @ w.numpy()) ** 2) @ a)[::-1]
    assert (np.abs(found.values - true) <= found.residuals).all()
    np.testing.assert_allclose(found.values, true, rtol=0.02)
    for method in METHODS[:2]:
        with pytest.raises(hessian.HessianError, match="no second derivative"):
            hessian.HessianOperator(lambda: bicubic(w), [w], method=method).product(np.ones(3))


def test_finite_differences_put_every_bit_of_the_weights_back() -> None:
    rng = np.random.default_rng(0)
    w = tf.Variable(rng.normal(size=200).astype(np.float32))
    h = tf.Variable(tf.cast(rng.normal(size=50), tf.bfloat16))
    broken = tf.Variable(False)

    def loss() -> Any:
        total = tf.reduce_sum(tf.sin(w) ** 2) + tf.reduce_sum(tf.cast(h, tf.float32) ** 2)
        with tf.control_dependencies([tf.debugging.assert_equal(broken, False)]):
            return tf.identity(total)

    operator = hessian.HessianOperator(loss, [w, h], method="finite differences")
    before = [w.numpy().tobytes(), h.numpy().tobytes()]
    operator.product(rng.normal(size=250))
    assert [w.numpy().tobytes(), h.numpy().tobytes()] == before
    np.testing.assert_array_equal(operator.product(np.zeros(250)), np.zeros(250))
    broken.assign(True)
    with pytest.raises(tf.errors.InvalidArgumentError):
        operator.product(rng.normal(size=250))
    assert [w.numpy().tobytes(), h.numpy().tobytes()] == before


@pytest.mark.parametrize("fast", METHODS[:2])
def test_the_faster_method_is_taken(fast: str) -> None:
    class Timed(hessian.HessianOperator):
        """Its clock says that all methods but one are slow."""

        def apply(self, vector: Any) -> Any:
            result = super().apply(vector)
            self.last_seconds = 0.01 if self.method == fast else 0.06
            return result

    oracle = NumpyMLP(seed=1)
    operator = mlp_operator(oracle, "float64", Timed)
    found = hessian.eigenvalues(operator)
    assert operator.method == found.method == fast
    assert found.values[0] == pytest.approx(np.linalg.eigvalsh(oracle.hessian())[-1], rel=0.01)


def test_a_loss_that_only_reverses_stays_with_that() -> None:
    w = tf.Variable([1.0, 2.0])

    @tf.custom_gradient
    def cube(x: Any) -> Any:
        return x**3, lambda upstream: upstream * tf.py_function(lambda v: 3 * v**2, [x], tf.float32)

    operator = hessian.HessianOperator(lambda: tf.reduce_sum(cube(w)), [w])
    found = hessian.eigenvalues(operator)
    assert found.values[0] == pytest.approx(12, rel=1e-3)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(hessian.HessianError, match="method is one of"):
        mlp_operator(NumpyMLP(seed=0), "float32", method="magic")


def test_it_is_an_operator_of_scipy() -> None:
    oracle = NumpyMLP(seed=3)
    operator = mlp_operator(oracle, "float64").as_scipy()
    assert operator.shape == (len(oracle.flat), len(oracle.flat))
    found = scipy.sparse.linalg.eigsh(operator, k=2, which="LA", return_eigenvectors=False)
    np.testing.assert_allclose(np.sort(found), np.linalg.eigvalsh(oracle.hessian())[-2:], atol=1e-8)
