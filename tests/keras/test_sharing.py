"""Several who watch one optimizer, several updates a batch, optimizers made of several."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import tbgrad
from tbgrad.log.tags import NOTES
from tbgrad.report import summary
from tests.support.linear_model import (
    RATE,
    STEPS,
    W,
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


def test_two_writers_on_one_optimizer_and_the_inner_one_closes(tmp_path):
    model, optimizer = linear(), keras.optimizers.SGD(RATE)
    optimizer.build(model.trainable_variables)
    with writer_for(tmp_path / "outer", model, optimizer) as outer:
        with writer_for(tmp_path / "inner", model, optimizer) as inner:
            own_loop(model, optimizer, inner, tf.function, steps=5)
        own_loop(model, optimizer, outer, tf.function, steps=4)
    assert norms_in(tmp_path, "inner")[0].tolist() == [1, 2, 3, 4, 5]
    steps, norms = norms_in(tmp_path, "outer")
    assert steps.tolist() == list(range(1, 10))
    np.testing.assert_allclose(norms[:5], gradient_norms()[0][:5], rtol=1e-5)
    assert "apply" not in vars(optimizer)


def test_two_monitors_of_one_fit_each_at_a_cadence_of_its_own(tmp_path):
    model = linear()
    model.compile(keras.optimizers.SGD(RATE), "mse", jit_compile=False)
    monitors = [tbgrad.GradientMonitor(tmp_path / name, every=every)
                for name, every in (("a", 3), ("b", 4))]  # fmt: skip
    for _ in range(2):
        model.fit(X, Y, batch_size=16, shuffle=False, verbose=0, callbacks=monitors)
    model.fit(X, Y, batch_size=16, verbose=0)
    runs = tbgrad.read(tmp_path)
    for name, every in (("a", 3), ("b", 4)):
        expected = [1, *range(every, 2 * STEPS + 1, every)]
        assert runs[name]["tbgrad/parameters"].steps.tolist() == expected
    assert "apply" not in vars(model.optimizer)
    assert type(model.train_function).__module__ != "tbgrad.keras.train_function"


class TakeTurns(keras.Model):
    """An actor and a critic with one optimizer, as in reinforcement learning."""

    def __init__(self, critic_updates):
        super().__init__()
        self.actor, self.critic = linear("actor"), linear("critic", 2 * W)
        self.updates = [self.actor, *[self.critic] * critic_updates]

    def call(self, x):
        return self.actor(x) + self.critic(x)

    def train_step(self, data):
        x, y = data
        for part in self.updates:
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(part(x) - y))
            variables = part.trainable_variables
            self.optimizer.apply(tape.gradient(loss, variables), variables)
        return {"loss": loss}


def take_turns(monitor, critic_updates, epochs, **settings):
    model = TakeTurns(critic_updates)
    model(X[:1])
    model.compile(keras.optimizers.SGD(RATE), **settings)
    model.optimizer.build(model.trainable_variables)
    fit(model, monitor, epochs=epochs)
    return model


@pytest.mark.parametrize(("critic_updates", "every"), [(1, 10), (3, 10), (3, None)])
def test_every_parameter_is_seen_where_updates_take_turns(critic_updates, every, tmp_path):
    """The default looks for its cadence by logging densely at first: 10 steps are its least."""
    monitor = tbgrad.GradientMonitor(tmp_path, every=every)
    epochs = 5 if every else 10
    take_turns(monitor, critic_updates, epochs, jit_compile=False)
    run = tbgrad.read(tmp_path)["."]
    assert not [a for a in summary.build(run).alerts if a.rule == "no_gradient"]
    if every is None:
        return
    steps = run["tbgrad/parameters"].steps
    assert steps.tolist() == [1, *range(10, epochs * STEPS * (1 + critic_updates) + 1, 10)]
    for statistic in ("norm", "norm_max", "update_norm", "weight_norm", "cosine"):
        found = run.statistic(statistic)[2:]
        assert np.isfinite(found).all(), statistic
    actor = [name.endswith("actor/kernel") for name in run.names]
    period = 1 + critic_updates
    norms = run.statistic("norm")[:, actor][:, 0]
    expected, _ = gradient_norms(steps=STEPS)
    for step, norm in zip(steps, norms, strict=True):
        if step <= STEPS * period and np.isfinite(norm):  # the first epoch
            assert norm == pytest.approx(expected[(step - 1) // period], rel=1e-4)
    counts = run["tbgrad/histograms"].values[1:].sum(axis=2)
    assert (counts == [[parameter.size for parameter in run.parameters]]).all()


def test_every_update_is_logged_where_that_is_asked_for(tmp_path):
    take_turns(tbgrad.GradientMonitor(tmp_path, every=1), 2, epochs=1, jit_compile=False)
    run = tbgrad.read(tmp_path)["."]
    seen = np.isfinite(run.statistic("norm"))
    actor = [name.endswith("actor/kernel") for name in run.names]
    np.testing.assert_array_equal(seen[:, actor][:, 0], np.arange(len(seen)) % 3 == 0)
    assert (seen.sum(axis=1) == 1).all()
    assert not [a for a in summary.build(run).alerts if a.rule == "no_gradient"]


def test_a_peak_of_a_parameter_that_is_not_in_the_logged_update_is_kept(tmp_path):
    a, b = tf.Variable([1.0]), tf.Variable([1.0])
    with tbgrad.GradientSummaryWriter(tmp_path, [a, b], every=4) as writer:
        for step in range(1, 9):
            size = tf.constant([100.0 if step == 5 else 2.0])
            writer.observe([size, None] if step % 2 else [None, tf.constant([1.0])])
    run = tbgrad.read(tmp_path)["."]
    assert run["tbgrad/parameters"].steps.tolist() == [1, 4, 8]
    np.testing.assert_array_equal(run.statistic("norm_max"), [[2, np.nan], [2, 1], [100, 1]])
    np.testing.assert_array_equal(run.statistic("norm"), [[2, np.nan], [2, 1], [2, 1]])


def test_the_children_of_a_multi_optimizer_make_one_update(tmp_path):
    inputs = keras.Input((5,))
    outputs = keras.layers.Dense(3, name="below", use_bias=False)(inputs)
    outputs = keras.layers.Dense(3, name="above", use_bias=False)(outputs)
    model = keras.Model(inputs, outputs)
    model.set_weights([W, np.eye(3, dtype=np.float32)])
    optimizer = keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(
            keras.optimizers.SGD(RATE), {"above/.*": keras.optimizers.Adam(0.0)}
        )
    )
    model.compile(optimizer, "mse", jit_compile=False)
    fit(model, tbgrad.GradientMonitor(tmp_path, every=1))
    run = tbgrad.read(tmp_path)["."]
    assert run["loss"].steps.tolist() == list(range(1, STEPS + 1))
    np.testing.assert_allclose(run.statistic("norm")[:, 0], gradient_norms()[0], rtol=1e-5)
    norms = np.linalg.norm(run.statistic("norm"), axis=1)
    np.testing.assert_allclose(run["gradient/norm"].values, norms, rtol=1e-5)
    np.testing.assert_allclose(
        run.statistic("update_norm")[:, 0], RATE * run.statistic("norm")[:, 0], rtol=1e-3
    )
    assert np.isfinite(run.statistic("snr")[1:, 1]).all()  # of Adam alone
    assert np.isnan(run.statistic("snr")[:, 0]).all()
    np.testing.assert_allclose(run["learning_rate"].values, RATE, rtol=1e-6)
    assert "apply" not in vars(optimizer)


def test_accumulation_reads_the_weights_at_no_step_but_the_last(tmp_path):
    """A step that only accumulates has no copy of the weights in its graph."""
    model = linear()
    optimizer = keras.optimizers.SGD(RATE, gradient_accumulation_steps=4)
    optimizer.build(model.trainable_variables)

    def reads():
        @tf.function(autograph=False)
        def step(gradient):
            optimizer.apply([gradient], model.trainable_variables)

        graph = step.get_concrete_function(tf.TensorSpec(W.shape)).graph
        return sum(operation.type == "ReadVariableOp" for operation in graph.get_operations())

    bare = reads()
    with writer_for(tmp_path, model, optimizer):
        # Of the count of micro-steps, at most; the kernel is read where the update is made.
        assert reads() <= bare + 1


@pytest.mark.parametrize("kind", ["fit", "loop"])
def test_other_optimizers_that_train_the_model_are_named(kind, tmp_path, caplog):
    class Other(keras.Model):
        def train_step(self, data):
            x, y = data[:2]
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(self(x, training=True) - y))
            gradients = tape.gradient(loss, self.trainable_variables)
            self.second_optimizer.apply(gradients, self.trainable_variables)
            return {"loss": loss}

    inner = linear()
    model = Other(inner.inputs, inner.outputs)
    model.second_optimizer = keras.optimizers.SGD(RATE)
    model.second_optimizer.build(model.trainable_variables)
    model.compile(keras.optimizers.SGD(RATE))
    if kind == "fit":
        fit(model, tbgrad.GradientMonitor(tmp_path), epochs=2)
        words = "optimizer=model.second_optimizer"
    else:
        with writer_for(tmp_path, model, model.optimizer):
            model.train_on_batch(*batch(0))
        words = "no step was seen: call writer.observe(gradients, loss=loss)"
    (note,) = tbgrad.read(tmp_path)["."][NOTES].values
    assert words in note
    assert len(caplog.records) == 1
