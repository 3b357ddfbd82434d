"""Which steps, epochs and layers a report names, held against all steps in float64."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tbgrad.commands.main import main
from tbgrad.log.batches import Batches, epoch_of
from tbgrad.log.norm_codes import MAX_ERROR
from tbgrad.log.tags import GRADIENT_NORM
from tbgrad.monitoring.step_log import StepLog
from tbgrad.reading.directory import read
from tbgrad.report.summary import build
from tests.support.logs import manifest
from tests.support.reports import text_of
from tests.support.steps import StepWriter, synthetic

ROWS = 8
PER_EPOCH = 40


@pytest.fixture
def logged(tmp_path: Path):
    """Epochs of 40 steps, whose last batch is short and has the smallest norms of all."""
    steps = synthetic(3210, ROWS)
    short = np.arange(len(steps)) % PER_EPOCH == PER_EPOCH - 1
    steps.norms[short] *= 1e-3
    steps.scalars[GRADIENT_NORM][short] *= 1e-3
    batches = (Batches(1, batch_size=32, samples=31 + 32 * 39, steps_per_epoch=PER_EPOCH),)
    with StepWriter(tmp_path / "a", manifest=replace(manifest(), batches=batches)) as writer:
        writer.write(steps)
    return tmp_path, steps, short


def test_the_report_names_steps_epochs_and_layers(logged, capsys) -> None:
    directory, steps, short = logged
    assert main(["report", str(directory), "--json"]) == 0
    extremes = json.loads(capsys.readouterr().out)["runs"]["a"]["extremes"]
    whole = np.where(short, np.nan, steps.scalars[GRADIENT_NORM].astype(np.float64))
    for name, order in (("smallest", np.argsort(whole)), ("largest", np.argsort(-whole))):
        for told, at in zip(extremes[name], order[:3].tolist(), strict=True):
            assert told["step"] == at + 1
            assert told["value"] == whole[at]
            assert told["epoch"] == at // PER_EPOCH + 1
    norms = np.where(short[:, None], np.nan, steps.norms.astype(np.float64))
    for row, told in enumerate(extremes["parameters"]):
        assert told["path"] == manifest().names[row]
        low, high = np.nanmin(norms[:, row]), np.nanmax(norms[:, row])
        for name, value in (("smallest", low), ("largest", high)):
            assert told[name]["value"] == pytest.approx(value, rel=MAX_ERROR)
            at = told[name]["step"] - 1
            assert norms[at, row] == pytest.approx(value, rel=2 * MAX_ERROR)
    assert extremes["every_step"]
    assert extremes["short"]
    assert extremes["steps"] == 3210


def test_the_text_says_it(logged) -> None:
    directory, steps, short = logged
    text = text_of(build(read(directory)["a"]))
    whole = np.where(short, np.nan, steps.scalars[GRADIENT_NORM].astype(np.float64))
    at = int(np.nanargmin(whole))
    assert f"at step {at + 1}, epoch {at // PER_EPOCH + 1}; then" in text
    assert "the steps with the short last batch of an epoch" in text
    norms = np.where(short[:, None], np.inf, steps.norms.astype(np.float64))
    row = int(np.argmin(norms.min(axis=0)))
    layer = next(line for line in text.splitlines() if line.startswith("smallest layer"))
    assert manifest().names[row] in layer
    assert f"at step {int(np.argmin(norms[:, row])) + 1}" in layer


def test_epochs_go_on_over_calls_of_fit() -> None:
    batches = [Batches(1, steps_per_epoch=10), Batches(26, steps_per_epoch=5), Batches(31)]
    steps = [0, 1, 10, 11, 25, 26, 30, 31]
    assert [epoch_of(step, batches) for step in steps] == [None, 1, 1, 2, 3, 4, 4, None]
    assert epoch_of(5, []) is None


def test_steps_of_windows_are_told_to_within_their_width(tmp_path: Path) -> None:
    steps = synthetic(20_000, ROWS)
    with StepWriter(tmp_path / "a", log=StepLog(bytes_per_minute=4000)) as writer:
        writer.write(steps, 500)
    report = build(read(tmp_path)["a"])
    within = report.extremes.within
    assert within > 1
    assert f"of layers to within {within:,} steps" in text_of(report)
    whole = steps.scalars[GRADIENT_NORM]
    assert report.extremes.largest[0].step == int(whole.argmax()) + 1
    for row, told in enumerate(report.extremes.parameters):
        at = int(steps.norms[:, row].argmax()) + 1
        assert told.largest.step <= at < told.largest.step + within
