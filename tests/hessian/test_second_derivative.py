"""The Hessian is the derivative of the gradient: held against differences of it, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from tests.hessian.differences import differenced
from tests.support.precision import precision

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
hessian = pytest.importorskip("tbgrad.hessian")

layers = keras.layers
RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 8))
Y = RNG.normal(size=(12, 1))
SIGNAL, LABELS = RNG.normal(size=(3, 8, 2)), RNG.integers(1, 5, (3, 3))
TOKENS = RNG.integers(0, 7, (6, 5))


@pytest.fixture
def float64() -> Iterator[None]:
    with precision("float64"):
        keras.utils.set_random_seed(0)
        yield


def dense(*between: Any) -> Any:
    model = keras.Sequential([keras.Input((8,)), layers.Dense(6), *between, layers.Dense(1)])
    model.compile("sgd", "mse")
    return model, X, Y


def images(*between: Any) -> Any:
    model = keras.Sequential(
        [
            keras.Input((8,)),
            layers.Reshape((2, 2, 2)),
            layers.Conv2D(4, 2, padding="same"),
            *between,
            layers.Flatten(),
            layers.Dense(1),
        ]
    )
    model.compile("sgd", "mse")
    return model, X, Y


def recurrent(layer: Any) -> Any:
    model = keras.Sequential([keras.Input((4, 2)), layer, layers.Dense(1)])
    model.compile("sgd", "mse")
    return model, X.reshape(12, 4, 2), Y


def transformer() -> Any:
    tokens = keras.Input((5,), dtype="int32")
    x = layers.Embedding(7, 4)(tokens)
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 2)(x, x))
    x = layers.LayerNormalization()(x + layers.Dense(4)(layers.Dense(5, "gelu")(x)))
    model = keras.Model(tokens, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model, TOKENS, np.arange(6) % 3


def ctc() -> Any:
    model = keras.Sequential([keras.Input((8, 2)), layers.Dense(3, "tanh"), layers.Dense(5)])
    model.compile("sgd", keras.losses.CTC())
    return model, SIGNAL, LABELS


class NormalisedCell(layers.Layer):
    """Its mean is stopped within the body of a loop, where the stop cannot be passed."""

    state_size = output_size = 3

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.dense, self.normalisation = layers.Dense(3), layers.LayerNormalization()

    def build(self, shape: Any) -> None:
        self.dense.build((shape[0], shape[-1] + 3))
        self.normalisation.build((shape[0], 3))

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        h = self.dense(keras.ops.concatenate([inputs, states[0]], -1))
        h = keras.ops.tanh(self.normalisation(h))
        return h, [h]


MODELS: dict[str, Callable[[], Any]] = {
    "LayerNormalization": lambda: dense(layers.LayerNormalization()),
    "GroupNormalization": lambda: images(layers.GroupNormalization(2)),
    "BatchNormalization": lambda: dense(layers.BatchNormalization()),
    "RMSNormalization": lambda: dense(layers.RMSNormalization()),
    "UnitNormalization": lambda: dense(layers.UnitNormalization()),
    "SpectralNormalization": lambda: dense(layers.SpectralNormalization(layers.Dense(4))),
    "normalised convolutions": lambda: images(
        layers.BatchNormalization(), layers.Activation("silu"), layers.LayerNormalization()
    ),
    "transformer": transformer,
    "LSTM": lambda: recurrent(layers.LSTM(3)),
    "GRU": lambda: recurrent(layers.GRU(3)),
    "stacked recurrence": lambda: recurrent(
        layers.RNN(layers.StackedRNNCells([layers.SimpleRNNCell(3), layers.GRUCell(2)]))
    ),
    "normalised recurrence": lambda: recurrent(layers.RNN(NormalisedCell())),
    "CTC": ctc,
}


BY_DIFFERENCES = ("CTC", "normalised recurrence")
CASES = [(name, False) for name in MODELS] + [
    ("BatchNormalization", True),
    ("normalised convolutions", True),
]


@pytest.mark.parametrize(("name", "batch_statistics"), CASES)
@pytest.mark.usefixtures("float64")
def test_the_matrix_is_that_of_the_differences_of_the_gradient(
    name: str, batch_statistics: bool
) -> None:
    model, x, y = MODELS[name]()
    loss = hessian.model_loss(model, x, y, batch_statistics=batch_statistics)
    narrow = name == "CTC"  # TensorFlow computes it in float32 whatever it is given
    true = differenced(loss, model.trainable_variables, h=3e-2 if narrow else 3e-5)
    operator = hessian.HessianOperator(loss, model.trainable_variables)
    found = hessian.matrix(operator)
    assert found.dtype == np.float64
    assert np.linalg.norm(found - true) <= (1e-2 if narrow else 1e-6) * np.linalg.norm(true)
    assert (name in BY_DIFFERENCES) == (operator.method == "finite differences")


@pytest.mark.parametrize("wrapped", [False, True])
def test_recomputed_gradients(wrapped: bool) -> None:
    kernels = [tf.Variable(RNG.normal(size=s)) for s in ((8, 5), (5, 1))]

    def inside(x: Any) -> Any:
        return tf.tanh(x @ kernels[0]) @ kernels[1]

    again = tf.recompute_grad(inside)
    again = tf.function(again) if wrapped else again

    def loss() -> Any:
        return tf.reduce_mean((again(tf.constant(X)) - Y) ** 2)

    true = differenced(loss, kernels)
    found = hessian.matrix(loss, kernels)
    assert np.linalg.norm(found - true) <= 1e-6 * np.linalg.norm(true)


def relu_network() -> Any:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [keras.Input((8,)), layers.Dense(16, "relu"), layers.LayerNormalization(), layers.Dense(1)]
    )


def test_a_gradient_that_jumps_does_not_refute_exact_products() -> None:
    model = relu_network()
    model.compile("sgd", "mse")
    x = np.random.default_rng(0).normal(size=(320, 8)).astype("f")
    loss = hessian.model_loss(model, x, x[:, :1])
    operator = hessian.HessianOperator(loss, model.trainable_variables)
    found = hessian.eigenvalues(operator, tol=1e-3)
    assert operator.method == "reverse over reverse"
    # With the same units on and off, differences have nothing to jump over.
    kernel, bias, gamma, beta, out, out_bias = (v.value for v in model.trainable_variables)
    active = tf.cast(x @ kernel + bias > 0, tf.float32)

    def held() -> Any:
        h = (x @ kernel + bias) * active
        mean, variance = (
            tf.reduce_mean(h, -1, keepdims=True),
            tf.math.reduce_variance(h, -1, keepdims=True),
        )
        h = gamma * (h - mean) / tf.sqrt(variance + 1e-3) + beta
        return tf.reduce_mean((h @ out + out_bias - x[:, :1]) ** 2)

    true = differenced(held, model.trainable_variables, h=3e-3)
    largest = np.linalg.eigvalsh((true + true.T) / 2)[-1]
    assert abs(found.values[0] - largest) <= found.residuals[0] + 1e-3 * largest


def test_float8_layers_are_taken_in_the_precision_of_their_weights() -> None:
    x = np.random.default_rng(0).normal(size=(320, 8)).astype("f")
    found = []
    for quantised in (False, True):
        model = relu_network()
        if quantised:
            model.quantize("float8")
        model.compile("sgd", "mse")
        loss = hessian.model_loss(model, x, x[:, :1])
        operator = hessian.HessianOperator(loss, model.trainable_variables)
        found.append((operator.size, hessian.eigenvalues(operator).values[0]))
    assert found[0] == found[1]


def test_mixed_precision_is_that_of_the_weights() -> None:
    values = []
    for policy in ("float32", "mixed_bfloat16"):
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.Input((8,)),
                layers.Dense(6, "tanh", dtype=policy),
                layers.LayerNormalization(dtype=policy),
                layers.Dense(1, dtype=policy),
            ]
        )
        model.compile("sgd", "mse")
        loss = hessian.model_loss(model, X, Y)
        values.append(hessian.matrix(loss, model.trainable_variables))
    np.testing.assert_allclose(values[1], values[0], atol=1e-5)


SEEDS = {"LayerNormalization": 25, "transformer": 12}


@pytest.mark.parametrize("kind", SEEDS)
def test_the_truth_lies_within_the_stated_bound(kind: str) -> None:
    with precision("float64"):
        wide, x, y = MODELS[kind]()
        exact = hessian.HessianOperator(hessian.model_loss(wide, x, y), wide.trainable_variables)
        hessian.matrix(exact)
    narrow, x, y = MODELS[kind]()
    operator = hessian.HessianOperator(hessian.model_loss(narrow, x, y), narrow.trainable_variables)
    missed = []
    for seed in range(SEEDS[kind]):
        rng = np.random.default_rng(seed)
        weights = [rng.normal(size=w.shape).astype("f") for w in narrow.get_weights()]
        narrow.set_weights(weights)
        wide.set_weights([w.astype(np.float64) for w in weights])
        true = np.linalg.eigvalsh(hessian.matrix(exact))[[-1, 0]]
        found = hessian.eigenvalues(operator, k=2, which="BE", tol=1e-6, seed=seed)
        off = np.abs(found.values - true)
        missed += [] if (off <= found.residuals).all() else [(seed, off, found.residuals)]
    assert not missed


def test_weights_of_wild_curvature_do_not_make_products_wrong() -> None:
    """The gradient bends within a hundredth of what differences begin with."""
    model, x, y = transformer()
    for seed in (4, 22):
        rng = np.random.default_rng(seed)
        model.set_weights([rng.normal(size=w.shape).astype("f") for w in model.get_weights()])
        operator = hessian.HessianOperator(hessian.model_loss(model, x, y), model.weights)
        operator.prepare()
        assert operator.method == "reverse over reverse"
        assert operator.error < 1e-3
