"""`GradientSummaryWriter` in custom loops, and what happens when something goes wrong."""

import gc
import re
import shutil
import threading
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

import tbgrad
from tbgrad.keras import gradient_statistics
from tbgrad.keras.attachment import Attachment
from tbgrad.keras.train_function import WatchedFunction
from tbgrad.monitoring import alert_log, schedule
from tbgrad.monitoring.cadence import Cadence, Cadences
from tbgrad.monitoring.run_file import RunFile
from tbgrad.monitoring.run_log import RunLog
from tbgrad.report import summary
from tests.keras.conftest import BATCH, RATE, STEPS, fit

pytestmark = pytest.mark.tensorflow

LOOPS = {
    "eager": lambda step: step,
    "graph": tf.function,
    "xla": lambda step: tf.function(step, jit_compile=True),
}
cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


class Frozen(keras.optimizers.SGD):
    """Changes nothing, whatever the gradient is."""

    def update_step(self, gradient, variable, learning_rate):
        pass


def loop(model, optimizer, writer, batches, compiled, change=lambda g: g):
    def train_step(x, y):
        with tf.GradientTape() as tape:
            loss = cross_entropy(y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        writer.observe(gradients, loss=loss)
        optimizer.apply(change(gradients), model.trainable_variables)

    train_step = compiled(train_step)
    x, labels = batches
    for i in range(0, len(x), BATCH):
        train_step(tf.constant(x[i : i + BATCH]), tf.constant(labels[i : i + BATCH]))


@pytest.mark.parametrize("kind", LOOPS)
def test_a_custom_loop_equals_numpy(kind, tmp_path, batches, tiny_model, oracle):
    model = tiny_model()
    variables = model.trainable_variables
    with tbgrad.GradientSummaryWriter(
        tmp_path, variables, optimizer=model.optimizer, every=4
    ) as writer:
        loop(model, model.optimizer, writer, batches, LOOPS[kind])
    run = tbgrad.read(tmp_path)["."]
    at = np.array([1, 4, 8, 12, 16, 20, 24])
    np.testing.assert_array_equal(run["loss"].steps, at)
    np.testing.assert_allclose(run["loss"].values, np.array(oracle.losses)[at - 1], rtol=2e-5)
    norms = np.linalg.norm(oracle.norms(), axis=1)
    np.testing.assert_allclose(run["gradient/norm"].values, norms[at - 1], rtol=2e-5)
    np.testing.assert_allclose(run["learning_rate"].values, RATE, rtol=1e-6)
    changes = [
        np.sqrt(sum(np.sum((a - b) ** 2) for a, b in zip(after, before, strict=True)))
        for after, before in zip(oracle.after, oracle.before, strict=True)
    ]
    found = np.linalg.norm(run.statistic("update_norm"), axis=1)
    np.testing.assert_allclose(found, np.array(changes)[at - 1], rtol=2e-4)
    assert "apply" not in vars(model.optimizer)


def test_clipping_by_hand_shows_as_a_factor(tmp_path, batches, tiny_model):
    model = tiny_model(keras.optimizers.SGD(0.0))
    with tbgrad.GradientSummaryWriter(
        tmp_path, model.trainable_variables, optimizer=model.optimizer, every=1
    ) as writer:
        loop(
            model,
            model.optimizer,
            writer,
            batches,
            tf.function,
            change=lambda g: tf.clip_by_global_norm(g, 0.01)[0],
        )
    run = tbgrad.read(tmp_path)["."]
    expected = 0.01 / run["gradient/norm"].values
    assert run["gradient/norm"].values.min() > 0.01
    np.testing.assert_allclose(run["gradient/clip_factor"].values, expected, rtol=1e-5)


@pytest.mark.parametrize("kind", LOOPS)
def test_without_an_optimizer_the_gradients_alone_are_logged(kind, tmp_path):
    variable = tf.Variable([3.0, 4.0], name="point")
    with tbgrad.GradientSummaryWriter(tmp_path, [variable], every=1) as writer:
        step = LOOPS[kind](lambda: writer.observe([2.0 * variable]))
        step()
        step()
    run = tbgrad.read(tmp_path)["."]
    np.testing.assert_array_equal(run["gradient/norm"].values, [10.0, 10.0])
    assert run.parameters[0].path == "point"
    assert "loss" not in run
    assert "learning_rate" not in run
    assert "update/ratio" not in run
    assert np.isnan(run.statistic("update_norm")).all()


def test_an_optimizer_that_was_never_built_is_built_by_the_loop(tmp_path, batches, tiny_model):
    model, optimizer = tiny_model(), keras.optimizers.Adam(0.01)
    with tbgrad.GradientSummaryWriter(
        tmp_path, model.trainable_variables, optimizer=optimizer, every=8
    ) as writer:
        loop(model, optimizer, writer, batches, tf.function)
    assert len(tbgrad.read(tmp_path)["."]["gradient/norm"]) == 4


def test_the_log_grows_while_the_loop_runs(tmp_path):
    variable = tf.Variable([1.0])
    with tbgrad.GradientSummaryWriter(tmp_path, [variable], every=1) as writer:
        step = tf.function(lambda: writer.observe([variable]))
        deadline, seen = time.monotonic() + 20, 0
        while seen < 50 and time.monotonic() < deadline:
            step()
            run = tbgrad.read(tmp_path).get(".", {})
            seen = len(run["gradient/norm"]) if "gradient/norm" in run else 0
        assert seen >= 50


def test_a_fast_loop_loses_nothing_or_says_so(tmp_path):
    variables = [tf.Variable(tf.ones([3])) for _ in range(40)]
    with tbgrad.GradientSummaryWriter(tmp_path, variables, every=1) as writer:
        step = tf.function(lambda: writer.observe([v + 0.0 for v in variables]), jit_compile=True)
        for _ in range(3000):
            step()
    run = tbgrad.read(tmp_path)["."]
    notes = "\n".join(run["tbgrad/notes"].values) if "tbgrad/notes" in run else ""
    lost = sum(int(number) for number in re.findall(r"(\d+) logged steps before", notes))
    dropped = max(map(int, re.findall(r"(\d+) events so far", notes.replace(",", ""))), default=0)
    assert len(run["gradient/norm"]) + lost + dropped == 3000
    np.testing.assert_allclose(run["gradient/norm"].values, np.sqrt(120), rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"variables": []}, ValueError, "no trainable weights"),
        ({"every": 0}, ValueError, "every is a number of steps"),
        ({"histograms_every": 2.5}, ValueError, "histograms_every is a number of steps"),
    ],
)
def test_bad_arguments_get_a_sentence(arguments, error, words, tmp_path):
    arguments = {"variables": [tf.Variable(1.0)]} | arguments
    with pytest.raises(error, match=words):
        tbgrad.GradientSummaryWriter(tmp_path, **arguments)


