"""Losses over more data than one batch: the Hessian of the mean over all samples."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
hessian = pytest.importorskip("tbgrad.hessian")

RNG = np.random.default_rng(0)
SAMPLES = 50
X = RNG.normal(size=(SAMPLES, 6)).astype(np.float32)
Y = RNG.integers(0, 3, SAMPLES)
WEIGHTS = RNG.uniform(0, 2, SAMPLES).astype(np.float32)


def network(**settings: Any) -> Any:
    keras.utils.set_random_seed(0)
    regularizer = keras.regularizers.L2(0.05)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(5, "tanh", kernel_regularizer=regularizer),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(3),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, **settings)
    return model


@cache
def of_all(weighted: bool) -> tuple[Any, Any, float]:
    """The network, the Hessian of its loss on all samples at once, and its largest eigenvalue."""
    model = network()
    whole = hessian.model_loss(model, X, Y, WEIGHTS if weighted else None)
    operator = hessian.HessianOperator(whole, model.trainable_variables)
    return model, operator, hessian.eigenvalues(operator).values[0]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("batch_size", [1, 7, 16, 50, 1000])
def test_micro_batches_give_the_hessian_of_all(batch_size: int, weighted: bool) -> None:
    model, expected, largest = of_all(weighted)
    weights = WEIGHTS if weighted else None
    parts = hessian.model_loss(model, X, Y, weights, batch_size=batch_size)
    found = hessian.HessianOperator(parts, model.trainable_variables)
    vector = RNG.normal(size=expected.size)
    np.testing.assert_allclose(found.product(vector), expected.product(vector), atol=2e-6)
    loss, gradient = expected.loss_and_gradient()
    np.testing.assert_allclose(found.loss_and_gradient()[1], gradient, atol=1e-6)
    assert found.loss_and_gradient()[0] == pytest.approx(loss, rel=1e-6)
    top = hessian.eigenvalues(found)
    assert top.values[0] == pytest.approx(largest, rel=0.02)
    assert top.loss == pytest.approx(loss, rel=1e-6)


@pytest.mark.parametrize("shuffled", [False, True])
def test_a_dataset_is_gone_through_whole(shuffled: bool) -> None:
    model, expected, _ = of_all(weighted=True)
    data = tf.data.Dataset.from_tensor_slices((X, Y, WEIGHTS))
    data = (data.shuffle(SAMPLES) if shuffled else data).batch(16)
    found = hessian.HessianOperator(hessian.model_loss(model, data), model.trainable_variables)
    vector = RNG.normal(size=expected.size)
    np.testing.assert_allclose(found.product(vector), expected.product(vector), atol=2e-6)
    assert hessian.eigenvalues(found).converged


def test_nested_inputs_and_targets() -> None:
    left, right = keras.Input((2,), name="left"), keras.Input((4,), name="right")
    keras.utils.set_random_seed(0)
    out = keras.layers.Dense(1, name="out")(keras.layers.Concatenate()([left, right]))
    model = keras.Model({"left": left, "right": right}, {"out": out})
    model.compile("sgd", {"out": "mse"})
    x, y = {"left": X[:, :2], "right": X[:, 2:]}, {"out": X[:, :1]}
    variables = model.trainable_variables
    expected = hessian.matrix(hessian.model_loss(model, x, y), variables)
    for loss in (
        hessian.model_loss(model, x, y, batch_size=9),
        hessian.model_loss(model, tf.data.Dataset.from_tensor_slices((x, y)).batch(9)),
    ):
        np.testing.assert_allclose(hessian.matrix(loss, variables), expected, atol=1e-5)


def test_a_product_asks_for_every_batch_once() -> None:
    model = network()
    asked: list[int] = []

    def batches() -> Any:
        for i in range(5):
            asked.append(i)
            yield X[10 * i : 10 * i + 10], Y[10 * i : 10 * i + 10]

    signature = tf.TensorSpec([None, 6]), tf.TensorSpec([None], tf.int64)
    data = tf.data.Dataset.from_generator(batches, output_signature=signature)
    operator = hessian.HessianOperator(hessian.model_loss(model, data), model.trainable_variables)
    operator.prepare()
    assert 4 not in asked[10:]  # all of them twice; what is to be known of the loss by the first
    asked.clear()
    operator.product(np.ones(operator.size))
    assert asked == [0, 1, 2, 3, 4]


def test_batch_statistics_when_asked_for() -> None:
    model = network()
    state = [v.numpy() for v in model.variables]
    variables = model.trainable_variables
    inference = hessian.eigenvalues(hessian.model_loss(model, X, Y), variables)
    asked = hessian.model_loss(model, X, Y, batch_statistics=True)
    found = hessian.eigenvalues(asked, variables)
    # By hand: the same network without dropout, normalised by its own batch.
    kernel, bias, gamma, beta, out, out_bias = (tf.Variable(v.value) for v in variables)

    def by_hand() -> Any:
        h = tf.tanh(X @ kernel + bias)
        mean, variance = tf.nn.moments(h, [0])
        h = tf.nn.batch_normalization(h, mean, variance, beta, gamma, 1e-3)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(Y, h @ out + out_bias)
        return tf.reduce_mean(losses) + 0.05 * tf.reduce_sum(kernel**2)

    expected = hessian.eigenvalues(by_hand, [kernel, bias, gamma, beta, out, out_bias])
    assert found.values[0] == pytest.approx(expected.values[0], rel=0.02)
    assert found.loss == pytest.approx(expected.loss, rel=1e-5)
    assert abs(inference.loss - found.loss) > 1e-3
    for before, variable in zip(state, model.variables, strict=True):
        np.testing.assert_array_equal(before, variable.numpy())
    assert all("call" not in vars(layer) for layer in model.layers)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"x": X, "y": Y, "batch_size": 0}, "from 1 on"),
        ({"x": X, "y": Y[:-1], "batch_size": 9}, "arrays of one length"),
        ({"x": tf.data.Dataset.from_tensors((X, Y)), "y": Y}, "dataset brings"),
    ],
)
def test_data_that_do_not_fit_are_refused(arguments: Any, sentence: str) -> None:
    with pytest.raises(hessian.HessianError, match=sentence):
        hessian.model_loss(network(), **arguments)


def test_no_batch_at_all_is_refused() -> None:
    model = network()
    data = tf.data.Dataset.from_tensor_slices((X[:0], Y[:0])).batch(4)
    with pytest.raises(hessian.HessianError, match="no batch"):
        hessian.eigenvalues(hessian.model_loss(model, data), model.trainable_variables)
