"""However a training ends, and while it goes on: both faces say so, within 15 seconds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tbgrad.commands.main import main
from tbgrad.reading.directory import read
from tests.support.browser import tensorboard
from tests.support.terminal import watch

pytestmark = pytest.mark.tensorflow

TRAINING = """
import os, sys, time, keras, numpy as np, tbgrad
from tests.keras.test_failures import fill_the_disk
logdir, name = sys.argv[1:]
trigger = logdir + "-" + name
class Ends(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        time.sleep(0.01)
        if os.path.exists(trigger):
            os.remove(trigger)
            if name == "full":
                fill_the_disk(logdir)
            else:
                raise ValueError("planted by " + name)
def fit(name, callback, **plan):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.compile("sgd", "mse")
    x = np.ones((64, 4), np.float32)
    monitor = tbgrad.GradientMonitor(logdir + "/" + name, every=5, hparams={"width": 3})
    model.fit(x, x[:, :3], batch_size=4, verbose=0, callbacks=[monitor, callback], **plan)
class Slowly(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        time.sleep(11)
try:
    fit(name, Ends(), epochs=10**6)
except ValueError:
    fit("lives", Slowly(), epochs=10**6)
"""
SECONDS = 15.0
WORDS = {
    "killed": "silent for ",
    "failed": "failed: ValueError: planted by failed",
    "stopped": "interrupted: KeyboardInterrupt",
    "full": "silent for ",
}


def start(logdir, name):
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-c", TRAINING, str(logdir), name]
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)


class Faces:
    """What the tab and the terminal say of each run."""

    def __init__(self, url, terminal):
        self._url, self._terminal = url, terminal
        self.said = {}

    def tab(self, name):
        try:
            with urlopen(f"{self._url}data/plugin/tbgrad/status?run={name}") as answer:
                return (json.load(answer)["state"] or {}).get("words", "")
        except HTTPError:  # the run is not there yet
            return ""

    def look(self, names):
        """Take in what they say now; the terminal shows one run after the other."""
        for name in names:
            self.said["tab", name] = self.tab(name)
        if "Overview:" in self._terminal.screen.display[0]:  # it met several runs at once
            self._terminal.send("\r")
        for _ in names:
            self._terminal.send("n")
            self._terminal.settle(0.4)
            line = self._terminal.screen.display[0]
            for name in names:
                if line.split()[1:2] == [name]:
                    self.said["terminal", name] = line

    def wait_for(self, words, seconds):
        """Until each of them has said these words; fails where one does not in time."""
        begun = time.monotonic()
        missing = {(face, name) for face in ("tab", "terminal") for name in words}
        while missing:
            assert time.monotonic() < begun + seconds, (missing, self.said)
            self.look(words)
            for key in tuple(missing):
                if words[key[1]] in self.said.get(key, ""):
                    missing.remove(key)


def test_both_faces_know_within_15_seconds_how_a_training_ended(tmp_path, capsys):
    logdir = tmp_path / "runs"
    children = {name: start(logdir, name) for name in WORDS}
    terminal = watch(logdir)
    try:
        with tensorboard(logdir, tmp_path, "--reload_interval", "5") as server:
            faces = Faces(server.url, terminal)
            faces.wait_for(dict.fromkeys(WORDS, "running"), 150)
            children["killed"].kill()
            children["stopped"].send_signal(signal.SIGINT)
            for name in ("failed", "full"):
                (tmp_path / f"runs-{name}").touch()
            faces.wait_for(WORDS, SECONDS + 2)  # of a look at all runs
            # The process that failed trains on, with pauses of eleven seconds: it is never silent.
            faces.wait_for({"lives": "running"}, 60)
            until = time.monotonic() + 12
            while time.monotonic() < until:
                faces.look(["lives"])
                assert "silent" not in " ".join(faces.said[f, "lives"] for f in ("tab", "terminal"))
            assert children["failed"].poll() is None
    finally:
        terminal.kill()
        for child in children.values():
            child.kill()
            child.wait()
    states = {name: run.state for name, run in read(logdir).items()}
    assert states["failed"].exception == "ValueError: planted by failed"
    assert states["lives"].steps_per_epoch == 16
    assert states["lives"].steps == 16 * 10**6
    assert states["lives"].hparams == {"width": 3}
    main(["report", str(logdir), "--run", "failed"])
    assert "failed: ValueError: planted by failed" in capsys.readouterr().out
