"""Variables, gradients and names of every kind."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import tbgrad
from tests.support.linear_model import (
    BATCH,
    FITTED,
    INPUTS,
    OUTPUTS,
    RATE,
    RNG,
    STEPS,
    W,
    batch,
    fit,
    gradient_norms,
    norms_in,
)

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize(("xla", "expanded"), [(False, False), (False, True), (True, False)])
def test_sparse_gradients_of_an_embedding(tmp_path, xla, expanded, monkeypatch):
    if not expanded:
        monkeypatch.setattr(tf, "get_static_value", lambda tensor: None)
    words = RNG.integers(0, 40, (BATCH * STEPS, 6))
    table = RNG.standard_normal((40, 4)).astype(np.float32)
    model = keras.Sequential([keras.Input((6,), dtype="int32"), keras.layers.Embedding(40, 4)])
    model.set_weights([table])
    target = RNG.standard_normal((BATCH * STEPS, 6, 4)).astype(np.float32)
    model.compile(keras.optimizers.SGD(RATE), "mse", jit_compile=xla)
    fit(model, tbgrad.GradientMonitor(tmp_path, every=1), x=words, y=target)
    w, norms, zeros = table.astype(np.float64), [], []
    for step in range(STEPS):
        batch = slice(step * BATCH, (step + 1) * BATCH)
        gradient = np.zeros_like(w)
        np.add.at(
            gradient, words[batch], 2 / target[batch].size * (w[words[batch]] - target[batch])
        )
        norms.append(np.linalg.norm(gradient))
        zeros.append((gradient == 0).mean())
        w -= RATE * gradient
    np.testing.assert_allclose(norms_in(tmp_path)[1], norms, rtol=1e-5)
    run = tbgrad.read(tmp_path)["."]
    np.testing.assert_allclose(run.statistic("zero_fraction")[:, 0], zeros, atol=1e-6)


def test_a_variable_without_gradient_has_a_row_that_says_so(tmp_path):
    used, unused = tf.Variable([1.0, 2.0], name="used"), tf.Variable([3.0], name="unused")
    with tbgrad.GradientSummaryWriter(tmp_path, [used, unused], every=1) as writer:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(used**2)
        writer.observe(tape.gradient(loss, [used, unused]), loss=loss)
    run = tbgrad.read(tmp_path)["."]
    assert run.names == ("used", "unused")
    assert run.statistic("norm")[0, 0] == pytest.approx(np.sqrt(20))
    assert np.isnan(run.statistic("norm")[0, 1])
    assert run.statistic("weight_norm")[0, 1] == 3.0


def test_bfloat16_variables(tmp_path):
    variable = tf.Variable(tf.cast([3.0, 4.0], tf.bfloat16))
    with tbgrad.GradientSummaryWriter(tmp_path, [variable], every=1) as writer:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(variable**2)
        writer.observe(tape.gradient(loss, [variable]), loss=loss)
    run = tbgrad.read(tmp_path)["."]
    assert run.statistic("norm")[0, 0] == 10.0
    assert run.parameters[0].dtype == "bfloat16"


NAMES = ("dense/kernel", "a:b c", "層/カーネル", "x" * 300, "same", "same", "<b>&", "..")


def test_names_of_every_kind(tmp_path):
    variables = [keras.Variable(np.ones(2, np.float32)) for _ in NAMES]
    for variable, name in zip(variables, NAMES, strict=True):
        variable._path = name
    with tbgrad.GradientSummaryWriter(tmp_path, variables, every=1) as writer:
        writer.observe([tf.constant([float(i), 0.0]) for i in range(len(NAMES))])
    run = tbgrad.read(tmp_path)["."]
    assert run.names == (*NAMES[:5], "same (2)", *NAMES[6:])
    np.testing.assert_array_equal(run.statistic("norm")[0], np.arange(len(NAMES)))


@pytest.mark.parametrize(("count", "xla"), [(300, False), (50, True)])
def test_models_of_many_parameters(tmp_path, count, xla):
    values = RNG.standard_normal((count, 3)).astype(np.float32)
    variables = [tf.Variable(value, name=f"v{i}") for i, value in enumerate(values)]
    with tbgrad.GradientSummaryWriter(tmp_path, variables, every=1) as writer:

        @tf.function(jit_compile=xla)
        def step():
            with tf.GradientTape() as tape:
                loss = tf.add_n([tf.reduce_sum(v**2) for v in variables])
            writer.observe(tape.gradient(loss, variables), loss=loss)

        step()
        step()
    run = tbgrad.read(tmp_path)["."]
    expected = np.linalg.norm(2 * values.astype(np.float64), axis=1)
    np.testing.assert_allclose(run.statistic("norm"), [expected] * 2, rtol=1e-6)
    assert run["gradient/norm"].steps.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("dtype", "mode"), [("bfloat16", "graph"), ("bfloat16", "xla"), ("float64", "graph")]
)
def test_models_of_other_number_types(dtype, mode, tmp_path):
    w = (np.round(W * 8) / 8).astype(np.float32)  # the same in all of them
    model = keras.Sequential(
        [keras.Input((INPUTS,)), keras.layers.Dense(OUTPUTS, use_bias=False, dtype=dtype)]
    )
    model.set_weights([w])
    model.compile(keras.optimizers.SGD(RATE, clipnorm=0.5), "mse", **FITTED[mode])
    fit(model, tbgrad.GradientMonitor(tmp_path, every=1), x=batch(0)[0], y=batch(0)[1])
    run = tbgrad.read(tmp_path)["."]
    assert run.parameters[0].dtype == dtype
    bits = {"bfloat16": 8, "float64": 24}[dtype]
    error = 4 * 2.0**-bits + 1e-5
    norm = gradient_norms(w=w, steps=1)[0][0]
    assert run["gradient/norm"].values[0] == pytest.approx(norm, rel=error)
    assert run["gradient/clip_factor"].values[0] == pytest.approx(0.5 / norm, rel=error)
    assert run.statistic("weight_norm")[0, 0] == pytest.approx(np.linalg.norm(w), rel=1e-5)
    change = model.get_weights()[0].astype(np.float64) - w
    assert run.statistic("update_norm")[0, 0] == pytest.approx(np.linalg.norm(change), rel=error)


def test_layers_with_names_of_every_kind(tmp_path):
    names = ["with space", "層 ü", "a.b-c>d", "x" * 200, "<b>&amp;"]
    model = keras.Sequential([keras.Input((INPUTS,))])
    for name in names:
        model.add(keras.layers.Dense(INPUTS, use_bias=False, name=name))
    variables = [
        *(variable.value for variable in model.trainable_variables),
        *(tf.Variable([1.0], name=name) for name in ("a/b", "a:b c", "same", "same")),
    ]
    kept = [*model.trainable_variables, *variables[len(names) :]]
    with tbgrad.GradientSummaryWriter(tmp_path, kept, every=1, histograms_every=1) as writer:
        writer.observe([variable * 1.0 for variable in variables])
    run = tbgrad.read(tmp_path)["."]
    layers = [name.removesuffix("/kernel") for name in run.names]
    assert [layer.split("/")[-1] for layer in layers[: len(names)]] == names
    assert run.names[len(names) :] == ("a/b", "a:b c", "same", "same (2)")
    expected = [np.linalg.norm(variable.numpy()) for variable in variables]
    np.testing.assert_allclose(run.statistic("norm")[0], expected, rtol=1e-5)
    assert all(f"gradient_histogram/{name}" in run for name in run.names)


def test_complex_variables(tmp_path):
    w = tf.Variable(np.array([1 + 2j, 3 - 1j, 0.5j], np.complex64), name="w")
    with tbgrad.GradientSummaryWriter(tmp_path, [w], every=1) as writer:
        for _ in range(3):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(tf.abs(w) ** 2)
            (gradient,) = tape.gradient(loss, [w])
            writer.observe([gradient], loss=loss)
            w.assign_sub(0.1 * gradient)
    run = tbgrad.read(tmp_path)["."]
    lengths = np.linalg.norm([1 + 2j, 3 - 1j, 0.5j]) * 0.8 ** np.arange(3)
    np.testing.assert_allclose(run.statistic("norm")[:, 0], 2 * lengths, rtol=1e-5)
    np.testing.assert_allclose(run.statistic("weight_norm")[:, 0], lengths, rtol=1e-5)
    assert run.parameters[0].shape == (3,)
    assert run.parameters[0].dtype == "complex64"
    assert run["tbgrad/histograms"].values.sum() == 6
