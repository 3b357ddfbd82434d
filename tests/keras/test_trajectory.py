"""Trajectories that a training logs, against gradient descent in float64."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import tbgrad
from tbgrad.log.records import Parameter
from tbgrad.log.weight_sketch import WeightSketch
from tbgrad.monitoring.trajectory import next_place
from tests.support.linear_model import (
    BATCH,
    COMPILED,
    RATE,
    STEPS,
    W,
    X,
    Y,
    fit,
    linear,
    own_loop,
    writer_for,
)

pytestmark = pytest.mark.tensorflow

EPOCHS = 6


def path(steps):
    """The weights after 0, 1, … steps of gradient descent, batch after batch."""
    w = W.astype(np.float64)
    places = [w]
    for step in range(steps):
        rows = slice(step % STEPS * BATCH, (step % STEPS + 1) * BATCH)
        x, y = X[rows].astype(np.float64), Y[rows].astype(np.float64)
        w = w - RATE * 2 / y.size * x.T @ (x @ w - y)
        places.append(w)
    return np.array(places)


def compiled_model(**arguments):
    model = linear()
    model.compile(keras.optimizers.SGD(RATE), "mse", **arguments)
    return model


def check(run, steps, last):
    series = run["tbgrad/trajectory"]
    assert series.steps.tolist() == steps
    assert series.steps[-1] == last
    expected = path(last)[steps].reshape(len(steps), -1)
    np.testing.assert_allclose(np.stack(series.values)[:, 0], expected, rtol=1e-4, atol=1e-6)


def due(last):
    steps = [0]
    while next_place(steps[-1]) < last:
        steps.append(next_place(steps[-1]))
    return [*steps, last]


@pytest.mark.parametrize("jit_compile", [False, True], ids=["graph", "xla"])
def test_fit_logs_where_the_weights_are(jit_compile, tmp_path):
    model = compiled_model(jit_compile=jit_compile)
    monitor = tbgrad.GradientMonitor(tmp_path, trajectory=True)
    fit(model, monitor, epochs=EPOCHS - 1)
    fit(model, monitor, epochs=1)  # goes on
    last = STEPS * EPOCHS
    steps = sorted({*due(last), STEPS * (EPOCHS - 1)})
    taken = tbgrad.read(tmp_path)["."]["tbgrad/trajectory"].steps.tolist()
    # A place comes later, or is left out, where the one before has not been written yet.
    of = [max(step for step in steps if step <= place) for place in taken]
    assert sorted({*of}) == of
    assert {0, 1, last} <= set(taken)
    assert len(taken) > len(steps) // 2
    check(tbgrad.read(tmp_path)["."], taken, last)
    np.testing.assert_allclose(model.get_weights()[0], path(last)[-1], rtol=1e-4)


def test_several_steps_a_call(tmp_path):
    model = compiled_model(steps_per_execution=4)
    fit(model, tbgrad.GradientMonitor(tmp_path, trajectory=True), epochs=2)
    run = tbgrad.read(tmp_path)["."]
    taken = run["tbgrad/trajectory"].steps.tolist()
    assert {0, 4, 24} <= set(taken) <= set(range(0, 25, 4))
    check(run, taken, 24)


def test_a_loop_of_ones_own(tmp_path):
    model, optimizer = linear(), keras.optimizers.SGD(RATE)
    with writer_for(tmp_path, model, optimizer) as writer:

        def before(step):
            writer.flush()  # so that none waits to be written
            writer.trajectory()

        own_loop(model, optimizer, writer, COMPILED["graph"], before=before)
    check(tbgrad.read(tmp_path)["."], list(range(STEPS + 1)), STEPS)


@pytest.mark.parametrize("trajectory", [True, "exact"])
def test_a_larger_model(trajectory, tmp_path):
    rng = np.random.default_rng(0)
    kernel = rng.standard_normal((100, 60)).astype(np.float32)
    model = linear(w=kernel)
    model.compile(keras.optimizers.SGD(0.1), "mse")
    x, y = rng.standard_normal((8, 100)), rng.standard_normal((8, 60))
    monitor = tbgrad.GradientMonitor(tmp_path, trajectory=trajectory)
    model.fit(x, y, verbose=0, callbacks=[monitor])
    first, last = tbgrad.read(tmp_path)["."]["tbgrad/trajectory"].values[[0, -1]]
    if trajectory == "exact":
        np.testing.assert_array_equal(first, kernel.reshape(1, -1))
        np.testing.assert_array_equal(last, model.get_weights()[0].reshape(1, -1))
        return
    row = Parameter("linear/kernel", "linear", (100, 60), 6000, "float32", "kernel")
    for logged, weights in ((first, kernel), (last, model.get_weights()[0])):
        np.testing.assert_allclose(logged, WeightSketch([row]).of([weights]), rtol=1e-5)


def test_an_analysis_in_the_midst_of_a_training(tmp_path):
    model = compiled_model()
    monitor = tbgrad.GradientMonitor(tmp_path)

    class AtTheEndOfAnEpoch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            monitor.log_analysis(tbgrad.gradient_check(model, X, Y, progress=False), "check")

    fit(model, monitor, AtTheEndOfAnEpoch(), epochs=2)
    run = tbgrad.read(tmp_path)["."]
    series = run["tbgrad/analyses/check"]
    assert series.steps.tolist() == [STEPS, 2 * STEPS]
    for check, w in zip(series.values, path(2 * STEPS)[[STEPS, 2 * STEPS]], strict=True):
        gradient = 2 / Y.size * X.T.astype(np.float64) @ (X @ w - Y)
        assert check.norm == pytest.approx(np.linalg.norm(gradient), rel=1e-4)
        assert list(check.norms) == list(run.names)
    with pytest.raises(TypeError, match="gradient_check"):
        monitor.log_analysis("nothing")


def test_training_is_the_same_bit_for_bit(tmp_path):
    weights = []
    for monitored in (False, True):
        model = compiled_model(jit_compile=False)
        maps = tbgrad.Sensitivity((X[:2], Y[:2]), every=5, budget=None)
        monitor = tbgrad.GradientMonitor(tmp_path, trajectory=True, sensitivity=maps)
        fit(model, *([monitor] if monitored else []), epochs=2)
        weights.append(model.get_weights()[0])
    np.testing.assert_array_equal(*weights)
    assert "sensitivity/gradient" in {each.tag for each in tbgrad.read(tmp_path)["."].left_out}
