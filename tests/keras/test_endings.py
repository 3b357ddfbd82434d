"""How a training process may end: the log stays readable, and nothing that was drained is lost."""

import gc
import itertools
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

FIT_BEHIND_A_LOOP = """
import sys, keras, numpy as np, tensorflow as tf, tbgrad
variable = tf.Variable([1.0, 2.0])
writer = tbgrad.GradientSummaryWriter(sys.argv[1] + "/loop", [variable], every=1)
for step in range(25):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(variable**2)
    writer.observe(tape.gradient(loss, [variable]), loss=loss)
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
model.compile("sgd", "mse")
x = np.ones((64, 4), np.float32)
model.fit(x, x[:, :3], batch_size=4, epochs=10**9, verbose=0,
          callbacks=[tbgrad.GradientMonitor(sys.argv[1] + "/fit", every=5)])
"""
FIT_AND_LOOP_THAT_TELL = """
import sys, time, keras, numpy as np, tensorflow as tf, tbgrad
variable = tf.Variable([1.0, 2.0])
writer = tbgrad.GradientSummaryWriter(sys.argv[1] + "/loop", [variable], every=1)
class Tells(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        print(batch, time.time(), flush=True)
        writer.observe([2.0 * variable])
        time.sleep(0.005)
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
model.compile("sgd", "mse")
x = np.ones((400_000, 4), np.float32)
model.fit(x, x[:, :3], batch_size=4, verbose=0,
          callbacks=[tbgrad.GradientMonitor(sys.argv[1] + "/fit", every=1), Tells()])
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
    while True:
        run = tbgrad.read(logdir)["."] if logdir.exists() else None
        if run is not None and run.last_step >= steps:
            return run
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_ctrl_c_leaves_all_that_was_logged_and_closes_what_nobody_did(tmp_path):
    """The interpreter exits with a training interrupted, and a writer that was never closed."""
    child = start(FIT_BEHIND_A_LOOP, tmp_path)
    before = wait_for_steps(tmp_path / "fit", 100)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    assert child.returncode != 0
    assert "KeyboardInterrupt" in errors
    assert "tbgrad" not in errors.rsplit("Traceback", 1)[0]
    runs = tbgrad.read(tmp_path)
    after = runs["fit"]
    assert after.last_step >= before.last_step
    assert len(after["gradient/norm"]) >= len(before["gradient/norm"])
    assert after.damage == ()
    assert runs["loop"]["gradient/norm"].steps.tolist() == list(range(1, 26))
    assert runs["loop"].damage == ()


def test_a_kill_loses_no_more_than_the_last_two_seconds(tmp_path):
    child = start(FIT_AND_LOOP_THAT_TELL, tmp_path)
    told = [child.stdout.readline() for _ in range(60)]  # the first ones are those that trace
    begun = float(told[-1].split()[1])
    while float(told[-1].split()[1]) < begun + 5.3:  # not a multiple of the two seconds
        told.append(child.stdout.readline())
    before = wait_for_steps(tmp_path / "fit", 1)
    child.kill()
    told += child.communicate(timeout=60)[0].splitlines()
    assert child.returncode != 0
    steps, times = zip(*(map(float, line.split()) for line in told if line.count(".")), strict=True)
    done = max(s for s, t in zip(steps, times, strict=True) if t < times[-1] - 2.0 - 1.0)
    assert done > 50
    runs = tbgrad.read(tmp_path)
    for run in (runs["fit"], runs["loop"]):
        assert run.last_step >= done
        logged = run["gradient/norm"].steps
        assert logged.tolist() == list(range(1, len(logged) + 1))
    assert runs["fit"].last_step >= before.last_step


def linear():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.compile(keras.optimizers.SGD(0.01), "mse")
    return model


X = np.random.default_rng(3).standard_normal((64, 4)).astype(np.float32)
SHADOWED = {"apply", "_clip_gradients", "scale_loss"}


class Fails(keras.callbacks.Callback):
    """Fails in one hook, at the third batch of it where it is one of batches."""

    def __init__(self, hook, error):
        super().__init__()

        def fail(first=None, *_, **__):
            if hook != "on_train_batch_end" or first == 2:
                raise error("planted")

        setattr(self, hook, fail)


@pytest.mark.parametrize("before", [True, False])
def test_a_callback_that_fails_beside_the_monitor(before, tmp_path):
    """Wherever it stands in the list, in whichever hook it fails; and the run goes on each time."""
    model, expected = linear(), 0
    monitor = tbgrad.GradientMonitor(tmp_path, every=1)
    hooks = ["on_train_batch_end", "on_epoch_end", "on_test_begin"]
    for hook, error in itertools.product(hooks, [RuntimeError, KeyboardInterrupt, SystemExit]):
        callbacks = [Fails(hook, error), monitor][:: 1 if before else -1]
        with pytest.raises(error, match="planted"):
            model.fit(X, X[:, :3], batch_size=4, verbose=0, callbacks=callbacks,
                      validation_data=(X, X[:, :3]))  # fmt: skip
        gc.collect()
        assert not SHADOWED & set(vars(model.optimizer))
        assert type(model.train_function).__module__ != "tbgrad.keras.train_function"
        expected += 3 if hook == "on_train_batch_end" else 16
        run = tbgrad.read(tmp_path)["."]
        assert run["gradient/norm"].steps.tolist() == list(range(1, expected + 1))
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
