"""How a training process may end: the log stays readable, and nothing that was drained is lost."""

import gc
import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

import tbgrad

pytestmark = pytest.mark.tensorflow

FIT = """
import sys, keras, numpy as np, tbgrad
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
model.compile("sgd", "mse")
x = np.ones((64, 4), np.float32)
model.fit(x, x[:, :3], batch_size=4, epochs=10**9, verbose=0,
          callbacks=[tbgrad.GradientMonitor(sys.argv[1], every=5)])
"""
LOOP = """
import sys, numpy as np, tensorflow as tf, tbgrad
variable = tf.Variable([1.0, 2.0])
writer = tbgrad.GradientSummaryWriter(sys.argv[1], [variable], every=1)
for step in range(25):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(variable**2)
    writer.observe(tape.gradient(loss, [variable]), loss=loss)
"""


def start(program, logdir):
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    return subprocess.Popen(
        [sys.executable, "-c", program, str(logdir)],
        env=os.environ | quiet,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_steps(logdir, steps):
    deadline = time.monotonic() + 120
    while not logdir.exists() or tbgrad.read(logdir)["."].last_step < steps:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return tbgrad.read(logdir)["."]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_a_training_that_is_killed_leaves_all_it_had_written(how, tmp_path):
    child = start(FIT, tmp_path / "run")
    before = wait_for_steps(tmp_path / "run", 500)
    child.send_signal(how)
    _, errors = child.communicate(timeout=60)
    after = tbgrad.read(tmp_path / "run")["."]
    assert after.last_step >= before.last_step
    assert len(after["gradient/norm"]) >= len(before["gradient/norm"])
    assert child.returncode != 0
    if how == signal.SIGINT:
        assert "KeyboardInterrupt" in errors
        assert "tbgrad" not in errors.rsplit("Traceback", 1)[0]
        assert after.damage == ()


def test_a_writer_that_is_never_closed_writes_all_when_the_interpreter_exits(tmp_path):
    child = start(LOOP, tmp_path / "run")
    _, errors = child.communicate(timeout=120)
    assert child.returncode == 0, errors
    run = tbgrad.read(tmp_path / "run")["."]
    assert run["gradient/norm"].steps.tolist() == list(range(1, 26))
    assert run.damage == ()


FIT_THAT_TELLS = """
import sys, time, keras, numpy as np, tbgrad
class Tells(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        print(batch, time.time(), flush=True)
        time.sleep(0.005)
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
model.compile("sgd", "mse")
x = np.ones((400_000, 4), np.float32)
model.fit(x, x[:, :3], batch_size=4, verbose=0,
          callbacks=[tbgrad.GradientMonitor(sys.argv[1], every=1), Tells()])
"""
LOOP_THAT_TELLS = """
import sys, time, tensorflow as tf, tbgrad
variable = tf.Variable([1.0, 2.0])
writer = tbgrad.GradientSummaryWriter(sys.argv[1], [variable], every=1)
for step in range(10**9):
    print(step, time.time(), flush=True)
    writer.observe([2.0 * variable])
    time.sleep(0.005)
"""


@pytest.mark.parametrize("program", [FIT_THAT_TELLS, LOOP_THAT_TELLS], ids=["fit", "loop"])
def test_a_kill_loses_no_more_than_the_last_two_seconds(program, tmp_path):
    child = start(program, tmp_path / "run")
    told = [child.stdout.readline()]
    begun = float(told[0].split()[1])
    while float(told[-1].split()[1]) < begun + 5.3:  # not a multiple of the two seconds
        told.append(child.stdout.readline())
    child.kill()
    told += child.communicate(timeout=60)[0].splitlines()
    steps, times = zip(*(map(float, line.split()) for line in told if line.count(".")), strict=True)
    done = max(s for s, t in zip(steps, times, strict=True) if t < times[-1] - 2.0 - 1.0)
    run = tbgrad.read(tmp_path / "run")["."]
    assert done > 50
    assert run.last_step >= done
    logged = run["gradient/norm"].steps
    assert logged.tolist() == list(range(1, len(logged) + 1))


def linear():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.compile(keras.optimizers.SGD(0.01), "mse")
    return model


X = np.random.default_rng(3).standard_normal((64, 4)).astype(np.float32)
SHADOWED = {"apply", "_clip_gradients", "scale_loss"}


class Fails(keras.callbacks.Callback):
    def __init__(self, hook, error):
        super().__init__()

        def fail(*_, **__):
            raise error("planted")

        setattr(self, hook, fail)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("hook", ["on_train_batch_end", "on_epoch_end", "on_test_begin"])
@pytest.mark.parametrize("before", [True, False])
def test_a_callback_that_fails_beside_the_monitor(before, hook, error, tmp_path):
    """Wherever it stands in the list, and in whichever hook it fails."""
    model = linear()
    callbacks = [Fails(hook, error), tbgrad.GradientMonitor(tmp_path, every=1)]
    with pytest.raises(error, match="planted"):
        model.fit(X, X[:, :3], batch_size=4, verbose=0, validation_data=(X, X[:, :3]),
                  callbacks=callbacks[:: 1 if before else -1])  # fmt: skip
    gc.collect()
    assert not SHADOWED & set(vars(model.optimizer))
    run = tbgrad.read(tmp_path)["."]
    done = 1 if hook == "on_train_batch_end" else 16
    assert run["gradient/norm"].steps.tolist() == list(range(1, done + 1))
    assert run.damage == ()
    assert "tbgrad/notes" not in run


def test_a_loop_that_fails_inside_its_writer(tmp_path):
    model = linear()

    def train():
        with tbgrad.GradientSummaryWriter(
            tmp_path, model.trainable_variables, optimizer=model.optimizer, every=1
        ):
            for step in range(10):
                if step == 7:
                    raise KeyboardInterrupt("planted")
                model.train_on_batch(X[:4], X[:4, :3])

    with pytest.raises(KeyboardInterrupt, match="planted"):
        train()
    assert not SHADOWED & set(vars(model.optimizer))
    run = tbgrad.read(tmp_path)["."]
    assert run["gradient/norm"].steps.tolist() == list(range(1, 8))
    assert run.damage == ()


def test_a_writer_that_is_collected_while_a_function_is_traced(tmp_path, caplog):
    """As when one training follows another in a notebook: the former's objects go in the latter."""
    import tensorflow as tf

    from tests.support.linear_model import RATE, linear, norms_in, own_loop, writer_for

    model, optimizer = linear(), keras.optimizers.SGD(RATE)
    writer = writer_for(tmp_path, model, optimizer)
    own_loop(model, optimizer, writer, tf.function)
    held = [writer]
    del writer

    @tf.function
    def later():
        held.clear()
        gc.collect()
        return tf.constant(1.0)

    later()
    assert not held
    assert norms_in(tmp_path)[0].tolist() == list(range(1, 13))
    assert "ended after a failure" not in caplog.text
