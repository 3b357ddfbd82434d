"""Under `tf.debugging.enable_check_numerics`, which ends a training at the first NaN."""

from __future__ import annotations

import subprocess
import sys

import pytest

import tbgrad
from tbgrad.tags import NOTES

pytestmark = pytest.mark.tensorflow

PROGRAM = """
import sys, numpy as np, tensorflow as tf, keras, tbgrad
x = np.random.default_rng(0).normal(size=(320, 8)).astype("f"); y = x[:, :1]
words = np.random.default_rng(0).integers(0, 60_000, (64, 5)).astype("i4")

def net(**settings):
    layers = [keras.Input((8,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile("adam", "mse", **settings)
    return model

def text():
    model = keras.Sequential([keras.Input((5,), dtype="int32"), keras.layers.Embedding(60_000, 2),
                              keras.layers.Flatten(), keras.layers.Dense(1)])
    model.compile("sgd", "mse", jit_compile=False)
    return model

def fit(name, model, x=x, y=y, more=(), **settings):
    monitor = tbgrad.GradientMonitor(f"{sys.argv[1]}/{name}", every=2, **settings)
    model.fit(x, y, verbose=0, callbacks=[monitor, *more])

def loop(name, on=lambda step: None):
    a, b = tf.Variable([1.0, 2.0]), tf.Variable([1.0])
    with tbgrad.GradientSummaryWriter(f"{sys.argv[1]}/{name}", [a, b], every=2) as writer:
        step = tf.function(lambda: writer.observe([a + 0.0, None], loss=1.0))
        for number in range(10):
            on(number)
            step()

later = net(jit_compile=False)
class Enables(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        if batch == 4:
            tf.debugging.enable_check_numerics()
loop("loop, later", lambda step: step == 4 and tf.debugging.enable_check_numerics())
tf.debugging.disable_check_numerics()
fit("later", later, more=[Enables()])
fit("graph", net(jit_compile=False))
fit("eager", net(run_eagerly=True))
fit("default", net())
fit("embedding", text(), words, np.ones((64, 1), "f"))
fit("part", net(jit_compile=False), include="*kernel")
loop("loop")
"""


def test_nothing_of_the_monitor_ends_the_training(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    runs = tbgrad.read(tmp_path)
    assert len(runs) == 8
    for name, run in runs.items():
        expected = [1, 2] if name == "embedding" else [1, 2, 4, 6, 8, 10]
        assert run["gradient/norm"].steps.tolist() == expected, name
        assert NOTES not in run, (name, run[NOTES].values)
