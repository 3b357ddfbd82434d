"""A history that opens each rule about losses, batches and curvature, and near misses."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tbgrad.diagnosis import Diagnosis, Record
from tbgrad.diagnosis.rules.stuck import SLOW_START
from tbgrad.diagnosis.trend import RECENT
from tbgrad.log.records import Alert, CurvatureEstimate, Eigenvalue
from tbgrad.log.tags import MINIMUM_RATIO
from tests.diagnosis.histories import RELU, alerts, noise, one


def test_a_loss_that_diverges() -> None:
    diagnosis = Diagnosis()
    told = [a for s in range(1, 90) for a in diagnosis.update(Record(s, {"loss": 1.06**s}))]
    assert {a.rule for a in told} == {"loss_diverging"}
    alert = told[0]
    assert (alert.severity, alert.first_step < 40) == ("warning", True)
    assert told[-1].severity == "error"  # by now ten times as large
    assert told[-1].evidence != alert.evidence
    assert "times that of the first steps" in alert.evidence
    # A loss that fell far and bounces near its end, and one that may be negative, are none.
    bounces = alerts(range(1, 90), lambda s: {"loss": 2.0 * 0.8**s * (10 if s % 3 else 1)})
    assert [a for a in bounces if a.severity == "error"] == []
    assert alerts(range(1, 60), lambda s: {"loss": 0.1 - s}) == []


def test_a_loss_that_goes_to_and_fro() -> None:
    def swings(step: int) -> dict[str, float]:
        return {"loss": 1.0 + 0.1 * (-1) ** step}

    found = alerts(range(1, 90), swings, lambda _: {"cosine": -0.8})
    assert {a.rule for a in found} == {"loss_oscillating"}
    assert "cosine -0.80 on average" in found[0].evidence
    falls = alerts(range(1, 90), columns=lambda _: {"cosine": -0.8})  # at the edge, and falling
    assert falls == []


def test_steps_far_apart_do_not_hide_that_neighbours_point_against_each_other() -> None:
    """Half of the steps are logged, in blocks; to the last of the block before it is a multiple."""
    logged = [*range(1, 11), *(at + i for at in range(19, 90, 16) for i in range(8))]
    far = {step for step, before in zip(logged[1:], logged, strict=False) if step - before > 1}
    found = alerts(
        logged,
        lambda step: {"loss": 1.0 + 0.1 * (-1) ** step},
        lambda step: {"cosine": 1.0 if step in far else -0.65},
    )
    assert [alert.rule for alert in found] == ["loss_oscillating"]
    assert "cosine -0.65 on average" in found[0].evidence


def test_where_all_steps_that_are_logged_are_far_apart_their_cosines_count() -> None:
    swings = alerts(
        range(10, 900, 10),
        lambda step: {"loss": 1.0 + 0.1 * (-1) ** (step // 10)},
        lambda _: {"cosine": -0.8},
    )
    assert [alert.rule for alert in swings] == ["loss_oscillating"]


def test_a_loss_that_is_stuck() -> None:
    flat = alerts(range(1, 400), lambda s: {"loss": 2.3 + 0.05 * noise(s), "update/ratio": 3e-3})
    alert = one(flat, "loss_stuck")
    assert "labels" in alert.advice
    slow = alerts(
        range(1, 120),
        lambda s: {"loss": 2.3 - 1e-4 * s, "update/ratio": 4e-6, "learning_rate": 1e-5},
    )
    assert one(slow, "loss_stuck").advice == "raise learning_rate from 1e-5 to 0.001"
    assert slow[0].first_step < 60


def test_an_epsilon_that_outweighs_the_gradient() -> None:
    def advice(epsilon: float, norm: float) -> str:
        adam = replace(RELU, optimizer={"name": "Adam", "epsilon": epsilon})
        said = {"update/ratio": 4e-6, "learning_rate": 1e-3, "gradient/norm_max": norm}
        return one(
            alerts(range(1, 200), lambda s: said | {"loss": 2.3 - 1e-4 * s}, manifest=adam),
            "loss_stuck",
        ).advice

    assert advice(1.0, 0.1) == advice(1.0, 3.0) == "lower epsilon from 1 to 1e-7"
    assert "learning_rate" in advice(1e-7, 0.1)
    assert "learning_rate" in advice(0.1, 100.0)


def test_a_loss_that_weights_make_next_to_nothing() -> None:
    classes = replace(RELU, loss="sparse_categorical_crossentropy", output_units=10)

    def advice(scale: float) -> str:
        said = {"update/ratio": 3e-9, "learning_rate": 0.1}
        slow = alerts(range(1, 200), lambda s: said | {"loss": 2.3 * scale}, manifest=classes)
        return one(slow, "loss_stuck").advice

    assert advice(1e-6).startswith("divide sample_weight, class_weight or loss_weights")
    assert "sample_weight" not in advice(1.0)


def test_a_penalty_that_is_most_of_the_loss() -> None:
    """Eight norms of 4 under L2(1): 8 · 16 of a loss of 130."""

    def advice(loss: float) -> Alert:
        heavy = replace(
            RELU, parameters=tuple(replace(p, regularizer="l2(1)") for p in RELU.parameters),
            loss="sparse_categorical_crossentropy", output_units=10,
        )  # fmt: skip
        return one(alerts(range(1, 60), lambda _: {"loss": loss}, manifest=heavy),
                   "loss_implausible")  # fmt: skip

    assert advice(130.0).advice == "lower the regularizer from l2(1) to l2(8e-4)"
    assert advice(130.0).causes[0] == "the regularizer l2(1) is 128 of the loss of 130 at first"
    assert "regularizer" not in advice(1300.0).advice


def test_validation_data_that_are_prepared_otherwise() -> None:
    def alert(validation: Any) -> Alert:
        def scalars(step: int) -> dict[str, float]:
            said = {"loss": 2.3 * 0.98**step}
            return said | ({"val_loss": validation(step)} if step % 20 == 0 else {})

        return one(alerts(range(1, 300), scalars), "overfitting")

    other = alert(lambda s: 40.0 + s / 10)
    assert other.headline.startswith("the validation loss never came down")
    assert other.advice.startswith("prepare the validation data as the training data")
    assert "their loss was 42 at first, beside 1." in other.causes[0]
    for at_first in (1.0, 8.0):  # as of labels that are noise, learned by heart at once
        learned = alert(lambda s, first=at_first: first + s / 50)
        assert learned.advice.startswith("stop at the lowest val_loss")


def test_a_loss_that_large_steps_keep_from_falling() -> None:
    """It has come down by half, as far as steps let it that are ten times as long as is usual."""

    def rate(ratio: float, level: float = 0.5) -> list[Alert]:
        def loss(step: int) -> float:
            return 5.2 * (level + (1 - level) * 0.95**step) + 0.05 * noise(step)

        said = {"update/ratio": ratio, "learning_rate": 0.03}
        adam = replace(RELU, optimizer={"name": "AdamW"})
        return alerts(range(1, 500), lambda s: said | {"loss": loss(s)},
                      manifest=adam)  # fmt: skip

    alert = one(rate(0.025), "loss_stuck")
    assert alert.first_step < 300
    assert alert.advice == "lower learning_rate from 0.03 to 0.001"
    moved = "every update moves 2.5 % of the weights, 25 times what is usual"
    assert alert.causes[0].endswith(moved)
    assert rate(3e-3) == rate(0.025, level=0.1) == []


@pytest.mark.parametrize(
    "loss",
    [
        lambda s: max(2.0 * 0.97**s, 0.3) + 0.01 * noise(s),  # has converged
        lambda s: 2.3 * (0.1 + 0.9 * math.exp(-s / 2000)) * (1 + 0.1 * noise(s)),  # takes its time
        lambda s: 2.3 * (1 + 0.3 * noise(s)),  # nobody can tell
        lambda s: 0.0 if s < 20 else 1e-6,  # has nothing to be set against
        lambda s: -s / 1000,
    ],
)
def test_a_loss_that_is_not_stuck(loss: Any) -> None:
    found = alerts(range(1, 600), lambda s: {"loss": loss(s), "update/ratio": 3e-3})
    assert [alert for alert in found if alert.rule != "no_gradient"] == []


def test_a_slow_start_is_not_stuck() -> None:
    """From a plateau: slowly at first, with a gradient that grows, or not for the first steps."""
    rng = np.random.default_rng(0)
    noise_ = 0.004 * rng.normal(size=900)

    def said(loss: Any, norm: Any = lambda _: 1.0) -> list[Alert]:
        usual = {"update/ratio": 3e-3}
        return alerts(
            range(1, 600),
            lambda s: usual | {"loss": loss(s) + noise_[s], "gradient/norm_max": norm(s)},
        )

    assert said(lambda s: 2.3 * 0.9998**s) == []  # 2 % in a hundred steps
    leaves = lambda s: 2.3 if s < 200 else max(0.3, 2.3 * 0.97 ** (s - 200))  # noqa: E731
    assert said(leaves) == []
    later = lambda s: 2.3 if s < 500 else max(0.3, 2.3 * 0.97 ** (s - 500))  # noqa: E731
    grows = lambda s: 0.1 * 1.003**s * math.exp(0.1 * float(rng.normal()))  # noqa: E731
    assert said(later, grows) == []
    assert one(said(later), "loss_stuck").first_step == SLOW_START


def test_where_a_cause_is_known_a_loss_is_stuck_sooner() -> None:
    zeros = replace(RELU, loss="sparse_categorical_crossentropy", logits=True, output_units=10,
                    output_activation="softmax")  # fmt: skip
    found = alerts(range(1, 200), lambda s: {"loss": 2.3 + 0.01 * noise(s), "update/ratio": 3e-3},
                   manifest=zeros)  # fmt: skip
    stuck = [alert for alert in found if alert.rule == "loss_stuck"]
    assert [alert.first_step < 80 for alert in stuck] == [True]


def test_a_loss_that_goes_up_and_down_above_that_of_a_guess() -> None:
    """A rate a hundred times too high: it varies too much to be flat, but has learned nothing."""
    classes = replace(RELU, loss="sparse_categorical_crossentropy", output_units=2)

    def course(step: int) -> dict[str, float]:
        return {"loss": 0.9 + 0.2 * noise(step), "update/ratio": 9e-3}

    alert = one(alerts(range(1, 600), course, manifest=classes), "loss_stuck")
    assert alert.headline.endswith(", worse than a guess")
    assert "where a guess has 0.6931" in alert.evidence
    assert "no more than it varies by" in alert.evidence
    unknown = replace(classes, loss="mean_squared_error")
    assert alerts(range(1, 600), course, manifest=unknown) == []
    weighted = lambda s: {"loss": 3.0 if s < 30 else 0.9 + 0.2 * noise(s)}  # noqa: E731
    assert alerts(range(1, 600), weighted, manifest=classes) == []


def test_a_loss_that_rises_far_above_its_lowest() -> None:
    """A transformer at a rate thirty times too high: down to 0.1, and at 0.85 for long."""

    def course(high: float) -> Any:
        return lambda s: {
            "loss": (max(0.1, 4.0 * 0.98**s) if s < 400 else high) * (1 + 0.1 * noise(s))
        }

    alert = one(alerts(range(1, 600), course(0.85)), "loss_diverging")
    assert (alert.severity, alert.state) == ("warning", "open")
    assert alert.headline.startswith("the loss rises, to 0.")
    assert 400 < alert.first_step < 440
    assert alert.threshold == pytest.approx(math.sqrt(0.1 * 3.6), rel=0.1)
    assert alerts(range(1, 600), course(0.3)) == []  # of 4 at first, next to nothing


def test_a_warm_up_that_takes_longer_than_the_training() -> None:
    """A hundred thousand steps of it: what is said of a loss that never moved is no higher rate."""

    def course(step: int) -> dict[str, float]:
        return {"loss": 2.3 + 0.01 * noise(step), "learning_rate": 1e-8 * step,
                "update/ratio": 1e-7 * step}  # fmt: skip

    alert = one(alerts(range(1, 400), course), "loss_stuck")
    assert alert.first_step >= 250
    assert alert.advice.startswith("shorten the warm-up: after 26")
    assert alert.advice.endswith("steps learning_rate is 2.6e-6")
    usual = lambda s: course(s) | {"loss": 2.3 - 5e-4 * s}  # noqa: E731
    assert alerts(range(1, 400), usual) == []


def test_a_gradient_that_came_to_rest_where_the_loss_is_still_high() -> None:
    """The output is saturated: updates are tiny for that, and a higher rate is no remedy."""
    unit = replace(RELU, loss="mean_squared_error", output_activation="sigmoid", output_units=1)

    def course(step: int) -> dict[str, float]:
        norm = 1.0 if step < 10 else 1e-4
        return {"loss": 0.9 + 0.05 * noise(step), "gradient/norm_max": norm,
                "gradient/norm": norm, "update/ratio": 1e-2 * norm}  # fmt: skip

    found = alerts(range(1, 400), course, manifest=unit)
    alert = one([a for a in found if a.rule != "frozen_parameter"], "loss_stuck")
    assert alert.advice.startswith("compile with loss='binary_crossentropy'")
    assert "the gradient's norm is 1e-4 of that at first" in alert.evidence
    bare = replace(unit, output_activation="")
    advice = one(alerts(range(1, 400), course, manifest=bare), "loss_stuck").advice
    assert advice.startswith("check the last layer")


def test_a_loss_that_is_back_where_it_began() -> None:
    """Down to 1.7 within 400 steps, and at 2.4 again: a guess among ten classes has 2.3."""
    classes = replace(RELU, loss="sparse_categorical_crossentropy", output_units=10)

    def course(step: int) -> dict[str, float]:
        return {"loss": (2.5 - 0.002 * min(step, 400) if step < 500 else 2.4) + 0.15 * noise(step)}

    alert = one(alerts(range(1, 600), course, manifest=classes), "loss_diverging")
    assert (alert.severity, 500 < alert.first_step <= 540) == ("warning", True)
    assert alert.headline.startswith("the loss is back at 2.")
    assert "a guess has 2.3" in alert.evidence
    # Noise alone, a leap that passes, a run that is resumed and a rival are none.
    for loss in (
        lambda s: 0.3 * (1 + 0.4 * noise(s)),
        lambda s: (2.5 if 500 < s < 512 else max(0.5, 2.5 - 0.01 * s)) + 0.1 * noise(s),
    ):
        found = alerts(range(1, 900), lambda s, loss=loss: {"loss": loss(s)}, manifest=classes)
        assert "loss_diverging" not in [a.rule for a in found]
    rival = replace(classes, group="generator")
    assert alerts(range(1, 600), course, manifest=rival) == []
    assert alerts(range(5000, 5600), lambda s: course(s - 5000), manifest=classes) == []


def test_the_loss_of_a_run_that_is_resumed_or_has_a_rival_is_not_judged() -> None:
    def flat(_: int) -> dict[str, float]:
        return {"loss": 0.69, "update/ratio": 3e-3}

    assert alerts(range(5000, 5400), flat) == []
    assert alerts(range(1, 400), flat, manifest=replace(RELU, group="generator")) == []
    warm = alerts(
        range(1, 100), lambda s: {"loss": 2.3, "learning_rate": 1e-6 * s, "update/ratio": 1e-6}
    )
    assert warm == []


def test_a_validation_loss_that_rises() -> None:
    def course(rises: float, falls: float) -> Any:
        return lambda s: (
            ({"val_loss": 1.0 + rises * max(0, s - 100) / 100} if s % 10 == 0 else {})
            | {"loss": 2.0 * falls**s}
        )

    alert = one(alerts(range(1, 200), course(1.0, 0.98)), "overfitting")
    assert "rose from 1 to" in alert.evidence
    assert alerts(range(1, 200), course(0.1, 0.997)) == []
    gap = one(alerts(range(1, 200), course(0.1, 0.98)), "overfitting")  # 1.1 after 0.04
    assert gap.first_step > 120
    assert "falls no more and is" in gap.evidence

    def noisy(step: int) -> dict[str, float]:
        falls = 0.35 + 0.5 * math.exp(-step / 300)
        return {"val_loss": falls * (1 + 0.15 * noise(step))} if step % 10 == 0 else {}

    assert alerts(range(1, 1000), lambda s: noisy(s) | {"loss": 0.3 + 2 * 0.98**s}) == []


@pytest.mark.parametrize(("cosine", "rule"), [(0.02, "noise_dominated"), (0.98, "batch_too_large")])
def test_the_size_of_the_batch_against_the_noise(cosine: float, rule: str) -> None:
    found = alerts(range(1, 90), lambda s: {"loss": 2.0 - 0.003 * s}, lambda _: {"cosine": cosine})
    alert = one(found, rule)
    assert alert.severity == "info"
    assert f"cosine {cosine:.3f}" in alert.evidence
    assert alert.last_step > RECENT  # not before a window of records is full


def estimate(top: float, bottom: float) -> CurvatureEstimate:
    return CurvatureEstimate(
        (Eigenvalue(top, 0.01), Eigenvalue(bottom, 0.01)), True, 9, 0.1, 1.0, 64
    )


@pytest.mark.parametrize(
    ("top", "bottom", "norm", "kind"),
    [(5, -0.1, 1e-3, "minimum"), (5, -4, 1e-3, "saddle"), (0.005, -0.005, 1e-3, "plateau"),
     (5, -0.1, 0.5, "")],
)  # fmt: skip
def test_what_the_weights_are_near(top: float, bottom: float, norm: float, kind: str) -> None:
    found = alerts(
        range(1, 200),
        lambda s: {"loss": max(2 * 0.95**s, 0.2), "gradient/norm_max": 1.0 if s < 60 else norm},
        curvature=lambda s: estimate(top, bottom) if s % 20 == 0 else None,
    )
    assert [alert.evidence.partition(":")[0] for alert in found] == ([kind] if kind else [])


@pytest.mark.parametrize(
    ("ratio", "kind", "words"),
    [(0.11, "flat", "only 11 % of them are above zero"),
     (0.93, "minimum", "93 % of them are above zero"),
     (None, "minimum", "how many of them are above zero was not measured")],
)  # fmt: skip
def test_a_critical_point_is_called_what_the_eigenvalues_say(
    ratio: float | None, kind: str, words: str
) -> None:
    def scalars(step: int) -> dict[str, float]:
        found = {"loss": max(2 * 0.95**step, 0.2), "gradient/norm_max": 1.0 if step < 60 else 1e-3}
        return found | ({MINIMUM_RATIO: ratio} if ratio is not None and step % 20 == 0 else {})

    alert = one(
        alerts(range(1, 200), scalars,
               curvature=lambda s: estimate(5, -0.1) if s % 20 == 0 else None),
        "critical_point",
    )  # fmt: skip
    assert alert.evidence.startswith(f"{kind}: ")
    assert words in alert.evidence
    said = " ".join([alert.evidence, alert.advice, *alert.causes])
    assert "stop" not in said
    assert "converged" not in said


@pytest.mark.parametrize(("falls", "norm", "opens"), [
    (False, 0.3, True), (True, 0.3, False), (False, 2.0, False),
])  # fmt: skip
def test_a_saddle_is_where_nothing_moves_and_little_is_to_be_gained(
    falls: bool, norm: float, opens: bool
) -> None:
    """The noise of batches hides a fall; the estimates' own samples do not.

    A step along a gradient of 2 gains 2² / (2 · 5) of a loss of 2, one of 0.3 a hundredth of that.
    """

    def measured(step: int) -> CurvatureEstimate | None:
        probe = replace(estimate(5, -1), loss=2.0 * (0.95 ** (step / 20) if falls else 1))
        return probe if step % 20 == 0 else None

    found = alerts(
        range(1, 400),
        lambda s: {"loss": 2.0 * math.exp(0.7 * noise(s)), "gradient/norm_max": norm},
        curvature=measured,
    )
    assert [a.rule for a in found if a.rule == "critical_point"] == ["critical_point"][:opens]


def test_a_loss_that_still_falls_over_a_thousand_steps_is_at_no_critical_point() -> None:
    """27 % over 1,850 steps, in noise that hides it from any 32 records."""
    rng = np.random.default_rng(0)
    found = alerts(
        range(1, 1850, 5),
        lambda s: {
            "loss": (1 - 0.27 * s / 1850) * float(np.exp(0.05 * rng.normal())),
            "gradient/norm_max": 1.0 if s < 60 else 1e-2,
        },
        curvature=lambda s: estimate(5, -0.1) if s % 50 == 1 and s > 400 else None,
    )
    assert [a.evidence for a in found if a.rule == "critical_point"] == []
