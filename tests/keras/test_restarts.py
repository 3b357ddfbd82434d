"""Trainings that follow one another: resumed, repeated, searched, interrupted."""

from __future__ import annotations

import copy
import pickle
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import tbgrad
from tbgrad.log.tags import NOTES
from tests.support.linear_model import linear, own_loop, writer_for

pytestmark = pytest.mark.tensorflow

X = np.random.default_rng(0).normal(size=(320, 8)).astype("f")
Y = X[:, :1]


def compiled(**settings):
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1, use_bias=False)])
    model.compile("sgd", "mse", **{"jit_compile": False} | settings)
    return model


def fit(model, *callbacks, epochs=1):
    model.fit(X, Y, epochs=epochs, verbose=0, callbacks=list(callbacks))


def steps_by_run(directory):
    return {
        name: run["tbgrad/parameters"].steps.tolist()
        for name, run in tbgrad.read(directory).items()
    }


class Fails(keras.callbacks.Callback):
    def __init__(self, epoch, batch=0, error=RuntimeError):
        super().__init__()
        self.at, self.error, self.epoch = (epoch, batch), error, 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            raise self.error("planted")


@pytest.mark.parametrize("monitor_first", [True, False])
def test_a_training_that_is_restored_after_a_crash_keeps_its_first_half(monitor_first, tmp_path):
    for crashes in ([Fails(4, 5)], []):
        monitor = tbgrad.GradientMonitor(tmp_path / "r", every=1)
        callbacks = [monitor, keras.callbacks.BackupAndRestore(str(tmp_path / "b"))]
        if not monitor_first:
            callbacks.reverse()
        try:
            fit(compiled(), *callbacks, *crashes, epochs=8)
        except RuntimeError:
            assert crashes
    assert steps_by_run(tmp_path) == {"r": list(range(1, 81))}
    assert NOTES not in tbgrad.read(tmp_path)["r"]


def test_a_training_set_back_within_the_process_counts_on_from_there(tmp_path):
    """The cell of a notebook run again after a crash, with the same monitor and model."""
    model, monitor = compiled(), tbgrad.GradientMonitor(tmp_path / "r", every=1)

    def run(*more):
        fit(model, monitor, keras.callbacks.BackupAndRestore(str(tmp_path / "b")), *more, epochs=4)

    with pytest.raises(RuntimeError):
        run(Fails(2, 7))
    run()
    assert int(model.optimizer.iterations) == 40
    assert steps_by_run(tmp_path) == {"r": list(range(1, 41))}


def test_trials_of_a_search_and_folds_are_runs_of_their_own(tmp_path, caplog):
    """KerasTuner and scikit-learn wrappers copy the callbacks, one of them also between fits."""
    monitor = tbgrad.GradientMonitor(tmp_path / "r")
    for fold, copies in enumerate((copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m)))):
        copied = copies([monitor])
        fit(compiled(), *copied)
        assert copied[0].directory == tmp_path / ("r", "r-2")[fold]
        copy.deepcopy(copied)  # as of an estimator that was fit
    for _ in range(2):
        fit(compiled(), monitor)  # a loop over folds, with one monitor for all
    assert steps_by_run(tmp_path) == {name: [*range(1, 11)] for name in ("r", "r-2", "r-3", "r-4")}
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 3
    assert f"begins anew, is logged in {tmp_path / 'r-2'}" in told[0]
    resumed = compiled()
    resumed.optimizer.iterations.assign(10)
    fit(resumed, tbgrad.GradientMonitor(tmp_path / "r"))
    assert steps_by_run(tmp_path)["r-4"] == [*range(1, 12), 20]


class Named(tbgrad.GradientMonitor):
    """A subclass with arguments of its own."""

    def __init__(self, name):
        super().__init__(f"runs/{name}", every=7)
        self.name = name


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_is_as_the_monitor_was_made(copied):
    again = copied([Named("mine")])[0]
    assert (type(again), again.name) == (Named, "mine")
    assert (str(again.logdir), again.every.steps) == ("runs/mine", (7,))


def test_loops_that_begin_anew_are_runs_of_their_own(tmp_path):
    for _ in range(2):
        model, optimizer = linear(), keras.optimizers.SGD(0.1)
        with writer_for(tmp_path / "r", model, optimizer) as writer:
            own_loop(model, optimizer, writer, tf.function, steps=3)
    assert steps_by_run(tmp_path) == {"r": [1, 2, 3], "r-2": [1, 2, 3]}


def test_groups_trained_again_share_the_second_run_too(tmp_path):
    for _ in range(2):
        for group in ("generator", "critic"):  # one after the other
            model, optimizer = linear(group), keras.optimizers.SGD(0.1)
            with writer_for(tmp_path / "r", model, optimizer, group=group) as writer:
                own_loop(model, optimizer, writer, tf.function, steps=3)
    assert list(tbgrad.read(tmp_path)) == [
        "r-2/critic", "r-2/generator", "r/critic", "r/generator"
    ]  # fmt: skip


def test_a_directory_with_event_files_of_others_is_free(tmp_path):
    with tf.summary.create_file_writer(str(tmp_path / "r")).as_default():
        tf.summary.scalar("mine", 1.0, step=0)
    fit(compiled(), tbgrad.GradientMonitor(tmp_path / "r"))
    assert list(tbgrad.read(tmp_path)) == ["r"]


def test_a_run_file_of_groups_is_one_however_its_path_is_spelled(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    writers = []
    for group, logdir in (("a", tmp_path / "r"), ("b", tmp_path / "link" / ".." / "r")):
        model, optimizer = linear(group), keras.optimizers.SGD(0.1)
        writers.append(writer_for(logdir, model, optimizer, group=group))
    for writer in writers:
        writer.close()
    assert len(list((tmp_path / "r").iterdir())) == 1


@pytest.mark.parametrize(
    ("again", "eager"),
    [("nobody", False), ("nobody", True), ("the same", False), ("another", False)],
)
def test_an_interrupted_fit_is_over_although_its_traceback_lives_on(again, eager, tmp_path):
    model = compiled(run_eagerly=eager)
    monitor = tbgrad.GradientMonitor(tmp_path / "r", every=1)
    try:
        fit(model, monitor, Fails(0, 5, KeyboardInterrupt))
    except KeyboardInterrupt:
        kept = sys.exc_info()  # as a notebook does
    later = {"nobody": [], "the same": [monitor],
             "another": [tbgrad.GradientMonitor(tmp_path / "s", every=1)]}[again]  # fmt: skip
    fit(model, *later)
    fit(model)
    expected = {"nobody": {"r": range(1, 6)}, "the same": {"r": range(1, 16)},
                "another": {"r": range(1, 6), "s": range(6, 16)}}[again]  # fmt: skip
    assert steps_by_run(tmp_path) == {name: list(steps) for name, steps in expected.items()}
    assert "apply" not in vars(model.optimizer)
    assert kept[0] is KeyboardInterrupt
