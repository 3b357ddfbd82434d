"""What a monitor cannot see, or cannot do, is said: once, in one sentence, in the log too."""

from __future__ import annotations

import logging
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

import tbgrad
from tbgrad.keras.attachment import Attachment
from tbgrad.log.tags import CURVATURE, NOTES
from tbgrad.monitoring.cadence import Cadence, Cadences
from tbgrad.monitoring.run_log import RunLog
from tests.support.linear_model import (
    BATCH,
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


def notes_in(logdir):
    run = tbgrad.read(logdir)["."]
    return run[NOTES].values[-1].splitlines() if NOTES in run else []


def losses(steps=STEPS):
    """Those of plain gradient descent, step by step."""
    found = []
    for step in range(steps):
        _, w = gradient_norms(steps=step)
        x, y = batch(step)
        found.append(np.mean((x.astype(np.float64) @ w - y) ** 2))
    return found


class Autoencoder(keras.Model):
    """The usual pattern: no scale_loss, and means over the epoch for metrics."""

    returns = "metric"

    def __init__(self):
        super().__init__()
        self.inner = linear()
        self.total = keras.metrics.Mean(name="total_loss")
        self.other = keras.metrics.Mean(name="reconstruction_loss")

    @property
    def metrics(self):
        return [self.total, self.other]

    def call(self, x):
        return self.inner(x)

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(self(x, training=True) - y))
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        self.total.update_state(loss)
        self.other.update_state(2 * loss)
        if self.returns == "nothing":
            return {"total": self.total.result()}
        return {"loss": loss if self.returns == "loss" else self.total.result(),
                "reconstruction_loss": self.other.result()}  # fmt: skip


def autoencoder(returns, **settings):
    model = Autoencoder()
    model.returns = returns
    model(X[:1])
    model.compile(keras.optimizers.SGD(RATE), **settings)
    return model


@pytest.mark.parametrize(
    ("returns", "mode"),
    [
        ("loss", {"jit_compile": False, "steps_per_execution": 3}),
        ("metric", {"jit_compile": False}),
        ("metric", {"jit_compile": True, "steps_per_execution": 4}),
        ("metric", {"run_eagerly": True}),
    ],
)
def test_a_train_step_of_ones_own_and_the_loss_it_returns_are_seen(returns, mode, tmp_path):
    fit(autoencoder(returns, **mode), tbgrad.GradientMonitor(tmp_path, every=1))
    run = tbgrad.read(tmp_path)["."]
    assert run["loss"].steps.tolist() == list(range(1, STEPS + 1))
    np.testing.assert_allclose(run["loss"].values, losses(), rtol=1e-5)
    np.testing.assert_allclose(run["gradient/norm"].values, gradient_norms()[0], rtol=1e-5)
    assert notes_in(tmp_path) == []


def test_a_loss_of_nan_has_diverged(tmp_path):
    x = X.copy()
    x[3 * BATCH] = np.nan
    monitor = tbgrad.GradientMonitor(tmp_path, every=1, stop_on={"loss_diverging"})
    model = autoencoder("metric", jit_compile=False)
    fit(model, monitor, x=x, epochs=50)
    assert model.stop_training
    assert any("by the alert nonfinite, of the loss" in note for note in notes_in(tmp_path))
    assert tbgrad.read(tmp_path)["."].last_step < 50 * STEPS


def test_rules_without_their_input_say_so(tmp_path, caplog):
    monitor = tbgrad.GradientMonitor(
        tmp_path, every=1, stop_on={"loss_diverging", "overfitting", "critical_point"}
    )
    fit(autoencoder("nothing", jit_compile=False), monitor, epochs=3)
    (note,) = notes_in(tmp_path)
    for rule in ("critical_point", "loss_diverging", "loss_stuck", "overfitting"):
        assert rule in note.partition(" will never be told of")[0]
    assert "return it, {'loss': loss}" in note
    assert "give fit validation_data=" in note
    assert "curvature=tbgrad.Curvature(data=(x, y))" in note
    assert len(caplog.records) == 1


def test_a_loop_that_never_calls_observe_is_told_what_is_missing(tmp_path):
    model, optimizer = linear(), keras.optimizers.SGD(RATE)
    with writer_for(tmp_path, model, optimizer):
        for step in range(3):
            x, y = batch(step)
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(model(x) - y))
            optimizer.apply(tape.gradient(loss, model.trainable_variables),
                            model.trainable_variables)  # fmt: skip
    assert norms_in(tmp_path)[0].tolist() == [1, 2, 3]
    (note,) = notes_in(tmp_path)
    assert "there is no loss" in note
    assert "writer.observe(…, loss=loss)" in note


