"""Ways to train other than plain `fit`."""

from __future__ import annotations

import copy
import itertools
import pickle

import keras
import numpy as np
import pytest
import tensorflow as tf

import tbgrad
from tests.support.linear_model import (
    BATCH,
    EAGER,
    FITTED,
    INPUTS,
    OUTPUTS,
    RATE,
    STEPS,
    X,
    Y,
    batch,
    fit,
    gradient_norms,
    linear,
    norms_in,
    own_loop,
    writer_for,
)

pytestmark = pytest.mark.tensorflow


def test_a_training_that_resumes_goes_on_counting_and_replaces_what_came_later(tmp_path):
    model = linear()
    model.compile(keras.optimizers.SGD(RATE), "mse")
    fit(model, tbgrad.GradientMonitor(tmp_path, every=1))
    resumed = linear()
    resumed.set_weights([gradient_norms(steps=5)[1].astype(np.float32)])  # the checkpoint of step 5
    resumed.compile(keras.optimizers.SGD(RATE), "mse")
    resumed.optimizer.iterations.assign(5)
    rest = slice(5 * BATCH, 9 * BATCH)
    fit(resumed, tbgrad.GradientMonitor(tmp_path, every=1), x=X[rest], y=Y[rest])
    steps, norms = norms_in(tmp_path)
    np.testing.assert_array_equal(steps, np.arange(1, 10))
    np.testing.assert_allclose(norms, gradient_norms(steps=9)[0], rtol=1e-5)


def test_an_optimizer_that_knows_its_variables_needs_none(tmp_path):
    model = linear()
    optimizer = keras.optimizers.SGD(RATE, clipvalue=0.05)
    optimizer.build(model.trainable_variables)
    with writer_for(tmp_path, model, optimizer) as writer:
        own_loop(model, optimizer, writer, tf.function, apply=lambda g: optimizer.apply(g))
    expected, _ = gradient_norms(update=lambda w, g: w - RATE * np.clip(g, -0.05, 0.05))
    np.testing.assert_allclose(norms_in(tmp_path)[1], expected, rtol=1e-5)


@pytest.mark.parametrize("mode", ["graph", "eager"])
def test_train_on_batch_shows_loss_and_stops_with_the_writer(mode, tmp_path):
    model = linear()
    model.compile(keras.optimizers.SGD(RATE), "mse", **(FITTED | EAGER)[mode])
    losses = []
    with writer_for(tmp_path, model, model.optimizer):
        for step in range(6):
            losses.append(float(model.train_on_batch(*batch(step))))
            model.reset_metrics()
    assert "apply" not in vars(model.optimizer)
    for step in range(6, STEPS):
        model.train_on_batch(*batch(step))
    run = tbgrad.read(tmp_path)["."]
    np.testing.assert_array_equal(run["gradient/norm"].steps, np.arange(1, 7))
    np.testing.assert_allclose(run["gradient/norm"].values, gradient_norms()[0][:6], rtol=1e-5)
    np.testing.assert_allclose(run["loss"].values, losses, rtol=1e-5)
    _, weights = gradient_norms()
    np.testing.assert_allclose(model.get_weights()[0], weights, rtol=1e-4, atol=1e-6)


def test_train_on_batch_with_the_monitor_and_its_hooks_called_by_hand(tmp_path):
    model = linear()
    model.compile(keras.optimizers.SGD(RATE), "mse")
    monitor = tbgrad.GradientMonitor(tmp_path, every=1)
    monitor.set_model(model)
    monitor.on_train_begin()
    for step in range(STEPS):
        monitor.on_train_batch_begin(step)
        model.train_on_batch(*batch(step))
    monitor.on_train_end()
    np.testing.assert_allclose(norms_in(tmp_path)[1], gradient_norms()[0], rtol=1e-5)
    assert "apply" not in vars(model.optimizer)


def test_a_loop_that_resumes_from_a_checkpoint(tmp_path):
    def new():
        model, optimizer = linear(), keras.optimizers.SGD(RATE)
        optimizer.build(model.trainable_variables)
        return model, optimizer, tf.train.Checkpoint(model=model, optimizer=optimizer)

    model, optimizer, checkpoint = new()
    with writer_for(tmp_path / "run", model, optimizer, every=3) as writer:
        own_loop(model, optimizer, writer, tf.function, steps=5)
        path = checkpoint.save(str(tmp_path / "checkpoint"))
        own_loop(model, optimizer, writer, tf.function)  # on to step 17
    assert norms_in(tmp_path / "run")[0].tolist() == list(range(1, 18))
    model, optimizer, checkpoint = new()
    checkpoint.restore(path).assert_consumed()
    with writer_for(tmp_path / "run", model, optimizer, every=3) as writer:
        own_loop(model, optimizer, writer, tf.function, steps=6)
    steps, norms = norms_in(tmp_path / "run")
    np.testing.assert_array_equal(steps, np.arange(1, 12))
    logged = tbgrad.read(tmp_path / "run")["."]["tbgrad/parameters"].steps
    # The first step of a session is logged too.
    np.testing.assert_array_equal(logged, [1, 3, 6, 9])
    first, w = gradient_norms(steps=5)
    second, _ = gradient_norms(w=w, steps=6)
    np.testing.assert_allclose(norms, np.r_[first, second], rtol=1e-5)
    assert tbgrad.read(tmp_path / "run")["."].damage == ()


