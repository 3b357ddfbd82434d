"""`tbgrad watch` on a real pseudo-terminal, while a log grows."""

import os
import re
import signal
import subprocess
import sys

import pytest

from tbgrad.log import encode
from tbgrad.log.append import EventFileWriter
from tbgrad.log.tags import LOSS
from tests.support.logs import write_run
from tests.support.terminal import Terminal, watch


def step_of(terminal: Terminal) -> int:
    """The step that the first line of the screen names."""
    (step,) = re.findall(r"step ([\d,]+)", terminal.screen.display[0])
    return int(step.replace(",", ""))


@pytest.mark.parametrize("key", ["q", "\x03"], ids=["q", "ctrl-c"])
def test_new_values_appear_and_the_terminal_is_restored(key, tmp_path):
    terminal = watch(tmp_path / "runs")
    terminal.wait_for("does not exist yet")
    write_run(tmp_path / "runs" / "a", steps=300)
    terminal.wait_for("dense_0/kernel")
    with EventFileWriter(tmp_path / "runs" / "a") as writer:
        writer.add(4321, [encode.scalar(LOSS, 0.5)])
        writer.flush()
        terminal.wait_for("4,321")
    terminal.send(key)
    assert terminal.ends() == 0
    assert terminal.received.rindex(b"\x1b[?1049l") > terminal.received.rindex(b"\x1b[?1049h")
    assert terminal.received.rindex(b"\x1b[?25h") > terminal.received.rindex(b"\x1b[?25l")


def test_the_app_ends_with_its_terminal(tmp_path):
    """Also where no signal says so: or it went on for ever, at the cost of a core."""
    terminal = watch(tmp_path)
    terminal.wait_for("holds no event files yet")
    assert terminal.close() == 0


@pytest.mark.tensorflow
def test_a_training_in_a_child_process_is_followed_until_it_is_killed(tmp_path):
    """The main job: one process trains, another watches its log."""
    terminal = watch(tmp_path)
    terminal.wait_for("holds no event files yet")
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    child = subprocess.Popen(
        [sys.executable, "-m", "tbgrad.keras.digits", str(tmp_path), "10000", "0"],
        env=os.environ | quiet,
    )
    try:
        terminal.wait_for("conv_1/kernel", 120)
        terminal.wait_for("below the limit")
        terminal.wait_for("optimizer")
        first = step_of(terminal)
        while step_of(terminal) <= first:
            terminal.settle(0.1)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    terminal.send("?")
    terminal.wait_for("Keys")
    terminal.send("qq")
    assert terminal.ends() == 0
