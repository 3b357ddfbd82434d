"""How a training process may end: the log stays readable, and nothing that was drained is lost."""

import os
import signal
import subprocess
import sys
import time

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
