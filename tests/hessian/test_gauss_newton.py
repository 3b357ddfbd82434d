"""The Gauss–Newton operator against JᵀLJ made of finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.hessian.oracle import NumpyMLP

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
hessian = pytest.importorskip("tbgrad.hessian")


def differences(function: Any, at: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """The Jacobian by central differences: [outputs, inputs]."""
    columns = [
        (function(at + step * e) - function(at - step * e)) / (2 * step) for e in np.eye(at.size)
    ]
    return np.array(columns).T


def logits_of(oracle: NumpyMLP, flat: np.ndarray) -> np.ndarray:
    w1, b1, w2, b2 = oracle._unpack(flat)
    return (np.tanh(oracle.x @ w1 + b1) @ w2 + b2).ravel()


def test_it_is_the_jacobian_around_the_hessian_of_the_loss() -> None:
    oracle = NumpyMLP(seed=5)
    x, y = tf.constant(oracle.x), tf.constant(oracle.labels)
    weights = [tf.Variable(w) for w in oracle.weights]
    operator = hessian.GaussNewtonOperator(
        lambda: tf.tanh(x @ weights[0] + weights[1]) @ weights[2] + weights[3],
        lambda logits: tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
        ),
        weights,
    )
    jacobian = differences(lambda flat: logits_of(oracle, flat), oracle.flat)
    _, p = oracle._forward(oracle.flat)
    curved = np.zeros((p.size, p.size))
    for i, row in enumerate(p):
        block = slice(3 * i, 3 * i + 3)
        curved[block, block] = (np.diag(row) - np.outer(row, row)) / len(p)
    expected = jacobian.T @ curved @ jacobian
    found = hessian.matrix(operator)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert np.linalg.eigvalsh(found).min() > -1e-12
    assert np.abs(found - oracle.hessian()).max() > 1e-3  # which is another matrix
    top = hessian.eigenvalues(operator, tol=1e-4)
    assert top.values[0] == pytest.approx(np.linalg.eigvalsh(expected)[-1], rel=1e-4)
    assert top.loss == pytest.approx(oracle.loss(oracle.flat))


def test_at_weights_that_fit_it_is_the_hessian() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(20, 4)), tf.Variable(rng.normal(size=(4, 2)))
    y = np.tanh(x @ w.numpy())
    operator = hessian.GaussNewtonOperator(
        lambda: tf.tanh(x @ w), lambda outputs: tf.reduce_mean((outputs - y) ** 2), [w]
    )
    plain = hessian.matrix(lambda: tf.reduce_mean((tf.tanh(x @ w) - y) ** 2), [w])
    np.testing.assert_allclose(hessian.matrix(operator), plain, atol=1e-12)


def test_outputs_and_losses_that_do_not_depend_are_refused() -> None:
    w = tf.Variable([1.0, 2.0])
    with pytest.raises(hessian.HessianError, match="outputs depend on none"):
        hessian.GaussNewtonOperator(lambda: tf.constant([1.0]), tf.reduce_sum, [w])
    with pytest.raises(hessian.HessianError, match="does not depend on the outputs"):
        hessian.GaussNewtonOperator(lambda: w**2, lambda _: tf.constant(1.0), [w])
    linear = hessian.GaussNewtonOperator(lambda: w**2, tf.reduce_sum, [w])
    np.testing.assert_array_equal(linear.product([1.0, 1.0]), [0, 0])


@pytest.mark.parametrize("outputs", [1, 2])
def test_a_keras_model(outputs: int) -> None:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    regularizer = keras.regularizers.L2(0.1)
    h = keras.layers.Dense(5, "tanh", kernel_regularizer=regularizer)(inputs)
    heads = [keras.layers.Dense(2, "sigmoid", name=name)(h) for name in ("a", "b")[:outputs]]
    model = keras.Model(inputs, heads if outputs > 1 else heads[0])
    model.compile("sgd", ["mse"] * outputs if outputs > 1 else "mse")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 4)).astype(np.float32)
    y = [rng.uniform(size=(20, 2)).astype(np.float32) for _ in range(outputs)]
    variables = model.trainable_variables
    made = hessian.model_outputs(model, x, y if outputs > 1 else y[0])
    operator = hessian.GaussNewtonOperator(*made, variables)
    # The mean square over samples and columns, added up over heads: G = 2/40 · Jᵀ J.
    with tf.GradientTape() as tape:
        flat = tf.concat([tf.reshape(head, [-1]) for head in tf.nest.flatten(model(x))], 0)
    jacobians = tape.jacobian(flat, [v.value for v in variables])
    j = np.concatenate([part.numpy().reshape(len(flat), -1) for part in jacobians], axis=1)
    np.testing.assert_allclose(hessian.matrix(operator), 2 / 40 * j.T @ j, atol=1e-6)
    loss = hessian.model_loss(model, x, y if outputs > 1 else y[0])
    assert hessian.eigenvalues(operator).loss == pytest.approx(float(loss()), rel=1e-5)
