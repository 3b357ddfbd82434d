"""Gradients that are zero in theory: rounding is not told as if it were signal."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import tbgrad

pytestmark = pytest.mark.tensorflow
RNG = np.random.default_rng(0)


def attention():
    inputs = keras.Input((10, 16))
    x = keras.layers.MultiHeadAttention(2, 8, name="attention")(inputs, inputs)
    x = keras.layers.LayerNormalization()(x + inputs)
    outputs = keras.layers.Dense(1)(keras.layers.GlobalAveragePooling1D()(x))
    return keras.Model(inputs, outputs), RNG.normal(size=(256, 10, 16)), "attention/key/bias"


def convolution():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(8, 3, name="convolution")(inputs)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    outputs = keras.layers.Dense(1)(keras.layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, outputs), RNG.normal(size=(256, 8, 8, 3)), "convolution/bias"


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("make", [attention, convolution])
def test_the_direction_and_noise_of_rounding_are_unknown(make, policy, tmp_path):
    keras.utils.set_random_seed(1)
    keras.config.set_dtype_policy(policy)
    try:
        model, x, path = make()
    finally:
        keras.config.set_dtype_policy("float32")
    model.compile("adam", "mse", jit_compile=False)
    y = x.reshape(len(x), -1).mean(axis=1, keepdims=True)
    model.fit(x, y, epochs=3, verbose=0, callbacks=[tbgrad.GradientMonitor(tmp_path, every=1)])
    run = tbgrad.read(tmp_path)["."]
    rounding = np.array([name.endswith(path) for name in run.names])
    assert rounding.sum() == 1
    for statistic in ("cosine", "snr", "dead_fraction"):
        found = run.statistic(statistic)
        assert np.isnan(found[:, rounding]).all(), statistic
        others = np.array([p.role in ("kernel", "bias") for p in run.parameters]) & ~rounding
        # In 16 bits a true gradient may look like rounding once in a while.
        assert np.isnan(found[2:, others]).mean() < 0.02, statistic
    assert (run.statistic("norm")[:, rounding] >= 0).all()  # the norm is that of what was applied
