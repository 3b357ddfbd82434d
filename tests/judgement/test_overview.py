"""The line of a run among many, and which run comes first."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

import tbgrad
from tbgrad.judgement.overview import (
    healthy_words,
    overview_of,
    worst_first,
)
from tbgrad.judgement.replay import judge
from tbgrad.log import encode
from tbgrad.log.brief import number, percent
from tbgrad.log.state import RunState
from tbgrad.log.tags import ENDED
from tbgrad.reading.estimates import age_of_estimate
from tbgrad.reading.state import condition
from tests.support.events import PatientEventFileWriter
from tests.support.logs import write_run


def overview(directory, status="running", silence=0.0, **state):
    run = tbgrad.read(directory)["."]
    run = replace(run, name=directory.name, state=RunState(status=status, heartbeat=5.0, **state))
    return overview_of(run, condition(run.state, silence), judge(run).story)


def diverged(directory):
    with PatientEventFileWriter(directory) as writer:
        for step in range(40):
            value = 2.0 if step < 30 else math.nan
            writer.add(step, [encode.scalar("loss", value), encode.scalar("gradient/norm", value)])


def test_a_line_says_what_the_log_says(tmp_path):
    write_run(tmp_path, adaptive=True)
    line = overview(tmp_path, pace=0.5, recent=0.25, steps=2000, hparams={"lr": 0.1})
    run = tbgrad.read(tmp_path)["."]
    assert (line.step, line.steps, line.condition.words) == (run.last_step, 2000, "running")
    assert line.pace == 4.0
    assert line.seconds_left == 0.25 * (2000 - run.last_step)
    assert line.loss == run["loss"].values[-1]
    assert line.norm == run["gradient/norm"].values[-1]
    last = run["tbgrad/curvature"]
    assert line.stability == pytest.approx(last.values[-1].stability)
    assert line.stability_age == run.last_step - last.steps[-1]
    parts = np.array_split(run["loss"].values, 12)
    np.testing.assert_allclose(line.losses, [np.median(part) for part in parts])
    assert line.hparams == {"lr": 0.1}


def test_of_a_run_that_is_over_no_time_is_left(tmp_path):
    write_run(tmp_path)
    line = overview(tmp_path, "finished", pace=0.5, recent=0.25, steps=2000)
    assert math.isnan(line.seconds_left)
    assert math.isnan(line.pace)


def test_the_worst_comes_first(tmp_path):
    for name in ("a-healthy", "b-silent", "c-failed", "d-finished"):
        write_run(tmp_path / name, steps=200)
    diverged(tmp_path / "e-diverged")
    lines = [
        overview(tmp_path / "a-healthy"),
        overview(tmp_path / "b-silent", silence=60.0),
        overview(tmp_path / "c-failed", "failed", exception="OOM"),
        overview(tmp_path / "d-finished", "finished"),
        overview(tmp_path / "e-diverged"),
    ]
    assert lines[-1].severity == "error"
    assert lines[-1].health == "nonfinite"
    assert lines[-1].since == 30
    assert lines[0].health == "healthy"
    order = [line.name[0] for line in worst_first(lines)]
    assert order == ["c", "e", "b", "a", "d"]


def test_what_is_not_judged_is_not_called_healthy(tmp_path):
    write_run(tmp_path)
    run = tbgrad.read(tmp_path)["."]
    assert overview_of(run, None, None, judged=False).health == ""
    assert overview_of(run, None, None).health == "healthy"


def test_the_loss_of_another_writer_is_known_by_its_name(tmp_path):
    with PatientEventFileWriter(tmp_path) as writer:
        for step, loss in enumerate((3.0, 2.0, 1.0)):
            values = [encode.scalar("train/loss", loss), encode.scalar("accuracy", 0.5)]
            writer.add(step, values, 1.0 + step)
    row = overview_of(tbgrad.read(tmp_path)["."], None, None)
    assert row.loss == 1.0
    assert row.losses.tolist() == [3.0, 2.0, 1.0]
    assert math.isnan(row.norm)


@pytest.mark.parametrize(
    ("growth", "words"), [(0.0, "steady at"), (0.01, "rising to"), (-0.01, "falling to")]
)
def test_what_it_means_to_be_well_is_said_in_the_numbers_of_the_run(tmp_path, growth, words):
    with PatientEventFileWriter(tmp_path) as writer:
        for step in range(1, 201):
            values = {"loss": 1.0, "gradient/norm": math.exp(growth * step), "update/ratio": 1e-3}
            writer.add(step, [encode.scalar(tag, value) for tag, value in values.items()], step)
    line = overview(tmp_path)
    norm = number(np.float32(math.exp(growth * 200)))
    assert healthy_words(line) == f"norm {words} {norm}, update/weight 0.001"


@pytest.mark.parametrize(
    ("rate", "words"),
    [(0.0, ""), (0.01, "by 26 % in the last quarter"), (0.003, ""), (-0.01, "")],
)
def test_a_loss_that_still_falls_is_told(tmp_path, rate, words):
    with PatientEventFileWriter(tmp_path) as writer:
        for step in range(1, 121):  # twelve stretches of ten: medians are 30 steps apart
            loss = math.exp(-rate * step)
            writer.add(step, [encode.scalar("loss", loss), encode.scalar("gradient/norm", 1.0)], 1)
    said = healthy_words(overview(tmp_path))
    assert said.startswith(f"loss still falling: {words}, norm" if words else "norm")
    assert not words or words == f"by {percent(1 - math.exp(-30 * rate))} in the last quarter"


@pytest.mark.parametrize(
    ("last", "lost", "stale"), [(650, False, False), (960, False, True), (610, True, True)]
)
def test_an_estimate_is_stale_when_the_next_is_overdue_or_the_network_lost(
    tmp_path, last, lost, stale
):
    write_run(tmp_path, steps=600)  # the curvature is estimated every 200 steps
    with PatientEventFileWriter(tmp_path) as writer:
        value = math.nan if lost else 0.1
        writer.add(last, [encode.scalar("loss", value), encode.scalar("gradient/norm", value)], 1)
    run = tbgrad.read(tmp_path)["."]
    run = replace(run, manifest=replace(run.manifest, cadences={}))
    assert age_of_estimate(run) == (last - 600, stale)
    line = overview(tmp_path)
    assert line.stability_age == last - 600
    assert f"estimated {last - 600} steps ago" in healthy_words(line)


def test_a_run_whose_monitoring_ended_is_not_called_healthy(tmp_path):
    write_run(tmp_path, steps=200)
    with PatientEventFileWriter(tmp_path) as writer:
        writer.add(200, [encode.note(f"OSError: disk full. {ENDED}")], 1)
    line = overview(tmp_path)
    assert (line.health, line.severity, line.since) == ("monitoring ended", "warning", 200)


def test_a_run_that_has_just_begun_has_done_no_step(tmp_path):
    with PatientEventFileWriter(tmp_path) as file:
        file.add(0, [encode.state(RunState(started=1.8e9, steps=800))])
    row = overview_of(tbgrad.read(tmp_path)["."], None, None, judged=False)
    assert (row.step, row.steps) == (0, 800)
