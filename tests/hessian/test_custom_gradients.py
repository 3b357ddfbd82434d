"""Losses whose gradients are stopped, written by hand, quantised or no gradients of a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.hessian.differences import differenced

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")
hessian = pytest.importorskip("tbgrad.hessian")

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(12, 8)), RNG.normal(size=(12, 1))


def moments(dtype: str) -> tuple[Callable[[], Any], Any]:
    w = tf.Variable([1.0, 2.0, -1.0, 0.5], dtype=dtype)
    target = tf.constant([0.1, 0.2, 0.3, 0.4], dtype)

    def loss() -> Any:
        mean, variance = tf.nn.moments(w, [0])
        return tf.reduce_sum(((w - mean) / tf.sqrt(variance + 1e-3) - target) ** 4)

    return loss, w


@pytest.mark.parametrize("wrapped", [False, True])
def test_moments_are_differentiated_as_they_are_computed(wrapped: bool) -> None:
    loss, w = moments("float64")
    loss = tf.function(loss) if wrapped else loss
    true = differenced(loss, [w])
    operator = hessian.HessianOperator(loss, [w])
    found = hessian.matrix(operator)
    np.testing.assert_allclose(found, true, atol=1e-6 * np.abs(true).max())
    # Within a function that has been traced the stop cannot be passed any more.
    assert (operator.method == "finite differences") == wrapped
    spectrum = hessian.spectrum(operator)
    wrong = np.abs(spectrum.eigenvalues - np.linalg.eigvalsh((true + true.T) / 2)).max()
    assert wrong <= spectrum.zero + 1e-7
    asked = hessian.HessianOperator(loss, [w], "forward over reverse")
    with pytest.raises(hessian.HessianError, match="are not those of the Hessian"):
        hessian.eigenvalues(asked)


@tf.custom_gradient
def squared_outside(x: Any) -> Any:
    def outside(function: Callable[[Any], Any], *inputs: Any) -> Any:
        value = tf.numpy_function(function, inputs, tf.float32)
        value.set_shape(x.shape)
        return value

    return outside(lambda v: 10 * v**2, x), lambda upstream: upstream * outside(lambda v: 20 * v, x)


@tf.custom_gradient
def softplus_of_stopped(x: Any) -> Any:
    stopped = tf.stop_gradient(x)
    return tf.nn.softplus(stopped), lambda upstream: upstream * tf.sigmoid(stopped)


@tf.custom_gradient
def forgets_its_own_slope(x: Any) -> Any:
    slope = tf.constant(3.0) * tf.stop_gradient(x) ** 2
    return x**3, lambda upstream: upstream * tf.numpy_function(lambda v: v, [slope], tf.float32)


HAND_WRITTEN: dict[str, tuple[Callable[[Any], Any], Callable[[np.ndarray], np.ndarray]]] = {
    "a Python function": (squared_outside, lambda w: np.full(len(w), 20.0)),
    "of a stopped value": (
        softplus_of_stopped,
        lambda w: np.exp(-w) / (1 + np.exp(-w)) ** 2,
    ),
    "a slope that is no function of the weights": (forgets_its_own_slope, lambda w: 6 * w),
    "swish, which is right": (
        tf.nn.silu,
        lambda w: (lambda s: s * (1 - s) * (2 + w * (1 - 2 * s)))(1 / (1 + np.exp(-w))),
    ),
}


@pytest.mark.parametrize("name", HAND_WRITTEN)
def test_gradients_written_by_hand(name: str) -> None:
    function, second = HAND_WRITTEN[name]
    w = tf.Variable([0.3, 1.0, 2.0])
    operator = hessian.HessianOperator(lambda: tf.reduce_sum(function(w)), [w])
    found = hessian.eigenvalues(operator, k=3, which="LA", tol=1e-2)
    true = np.sort(second(w.numpy().astype(np.float64)))[::-1]
    assert (np.abs(found.values - true) <= found.residuals).all()
    np.testing.assert_allclose(found.values, true, rtol=5e-3)
    assert found.converged


@tf.custom_gradient
def nearly_right(x: Any) -> Any:
    """x², whose slope is a function of the weights to nine tenths only."""
    outside = tf.numpy_function(lambda v: v, [x], tf.float32)
    outside.set_shape(x.shape)
    return x**2, lambda upstream: upstream * (1.8 * x + 0.2 * outside)


@pytest.mark.parametrize("jump", [0.1, 1.0, 10.0])
def test_where_jumps_hide_what_is_wrong_the_bound_contains_it(jump: float) -> None:
    rng = np.random.default_rng(0)
    start = rng.normal(size=300).astype("f")
    w = tf.Variable(start)
    # Where a unit is on or off, and how much that matters, is anywhere about the weights.
    kinks, sizes = start + rng.normal(size=300).astype("f") * 0.1, rng.normal(size=300).astype("f")
    found = hessian.eigenvalues(
        lambda: tf.reduce_sum(nearly_right(w) + jump * sizes * tf.nn.relu(w - kinks)), [w]
    )
    assert abs(found.values[0] - 2) <= found.residuals[0]


def test_quantised_weights_have_a_slope_over_many_of_their_steps() -> None:
    w = tf.Variable(np.linspace(-2, 2, 50), dtype=tf.float32)

    def loss() -> Any:
        rounded = tf.quantization.fake_quant_with_min_max_vars(w, -8.0, 8.0)
        return tf.reduce_sum((rounded - 1.0) ** 2)

    found = hessian.eigenvalues(loss, [w])
    assert found.method == "finite differences"
    assert abs(found.values[0] - 2) <= found.residuals[0]
    assert found.residuals[0] > 0.01  # nobody can tell it more precisely


@pytest.mark.parametrize("kind", ["reversal", "target"])
def test_what_is_not_symmetric_is_no_hessian(kind: str) -> None:
    x = tf.constant(X, tf.float32)
    a, b, c = (tf.Variable(RNG.normal(size=s), dtype=tf.float32) for s in ((8, 5), (5, 1), (5, 1)))

    @tf.custom_gradient
    def reversal(h: Any) -> Any:
        return tf.identity(h), lambda upstream: -upstream

    def loss() -> Any:
        h = tf.tanh(x @ a)
        first, second = h @ b, (reversal(h) if kind == "reversal" else h) @ c
        if kind == "target":
            return tf.reduce_mean((first - tf.stop_gradient(second)) ** 2 + second**2)
        return tf.reduce_mean((first - Y.astype("f")) ** 2 + (second - 1) ** 2)

    with pytest.raises(hessian.HessianError, match=r"no Hessian: its derivative is not symmetric"):
        hessian.eigenvalues(loss, [a, b, c])
