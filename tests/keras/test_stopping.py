"""Alerts and small gradients end a training, and say why; nothing else does."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import tbgrad
from tbgrad.log.tags import ALERTS, NOTES
from tbgrad.report import summary

pytestmark = pytest.mark.tensorflow

X = np.random.default_rng(0).normal(size=(640, 6)).astype(np.float32)
Y = X[:, :1] * 0.5
ONE_INFINITE = X.copy()
ONE_INFINITE[3 * 16] = np.inf


def fitted(callbacks, x=X, rate=0.05, epochs=4, use_bias=False):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1, use_bias=use_bias)])
    model.compile(keras.optimizers.SGD(rate), "mse")
    model.fit(x, Y, batch_size=16, epochs=epochs, shuffle=False, verbose=0, callbacks=callbacks)
    return model


def steps(model):
    return int(model.optimizer.iterations)


def test_an_alert_of_the_set_ends_each_fit_in_which_it_is_found(tmp_path, caplog):
    """The second fit is sound and runs to its end; the fault of the third lasts."""
    monitor = tbgrad.GradientMonitor(tmp_path, every=1, stop_on={"nonfinite", "loss_diverging"})
    model = fitted([monitor], ONE_INFINITE, epochs=200)
    done = steps(model)
    assert done < 8000 / 2
    notes = "\n".join(tbgrad.read(tmp_path)["."][NOTES].values)
    assert "training was stopped, as stop_on asks, by the alert nonfinite" in notes
    assert len([r for r in caplog.records if "stop_on" in r.getMessage()]) == 1
    model.set_weights([np.zeros((6, 1))])
    model.fit(X, Y, batch_size=16, epochs=2, verbose=0, callbacks=[monitor])
    assert steps(model) == done + 80
    lasting = np.where(np.arange(len(X))[:, None] % 16 == 0, np.inf, X).astype(np.float32)
    model.fit(lasting, Y, batch_size=16, epochs=50, verbose=0, callbacks=[monitor])
    assert steps(model) - done - 80 < 2000
    found = summary.build(tbgrad.read(tmp_path)["."]).alerts
    assert {a.state for a in found if a.rule == "nonfinite"} == {"open", "closed"}


def test_other_alerts_do_not(tmp_path):
    monitor = tbgrad.GradientMonitor(tmp_path, every=1, stop_on={"overfitting"})
    model = fitted([monitor], ONE_INFINITE)
    assert steps(model) == 160


def test_a_small_gradient_ends_the_fit_that_the_stopping_is_part_of(tmp_path):
    stopping = tbgrad.GradientNormEarlyStopping(threshold=1e-3, patience=50)
    monitor = tbgrad.GradientMonitor(tmp_path, every=10)
    model = fitted([stopping, monitor], epochs=1000)  # whatever their order
    done = steps(model)
    assert 0 < stopping.stopped_step <= done < 20_000
    peaks = tbgrad.read(tmp_path)["."]["gradient/norm_max"]
    # The oracle: every window of the last 50 steps was calm, and no earlier 50 steps were.
    calm = peaks.values <= 1e-3
    until = peaks.steps <= stopping.stopped_step
    loud = peaks.steps[until & ~calm].max()
    assert stopping.stopped_step - 10 < loud + 50 <= stopping.stopped_step
    model.fit(X, Y, batch_size=16, epochs=3, verbose=0, callbacks=[monitor])
    assert steps(model) - done == 120
    other = tbgrad.GradientNormEarlyStopping(1e-3, monitor=tbgrad.GradientMonitor(tmp_path / "b"))
    with pytest.raises(ValueError, match=r"add that of monitor= to callbacks"):
        fitted([monitor, other])


def test_a_gradient_that_stays_does_not(tmp_path):
    stopping = tbgrad.GradientNormEarlyStopping(threshold=1e-9, patience=5)
    model = fitted([tbgrad.GradientMonitor(tmp_path, every=5), stopping])
    assert (steps(model), stopping.stopped_step) == (160, 0)


def test_without_a_monitor_there_is_nothing_to_read():
    with pytest.raises(ValueError, match="add one to callbacks"):
        fitted([tbgrad.GradientNormEarlyStopping(threshold=1e-3)])


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"stop_on": {"nonfinit"}}, ValueError, "did you mean 'nonfinite'"),
        ({"stop_on": "nonfinite"}, TypeError, "stop_on is a set of rules"),
        ({"alerts": {"dead_units": 1}}, TypeError, "alerts is a tbgrad.AlertSettings or the path"),
        ({"alerts": "no/such.toml"}, FileNotFoundError, "no/such.toml"),
    ],
)
def test_arguments_that_cannot_be_meant(tmp_path, arguments, error, says):
    with pytest.raises(error, match=says):
        tbgrad.GradientMonitor(tmp_path, **arguments)


@pytest.mark.parametrize("arguments", [{"threshold": 0}, {"threshold": 1.0, "patience": 0}])
def test_thresholds_that_cannot_be_meant(arguments):
    with pytest.raises(ValueError, match=r"threshold is a gradient norm|patience is a number"):
        tbgrad.GradientNormEarlyStopping(**arguments)


def test_settings_reach_the_rules_of_both_writers(tmp_path):
    (tmp_path / "alerts.toml").write_text('[silence]\nnonfinite = "*"\n')
    monitor = tbgrad.GradientMonitor(tmp_path / "a", every=1, alerts=tmp_path / "alerts.toml")
    fitted([monitor], ONE_INFINITE)
    run = tbgrad.read(tmp_path)["a"]
    assert ALERTS not in run
    assert int(run.statistic("nonfinite").sum()) > 0
    variable = keras.Variable(np.ones(3, np.float32), name="w")
    settings = tbgrad.AlertSettings(silence={"no_gradient": "w*"})
    with tbgrad.GradientSummaryWriter(
        tmp_path / "b", [variable], every=1, alerts=settings
    ) as writer:
        for _ in range(6):
            writer.observe([variable.value * 0.0])
    assert ALERTS not in tbgrad.read(tmp_path)["b"]


def test_the_validation_loss_is_in_the_log_of_both_writers(tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.SGD(0.05), "mse")
    monitor = tbgrad.GradientMonitor(tmp_path / "a", every=1)
    data = {"validation_data": (X[:64], Y[:64]), "batch_size": 16, "verbose": 0}
    history = model.fit(X, Y, epochs=3, callbacks=[monitor], **data).history["val_loss"]
    variable = keras.Variable(np.ones(3, np.float32), name="w")
    with tbgrad.GradientSummaryWriter(tmp_path / "b", [variable], every=1) as writer:
        writer.observe([variable.value])
        writer.validation_loss(variable.value[0] * 2)
    runs = tbgrad.read(tmp_path)
    np.testing.assert_allclose(runs["a"]["val_loss"].values, history, rtol=1e-6)
    assert runs["a"]["val_loss"].steps.tolist() == [40, 80, 120]
    assert runs["b"]["val_loss"].values.tolist() == [2.0]


def test_a_fit_that_ends_by_itself_was_not_stopped(tmp_path):
    x = X.copy()
    x[-1] = np.inf
    fitted([tbgrad.GradientMonitor(tmp_path, every=1, stop_on={"nonfinite"})], x, epochs=1)
    assert NOTES not in tbgrad.read(tmp_path)["."]


def test_overfitting_ends_the_training_with_the_validation_that_shows_it(tmp_path):
    keras.utils.set_random_seed(0)
    noise = np.random.default_rng(1).normal(size=(60, 1)).astype(np.float32)
    model = keras.Sequential(
        [keras.layers.Dense(128, "relu"), keras.layers.Dense(1, use_bias=False)]
    )
    model.compile(keras.optimizers.Adam(1e-2), "mse")
    monitor = tbgrad.GradientMonitor(tmp_path, every=1, stop_on={"overfitting"})
    data = {"validation_data": (X[30:60], noise[30:]), "batch_size": 15, "verbose": 0}
    history = model.fit(X[:30], noise[:30], epochs=400, callbacks=[monitor], **data)
    epochs = len(history.history["loss"])
    assert epochs < 200
    assert steps(model) == 2 * epochs
    assert tbgrad.read(tmp_path)["."]["val_loss"].steps.tolist() == [
        2 * e for e in range(1, epochs + 1)
    ]


def test_silencing_some_parameters_hides_nothing_of_the_others(tmp_path):
    for pattern, told in (("*/kernel", 1), (["*/kernel", "*/bias"], 0)):
        settings = tbgrad.AlertSettings(silence={"nonfinite": pattern})
        directory = tmp_path / str(pattern).replace("/", "")
        fitted(
            [tbgrad.GradientMonitor(directory, every=1, alerts=settings)],
            ONE_INFINITE,
            use_bias=True,
        )
        found = summary.build(tbgrad.read(directory)["."]).alerts
        assert len([a for a in found if a.rule == "nonfinite"]) == told, pattern
