"""The compiled loss of Keras models: what is in it, and that taking it leaves no trace."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
hessian = pytest.importorskip("tbgrad.hessian")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(48, 6))
Y = RNG.integers(0, 3, 48)
CROSS_ENTROPY = "sparse_categorical_crossentropy"


def everything() -> Any:
    """Every kind of state and of loss in one model with two outputs."""
    keras.utils.set_random_seed(3)
    layers = keras.layers
    inputs = keras.Input((6,))
    h = layers.Dense(8, activation="tanh", kernel_regularizer=keras.regularizers.L2(0.05))(inputs)
    h = layers.Dropout(0.5)(layers.BatchNormalization()(layers.GaussianNoise(0.3)(h)))
    h = layers.ActivityRegularization(l2=0.02)(h)
    a = layers.Dense(3, activation="softmax", name="a")(h)
    b = layers.Dense(1, name="b")(h)
    model = keras.Model(inputs, [a, b])
    model.compile(
        keras.optimizers.SGD(0.05, momentum=0.9),
        loss=[CROSS_ENTROPY, "mse"],
        loss_weights=[1.0, 0.3],
        metrics=[["accuracy"], ["mae"]],
    )
    return model


def state_of(model: Any) -> list[np.ndarray]:
    """Every Keras variable there is: weights, seeds, optimizer, metrics."""
    generators = [
        layer.seed_generator.state for layer in model.layers if hasattr(layer, "seed_generator")
    ]
    assert len(generators) == 2
    variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    return [v.numpy() for v in [*variables, *generators]]


def targets() -> list[np.ndarray]:
    return [Y, X[:, :1] ** 2]


class Estimates(keras.callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.operator: Any = None
        self.found: Any = None

    def estimate(self) -> None:
        if self.operator is None:
            self.operator = hessian.HessianOperator(
                hessian.model_loss(self.model, X, targets(), np.linspace(0, 2, 48)),
                self.model.trainable_variables,
            )
        before = state_of(self.model)
        start = None if self.found is None else self.found.vectors
        self.found = hessian.eigenvalues(self.operator, k=2, which="BE", start=start)
        assert self.found.converged
        for old, new in zip(before, state_of(self.model), strict=True):
            np.testing.assert_array_equal(old, new)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.estimate()


def train(run_eagerly: bool, callbacks: Sequence[Any], early: bool = False) -> tuple[Any, Any]:
    model = everything()
    model.run_eagerly = run_eagerly
    model.jit_compile = False
    if early:  # before fit has built the loss and the metrics
        loss = hessian.model_loss(model, X, targets())
        hessian.eigenvalues(loss, model.trainable_variables)
    history = model.fit(X, targets(), batch_size=16, epochs=2, callbacks=[*callbacks], verbose=0)
    return history.history, [w.numpy() for w in model.weights]


plain_training = cache(partial(train, callbacks=()))


@pytest.mark.parametrize("run_eagerly", [False, True])
@pytest.mark.parametrize("early", [False, True])
def test_a_training_is_the_same_bit_for_bit(run_eagerly: bool, early: bool) -> None:
    plain, plain_weights = plain_training(run_eagerly)
    estimates = Estimates()
    watched, watched_weights = train(run_eagerly, [estimates], early)
    assert estimates.found.hvps > 1
    assert set(plain) >= {"loss", "a_loss", "b_loss", "a_accuracy", "b_mae"}
    assert plain == watched
    for old, new in zip(plain_weights, watched_weights, strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_loss_is_what_evaluate_reports() -> None:
    model = everything()
    model.fit(X, targets(), epochs=1, verbose=0)
    loss = hessian.model_loss(model, X, targets())
    expected = model.evaluate(X, targets(), batch_size=48, verbose=0)[0]
    assert float(loss()) == pytest.approx(expected, rel=1e-6)
    assert loss().dtype == tf.float32


def test_sample_weights_and_regularisation_count() -> None:
    model = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(1, kernel_regularizer=keras.regularizers.L2(0.7))]
    )
    model.compile("sgd", "mse")
    weights = RNG.uniform(0, 2, 48)
    y = RNG.normal(size=48)
    # Mean of w (x·k + b − y)² + 0.7 |k|², whose Hessian does not depend on the weights.
    design = np.c_[X, np.ones(48)]
    exact = 2 * (design.T * weights) @ design / 48 + np.diag([1.4] * 6 + [0])
    operator = hessian.HessianOperator(
        hessian.model_loss(model, X, y, weights), model.trainable_variables
    )
    products = np.array([operator.product(e) for e in np.eye(7)])
    np.testing.assert_allclose(products, exact, atol=1e-5)
    found = hessian.eigenvalues(operator, k=2, which="BE")
    true = np.linalg.eigvalsh(exact)
    assert (np.abs(found.values - true[[-1, 0]]) <= found.residuals).all()


def test_an_own_compute_loss_is_used_and_its_metric_left_alone() -> None:
    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(2)
            self.seen = keras.metrics.Mean(name="seen")

        def call(self, x: Any) -> Any:
            y = self.dense(x)
            self.add_loss(0.5 * keras.ops.sum(self.dense.bias**2))
            return y

        def compute_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            loss = keras.ops.mean((y_pred - y) ** 4) + sum(self.losses)
            self.seen.update_state(loss)
            return loss

    model = Own()
    model(X[:1])
    model.compile("sgd")
    y = np.stack([Y, Y], axis=1).astype(float)
    loss = hessian.model_loss(model, X, y)
    kernel, bias = model.get_weights()
    bias = bias + 0.5
    model.set_weights([kernel, bias])
    expected = np.mean((X @ kernel + bias - y) ** 4) + 0.5 * np.sum(bias**2)
    assert float(loss()) == pytest.approx(expected, rel=1e-5)
    assert hessian.eigenvalues(loss, model.trainable_variables).converged
    assert float(model.seen.result()) == 0.0


def test_inputs_and_targets_may_be_nested_and_the_loss_has_no_targets() -> None:
    left, right = keras.Input((2,), name="left"), keras.Input((4,), name="right")
    out = keras.layers.Dense(1, name="out")(keras.layers.Concatenate()([left, right]))
    model = keras.Model({"left": left, "right": right}, {"out": out})
    model.compile("sgd", {"out": "mse"})
    loss = hessian.model_loss(model, {"left": X[:, :2], "right": X[:, 2:]}, {"out": X[:, :1]})
    assert hessian.eigenvalues(loss, model.trainable_variables).converged

    class Unsupervised(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            self.add_loss(keras.ops.mean(x**2))
            return x

    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(2), Unsupervised()])
    model.compile("sgd")
    found = hessian.eigenvalues(hessian.model_loss(model, X), model.trainable_variables)
    assert found.values[0] == pytest.approx(
        np.linalg.eigvalsh(np.c_[X, np.ones(48)].T @ np.c_[X, np.ones(48)] / 48)[-1], rel=1e-2
    )


def test_mixed_precision_gives_a_single_precision_loss() -> None:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(4, activation="tanh", dtype="mixed_float16"),
            keras.layers.Dense(3, activation="softmax", dtype="float32"),
        ]
    )
    model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1)), CROSS_ENTROPY)
    loss = hessian.model_loss(model, X, Y)
    operator = hessian.HessianOperator(loss, model.trainable_variables)
    found = hessian.eigenvalues(operator, k=1)
    assert (loss().dtype, operator.dtype) == (tf.float32, np.float32)
    twin = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(4, activation="tanh"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    twin.set_weights(model.get_weights())
    twin.compile("sgd", CROSS_ENTROPY)
    exact = hessian.eigenvalues(hessian.model_loss(twin, X, Y), twin.trainable_variables)
    assert found.values[0] == pytest.approx(exact.values[0], rel=0.02)


def test_the_probe_batch_is_a_copy() -> None:
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = X.copy()
    loss = hessian.model_loss(model, x, Y)
    before = float(loss())
    x[:] = 0
    assert float(loss()) == before


def test_models_without_a_loss_are_refused_in_a_sentence() -> None:
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)])
    with pytest.raises(hessian.HessianError, match="not compiled"):
        hessian.model_loss(model, X, Y)
    model.compile("sgd")
    with pytest.raises(hessian.HessianError, match="without a loss"):
        hessian.eigenvalues(hessian.model_loss(model, X, Y), model.trainable_variables)
    unbuilt = keras.Sequential([keras.layers.Dense(1)])
    unbuilt.compile("sgd", "mse")
    with pytest.raises(hessian.HessianError, match="no weights yet"):
        hessian.model_loss(unbuilt, X, Y)
    model.trainable = False
    model.compile("sgd", "mse")
    with pytest.raises(hessian.HessianError, match="no trainable variables"):
        hessian.eigenvalues(hessian.model_loss(model, X, Y), model.trainable_variables)


def test_a_warm_start_saves_products_along_a_training() -> None:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(16, activation="tanh"), keras.layers.Dense(3)]
    )
    model.compile(
        keras.optimizers.SGD(0.05), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    operator = hessian.HessianOperator(hessian.model_loss(model, X, Y), model.trainable_variables)
    operator.check_deterministic()
    start, cold, warm = None, [], []
    for seed in range(15):
        model.fit(X, Y, batch_size=16, epochs=3, verbose=0)
        fresh = hessian.eigenvalues(operator, k=2, which="BE", seed=seed)
        found = hessian.eigenvalues(operator, k=2, which="BE", start=start, seed=seed)
        assert fresh.converged
        assert found.converged
        assert (np.abs(found.values - fresh.values) <= found.residuals + fresh.residuals).all()
        if start is not None:
            cold.append(fresh.hvps)
            warm.append(found.hvps)
        start = found.vectors
    assert np.mean(warm) < 0.85 * np.mean(cold), (cold, warm)
