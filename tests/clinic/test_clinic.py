"""Some of the clinic's trainings, as a user runs them: what the writer logs while they train.

All of them, with several seeds: `python -m tests.benchmarks.clinic`.
"""

from __future__ import annotations

import pytest

import tbgrad
from tbgrad.diagnosis import RULE_NAMES
from tbgrad.judgement.replay import diagnose, newest
from tbgrad.log.tags import ALERTS, PARAMETERS
from tests.clinic.aside import aside
from tests.clinic.healthy import healthy
from tests.clinic.planted import planted

FAULTS = (
    "mlp deep sigmoid",
    "cnn large init",
    "lstm corrupt batch",
    "diabetes one wild batch",
    "transformer clipped far too low",
    "gan dead judge",
    "mlp saturated by raw inputs",
    "lstm only the head trains",
    "mlp not trainable",
    "cnn one large layer",
    "mlp momentum rate too high",
    "rnn diverging",
    "linear beyond the edge",
    "mlp rate too low",
    "mlp overfitting noise",
    "mlp mixed overflow",
)
HEALTHY = ("healthy mlp validation", "healthy gan ring")


def logged(run):
    """Step and alert of everything in the log."""
    series = run.get(ALERTS)
    if series is None:
        return []
    pairs = zip(series.steps.tolist(), series.values, strict=True)
    return [(step, alert) for step, alerts in pairs for alert in alerts]


def check_faces_agree(run):
    """What the log says is what its rules say afterwards, but for the writer's own alarm."""
    live = {
        (a.rule, a.parameters, a.first_step, a.last_step, a.state)
        for a in newest(alert for _, alert in logged(run))
        if a.rule != "nonfinite"
    }
    after = {
        (a.rule, a.parameters, a.first_step, a.last_step, a.state)
        for a in diagnose(run)
        if a.rule != "nonfinite"
    }
    assert live == after


def check_told_in_time(case, run):
    told = [
        step
        for step, alert in logged(run)
        if alert.rule == case.rule
        and (not case.layers or any(case.layers in path for path in alert.parameters))
    ]
    assert told
    assert told[0] <= 0.2 * case.recipe.steps


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_named_while_it_trains(name, tmp_path):
    from tests.clinic.training import train

    (case,) = [case for case in planted() if case.name == name]
    train(case.recipe, 0, tmp_path, part=0.25)  # nothing that comes later is asked about
    run = tbgrad.read(tmp_path)[case.group]
    check_told_in_time(case, run)
    check_faces_agree(run)


@pytest.mark.tensorflow
def test_a_planted_fault_is_named_at_the_defaults_of_the_monitor(tmp_path):
    """Some batches do not show it, and by then half of the steps are logged."""
    from tests.clinic.training import train

    (case,) = [case for case in planted() if case.name == "mlp small init tanh"]
    train(case.recipe, 0, tmp_path, part=0.25, every=None, histograms_every=None)
    run = tbgrad.read(tmp_path)[case.group]
    assert len(run[PARAMETERS].steps) < 60
    check_told_in_time(case, run)
    check_faces_agree(run)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_training_has_no_grave_alert(name, tmp_path):
    from tests.clinic.training import train

    (case,) = [case for case in healthy() if case.name == name]
    train(case.recipe, 0, tmp_path, part=0.3)
    for run in tbgrad.read(tmp_path).values():
        assert [alert for _, alert in logged(run) if alert.severity != "info"] == []
        check_faces_agree(run)


def test_the_clinic_is_as_large_as_it_says():
    faults = (*planted(), *aside())
    assert {case.rule for case in faults} == set(RULE_NAMES)
    assert len({case.name for case in (*faults, *healthy())}) == len(faults) + len(healthy())
    assert min(len(planted()), len(healthy())) >= 40
    assert {"mlp", "cnn", "lstm", "rnn", "transformer", "gan"} == {c.recipe.model for c in faults}
    kept = sum(case.aside for case in (*faults, *healthy()))
    assert kept / (len(faults) + len(healthy())) >= 1 / 3
