"""Faults planted in real trainings: the alert is in the log, told once, and called back."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import tbgrad
from tbgrad.diagnosis import Diagnosis, Record
from tbgrad.log.append import EventFileWriter
from tbgrad.log.records import STATISTICS, CurvatureEstimate, Eigenvalue
from tbgrad.log.tags import ALERTS, CURVATURE, NOTES
from tbgrad.monitoring import alert_log
from tbgrad.monitoring.alert_log import AlertLog
from tbgrad.monitoring.cadence import Cadence, Cadences
from tbgrad.monitoring.rounding import Rounding
from tbgrad.monitoring.run_log import RunLog
from tbgrad.report import summary
from tests.support.logs import manifest

pytestmark = pytest.mark.tensorflow

X = np.random.default_rng(0).normal(size=(320, 6)).astype(np.float32)
Y = X[:, :2] * 0.5


def network(**inputs):
    keras.utils.set_random_seed(0)
    entry = keras.Input((6,))
    hidden = keras.layers.Dense(8, activation="tanh", use_bias=False, name="hidden")(entry)
    return keras.Model(entry, keras.layers.Dense(2, name="out", **inputs)(hidden))


def fitted(model, tmp_path, optimizer, *, loss="mse", curvature=None, **settings):
    calls = []
    monitor = tbgrad.GradientMonitor(
        tmp_path, every=1, on_alert=calls.append, curvature=curvature, **settings
    )
    model.compile(optimizer, loss)
    model.fit(X, Y, batch_size=8, epochs=1, shuffle=False, verbose=0, callbacks=[monitor])
    run = tbgrad.read(tmp_path)["."]
    return summary.build(run).alerts, run, calls


def notes(run):
    return "\n".join(run[NOTES].values) if NOTES in run else ""


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_a_branch_that_is_cut_off(tmp_path, caplog):
    class CutOff(keras.Model):
        def __init__(self):
            super().__init__()
            self.kept, self.cut = (
                keras.layers.Dense(2, name="kept"),
                keras.layers.Dense(2, name="cut"),
            )

        def call(self, x):
            return self.kept(x) + tf.stop_gradient(self.cut(x))

    (alert,), run, calls = fitted(CutOff(), tmp_path, keras.optimizers.SGD(0.01))
    assert (alert.rule, alert.severity, alert.state) == ("no_gradient", "warning", "open")
    assert len(alert.parameters) == 2
    assert all("cut/" in path for path in alert.parameters)
    assert alert.first_step == 1
    assert [call.rule for call in calls] == ["no_gradient"]
    assert notes(run) == ""  # both faces have a list of alerts
    (warned,) = [r.getMessage() for r in caplog.records if "no_gradient" in r.getMessage()]
    assert warned.startswith(
        "tbgrad: no_gradient since step 1, seen at step 3: no gradient reached 2 of 4 parameters"
    )


def test_clipping_that_sets_the_size_of_every_step(tmp_path):
    optimizer = keras.optimizers.SGD(0.1, global_clipnorm=1e-4)
    (alert,), *_ = fitted(network(), tmp_path, optimizer)
    # Told anew as it lasts ever more rarely, and when the log ends.
    assert (alert.rule, alert.first_step, alert.last_step) == ("clipping_always", 1, 40)


def test_a_weight_that_is_put_back(tmp_path):
    class Same(keras.constraints.Constraint):
        """Every update is undone."""

        def __call__(self, w):
            return tf.zeros_like(w)

    model = network(bias_constraint=Same())  # it begins at zero
    (alert,), *_ = fitted(model, tmp_path, keras.optimizers.SGD(0.1))
    assert alert.rule == "frozen_parameter"
    assert [path.endswith("out/bias") for path in alert.parameters] == [True]


def test_a_learning_rate_beyond_the_edge(tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(2, use_bias=False)])
    # λmax of the mean squared error is that of XᵀX / n: the limit is 2 / η.
    top = np.linalg.eigvalsh(X.T @ X / len(X)).max()
    optimizer = keras.optimizers.SGD(float(2.4 / top))
    curvature = tbgrad.Curvature(data=(X, Y), samples=len(X), every=5, budget=None)
    alerts, run, _ = fitted(model, tmp_path, optimizer, curvature=curvature)
    (alert,) = [a for a in alerts if a.rule == "edge_of_stability"]
    assert "1.20 times the limit" in alert.evidence
    assert len(run[CURVATURE]) >= 2


def test_two_alerts_at_one_step_are_both_in_the_log(tmp_path):
    """One of a logged step, then one of an estimate at that same step: readers keep one value."""
    described = manifest(2)
    table = np.zeros((4, len(STATISTICS)), np.float32)
    table[:, STATISTICS.index("norm")] = 1
    table[1, STATISTICS.index("norm")] = np.nan
    top = CurvatureEstimate((Eigenvalue(50.0, 0.1),), True, 9, 0.1, 1.0, 8, 20.0, "2 / η")
    told = []
    alerts = AlertLog(None, told.append)
    with EventFileWriter(tmp_path) as file:
        for step in (1, 2, 3):
            events = alerts.logged(Record(step, {}, table, described))
            if step > 1:
                events += alerts.logged(Record(step, {}, curvature=top))
            for told_at, values in events:
                file.add(told_at, values)
        for told_at, values in alerts.end(3):
            file.add(told_at, values)
    (found,) = tbgrad.read(tmp_path)["."][ALERTS].values
    assert {alert.rule for alert in found} == {"no_gradient", "edge_of_stability"}
    assert told == []


def test_two_notes_of_one_step_are_both_in_the_log(tmp_path):
    log = RunLog(tmp_path, Cadences(Cadence((1,)), Cadence((1,))))
    log.describe(0, manifest(2), Rounding(()))
    log.open(0)
    log.note("the first")
    log.note("the second")
    log.close()
    assert "the first\nthe second" in tbgrad.read(tmp_path)["."][NOTES].values[0]


def test_a_loss_scale_that_collapses(tmp_path):
    x = X.copy()
    x[: 30 * 8, 0] = np.inf  # the first thirty gradients fail, at any scale
    model = network()
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), initial_scale=4.0)
    model.compile(optimizer, "mse")
    monitor = tbgrad.GradientMonitor(tmp_path, every=1)
    model.fit(x, Y, batch_size=8, epochs=1, shuffle=False, verbose=0, callbacks=[monitor])
    run = tbgrad.read(tmp_path)["."]
    alerts = {alert.rule: alert for alert in summary.build(run).alerts}
    assert alerts["loss_scale_collapse"].severity == "error"
    assert run["loss_scale"].values[0] == 4.0 / 2**30


def test_a_healthy_training_has_no_alert(tmp_path):
    """With Adam it is one of the clinic."""
    alerts, run, calls = fitted(network(), tmp_path, keras.optimizers.SGD(0.1, momentum=0.9))
    assert (alerts, calls, notes(run)) == ((), [], "")


def test_rules_that_fail_end_themselves_and_nothing_else(tmp_path, monkeypatch, caplog):
    class Fails(Diagnosis):
        def update(self, record):
            raise ArithmeticError("broken rule")

    monkeypatch.setattr(alert_log, "Diagnosis", Fails)
    _, run, _ = fitted(network(), tmp_path, keras.optimizers.SGD(0.1))
    assert run["loss"].steps.tolist() == list(range(1, 41))
    assert len([r for r in caplog.records if "broken rule" in r.getMessage()]) == 1
