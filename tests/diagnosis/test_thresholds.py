"""The threshold that an alert names: beyond it the rule speaks, short of it it does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

from tbgrad.diagnosis import RULES, AlertSettings
from tbgrad.log import encode
from tbgrad.log.decode import decode
from tbgrad.log.records import CurvatureEstimate, Eigenvalue
from tests.diagnosis.histories import alerts, noise, of_kernels
from tests.plugin import logs

OWN = AlertSettings(clip_factor=0.07, stability=1.7, dead_units=0.6, exploding_gradient=30.0)
"""Others than are usual."""


def scalars(tag: str, since: int = 1) -> Callable[[float], dict[str, Any]]:
    """A history in which a scalar has a value from some step on."""

    def history(value: float) -> dict[str, Any]:
        usual = {"gradient/norm_max": lambda step: 1 + 0.01 * noise(step), "loss": lambda _: 2.0}

        def said(step: int) -> dict[str, float]:
            before = {name: of(step) for name, of in usual.items()}
            return before | ({tag: value} if step >= since else {})

        return {"scalars": said}

    return history


def estimates(value: float) -> dict[str, Any]:
    top = Eigenvalue(20.0 * value, 0.01)
    found = CurvatureEstimate((top, Eigenvalue(-1.0, 0.01)), True, 9, 0.1, 1.0, 64, 20.0, "2 / η")
    return {"curvature": lambda _: found}


def resting(value: float) -> dict[str, Any]:
    return {"columns": lambda _: {"dead_fraction": of_kernels(0.0, value, 0.0, 0.0)}}


CASES: dict[str, tuple[Callable[[float], dict[str, Any]], float, float | None]] = {
    "clipping_always": (scalars("gradient/clip_factor"), 0.001, 0.07),
    "edge_of_stability": (estimates, 3.0, 1.7),
    "dead_units": (resting, 0.9, 0.6),
    "exploding_gradient": (scalars("gradient/norm_max"), 900.0, 30.0 * np.sqrt(2.0)),
    "gradient_spike": (scalars("gradient/norm_max", 60), 40.0, None),
    "loss_diverging": (scalars("loss", 40), 9.0, 3.0),
    "loss_implausible": (scalars("loss"), 1e9, 1e6),
    "loss_scale_collapse": (scalars("loss_scale"), 0.01, 1.0),
}
"""By rule: a history with a value, one that is beyond the threshold, and the threshold."""


@pytest.mark.parametrize("rule", CASES)
def test_beyond_the_threshold_a_rule_speaks_and_short_of_it_it_does_not(rule: str) -> None:
    history, far, known = CASES[rule]

    def told(value: float) -> list[Any]:
        found = alerts(range(1, 80), settings=OWN, **history(value))
        return [alert for alert in found if alert.rule == rule]

    (alert,) = told(far)
    threshold = alert.threshold
    assert threshold is not None
    assert known is None or threshold == pytest.approx(known, rel=1e-6)
    up = 1 if far > threshold else -1
    assert told(threshold * (1 + 0.01 * up))
    assert not told(threshold * (1 - 0.01 * up))


def test_rules_that_look_at_something_derived_have_none() -> None:
    (alert,) = alerts(range(1, 20), columns=lambda _: {"norm": of_kernels(1e-5, 1e-4, 0.1, 1)})
    assert (alert.rule, alert.threshold) == ("vanishing_gradient", None)
    named = {rule.name for rule in RULES if rule.threshold.__name__ != "<lambda>"}
    assert {"gradient_spike", "overfitting", "loss_diverging"} <= named


@pytest.mark.parametrize("threshold", [None, 0.25])
def test_a_threshold_goes_into_the_log_and_comes_back(threshold: float | None) -> None:
    alert = replace(logs.alert("dead_units", "error", 3), threshold=threshold)
    value = encode.alerts([alert])
    assert decode(value, value.metadata)[1] == (alert,)
    assert asdict(alert)["threshold"] == threshold


@pytest.mark.parametrize("written", ["", ', "threshold": "inf"', ', "threshold": null'])
def test_an_older_log_has_none(written: str) -> None:
    value = encode.alerts([])
    text = (
        '[{"rule": "dead_units", "severity": "error", "first_step": 1, "last_step": 2, '
        f'"state": "open", "evidence": "70 % (alert from 70%)"{written}}}]'
    )
    value.tensor.string_val[0] = text.encode()
    (alert,) = decode(value, value.metadata)[1]
    assert alert.threshold is None
