"""A log with every step gives its reader what its writer was told."""

from __future__ import annotations

from pathlib import Path

import tbgrad
from tbgrad.judgement.replay import diagnose
from tbgrad.log.tags import ALERTS
from tests.monitoring.test_tapped_run import EVERY, train

BROKEN = 23


def test_a_fault_between_two_logged_steps_is_found_again_at_its_step(tmp_path: Path) -> None:
    train(tmp_path / "run", 60, broken_at=BROKEN)
    run = tbgrad.read(tmp_path)["run"]
    assert BROKEN % EVERY
    told = {(a.rule, a.first_step) for alerts in run[ALERTS].values for a in alerts}
    found = {(a.rule, a.first_step) for a in diagnose(run)}
    assert found == told
    assert ("nonfinite", BROKEN) in found
