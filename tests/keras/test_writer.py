"""`GradientSummaryWriter` in training loops of one's own."""

import re
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

import tbgrad
from tests.keras.conftest import BATCH, RATE
from tests.support.linear_model import COMPILED, linear, own_loop, writer_for

pytestmark = pytest.mark.tensorflow

cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def loop(model, optimizer, writer, batches, compiled):
    def train_step(x, y):
        with tf.GradientTape() as tape:
            loss = cross_entropy(y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        writer.observe(gradients, loss=loss)
        optimizer.apply(gradients, model.trainable_variables)

    train_step = compiled(train_step)
    x, labels = batches
    for i in range(0, len(x), BATCH):
        train_step(tf.constant(x[i : i + BATCH]), tf.constant(labels[i : i + BATCH]))


@pytest.mark.parametrize("kind", COMPILED)
def test_a_custom_loop_equals_numpy(kind, tmp_path, batches, tiny_model, oracle):
    model = tiny_model()
    variables = model.trainable_variables
    with tbgrad.GradientSummaryWriter(
        tmp_path, variables, optimizer=model.optimizer, every=4
    ) as writer:
        loop(model, model.optimizer, writer, batches, COMPILED[kind])
    run = tbgrad.read(tmp_path)["."]
    at = np.array([1, 4, 8, 12, 16, 20, 24])
    np.testing.assert_array_equal(run["tbgrad/parameters"].steps, at)
    np.testing.assert_array_equal(run["loss"].steps, np.arange(1, 25))
    np.testing.assert_allclose(run["loss"].values, oracle.losses, rtol=2e-5)
    norms = np.linalg.norm(oracle.norms(), axis=1)
    np.testing.assert_allclose(run["gradient/norm"].values, norms, rtol=2e-5)
    np.testing.assert_allclose(run["tbgrad/steps"].values, oracle.norms(), rtol=2e-3)
    np.testing.assert_allclose(run["learning_rate"].values, RATE, rtol=1e-6)
    changes = [
        np.sqrt(sum(np.sum((a - b) ** 2) for a, b in zip(after, before, strict=True)))
        for after, before in zip(oracle.after, oracle.before, strict=True)
    ]
    found = np.linalg.norm(run.statistic("update_norm"), axis=1)
    np.testing.assert_allclose(found, np.array(changes)[at - 1], rtol=2e-4)
    assert "apply" not in vars(model.optimizer)


def test_clipping_by_hand_shows_as_a_factor(tmp_path):
    model, optimizer = linear(), keras.optimizers.SGD(0.0)
    optimizer.build(model.trainable_variables)

    def clipped(gradients):
        optimizer.apply(tf.clip_by_global_norm(gradients, 0.01)[0], model.trainable_variables)

    with writer_for(tmp_path, model, optimizer) as writer:
        own_loop(model, optimizer, writer, tf.function, apply=clipped)
    run = tbgrad.read(tmp_path)["."]
    expected = 0.01 / run["gradient/norm"].values
    assert run["gradient/norm"].values.min() > 0.01
    np.testing.assert_allclose(run["gradient/clip_factor"].values, expected, rtol=1e-5)


@pytest.mark.parametrize("kind", COMPILED)
def test_without_an_optimizer_the_gradients_alone_are_logged(kind, tmp_path):
    variable = tf.Variable([3.0, 4.0], name="point")
    with tbgrad.GradientSummaryWriter(tmp_path, [variable], every=1) as writer:
        step = COMPILED[kind](lambda: writer.observe([2.0 * variable]))
        step()
        step()
    run = tbgrad.read(tmp_path)["."]
    np.testing.assert_array_equal(run["gradient/norm"].values, [10.0, 10.0])
    assert run.parameters[0].path == "point"
    assert "loss" not in run
    assert "learning_rate" not in run
    assert "update/ratio" not in run
    assert np.isnan(run.statistic("update_norm")).all()


def test_an_optimizer_that_was_never_built_is_built_by_the_loop(tmp_path):
    model, optimizer = linear(), keras.optimizers.Adam(0.01)
    with writer_for(tmp_path, model, optimizer, every=5) as writer:
        own_loop(model, optimizer, writer, tf.function)
    run = tbgrad.read(tmp_path)["."]
    assert run["tbgrad/parameters"].steps.tolist() == [1, 5, 10]
    assert np.isfinite(run.statistic("update_norm")).all()


def test_the_log_grows_while_the_loop_runs(tmp_path):
    variable = tf.Variable([1.0])
    with tbgrad.GradientSummaryWriter(tmp_path, [variable], every=1) as writer:
        step = tf.function(lambda: writer.observe([variable]))
        deadline, seen = time.monotonic() + 20, 0
        while seen < 50 and time.monotonic() < deadline:
            step()
            run = tbgrad.read(tmp_path).get(".", {})
            seen = len(run["gradient/norm"]) if "gradient/norm" in run else 0
        assert seen >= 50


def test_a_fast_loop_loses_nothing_or_says_so(tmp_path):
    variables = [tf.Variable(tf.ones([3])) for _ in range(12)]
    with tbgrad.GradientSummaryWriter(tmp_path, variables, every=1) as writer:
        step = tf.function(lambda: writer.observe([v + 0.0 for v in variables]), jit_compile=True)
        for _ in range(3000):
            step()
    run = tbgrad.read(tmp_path)["."]
    notes = "\n".join(run["tbgrad/notes"].values) if "tbgrad/notes" in run else ""
    lost = sum(int(number) for number in re.findall(r"^(\d+) steps before", notes, re.M))
    dropped = max(map(int, re.findall(r"(\d+) events so far", notes.replace(",", ""))), default=0)
    assert len(run["gradient/norm"]) + lost + dropped == 3000
    np.testing.assert_allclose(run["gradient/norm"].values, 6.0, rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"variables": []}, ValueError, "no trainable weights"),
        ({"every": 0}, ValueError, "every is a number of steps"),
        ({"histograms_every": 2.5}, ValueError, "histograms_every is a number of steps"),
    ],
)
def test_bad_arguments_get_a_sentence(arguments, error, words, tmp_path):
    arguments = {"variables": [tf.Variable(1.0)]} | arguments
    with pytest.raises(error, match=words):
        tbgrad.GradientSummaryWriter(tmp_path, **arguments)


def test_a_file_for_a_directory_gets_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="is a file: give a directory"):
        tbgrad.GradientMonitor(tmp_path / "file")
    with pytest.raises(TypeError, match=r"curvature=tbgrad\.Curvature"):
        tbgrad.GradientMonitor(tmp_path / "log", curvature=500)
    with pytest.raises(ValueError, match="x, y"):
        tbgrad.Curvature(data=np.zeros(3))
    writer = tbgrad.GradientSummaryWriter(tmp_path / "log", [tf.Variable(1.0)])
    with pytest.raises(ValueError, match="2 entries for 1 variables"):
        writer.observe([1.0, 2.0])
    writer.close()
