"""Whatever goes wrong with the monitor ends in one warning; the training is not harmed."""

import os
import shutil
import threading
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

import tbgrad
from tbgrad.keras import gradient_statistics
from tbgrad.monitoring.run_file import RunFile
from tests.support.linear_model import (
    INPUTS,
    RATE,
    STEPS,
    X,
    Y,
    fit,
    gradient_norms,
    linear,
    own_loop,
    writer_for,
)

pytestmark = pytest.mark.tensorflow


def compiled():
    model = linear()
    model.compile(keras.optimizers.SGD(RATE, momentum=0.9), "mse", jit_compile=False)
    return model


@pytest.fixture(scope="module")
def unharmed():
    """Weights as of a training without a monitor."""
    model = compiled()
    model.fit(X, Y, batch_size=len(X) // STEPS, shuffle=False, verbose=0)
    return model.get_weights()[0]


def trained(monitor, *callbacks):
    """The weights after a training with all of these."""
    model = compiled()
    model.fit(X, Y, batch_size=len(X) // STEPS, shuffle=False, verbose=0,
              callbacks=[*callbacks, monitor])  # fmt: skip
    return model.get_weights()[0]


class AtStep(keras.callbacks.Callback):
    """Does something ahead of one step."""

    def __init__(self, step, action):
        super().__init__()
        self.step, self.action = step, action

    def on_train_batch_begin(self, batch, logs=None):
        if batch == self.step:
            self.action()


def test_a_failing_statistic_ends_in_one_warning(tmp_path, unharmed, caplog, monkeypatch):
    def broken(*_):
        raise RuntimeError("planted")

    monkeypatch.setattr(gradient_statistics, "halved_squares", broken)
    np.testing.assert_array_equal(trained(tbgrad.GradientMonitor(tmp_path)), unharmed)
    ours = [record.getMessage() for record in caplog.records if record.name == "tbgrad"]
    assert [message.count("planted") for message in ours] == [1]
    notes = tbgrad.read(tmp_path)["."]["tbgrad/notes"].values
    assert "planted" in notes[0]
    assert "training goes on" in notes[0]


def fill_the_disk(directory):
    """Put a device that is always full in the place of every file that is open there."""
    full = os.open("/dev/full", os.O_WRONLY)
    for name in os.listdir("/proc/self/fd"):
        path = f"/proc/self/fd/{name}"
        if os.path.lexists(path) and os.readlink(path).startswith(str(directory)):
            os.dup2(full, int(name))
    os.close(full)


def test_a_full_disk_is_told_and_waited_for_until_the_end(tmp_path, unharmed, caplog):
    monitor = tbgrad.GradientMonitor(tmp_path, every=1)
    fills = AtStep(3, lambda: fill_the_disk(tmp_path))
    np.testing.assert_array_equal(trained(monitor, fills), unharmed)
    full, ended = [r.getMessage() for r in caplog.records if "No space left" in r.getMessage()]
    assert "waits in memory until there is room; training goes on" in full
    assert "ended after a failure of its own; training goes on" in ended


@pytest.mark.parametrize("group", ["", "critic"])
def test_what_fails_to_be_written_while_the_file_is_closed_is_told(group, tmp_path):
    closing, errors = threading.Event(), []

    def fails():
        assert closing.wait(10)
        time.sleep(0.1)
        raise OSError("no space left")

    file = RunFile(
        tmp_path, group=group, start_step=1, on_error=errors.append, on_full=errors.append
    )
    file.add(1, fails)
    closing.set()
    file.close()
    assert [str(error) for error in errors] == ["no space left"]


def test_a_deleted_log_directory_does_no_harm(tmp_path, unharmed):
    deletes = AtStep(3, lambda: shutil.rmtree(tmp_path / "log"))
    monitor = tbgrad.GradientMonitor(tmp_path / "log", every=1)
    np.testing.assert_array_equal(trained(monitor, deletes), unharmed)


@pytest.mark.parametrize("kind", ["fit", "loop"])
def test_a_directory_that_tensorflow_alone_can_write(kind, tmp_path):
    logdir = f"ram://{kind}/runs/a"
    model = linear()
    optimizer = keras.optimizers.SGD(RATE)
    if kind == "fit":
        model.compile(optimizer, "mse")
        fit(model, tbgrad.GradientMonitor(logdir, every=1))
    else:
        with writer_for(f"{logdir}/", model, optimizer) as writer:
            own_loop(model, optimizer, writer, tf.function)
    (name,) = tf.io.gfile.listdir(logdir)
    tf.io.gfile.copy(f"{logdir}/{name}", str(tmp_path / name))
    run = tbgrad.read(tmp_path)["."]
    np.testing.assert_allclose(run["gradient/norm"].values, gradient_norms()[0], rtol=1e-5)
    assert "tbgrad/notes" not in run


@pytest.mark.parametrize(
    ("logdir", "words"), [("nowhere://runs/a", "nowhere"), ("/proc/no/such/place", "goes on")]
)
def test_a_directory_that_cannot_be_made_ends_in_one_warning(logdir, words, unharmed, caplog):
    """One that nothing can write, and one that nobody may."""
    np.testing.assert_array_equal(trained(tbgrad.GradientMonitor(logdir, every=4)), unharmed)
    (record,) = caplog.records
    assert words in record.getMessage()


def test_curvature_that_fails_leaves_the_gradients(tmp_path, caplog):
    bad = tbgrad.Curvature(data=(X[:, :2], Y), every=5, budget=None)
    trained(tbgrad.GradientMonitor(tmp_path, every=6, curvature=bad))
    run = tbgrad.read(tmp_path)["."]
    assert run["tbgrad/parameters"].steps.tolist() == [1, 6, 12]
    assert "no curvature from step 0 on" in run["tbgrad/notes"].values[0]
    assert len(caplog.records) == 1


def test_curvature_comes_back_when_the_weights_are_finite_again(tmp_path, caplog):
    x = np.tile(X, (2, 1))
    inputs = keras.Input((x.shape[1],))
    model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False)(inputs[:, :1]))
    model.compile("sgd", "mse")

    class Break(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch in (4, 16):
                model.set_weights([np.full((1, 1), np.nan if batch == 4 else 0.5, np.float32)])

    curvature = tbgrad.Curvature(data=(x, x[:, :1]), every=5, budget=None, samples=len(x))
    monitor = tbgrad.GradientMonitor(tmp_path, curvature=curvature)
    model.fit(x, x[:, :1], batch_size=16, verbose=0, callbacks=[Break(), monitor])
    run = tbgrad.read(tmp_path)["."]
    steps = run["curvature/lambda_max"].steps
    assert steps[0] == 0
    assert steps[-1] > 16
    assert not set(steps) & {5, 10, 15}
    told = [record.getMessage() for record in caplog.records]
    assert ["no curvature" in told[0], "not finite at step 5" in told[0]].count(True) == 1
    assert len(told) == 2
    # one parameter: its only eigenvalue is the second derivative, twice the mean of x²
    expected = 2 * np.mean(x[:, 0].astype(np.float64) ** 2)
    for tag in ("curvature/lambda_max", "curvature/lambda_min"):
        np.testing.assert_allclose(run[tag].values, expected, rtol=1e-5)


def test_a_model_without_trainable_weights_trains_on(tmp_path, caplog):
    model = linear()
    model.trainable = False
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="does not have any trainable weights"):
        fit(model, tbgrad.GradientMonitor(tmp_path))
    assert len(caplog.records) == 1
    assert "no trainable weights" in caplog.text


def test_a_model_that_is_built_by_its_first_step(tmp_path):
    """And compiled: its functions are made before its variables are."""
    model = keras.Sequential([keras.layers.Dense(3)])
    model.compile("sgd", "mse", jit_compile=True)
    assert not model.built
    curvature = tbgrad.Curvature(data=(X, Y), every=6, budget=None, samples=32)
    fit(model, tbgrad.GradientMonitor(tmp_path, every=5, curvature=curvature))
    run = tbgrad.read(tmp_path)["."]
    np.testing.assert_array_equal(run["tbgrad/parameters"].steps, [1, 5, 10])
    assert run.parameters[0].shape == (INPUTS, 3)
    assert run["curvature/lambda_max"].steps[-1] == STEPS
    assert "tbgrad/notes" not in run
