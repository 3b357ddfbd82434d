"""A gradient that is not finite: told at once, of its step and parameter, and when it is over."""

from __future__ import annotations

import threading
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

import tbgrad
from tbgrad.report import summary
from tests.support.linear_model import (
    BATCH,
    EAGER,
    FITTED,
    INPUTS,
    OUTPUTS,
    RATE,
    X,
    Y,
    fit,
    linear,
    own_loop,
    writer_for,
)

pytestmark = pytest.mark.tensorflow


class Frozen(keras.optimizers.SGD):
    """Changes nothing, whatever the gradient is."""

    def update_step(self, gradient, variable, learning_rate):
        pass


@pytest.mark.parametrize("mode", FITTED | EAGER)
def test_values_that_are_not_finite_are_counted_at_steps_that_are_not_logged(
    mode, tmp_path, caplog
):
    x = keras.Input((INPUTS,))
    outputs = [keras.layers.Dense(OUTPUTS, use_bias=False, name=name)(x) for name in "abc"]
    model = keras.Model(x, outputs)
    model.compile(keras.optimizers.SGD(RATE), ["mse"] * 3, **(FITTED | EAGER)[mode])
    y = [Y.copy() for _ in outputs]
    y[1][BATCH * 4 + 2, 0] = np.nan  # one unit of "b", from step 5 on
    y[2][BATCH * 9, :2] = np.inf  # two of "c", from step 10 on
    model.fit(X, y, batch_size=BATCH, shuffle=False, verbose=0,
              callbacks=[tbgrad.GradientMonitor(tmp_path, every=6)])  # fmt: skip
    run = tbgrad.read(tmp_path)["."]
    # The first such step is logged in full.
    assert run["tbgrad/parameters"].steps.tolist() == [1, 5, 6, 12]
    expected = [[0, 0, 0], [0, 1, 0], [0, 1, 0], [0, 6, 3]]
    np.testing.assert_array_equal(run.statistic("nonfinite"), expected)
    assert run["tbgrad/alerts"].steps[0] == 5
    alert = run["tbgrad/alerts"].values[0][0]
    assert "not finite at step 5" in alert.evidence
    assert alert.parameters == (run.names[1],)
    (warned,) = caplog.records
    assert "nonfinite since step 5: " in warned.getMessage()
    peaks = run.statistic("norm_max")
    assert np.isfinite(peaks[:, 0]).all()
    assert np.isinf(peaks[1:, 1]).all()
    assert np.isinf(run["gradient/norm_max"].values).tolist() == [False, True, True, True]


class Spoils:
    """Makes a weight NaN from step 4 to step 9, and mends it."""

    def __init__(self, kernel, last):
        self.kernel, self.last, self.done = kernel, last, 0
        self.sound = kernel.numpy()
        self.ending = threading.Event()

    def __call__(self, *_, **__):
        """Ahead of every step."""
        if self.done in (3, 9):
            spoilt = self.sound.copy()
            spoilt[0, 0] = np.nan
            self.kernel.assign(spoilt if self.done == 3 else self.sound)
        self.done += 1
        if self.done == self.last:
            self.ending.set()


class Alerts(list):
    """What `on_alert` was called with; the first call is not over before the last step."""

    def __init__(self, ending):
        super().__init__()
        self.ending = ending

    def __call__(self, alert):
        if not self:
            assert self.ending.wait(60)
            time.sleep(0.2)  # closing waits for this call, and for those behind it
        self.append(alert)


@pytest.mark.parametrize(("kind", "every"), [("fit", 6), ("loop", 1)])
def test_an_alert_opens_lasts_and_closes(kind, every, tmp_path):
    """It closes after twenty steps without a value that is not finite."""
    model, optimizer = linear(), Frozen(0.1)
    spoils = Spoils(model.layers[-1].kernel, last=144 if kind == "fit" else 36)
    calls = Alerts(spoils.ending)
    if kind == "fit":
        before = keras.callbacks.LambdaCallback()
        before.on_train_batch_begin = spoils
        monitor = tbgrad.GradientMonitor(tmp_path, every=every, on_alert=calls)
        model.compile(optimizer, "mse")
        model.fit(X, Y, batch_size=BATCH, epochs=12, verbose=0, callbacks=[before, monitor])
    else:
        optimizer.build(model.trainable_variables)
        with writer_for(tmp_path, model, optimizer, every=every, on_alert=calls) as writer:
            own_loop(model, optimizer, writer, tf.function, steps=36, before=spoils)
    # Besides, an optimizer that changes nothing is told of.
    assert {alert.rule for alert in calls} <= {"nonfinite", "frozen_parameter", "loss_stuck"}
    assert [a.state for a in calls if a.rule == "nonfinite"] == ["open", "closed"]
    run = tbgrad.read(tmp_path)["."]
    (alert,) = [a for a in summary.build(run).alerts if a.rule == "nonfinite"]
    assert (alert.first_step, alert.state) == (4, "closed")
    assert alert.last_step == 9
    assert alert.parameters[0] in run.names
    assert run["tbgrad/alerts"].steps[0] == 4


def test_an_on_alert_that_fails_is_called_once(tmp_path, caplog):
    def fails(alert):
        raise ConnectionError("no such webhook")

    x = X.copy()
    x[BATCH * 4] = np.nan
    model = linear()
    model.compile(Frozen(), "mse")
    fit(model, tbgrad.GradientMonitor(tmp_path, every=1, on_alert=fails), x=x)
    told = [r.getMessage() for r in caplog.records if "on_alert" in r.getMessage()]
    assert len(told) == 1
    assert "on_alert failed and is not called again. ConnectionError: no such webhook" in told[0]
    assert any("on_alert" in text for text in tbgrad.read(tmp_path)["."]["tbgrad/notes"].values)


def test_an_on_alert_that_is_no_function_is_refused(tmp_path):
    with pytest.raises(TypeError, match="on_alert is a function of one alert, not 'print'"):
        tbgrad.GradientMonitor(tmp_path, on_alert="print")


def logged(logdir, tag):
    run = tbgrad.read(logdir).get(".")
    return run is not None and tag in run


def wait_until_logged(logdir, tag, seconds=60.0):
    """Whether it came within the time."""
    deadline = time.monotonic() + seconds
    while not logged(logdir, tag) and time.monotonic() < deadline:
        time.sleep(0.02)
    return logged(logdir, tag)


@pytest.mark.parametrize("kind", ["fit", "loop"])
def test_a_step_that_is_not_finite_is_told_while_training_goes_on(kind, tmp_path):
    x = X.copy()
    x[BATCH * 7 + 3, 0] = np.nan
    found = []

    class Stops(keras.callbacks.Callback):
        """As soon as it is told, in the midst of the only epoch."""

        def on_train_batch_begin(self, batch, logs=None):
            if batch > 8:
                time.sleep(0.02)
                found.append(logged(tmp_path, "tbgrad/alerts"))
                self.model.stop_training = found[-1]

    model = linear()
    model.compile(keras.optimizers.SGD(0.0), "mse")
    if kind == "fit":
        monitor = tbgrad.GradientMonitor(tmp_path, every=10**6, histograms_every=10**6)
        fit(model, monitor, Stops(), x=np.tile(x, (30, 1)), y=np.tile(Y, (30, 1)))
        assert found[-1]
    else:
        with writer_for(tmp_path, model, model.optimizer, every=1000) as writer:
            own_loop(model, model.optimizer, writer, tf.function, x=x)
            assert wait_until_logged(tmp_path, "tbgrad/alerts")