def test_a_file_for_a_directory_gets_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="is a file: give a directory"):
        tbgrad.GradientMonitor(tmp_path / "file")
    with pytest.raises(TypeError, match=r"curvature=tbgrad\.Curvature"):
        tbgrad.GradientMonitor(tmp_path / "log", curvature=500)
    with pytest.raises(ValueError, match="x, y"):
        tbgrad.Curvature(data=np.zeros(3))
    writer = tbgrad.GradientSummaryWriter(tmp_path / "log", [tf.Variable(1.0)])
    with pytest.raises(ValueError, match="2 entries for 1 variables"):
        writer.observe([1.0, 2.0])
    writer.close()


def unmonitored_weights(tiny_model, batches):
    model = tiny_model()
    fit(model, batches, [])
    return model.get_weights()


def assert_unharmed(model, tiny_model, batches):
    for found, expected in zip(
        model.get_weights(), unmonitored_weights(tiny_model, batches), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


def test_a_failing_statistic_ends_in_one_warning(
    tmp_path, batches, tiny_model, caplog, monkeypatch
):
    def broken(*_):
        raise RuntimeError("planted")

    monkeypatch.setattr(gradient_statistics, "square_sums", broken)
    model = tiny_model()
    fit(model, batches, [tbgrad.GradientMonitor(tmp_path)])
    assert_unharmed(model, tiny_model, batches)
    ours = [record.getMessage() for record in caplog.records if record.name == "tbgrad"]
    assert [message.count("planted") for message in ours] == [1]
    notes = tbgrad.read(tmp_path)["."]["tbgrad/notes"].values
    assert "planted" in notes[0]
    assert "training goes on" in notes[0]


def test_a_full_disk_ends_in_one_warning(tmp_path, batches, tiny_model, caplog):
    class DiskFull(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 3:
                self.device = open("/dev/full", "wb", buffering=0)  # noqa: SIM115
                monitor._session.log._file._file.writer._file.close()
                monitor._session.log._file._file.writer._file = self.device

    monitor = tbgrad.GradientMonitor(tmp_path, every=1)
    model = tiny_model(steps_per_execution=1)
    fit(model, batches, [DiskFull(), monitor])
    assert_unharmed(model, tiny_model, batches)
    assert len(caplog.records) == 1
    assert "No space left on device" in caplog.text


@pytest.mark.parametrize("group", ["", "critic"])
def test_what_fails_to_be_written_while_the_file_is_closed_is_told(group, tmp_path):
    closing, errors = threading.Event(), []

    def fails():
        assert closing.wait(10)
        time.sleep(0.1)
        raise OSError("no space left")

    file = RunFile(tmp_path, group=group, start_step=1, on_error=errors.append)
    file.add(1, fails)
    closing.set()
    file.close()
    assert [str(error) for error in errors] == ["no space left"]


def test_a_deleted_log_directory_does_no_harm(tmp_path, batches, tiny_model):
    class Deletes(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 3:
                shutil.rmtree(tmp_path / "log")

    model = tiny_model()
    fit(model, batches, [tbgrad.GradientMonitor(tmp_path / "log", every=1), Deletes()])
    assert_unharmed(model, tiny_model, batches)


@pytest.mark.parametrize("kind", ["fit", "loop"])
def test_a_directory_that_tensorflow_alone_can_write(kind, tmp_path, batches, tiny_model, oracle):
    logdir = f"ram://{kind}/runs/a"
    model = tiny_model()
    if kind == "fit":
        fit(model, batches, [tbgrad.GradientMonitor(logdir, every=1)])
    else:
        with tbgrad.GradientSummaryWriter(
            f"{logdir}/", model.trainable_variables, optimizer=model.optimizer, every=1
        ) as writer:
            loop(model, model.optimizer, writer, batches, tf.function)
    (name,) = tf.io.gfile.listdir(logdir)
    tf.io.gfile.copy(f"{logdir}/{name}", str(tmp_path / name))
    run = tbgrad.read(tmp_path)["."]
    norms = np.linalg.norm(oracle.norms(), axis=1)
    np.testing.assert_allclose(run["gradient/norm"].values, norms, rtol=2e-5)
    assert "tbgrad/notes" not in run


def test_an_address_that_nothing_can_write_ends_in_one_warning(batches, tiny_model, caplog):
    model = tiny_model()
    fit(model, batches, [tbgrad.GradientMonitor("nowhere://runs/a", every=4)])
    (record,) = caplog.records
    assert "nowhere" in record.getMessage()
    assert_unharmed(model, tiny_model, batches)


def test_a_directory_that_cannot_be_made_ends_in_one_warning(batches, tiny_model, caplog):
    model = tiny_model()
    fit(model, batches, [tbgrad.GradientMonitor("/proc/no/such/place")])
    assert_unharmed(model, tiny_model, batches)
    assert len(caplog.records) == 1
    assert "training goes on" in caplog.text


def test_curvature_that_fails_leaves_the_gradients(tmp_path, batches, tiny_model, caplog):
    x, labels = batches
    model = tiny_model()
    bad = tbgrad.Curvature(data=(x[:, :2], labels), every=5, budget=None)
    fit(model, batches, [tbgrad.GradientMonitor(tmp_path, every=10, curvature=bad)])
    run = tbgrad.read(tmp_path)["."]
    assert len(run["gradient/norm"]) == 3
    assert "no curvature from step 0 on" in run["tbgrad/notes"].values[0]
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    "mode", [{"jit_compile": True}, {"jit_compile": False}, {"run_eagerly": True}]
)
def test_one_step_that_is_not_finite_is_named(mode, tmp_path, batches, tiny_model, caplog):
    x, labels = batches
    x = x.copy()
    x[BATCH * 12 + 3, 0] = np.nan  # step 13, between the logged steps 10 and 20
    model = tiny_model()
    model.compile(keras.optimizers.SGD(0.0), model.loss, **mode)
    fit(model, (x, labels), [tbgrad.GradientMonitor(tmp_path, every=10)])
    run = tbgrad.read(tmp_path)["."]
    assert run["tbgrad/alerts"].steps[0] == 13
    alert = run["tbgrad/alerts"].values[0][0]
    assert "not finite at step 13" in alert.evidence
    assert alert.parameters == (run.names[0],)
    (warned,) = caplog.records
    assert "step 13, nonfinite: " in warned.getMessage()
    nonfinite = run.statistic("nonfinite")
    assert (nonfinite[run["tbgrad/parameters"].steps == 20] > 0).any()
    assert (nonfinite[run["tbgrad/parameters"].steps != 20] == 0).all()
    assert np.isinf(run["gradient/norm_max"].values[run["gradient/norm_max"].steps == 20]).all()


class Alerts(list):
    """What `on_alert` was called with."""

    def __call__(self, alert):
        if not self:
            time.sleep(0.3)  # the slower the first, the later the second; closing waits for both
        self.append(alert)


@pytest.mark.parametrize("kind", ["fit", "loop"])
@pytest.mark.parametrize("every", [1, 6])
def test_an_alert_opens_lasts_and_closes(every, kind, tmp_path, batches, tiny_model, monkeypatch):
    """A weight that is NaN from step 4 to step 9, and is mended."""
    monkeypatch.setattr(alert_log, "SOUND", 2)
    model = tiny_model(keras.optimizers.SGD(0.0))
    kernel = model.layers[-1].kernel
    sound = kernel.numpy()
    spoilt = sound.copy()
    spoilt[0, 0] = np.nan
    calls = Alerts()

    def change(step):  # `step` updates are done
        if step in (3, 9):
            kernel.assign(spoilt if step == 3 else sound)

    if kind == "fit":

        class Changes(keras.callbacks.Callback):
            def on_train_batch_begin(self, batch, logs=None):
                change(batch)

        monitor = tbgrad.GradientMonitor(tmp_path, every=every, on_alert=calls)
        model.compile(Frozen(), model.loss)
        fit(model, batches, [Changes(), monitor])
    else:
        optimizer = Frozen()
        optimizer.build(model.trainable_variables)
        x, labels = batches
        with tbgrad.GradientSummaryWriter(
            tmp_path, model.trainable_variables, optimizer=optimizer, every=every, on_alert=calls
        ) as writer:
            for step in range(STEPS):
                change(step)
                part = slice(step * BATCH, (step + 1) * BATCH)
                loop(model, optimizer, writer, (x[part], labels[part]), lambda step: step)
    # Besides, an optimizer that changes nothing is told of where every step is logged.
    assert {alert.rule for alert in calls} <= {"nonfinite", "frozen_parameter"}
    assert [a.state for a in calls if a.rule == "nonfinite"] == ["open", "closed"]
    run = tbgrad.read(tmp_path)["."]
    (alert,) = [a for a in summary.build(run).alerts if a.rule == "nonfinite"]
    assert (alert.first_step, alert.state) == (4, "closed")
    assert alert.last_step == (9 if every == 1 else 12)
    assert alert.parameters[0] in run.names
    assert run["tbgrad/alerts"].steps[0] == 4


def test_an_on_alert_that_fails_is_called_once(tmp_path, batches, tiny_model, caplog):
    def fails(alert):
        raise ConnectionError("no such webhook")

    x, labels = batches
    x = x.copy()
    x[BATCH * 4] = np.nan
    model = tiny_model(Frozen())
    fit(model, (x, labels), [tbgrad.GradientMonitor(tmp_path, every=1, on_alert=fails)])
    told = [r.getMessage() for r in caplog.records if "on_alert" in r.getMessage()]
    assert len(told) == 1
    assert "on_alert failed and is not called again. ConnectionError: no such webhook" in told[0]
    assert any("on_alert" in text for text in tbgrad.read(tmp_path)["."]["tbgrad/notes"].values)


def test_an_on_alert_that_is_no_function_is_refused(tmp_path):
    with pytest.raises(TypeError, match="on_alert is a function of one alert, not 'print'"):
        tbgrad.GradientMonitor(tmp_path, on_alert="print")


@pytest.mark.parametrize("kind", ["fit", "loop"])
def test_a_step_that_is_not_finite_is_told_long_before_the_next_drain(
    kind, tmp_path, batches, tiny_model, monkeypatch
):
    monkeypatch.setattr(schedule, "DRAIN_SECONDS", 3600.0)
    x, labels = batches
    x = x.copy()
    x[BATCH * 12 + 3, 0] = np.nan
    deadline = time.monotonic() + 60

    def told():
        run = tbgrad.read(tmp_path).get(".")
        return run is not None and "tbgrad/alerts" in run

    class Waits(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch >= 13:
                time.sleep(0.3)
            if batch == 16:
                monitor._session.log.flush()
                found.append(told())

    found = []
    model = tiny_model(keras.optimizers.SGD(0.0))
    if kind == "fit":
        monitor = tbgrad.GradientMonitor(tmp_path, every=1000, histograms_every=1000)
        fit(model, (x, labels), [monitor, Waits()])
    else:
        with tbgrad.GradientSummaryWriter(
            tmp_path, model.trainable_variables, optimizer=model.optimizer, every=1000
        ) as writer:
            loop(model, model.optimizer, writer, (x, labels), tf.function)
            while not told() and time.monotonic() < deadline:
                time.sleep(0.05)
            found.append(told())
    assert found == [True]


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_an_exception_in_fit_closes_the_log_and_frees_the_optimizer(
    failure, tmp_path, batches, tiny_model
):
    class Fail(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 17:
                raise failure("planted")

    model = tiny_model()
    monitor = tbgrad.GradientMonitor(tmp_path, every=5)
    with pytest.raises(failure, match="planted"):
        fit(model, batches, [monitor, Fail()])
    gc.collect()
    assert "apply" not in vars(model.optimizer)
    assert not isinstance(model.train_function, WatchedFunction)
    run = tbgrad.read(tmp_path)["."]
    assert run["gradient/norm"].steps.tolist() == [1, 5, 10, 15]
    assert run.damage == ()
    fit(model, batches, [monitor])  # and the run goes on
    assert tbgrad.read(tmp_path)["."].last_step >= 17 + STEPS - 1


def test_two_failures_at_one_step_are_both_told(tmp_path, batches, tiny_model):
    log = RunLog(tmp_path, Cadences(Cadence((8,)), Cadence((100,))))
    attachment = Attachment(log)
    attachment.observer_for(tiny_model().trainable_variables)
    attachment.begin()
    log.note("first")
    log.note("second")
    log.close()
    assert tbgrad.read(tmp_path)["."]["tbgrad/notes"].values[-1] == "first\nsecond"


def test_curvature_comes_back_when_the_weights_are_finite_again(tmp_path, batches, caplog):
    x, _ = batches
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


def test_a_model_without_trainable_weights_trains_on(tmp_path, batches, tiny_model, caplog):
    model = tiny_model()
    model.trainable = False
    model.compile("sgd", model.loss)
    with pytest.warns(UserWarning, match="does not have any trainable weights"):
        fit(model, batches, [tbgrad.GradientMonitor(tmp_path)])
    assert len(caplog.records) == 1
    assert "no trainable weights" in caplog.text


def test_a_model_that_is_built_by_its_first_step(tmp_path, batches):
    model = keras.Sequential([keras.layers.Dense(4), keras.layers.Dense(3)])
    model.compile("sgd", cross_entropy, jit_compile=True)
    assert not model.built
    curvature = tbgrad.Curvature(data=batches, every=10, budget=None, samples=32)
    fit(model, batches, [tbgrad.GradientMonitor(tmp_path, every=8, curvature=curvature)])
    run = tbgrad.read(tmp_path)["."]
    np.testing.assert_array_equal(run["gradient/norm"].steps, [1, 8, 16, STEPS])
    assert run["curvature/lambda_max"].steps[-1] == STEPS
    assert "tbgrad/notes" not in run