def test_pairs_as_for_apply_gradients_are_taken_in_any_order(tmp_path):
    a, b = tf.Variable([3.0, 4.0], name="a"), tf.Variable([1.0], name="b")
    with tbgrad.GradientSummaryWriter(tmp_path, [a, b], every=1) as writer:
        writer.observe(zip([tf.constant([2.0]), a + 0.0], [b, a], strict=True), loss=1.0)
        writer.observe((each for each in [a + 0.0, None]), loss=1.0)
    norms = tbgrad.read(tmp_path)["."].statistic("norm")
    np.testing.assert_array_equal(norms, [[5.0, 2.0], [5.0, np.nan]])
    with pytest.raises(ValueError, match="pairs with other variables"):
        tbgrad.GradientSummaryWriter(tmp_path, [a]).observe([(a + 0.0, b)])


@pytest.mark.parametrize("compiled", [lambda step: step, tf.function])
def test_gradients_of_another_shape_get_a_sentence(compiled, tmp_path):
    variables = [tf.Variable(tf.ones([4, 8]), name="kernel"), tf.Variable(tf.ones([8]))]
    writer = tbgrad.GradientSummaryWriter(tmp_path, variables, every=1)
    words = r"gradient of kernel has shape \(8,\), the variable \(4, 8\): pass tape.gradient"
    with pytest.raises(ValueError, match=words):
        compiled(lambda: writer.observe([tf.ones([8]), tf.ones([4, 8])]))()
    writer.observe([tf.ones([4, 8]), tf.ones([8])])  # and nothing has ended
    writer.close()
    assert norms_in(tmp_path)[0].tolist() == [1]


def test_a_loop_is_told_of_estimates_that_the_budget_leaves_out(tmp_path):
    model, optimizer = linear(), keras.optimizers.SGD(RATE)
    optimizer.build(model.trainable_variables)
    x, y = map(tf.constant, batch(0))
    settings = tbgrad.Curvature(every=5, budget=1e-9)
    with writer_for(tmp_path, model, optimizer) as writer:
        for _ in range(8):
            own_loop(model, optimizer, writer, lambda step: step, steps=1)
            writer.curvature(
                lambda: tf.reduce_mean(tf.square(model(x) - y)), settings, samples=BATCH
            )
    estimates = tbgrad.read(tmp_path)["."][CURVATURE]
    assert estimates.steps.tolist() == [1, 8]
    assert [estimate.samples for estimate in estimates.values] == [BATCH, BATCH]
    (note,) = notes_in(tmp_path)
    assert "less often than every 5 steps" in note


def test_a_failure_is_one_sentence_and_the_rest_is_for_those_who_look(tmp_path, caplog):
    class Fails:
        def __iter__(self):
            raise RuntimeError("first line of it\n" + "and many more\n" * 30)

    caplog.set_level(logging.DEBUG, "tbgrad")
    data = tf.data.Dataset.from_generator(Fails, output_signature=tf.TensorSpec([], tf.float32))
    monitor = tbgrad.GradientMonitor(tmp_path, curvature=tbgrad.Curvature(data=data.batch(2)))
    model = linear()
    model.compile("sgd", "mse", jit_compile=False)
    fit(model, monitor)
    warned = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert len(warned) == 1
    assert "\n" not in warned[0]
    assert len(warned[0]) < 320
    (debugged,) = [r for r in caplog.records if r.levelname == "DEBUG"]
    assert "and many more" in str(debugged.exc_info[1])
    assert Y.shape[1] == 3


def test_what_several_threads_have_to_say_at_one_step_is_all_in_the_log(tmp_path):
    log = RunLog(tmp_path, Cadences(Cadence((1,)), Cadence((1,))))
    attachment = Attachment(log)
    attachment.observer_for(linear().trainable_variables)
    attachment.begin()
    names = [f"note {number}" for number in range(40)]
    threads = [threading.Thread(target=log.note, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    assert sorted(notes_in(tmp_path)) == sorted(names)


def test_every_step_that_is_not_finite_is_marked(tmp_path):
    variable = tf.Variable([1.0])
    attachment = Attachment(RunLog(tmp_path, Cadences(Cadence((100,)), Cadence((100,)))))
    observer = attachment.observer_for([variable])
    step = tf.function(lambda x: observer.observe([x], [variable]))
    told = []
    for value in (1.0, np.nan, np.nan, 1.0, np.inf):
        step(tf.constant([value]))
        (part,) = observer.drain().every
        told.append((part.first_step, part.norms.tolist()))
    expected = [1.0, np.inf, np.inf, 1.0, np.inf]
    assert told == [(step, [[norm]]) for step, norm in enumerate(expected, 1)]
    attachment.close()
