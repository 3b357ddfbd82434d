"""`model.fit` watched: it trains the same, clips, accumulates, goes on, is compiled anew."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tbgrad
from tests.keras.conftest import BATCH, RATE, STEPS, fit
from tests.support.numpy_network import gradient

pytestmark = pytest.mark.tensorflow

MODES = {
    "graph": {"jit_compile": False},
    "eager": {"run_eagerly": True},
    "xla": {"jit_compile": True},
}


def total(gradients):
    """The norm of all of them together."""
    return np.sqrt(sum(np.sum(g**2) for g in gradients))


CLIPPING = {
    "clipnorm": (0.05, lambda gs: [g * min(1, 0.05 / np.linalg.norm(g)) for g in gs]),
    "clipvalue": (0.01, lambda gs: [np.clip(g, -0.01, 0.01) for g in gs]),
    "global_clipnorm": (0.1, lambda gs: [g * min(1, 0.1 / total(gs)) for g in gs]),
}


@pytest.mark.parametrize("kind", CLIPPING)
def test_norms_are_those_before_clipping_and_the_factor_says_what_is_left(
    kind, tmp_path, batches, tiny_model
):
    limit, clip = CLIPPING[kind]
    model = tiny_model(keras.optimizers.SGD(RATE, **{kind: limit}))
    weights = [w.astype(np.float64) for w in model.get_weights()]
    fit(model, batches, [tbgrad.GradientMonitor(tmp_path, every=1)])
    norms, factors = [], []
    for step in range(STEPS):
        part = slice(step * BATCH, (step + 1) * BATCH)
        whole = gradient(weights, batches[0][part].astype(np.float64), batches[1][part])
        norms.append(total(whole))
        factors.append(total(clip(whole)) / total(whole))
        weights = [w - RATE * g for w, g in zip(weights, clip(whole), strict=True)]
    run = tbgrad.read(tmp_path)["."]
    np.testing.assert_allclose(run["gradient/norm"].values, norms, rtol=1e-5)
    np.testing.assert_allclose(run["gradient/clip_factor"].values, factors, rtol=1e-4)


def test_accumulated_gradients_count_as_one_step(tmp_path, batches, tiny_model):
    model = tiny_model(keras.optimizers.SGD(RATE, gradient_accumulation_steps=4))
    weights = [w.astype(np.float64) for w in model.get_weights()]
    fit(model, batches, [tbgrad.GradientMonitor(tmp_path, every=1)])
    norm = tbgrad.read(tmp_path)["."]["gradient/norm"]
    x, labels = batches
    whole = gradient(weights, x[: 4 * BATCH].astype(np.float64), labels[: 4 * BATCH])
    np.testing.assert_array_equal(norm.steps, np.arange(1, STEPS // 4 + 1))
    assert norm.values[0] == pytest.approx(total(whole), rel=1e-5)


def noisy_model(**settings):
    keras.utils.set_random_seed(2)
    model = keras.Sequential(
        [
            keras.layers.Input((5,)),
            keras.layers.Dense(8, "relu", use_bias=False, kernel_constraint="max_norm"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(3, kernel_regularizer="l2"),
        ]
    )
    model.compile(
        keras.optimizers.AdamW(0.01, weight_decay=0.1, global_clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        **settings,
    )
    return model


@pytest.mark.parametrize("mode", MODES)
def test_training_is_the_same_with_and_without_the_monitor(mode, tmp_path, batches):
    weights, states = [], []
    for monitored in (False, True):
        model = noisy_model(**MODES[mode])
        # Estimates come between the steps, however these are run.
        curvature = tbgrad.Curvature(data=batches, every=10, budget=None, samples=32)
        monitor = tbgrad.GradientMonitor(tmp_path, 2, 4, curvature if mode == "graph" else None)
        history = model.fit(
            *batches, batch_size=BATCH, epochs=2, verbose=0, callbacks=[monitor] * monitored
        )
        weights.append([*model.get_weights(), *(v.numpy() for v in model.optimizer.variables)])
        states.append(history.history["loss"])
    assert len(tbgrad.read(tmp_path)["."]["gradient/norm"]) > 10
    for without, with_monitor in zip(*weights, strict=True):
        if mode == "xla":
            np.testing.assert_allclose(with_monitor, without, rtol=1e-4, atol=1e-6)
        else:
            np.testing.assert_array_equal(with_monitor, without)
    np.testing.assert_allclose(*states, rtol=1e-4 if mode == "xla" else 0)


def test_fits_continue_the_run_and_what_is_compiled_anew_is_seen(tmp_path, batches, tiny_model):
    """The same again, then with a layer frozen, then with all of them."""
    model = tiny_model(jit_compile=False)
    monitor = tbgrad.GradientMonitor(tmp_path, every=8)
    expected = [1, 8, 16, 24, 32, 40, 48]
    for _ in range(2):
        fit(model, batches, [monitor])
    np.testing.assert_array_equal(tbgrad.read(tmp_path)["."]["tbgrad/parameters"].steps, expected)
    for trainable, rate in ((False, 0.01), (True, 0.02)):
        model.get_layer("hidden").trainable = trainable
        model.compile(keras.optimizers.SGD(rate), model.loss)
        fit(model, batches, [monitor])
        run = tbgrad.read(tmp_path)["."]
        start = expected[-1]
        expected += [start + 1, start + 8, start + 16, start + 24]
        np.testing.assert_array_equal(run["tbgrad/parameters"].steps, expected)
        assert run["learning_rate"].values[-1] == pytest.approx(rate)
        layers = ["hidden"] * 2 * trainable + ["logits"] * 2
        assert [p.layer for p in run.manifest.parameters] == layers
    seen = {p.path: np.isfinite(run.statistic("norm")[:, i]) for i, p in enumerate(run.parameters)}
    assert seen["logits/kernel"].all()
    assert seen["hidden/kernel"].tolist() == [True] * 7 + [False] * 4 + [True] * 4
    assert "tbgrad/notes" not in run


def test_a_custom_train_step_is_seen(tmp_path, batches):
    class Custom(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(3)
            self.unused = keras.layers.Dense(2)

        def call(self, x):
            self.unused(x)
            return self.dense(x)

        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                loss = self.compute_loss(y=y, y_pred=self(x, training=True))
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
            return {"loss": loss}

    model = Custom()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    with pytest.warns(UserWarning, match="Gradients do not exist"):
        fit(model, batches, [tbgrad.GradientMonitor(tmp_path, every=1)])
    run = tbgrad.read(tmp_path)["."]
    norm = run.statistic("norm")[-1]
    assert np.isfinite(norm[:2]).all()
    assert np.isnan(norm[2:]).all()
    assert np.isfinite(run.statistic("weight_norm")[-1]).all()
    assert run["gradient/norm"].values[-1] == pytest.approx(np.linalg.norm(norm[:2]), rel=1e-6)
