"""Which fault of several is told first: the one that brought the others about."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

from tbgrad.diagnosis import RULE_NAMES, Diagnosis, Record
from tbgrad.judgement.chains import CAUSES
from tbgrad.judgement.story import by_cause, story_of
from tbgrad.log.records import Alert, CurvatureEstimate, Eigenvalue
from tests.diagnosis.histories import RELU, of_kernels, table


def alert(rule: str, first: int, last: int = 500, severity: Any = "warning", state: Any = "open",
          parameters: tuple[str, ...] = (), **more: str) -> Alert:  # fmt: skip
    return Alert(rule, severity, parameters, first, last, state, "seen", ("cause",),
                 more.pop("advice", f"mend {rule}"), **more)  # fmt: skip


CHAINS: dict[str, list[Alert]] = {
    "edge_of_stability": [
        alert("dead_units", 20, severity="error"),
        alert("nonfinite", 8, severity="error"),
        alert("loss_diverging", 3, severity="error"),
        alert("edge_of_stability", 0, 8, state="closed"),
    ],
    "nonfinite": [  # one batch
        alert("loss_diverging", 60, severity="error"),
        alert("dead_units", 41, severity="error"),
        alert("nonfinite", 40, 40, "error", "closed"),
    ],
    "update_too_large": [
        alert("dead_units", 1, severity="error"),
        alert("update_too_large", 1, 1, state="closed"),
        alert("loss_stuck", 60),
    ],
    "zero_initialization": [
        alert("loss_stuck", 40),
        alert("zero_initialization", 1),
        alert("no_gradient", 1),
        alert("critical_point", 200, severity="info"),
    ],
    "inputs_unscaled": [
        alert("inputs_unscaled", 1),
        alert("exploding_gradient", 1, severity="error"),
        alert("saturated_layer", 1),
        alert("loss_implausible", 3),
    ],
    "gradient_spike": [
        alert("gradient_spike", 60, 60, state="closed"),
        alert("loss_diverging", 66),
    ],
    "dead_units": [  # what was there before any step is no work of one
        alert("dead_units", 1),
        alert("update_too_large", 9),
        alert("loss_stuck", 50),
        alert("vanishing_gradient", 1),
    ],
    "vanishing_gradient": [alert("loss_stuck", 70), alert("vanishing_gradient", 1)],
}


def test_a_spike_long_before_is_not_what_diverges() -> None:
    """As where a rate is so large that one batch leaps, and the training is lost much later."""
    spike = alert("gradient_spike", 25, 25, state="closed")
    later = [alert("update_too_large", 57), alert("loss_diverging", 71, severity="error")]
    story = story_of([spike, *later])
    assert story is not None
    assert story.root.rule == "update_too_large"
    assert [each.root.rule for each in story.further] == ["gradient_spike"]
    soon = story_of([spike, alert("update_too_large", 27), alert("loss_diverging", 31)])
    assert soon is not None
    assert soon.root.rule == "gradient_spike"


@pytest.mark.parametrize("rule", CHAINS)
def test_the_fault_that_began_it_is_the_root(rule: str) -> None:
    story = story_of(CHAINS[rule])
    assert story is not None
    assert story.root.rule == rule
    assert story.advice == f"mend {rule}"
    told = [a.key for each in (story, *story.further) for a in each.alerts]
    assert sorted(told) == sorted(a.key for a in CHAINS[rule])
    if rule != "dead_units":
        assert story.further == ()
    steps = [a.first_step for a in story.effects]
    assert steps == sorted(steps)


def test_faults_that_have_nothing_to_do_with_one_another_are_stories_of_their_own() -> None:
    spike = alert("gradient_spike", 60, 60, state="closed")
    diverges = alert("loss_diverging", 900, severity="error")
    frozen = alert("not_trainable", 0, severity="info")
    story = story_of([spike, diverges, alert("overfitting", 300), frozen])
    assert story is not None
    assert (story.root.rule, story.effects) == ("loss_diverging", ())
    further = [each.root.rule for each in story.further]
    assert further == ["overfitting", "gradient_spike", "not_trainable"]  # mere hints come last


def test_how_far_a_rate_is_too_large_is_said_by_what_measures_it() -> None:
    step, swings = alert("update_too_large", 1, 9, state="closed"), alert("loss_oscillating", 58)
    story = story_of([step, swings])
    assert story is not None
    assert (story.root, story.advice) == (step, "mend loss_oscillating")
    away = story_of([step, swings, alert("loss_diverging", 20)])
    assert away is not None
    assert away.advice == "mend update_too_large"


def test_without_alerts_there_is_no_story_and_one_alert_is_one() -> None:
    assert story_of([]) is None
    story = story_of([alert("dead_units", 7, parameters=("dense/bias",))])
    assert story is not None
    assert story.headline == "dead units in dense from step 7"  # of an older log


def test_every_rule_that_is_named_is_one_and_no_order_of_alerts_matters() -> None:
    named = {*CAUSES, *(cause for causes in CAUSES.values() for cause in causes)}
    assert named <= set(RULE_NAMES)
    rng = np.random.default_rng(0)
    for _ in range(200):
        rules, steps = rng.choice(RULE_NAMES, 6, replace=False), rng.integers(0, 60, 6)
        some = [alert(str(r), int(step)) for r, step in zip(rules, steps, strict=True)]
        story = story_of(some)
        assert story is not None
        assert asdict(story) == asdict(story_of(some[::-1]))
        told = [a.key for each in (story, *story.further) for a in each.alerts]
        assert sorted(told) == sorted(a.key for a in some)


def test_a_rate_beyond_the_threshold_is_told_in_one_sentence_with_its_new_value() -> None:
    diagnosis, told = Diagnosis(), {}
    top = CurvatureEstimate((Eigenvalue(86.0, 0.1), Eigenvalue(-1.0, 0.1)), True, 9, 0.1, 1.0, 64,
                            20.0, "2 / η")  # fmt: skip
    for step in range(12):
        lost = step >= 8
        record = Record(
            step,
            {"loss": math.nan if lost else 2.0 * 3**step, "learning_rate": 0.1,
             "gradient/norm_max": 1.0},
            table(nonfinite=of_kernels(3, 0, 0, 0) if lost else 0),
            RELU,
            top if step < 4 else None,
        )  # fmt: skip
        told |= {a.key: a for a in diagnosis.update(record)}
    story = story_of(told.values())
    assert story is not None
    assert story.root.rule == "edge_of_stability"
    assert story.headline.startswith(
        "learning rate 4.3 times beyond the stability threshold from step 0; "
    )
    assert "non-finite at step 8" in story.headline
    assert story.advice == "lower learning_rate from 0.1 to 0.019"  # 0.1 / 4.3, with a margin
    assert replace(story.root, headline="").headline == ""


def test_an_alert_says_in_one_line_since_when_and_what_to_change() -> None:
    assert str(alert("dead_units", 7, 30)) == (
        "dead_units since step 7, seen at step 30: seen. Change first: mend dead_units"
    )
    assert str(alert("nonfinite", 7, 7, advice="")) == "nonfinite since step 7: seen"


def test_alerts_stand_below_what_brought_them_about_and_the_oldest_fault_is_first() -> None:
    alerts = [
        alert("overfitting", 5, 9, state="closed"),
        alert("nonfinite", 90, severity="error"),
        alert("dead_units", 95, severity="error"),
        alert("gradient_spike", 89, 89, state="closed"),
        alert("frozen_parameter", 30),
        alert("batch_too_large", 2, severity="info"),
    ]
    arranged = [(a.rule, effect) for a, effect in by_cause(story_of(alerts))]
    assert arranged == [
        ("frozen_parameter", False),
        ("gradient_spike", False),
        ("nonfinite", True),
        ("dead_units", True),
        ("overfitting", False),
        ("batch_too_large", False),
    ]
    assert by_cause(None) == ()
