"""Under `tf.debugging.enable_check_numerics`, which ends a training at the first NaN."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import tbgrad
from tbgrad.log.tags import NOTES

pytestmark = pytest.mark.tensorflow
X = np.random.default_rng(0).normal(size=(320, 8)).astype("f")
Y = X[:, :1]
WORDS = np.random.default_rng(0).integers(0, 60_000, (320, 5)).astype("i4")
LOGGED = [1, 2, 4, 6, 8, 10]


@pytest.fixture
def checked():
    tf.debugging.enable_check_numerics()
    yield
    tf.debugging.disable_check_numerics()


def dense(**settings):
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(4, "relu", use_bias=False),
            keras.layers.Dense(1, use_bias=False),
        ]
    )
    model.compile("adam", "mse", **{"jit_compile": False} | settings)
    return model, X


def text():
    """An embedding whose gradient comes in rows."""
    model = keras.Sequential(
        [keras.Input((5,), dtype="int32"), keras.layers.Embedding(60_000, 2),
         keras.layers.Flatten(), keras.layers.Dense(1, use_bias=False)]
    )  # fmt: skip
    model.compile("sgd", "mse", jit_compile=False)
    return model, WORDS


def check(logdir):
    run = tbgrad.read(logdir)["."]
    assert run["tbgrad/parameters"].steps.tolist() == LOGGED
    assert NOTES not in run


@pytest.mark.parametrize("make", [dense, text, lambda: dense(run_eagerly=True)])
def test_nothing_of_the_monitor_ends_a_training(make, tmp_path, checked):
    model, x = make()
    model.fit(x, Y, verbose=0, callbacks=[tbgrad.GradientMonitor(tmp_path, every=2)])
    check(tmp_path)


def test_nothing_does_where_the_checks_begin_later(tmp_path):
    class Enables(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 4:
                tf.debugging.enable_check_numerics()

    model, x = dense()
    monitor = tbgrad.GradientMonitor(tmp_path, every=2)
    try:
        model.fit(x, Y, verbose=0, callbacks=[monitor, Enables()])
    finally:
        tf.debugging.disable_check_numerics()
    check(tmp_path)


def test_nothing_ends_a_loop_in_which_a_variable_has_no_gradient(tmp_path, checked):
    a, b = tf.Variable([1.0, 2.0]), tf.Variable([1.0])
    with tbgrad.GradientSummaryWriter(tmp_path, [a, b], every=2) as writer:
        step = tf.function(lambda: writer.observe([a + 0.0, None], loss=1.0))
        for _ in range(10):
            step()
    check(tmp_path)