def two_layers():
    return keras.Sequential([keras.Input((INPUTS,)), keras.layers.Dense(4, name="below"),
                             keras.layers.Dense(OUTPUTS, name="above")])  # fmt: skip


def test_a_loop_of_ones_own_that_freezes_a_layer(tmp_path):
    model, optimizer = two_layers(), keras.optimizers.SGD(RATE)
    variables = list(model.trainable_variables)
    optimizer.build(variables)
    weights = [model.get_weights()]
    with tbgrad.GradientSummaryWriter(tmp_path, variables, optimizer=optimizer, every=1) as writer:

        @tf.function
        def train_step(x, y, frozen):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(model(x) - y))
            gradients = tape.gradient(loss, variables)
            if frozen:
                gradients = [None, None, *gradients[2:]]
            writer.observe(gradients, loss=loss)
            trained = slice(2 * frozen, None)
            optimizer.apply(gradients[trained], variables[trained])

        for step, frozen in enumerate((False, True, False)):
            train_step(*map(tf.constant, batch(step)), frozen)
            weights.append(model.get_weights())
    run = tbgrad.read(tmp_path)["."]
    seen = np.isfinite(run.statistic("norm"))
    np.testing.assert_array_equal(seen[:, :2], [[True] * 2, [False] * 2, [True] * 2])
    assert seen[:, 2:].all()
    changes = [
        [np.linalg.norm(new.astype(np.float64) - old) for new, old in zip(*pair, strict=True)]
        for pair in itertools.pairwise(weights)
    ]
    np.testing.assert_allclose(run.statistic("update_norm"), changes, rtol=1e-4)
    assert run["gradient/norm"].steps.tolist() == [1, 2, 3]


@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer")  # as without monitor
def test_copies_of_model_and_optimizer_carry_no_trace(tmp_path):
    """Taken in the middle of a monitored training and after it."""
    shadowed = {"apply", "_all_reduce_sum_gradients", "_clip_gradients", "scale_loss"}
    model = linear()
    model.compile(keras.optimizers.Adam(RATE), "mse")
    monitor = tbgrad.GradientMonitor(tmp_path / "log", every=1)
    copies = []

    def take():
        keras.models.clone_model(model)
        model.save(tmp_path / "model.keras")
        tf.train.Checkpoint(model=model, optimizer=model.optimizer).save(str(tmp_path / "c"))
        loaded = keras.models.load_model(tmp_path / "model.keras")
        again = pickle.loads(pickle.dumps(model))
        np.testing.assert_array_equal(loaded.get_weights(), model.get_weights())
        np.testing.assert_array_equal(again.get_weights(), model.get_weights())
        shapes = [variable.shape for variable in model.optimizer.variables]
        assert [variable.shape for variable in loaded.optimizer.variables] == shapes
        settings = keras.optimizers.serialize(model.optimizer)
        copies.extend(
            [
                loaded.optimizer,
                again.optimizer,
                pickle.loads(pickle.dumps(model.optimizer)),
                copy.deepcopy(model.optimizer),
                keras.optimizers.deserialize(settings),
            ]
        )

    class Takes(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 5:
                assert shadowed <= set(vars(model.optimizer))
                take()

    model.fit(X, Y, batch_size=BATCH, shuffle=False, verbose=0, callbacks=[monitor, Takes()])
    take()
    assert len(copies) == 10
    for optimizer in [*copies, model.optimizer]:
        assert not shadowed & set(vars(optimizer))
    assert type(model.train_function).__module__ != "tbgrad.keras.train_function"
    saved = [name for name, _ in tf.train.list_variables(str(tmp_path / "c-1"))]
    assert not any("tbgrad" in name for name in saved)
    before = len(norms_in(tmp_path / "log")[0])
    assert before == STEPS
    other = linear()
    other.compile(copies[2], "mse")
    for each in (other, model):
        each.fit(X, Y, batch_size=BATCH, verbose=0)
    assert len(norms_in(tmp_path / "log")[0]) == before
