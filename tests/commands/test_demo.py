"""`tbgrad demo`, as a newcomer runs it."""

import os
import shutil
import subprocess
import sys

import pytest

import tbgrad

pytestmark = pytest.mark.tensorflow


def demo(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "tbgrad", "demo", *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=os.environ | environment,
        check=False,
    )


def test_without_a_terminal_it_trains_and_reports(tmp_path):
    done = demo("--logdir", str(tmp_path), "--epochs", "8")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for words in (
        "Training on handwritten digits",
        "conv_1",
        "run digits-",
        "λmax",
        "λmin",
        "smallest",
        "largest",
        f"tbgrad watch {tmp_path}",
        f"tensorboard --logdir {tmp_path}",
    ):
        assert words in done.stdout
    (run,) = tbgrad.read(tmp_path).values()
    assert run.last_step == 8 * 14
    assert run.damage == ()


def test_an_example_prints_what_it_says_and_is_reported(tmp_path):
    done = demo("webhook", "--logdir", str(tmp_path), "--epochs", "9", "--seed", "1")
    assert done.returncode == 0, done.stderr
    (directory,) = tmp_path.iterdir()
    assert directory.name.startswith("webhook-")
    for words in (
        "warning: update_too_large open",  # of the example, which has no address to post it to
        "run .",
        f"tbgrad watch {directory}",
        f"tensorboard --logdir {directory}",
    ):
        assert words in done.stdout
    (run,) = tbgrad.read(directory).values()
    assert run.state.epochs == 9


def test_a_logdir_that_cannot_be_made_gets_a_sentence():
    done = demo("--logdir", "/proc/no", "--epochs", "1")
    assert done.returncode == 2
    assert "give another place with --logdir" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_training_that_fails_is_told(tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "keras.py").write_text("raise RuntimeError('planted')")
    done = demo("--logdir", str(tmp_path / "log"), PYTHONPATH=str(broken))
    assert done.returncode == 1
    assert "planted" in done.stderr
    assert "exit status 1" in done.stderr
    shutil.rmtree(broken)
