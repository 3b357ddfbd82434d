"""What users choose: cadences, parameters, the latest numbers."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import tbgrad
from tests.support.linear_model import (
    COMPILED,
    INPUTS,
    OUTPUTS,
    RATE,
    STEPS,
    fit,
    gradient_norms,
    linear,
    own_loop,
    writer_for,
)

pytestmark = pytest.mark.tensorflow


def test_the_latest_numbers_can_be_had_in_code(tmp_path):
    model = linear()
    model.compile(keras.optimizers.SGD(RATE), "mse")
    monitor = tbgrad.GradientMonitor(tmp_path, every=5)
    assert monitor.latest is None
    fit(model, monitor)
    norms, _ = gradient_norms()
    assert monitor.latest["step"] == 10
    assert monitor.latest["gradient/norm"] == pytest.approx(norms[9], rel=1e-5)
    (statistics,) = monitor.latest["parameters"].values()
    assert statistics["norm"] == pytest.approx(norms[9], rel=1e-5)


def two_named_layers():
    return keras.Sequential(
        [keras.Input((INPUTS,)), keras.layers.Dense(4, name="body"),
         keras.layers.Dense(OUTPUTS, name="head")], name="net")  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "selection", "paths"),
    [
        ("loop", {"include": "*/kernel"}, ["body/kernel", "head/kernel"]),
        ("loop", {"exclude": ["*/body/*"]}, ["head/kernel", "head/bias"]),
        ("fit", {"include": ["net/head/*", "*body*"], "exclude": "*bias"},
         ["body/kernel", "head/kernel"]),
    ],
)  # fmt: skip
def test_parameters_are_chosen_by_patterns(kind, selection, paths, tmp_path):
    model, optimizer = two_named_layers(), keras.optimizers.SGD(RATE, global_clipnorm=1.0)
    model.compile(optimizer, "mse")
    if kind == "fit":
        fit(model, tbgrad.GradientMonitor(tmp_path, every=1, **selection))
    else:
        optimizer.build(model.trainable_variables)
        with writer_for(tmp_path, model, optimizer, **selection) as writer:
            own_loop(model, optimizer, writer, COMPILED["graph"])
    run = tbgrad.read(tmp_path)["."]
    assert list(run.names) == paths
    norms = np.linalg.norm(run.statistic("norm"), axis=1)
    np.testing.assert_allclose(run["gradient/norm"].values, norms, rtol=1e-5)
    assert len(norms) == STEPS
    assert "tbgrad/notes" not in run


def test_patterns_that_leave_nothing_get_a_sentence(tmp_path, caplog):
    model = two_named_layers()
    with pytest.raises(ValueError, match=r"include=\['none'\] .* leave no parameter to observe"):
        tbgrad.GradientSummaryWriter(tmp_path, model.trainable_variables, include="none")
    with pytest.raises(TypeError, match="exclude is a pattern of parameter paths"):
        tbgrad.GradientMonitor(tmp_path, exclude=[3])
    model.compile("sgd", "mse")
    fit(model, tbgrad.GradientMonitor(tmp_path, include="none"))
    (record,) = caplog.records
    assert "there are body/kernel, body/bias" in record.getMessage()


@pytest.mark.parametrize("kind", ["fit", "loop", "executions"])
def test_a_schedule_logs_densely_at_first(kind, tmp_path):
    schedule, histograms = {0: 1, 4: 3, 9: 2}, {0: 2, 5: 6}
    model, optimizer = linear(), keras.optimizers.SGD(RATE)
    if kind == "loop":
        with tbgrad.GradientSummaryWriter(
            tmp_path, model.trainable_variables, every=schedule, histograms_every=histograms
        ) as writer:
            own_loop(model, optimizer, writer, COMPILED["graph"])
    else:
        model.compile(optimizer, "mse", steps_per_execution=5 if kind == "executions" else 1)
        fit(model, tbgrad.GradientMonitor(tmp_path, every=schedule, histograms_every=histograms))
    run = tbgrad.read(tmp_path)["."]
    assert run["tbgrad/parameters"].steps.tolist() == [1, 2, 3, 4, 6, 10, 12]
    assert run["tbgrad/histograms"].steps.tolist() == [1, 2, 4, 6, 12]
    np.testing.assert_allclose(
        run["gradient/norm"].values,
        gradient_norms()[0][run["gradient/norm"].steps - 1],
        rtol=1e-5,
    )
    assert run.manifest.cadences["every"] == 2


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ({}, "as a schedule names the step at which each part begins"),
        ({1: 10}, "the first of them 0"),
        ({0: 1, 10: 0}, r"every\[10\] is a number of steps"),
        ({0: 1, "ten": 10}, "as a schedule names"),
    ],
)
def test_schedules_that_are_none_get_a_sentence(schedule, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        tbgrad.GradientMonitor(tmp_path, every=schedule)
