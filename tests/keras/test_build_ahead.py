"""A step is traced once where all it creates can be created ahead, and the training is the same."""

from __future__ import annotations

import random

import keras
import numpy as np
import pytest

import tbgrad

pytestmark = pytest.mark.tensorflow

RNG = np.random.default_rng(0)
X, LABELS = RNG.normal(size=(70, 6)).astype("f"), RNG.integers(0, 3, 70)


class Counting(keras.optimizers.Adam):
    """Counts how often an update of a variable is traced, and what it was built for."""

    traced = 0

    def update_step(self, *arguments):
        self.traced += 1
        super().update_step(*arguments)


class Erratic(keras.layers.Layer):
    """What it does is drawn when it is traced: another number of traces is another training."""

    def call(self, x):
        return x * random.uniform(0.5, 1.0)


def model_of(kind=keras.Sequential, **compiled):
    keras.utils.set_random_seed(3)
    model = kind(
        [keras.Input((6,)), keras.layers.Dense(5, "relu"), keras.layers.Dropout(0.3), Erratic(),
         keras.layers.BatchNormalization(), keras.layers.Dense(3)]
    )  # fmt: skip
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(Counting(0.01), loss, **{"metrics": ["accuracy"]} | compiled)
    return model


def trained(model, *callbacks):
    model.fit(X, LABELS, batch_size=16, epochs=2, verbose=0, callbacks=list(callbacks))
    return [*model.get_weights(), *(np.asarray(v) for v in model.optimizer.variables)]


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_step_is_traced_once_and_the_training_is_the_same(jit_compile, tmp_path):
    plain, watched = (model_of(jit_compile=jit_compile) for _ in range(2))
    random.seed(0)
    before = trained(plain)
    random.seed(0)
    after = trained(watched, tbgrad.GradientMonitor(tmp_path))
    assert (plain.optimizer.traced, watched.optimizer.traced) == (12, 6)
    for a, b in zip(before, after, strict=True):
        np.testing.assert_allclose(
            a, b, rtol=0 if not jit_compile else 1e-4, atol=1e-6 * jit_compile
        )
    assert tbgrad.read(tmp_path)["."].norm("dense/kernel").steps.tolist() == list(range(1, 11))


def test_where_nothing_is_to_be_built_the_training_is_the_same(tmp_path):
    found = []
    for callbacks in ([], [tbgrad.GradientMonitor(tmp_path)]):
        model = model_of(metrics=None)
        model.compile("sgd", model.loss)
        random.seed(0)
        found.append(trained(model, *callbacks))
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


class OwnStep(keras.Sequential):
    """Trains its last layer alone."""

    def train_step(self, data):
        import tensorflow as tf

        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        variables = self.layers[-1].trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return {"loss": loss}


def test_a_step_of_ones_own_has_an_optimizer_of_what_it_trains(tmp_path):
    model = model_of(OwnStep, metrics=None)
    trained(model, tbgrad.GradientMonitor(tmp_path))
    assert len(model.optimizer.variables) == 2 + 2 * 2
    assert tbgrad.read(tmp_path)["."]["loss"].steps[-1] == 10


def test_what_cannot_be_built_ahead_is_left_to_the_first_step(tmp_path):
    calls = []

    def fastidious(y, predicted):
        calls.append(y)
        if len(calls) == 1:
            raise RuntimeError("not yet")
        return keras.ops.mean(predicted)

    model = model_of(metrics=[fastidious])
    trained(model, tbgrad.GradientMonitor(tmp_path))
    assert len(calls) > 1
    assert tbgrad.read(tmp_path)["."].state.status == "finished"


def test_a_failure_ahead_of_the_first_step_does_no_harm(tmp_path):
    """Ahead of it is within the training, not within a callback that is guarded."""

    class Broken(keras.Sequential):
        @property
        def metrics_variables(self):
            raise RuntimeError("not for you")

    model = model_of(Broken, metrics=None)
    trained(model, tbgrad.GradientMonitor(tmp_path))
    assert tbgrad.read(tmp_path)["."].state.status == "finished"
