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


@pytest.mark.parametrize("kind", ["LayerNormalization", "transformer"])
def test_the_truth_lies_within_the_stated_bound(kind: str) -> None:
    with precision("float64"):
        wide, x, y = MODELS[kind]()
        exact = hessian.HessianOperator(hessian.model_loss(wide, x, y), wide.trainable_variables)
        hessian.matrix(exact)
    narrow, x, y = MODELS[kind]()
    operator = hessian.HessianOperator(hessian.model_loss(narrow, x, y), narrow.trainable_variables)
    missed = []
    for seed in range(25):
        rng = np.random.default_rng(seed)
        weights = [rng.normal(size=w.shape).astype("f") for w in narrow.get_weights()]
        narrow.set_weights(weights)
        wide.set_weights([w.astype(np.float64) for w in weights])
        true = np.linalg.eigvalsh(hessian.matrix(exact))[[-1, 0]]
        found = hessian.eigenvalues(operator, k=2, which="BE", tol=1e-6, seed=seed)
        off = np.abs(found.values - true)
        missed += [] if (off <= found.residuals).all() else [(seed, off, found.residuals)]
    assert not missed
