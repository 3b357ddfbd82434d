"""A log with every step gives its reader what its writer was told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tbgrad
from tbgrad.diagnosis.replay import diagnose, every_step, records
from tbgrad.log.tags import ALERTS, EVERY_STEP, STEPS
from tests.monitoring.test_tapped_run import EVERY, train
from tests.support.logs import write_run

BROKEN = 23


def test_a_fault_between_two_logged_steps_is_found_again_at_its_step(tmp_path: Path) -> None:
    train(tmp_path / "run", 60, broken_at=BROKEN)
    run = tbgrad.read(tmp_path)["run"]
    assert BROKEN % EVERY
    told = {(a.rule, a.first_step) for alerts in run[ALERTS].values for a in alerts}
    found = {(a.rule, a.first_step) for a in diagnose(run)}
    assert found == told
    assert ("nonfinite", BROKEN) in found


def test_steps_are_handed_over_in_stretches_of_neighbours(tmp_path: Path) -> None:
    train(tmp_path / "run", 60)
    run = tbgrad.read(tmp_path)["run"]
    (whole,) = every_step(run)
    assert (whole.first_step, whole.last_step) == (1, 60)
    assert set(whole.scalars) == set(EVERY_STEP)
    norms = run[STEPS]
    kept = np.r_[0:20, 30:60]
    torn = replace(norms, steps=norms.steps[kept], points=norms.values[kept])
    apart = replace(run, series={**run.series, STEPS: torn})
    assert [(s.first_step, s.last_step) for s in every_step(apart)] == [(1, 20), (31, 60)]
    known = [(s.first_step, s.last_step) for s in every_step(apart)]
    visited = [record.step for record in records(apart, known)]
    assert visited == [1, 5, 10, 15, 20, *range(21, 31), 35, 40, 45, 50, 55, 60]


@pytest.mark.parametrize("bounded", [False, True])
def test_a_log_without_every_step_has_none(tmp_path: Path, bounded: bool) -> None:
    write_run(tmp_path, steps=200)
    assert list(every_step(tbgrad.read(tmp_path, bounded=bounded)["."])) == []
