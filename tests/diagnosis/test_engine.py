"""The rules on records made by hand: they open once, last, and close; healthy runs have none."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tbgrad.diagnosis import (
    RULE_NAMES,
    RULES,
    AlertSettings,
    Diagnosis,
    Record,
)  # fmt: skip
from tbgrad.judgement.replay import diagnose, newest
from tbgrad.log import encode, tags
from tbgrad.log.append import EventFileWriter
from tbgrad.log.batches import Batches
from tbgrad.log.records import STATISTICS, Alert, CurvatureEstimate, Eigenvalue
from tbgrad.reading.directory import read
from tests.support.logs import manifest, write_groups, write_run

MANIFEST = manifest(2)
ROWS = len(MANIFEST.parameters)


def table(**columns: Any) -> np.ndarray:
    found = np.ones((ROWS, len(STATISTICS)), np.float32)
    usual = {"dead_fraction": 0, "nonfinite": 0, "update_norm": 1e-3, "cosine": np.nan}
    columns = usual | columns
    for name, values in columns.items():
        found[:, STATISTICS.index(name)] = values
    return found


def record(step: int, columns: Any = None, curvature: Any = None, **scalars: float) -> Record:
    said = {tag.replace("__", "/"): value for tag, value in scalars.items()}
    return Record(step, said, table(**(columns or {})), MANIFEST, curvature)


def estimate(stability: float) -> CurvatureEstimate:
    top = Eigenvalue(stability * 20.0, 0.1)
    return CurvatureEstimate((top, Eigenvalue(-1.0, 0.1)), True, 9, 0.1, 1.0, 256, 20.0, "2 / η")


def states(found: list[Any]) -> list[tuple[str, str, int, int]]:
    return [(a.rule, a.state, a.first_step, a.last_step) for a in found]


def test_one_missing_gradient_is_one_alert_though_a_record_has_it_now_and_then() -> None:
    diagnosis, told = Diagnosis(), []
    for step in range(1, 60):
        missing = {"norm": [1, 1 if step in (20, 40) else np.nan, 1, 1]}
        told += diagnosis.update(record(step, missing))
    assert {alert.key for alert in told} == {("no_gradient", 1)}
    assert states(diagnosis.open) == [("no_gradient", "open", 1, 59)]


def test_a_parameter_without_gradient_is_named_once_and_closed_when_gradients_come() -> None:
    missing = {"norm": [1, np.nan, np.nan, 1]}
    diagnosis, told = Diagnosis(), []
    for step in range(10, 60, 10):
        told += diagnosis.update(record(step, missing))
    assert states(told)[0] == ("no_gradient", "open", 10, 30)
    assert told[0].parameters == MANIFEST.names[1:3]
    assert "2 of 4 parameters: " in told[0].evidence
    assert MANIFEST.names[1] in told[0].evidence
    assert len(told) == 1  # and no flood
    assert [alert.last_step for alert in diagnosis.open] == [50]
    closed = [alert for step in range(60, 110, 10) for alert in diagnosis.update(record(step))]
    assert states(closed) == [("no_gradient", "closed", 10, 50)]
    assert diagnosis.open == []


def test_another_parameter_joins_the_alert_and_leaves_it() -> None:
    diagnosis, told = Diagnosis(), []
    for step in range(1, 19):
        missing = [1, np.nan if step < 7 else 1, np.nan if 4 < step < 13 else 1, 1]
        told += diagnosis.update(record(step, {"norm": missing}))
    first, second = MANIFEST.names[1:3]
    assert {alert.key for alert in told} == {("no_gradient", 1)}
    assert [(a.parameters, a.last_step, a.state) for a in told] == [
        ((first,), 3, "open"),
        ((first,), 6, "open"),  # twice as long as when it was opened
        ((first, second), 7, "open"),
        ((second,), 12, "closed"),
    ]


def test_without_any_gradient_or_weights_nothing_is_said() -> None:
    diagnosis = Diagnosis()
    for step in range(1, 10):
        assert diagnosis.update(record(step, {"norm": np.nan})) == []
    blank = {"norm": [1, np.nan, 1, 1], "weight_norm": [1, np.nan, 1, 1]}  # not trained now
    for step in range(10, 20):
        assert diagnosis.update(record(step, blank)) == []


def test_a_weight_that_no_update_changes() -> None:
    still = {"update_norm": [1e-3, 0, 1e-3, 1e-3]}
    diagnosis = Diagnosis()
    told = [a for s in range(1, 9) for a in diagnosis.update(record(s, still, learning_rate=0.1))]
    assert states(told) == [("frozen_parameter", "open", 1, 5)]
    assert "learning rate of 0.1" in told[0].evidence
    diagnosis = Diagnosis()
    for step in range(1, 9):  # a warm-up from zero changes nothing, and nothing is wrong
        assert diagnosis.update(record(step, still, learning_rate=0.0)) == []


def test_a_weight_that_has_converged_is_not_frozen() -> None:
    tiny = {"update_norm": [1e-3, 0, 1e-3, 1e-3], "norm": [1, 1e-6, 1, 1]}
    diagnosis = Diagnosis()
    for step in range(1, 20):
        assert diagnosis.update(record(step, tiny, learning_rate=0.1)) == []


def test_clipping_that_leaves_next_to_nothing() -> None:
    diagnosis = Diagnosis()
    told = [
        a for s in range(1, 31) for a in diagnosis.update(record(s, gradient__clip_factor=0.02))
    ]
    assert states(told) == [("clipping_always", "open", 1, 20)]
    assert "leaves 0.02 of the gradient" in told[0].evidence
    calm = [
        a for s in range(31, 40) for a in diagnosis.update(record(s, gradient__clip_factor=1.0))
    ]
    assert states(calm) == [("clipping_always", "closed", 1, 30)]
    for step in range(40, 200):  # usual clipping
        assert diagnosis.update(record(step, gradient__clip_factor=0.3)) == []


def test_an_eigenvalue_beyond_the_limit_of_the_optimizer() -> None:
    diagnosis = Diagnosis()
    told = []
    for step, stability in ((100, 0.9), (200, 1.5), (300, 1.3), (400, 0.5), (500, 0.4)):
        told += diagnosis.update(Record(step, {}, curvature=estimate(stability)))
        told += diagnosis.update(record(step + 1))  # steps without an estimate change nothing
    assert states(told) == [
        ("edge_of_stability", "open", 200, 300),
        ("edge_of_stability", "closed", 200, 300),
    ]
    assert "eigenvalue 26.00 ± 0.10 is 1.30 times the limit 20 of" in told[0].evidence
    unknown = replace(estimate(5.0), stability_threshold=None)
    for step in range(600, 1000, 100):
        assert Diagnosis().update(Record(step, {}, curvature=unknown)) == []


def test_the_figures_of_an_open_alert_are_those_of_the_newest_estimate() -> None:
    diagnosis, told = Diagnosis(), []
    for step in range(100, 1100, 100):
        told += diagnosis.update(Record(step, {}, curvature=estimate(1.2 + step / 1000)))
    assert [a.last_step for a in told] == list(range(200, 1100, 100))
    assert "is 2.20 times the limit" in told[-1].evidence
    assert len({a.key for a in told}) == 1


def test_of_an_adaptive_optimizer_the_preconditioned_eigenvalue_is_named() -> None:
    adaptive = replace(
        estimate(0.062), preconditioned=Eigenvalue(686.0, 3.0), stability_threshold=570.0
    )
    diagnosis, told = Diagnosis(), []
    for step in (1, 2):
        told += diagnosis.update(Record(step, {}, curvature=adaptive))
    assert told[0].evidence.startswith(
        "the largest preconditioned eigenvalue 686.0 ± 3.0 (of the Hessian itself: 1.24 ± 0.10) "
        "is 1.20 times the limit 570 of the optimizer, 2 / η"
    )


def test_a_loss_scale_below_one_is_an_error() -> None:
    (alert,) = Diagnosis().update(record(7, loss_scale=0.5))
    assert (alert.rule, alert.severity, alert.first_step) == ("loss_scale_collapse", "error", 7)
    assert Diagnosis().update(record(7, loss_scale=1.0)) == []


def test_what_lasts_is_told_again_ever_more_rarely() -> None:
    diagnosis = Diagnosis()
    told = [a for s in range(1, 2001) for a in diagnosis.update(record(s, loss_scale=0.5))]
    assert 5 <= len(told) <= 15
    assert len({(a.rule, a.first_step) for a in told}) == 1


def test_thresholds_can_be_set() -> None:
    strict = Diagnosis(AlertSettings(loss_scale=1024.0))
    assert [a.rule for a in strict.update(record(1, loss_scale=512.0))] == ["loss_scale_collapse"]


def test_other_parameters_end_the_alerts_of_the_former() -> None:
    diagnosis = Diagnosis()
    for step in range(1, 5):
        diagnosis.update(record(step, {"norm": [1, np.nan, 1, 1]}))
    other = manifest(1)
    told = diagnosis.update(Record(5, {}, table()[:2], other))
    assert states(told) == [("no_gradient", "closed", 1, 4)]


def test_what_is_seen_again_after_long_has_lasted() -> None:
    """Records a hundred steps apart tell of it as neighbours do, and do not need ten of them."""
    missing = {"dead_fraction": [1, 1, 0, 0]}
    known = replace(MANIFEST, batches=(Batches(1, 32),))
    for apart, opened_at in ((1, 10), (100, 300)):
        diagnosis = Diagnosis()
        told = [
            (step, alert.rule, alert.first_step)
            for step in range(apart, 20 * apart, apart)
            for alert in diagnosis.update(replace(record(step, missing), manifest=known))
        ]
        assert told[0] == (opened_at, "dead_units", apart)


@pytest.mark.parametrize("adaptive", [False, True])
def test_a_healthy_log_has_no_alert(tmp_path: Path, adaptive: bool) -> None:
    write_run(tmp_path / "a", steps=2000, adaptive=adaptive)
    write_groups(tmp_path / "gan")
    for bounded in (False, True):
        for run in read(tmp_path, bounded=bounded).values():
            assert diagnose(run) == ()


def test_a_log_is_diagnosed_as_it_would_have_been_live(tmp_path: Path) -> None:
    steps = [
        record(s, {"norm": [1, np.nan, 1, 1]}, loss_scale=math.ldexp(1.0, 5 - s // 4), loss=1.0)
        for s in range(1, 41)
    ]
    with EventFileWriter(tmp_path) as file:
        file.add(0, [encode.manifest(MANIFEST)])
        for made in steps:
            values = [encode.scalar(tag, value) for tag, value in made.scalars.items()]
            file.add(made.step, [*values, encode.parameters(made.table)])
    live = Diagnosis()
    newest = {}
    for made in steps:
        newest |= {(a.rule, a.first_step): a for a in live.update(made)}
    newest |= {(a.rule, a.first_step): a for a in live.open}
    found = diagnose(read(tmp_path)["."])
    assert {(a.rule, a.first_step): a for a in found} == newest
    assert {a.rule for a in found} == {"no_gradient", "loss_scale_collapse"}


def test_every_rule_says_why_and_what_to_do() -> None:
    assert {rule.name for rule in RULES} == set(RULE_NAMES)
    for rule in RULES:
        assert rule.causes
        assert rule.advice
        assert rule.shows in STATISTICS or rule.shows in vars(tags).values()
        assert callable(rule.severity) or rule.severity in ("info", "warning", "error")


def test_what_was_open_when_another_writer_took_over_is_closed() -> None:
    def alert(first: int, last: int, state: Any = "open") -> Alert:
        return Alert("dead_units", "error", ("a",), first, last, state, "", (), "")

    told = [alert(1, 30), alert(5, 100), alert(110, 120)]
    assert [(a.first_step, a.state) for a in newest(told, 101)] == [
        (110, "open"),
        (5, "closed"),
        (1, "closed"),
    ]
    assert [a.state for a in newest(told)] == ["open"] * 3
