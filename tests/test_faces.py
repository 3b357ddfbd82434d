"""Both faces on the same logs: what the terminal shows and what the tab shows are one thing."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial

import numpy as np
import pytest
from tbgrad_tui.chart.text import number
from tbgrad_tui.widgets.verdict import Verdict

from tbgrad.log import encode
from tbgrad.log.append import EventFileWriter
from tbgrad.log.share import Share
from tbgrad.log.tags import CURVATURE, DENSITY, ENDED, GRADIENT_NORM, HISTOGRAMS, PARAMETERS
from tbgrad.reading.directory import read
from tbgrad.reading.layer_history import MEASURES, history_of
from tbgrad.report.summary import build
from tests.plugin import logs
from tests.plugin.conftest import Api, python_provider
from tests.plugin.test_backend import column
from tests.support.logs import manifest, write_groups, write_run
from tests.support.reports import text_of
from tests.support.values import ESTIMATE
from tests.tui.support import app_on, loaded

WRITERS = {
    "good": write_run,
    "hostile": logs.write_hostile,
    "changing": logs.write_changing,
    "plain": logs.write_plain,
    "density": partial(write_run, density=True),
    "groups/critic": lambda directory: write_groups(directory.parent),
}


@pytest.mark.parametrize("name", WRITERS)
async def test_both_faces_show_the_same(name, tmp_path):
    WRITERS[name](tmp_path / name)
    api = Api(python_provider(tmp_path))
    app = app_on(tmp_path)
    async with app.run_test(size=(200, 60)) as pilot:
        await loaded(pilot)
        rows = app.run_screen.panel("layers").lines()
        words = "\n".join(app.run_screen.panel("curvature").lines())
    run = app.run_shown

    def same(answer, steps, values):
        assert answer["steps"] == steps.tolist()
        np.testing.assert_array_equal(np.float32(column(answer["values"])), np.float32(values))

    for series in api.get("scalars", run=name, tag=list(run))["series"]:
        same(series, run[series["tag"]].steps, run[series["tag"]].values)
    layers = api.get("layers", run=name)
    assert [parameter["name"] for parameter in layers["parameters"]] == list(run.names)
    for statistic in layers["statistics"]:
        answer = api.get("layers", run=name, statistic=statistic)
        logged = statistic in run.manifest.statistics
        made = None if logged else history_of(run, MEASURES[statistic])
        ours_of = run.statistic(statistic) if made is None else made.values
        for values, ours in zip(answer["values"], ours_of.T, strict=True):
            steps = run[PARAMETERS].steps
            same({"steps": answer["steps"], "values": values}, steps, ours)
    histograms = run.get(HISTOGRAMS)
    for i, parameter in enumerate(run.names):
        counts = api.get("histogram", run=name, parameter=parameter)["counts"]
        ours = histograms.values[:, i] if histograms else np.zeros((0, 0))
        assert [row for row in counts if any(row)] == ours[ours.any(axis=1)].tolist()
    estimates = run[CURVATURE].values if CURVATURE in run else ()
    answers = api.get("curvature", run=name)["estimates"]
    for answer, estimate in zip(answers, estimates, strict=True):
        for got, ours in zip(answer["eigenvalues"], estimate.eigenvalues, strict=True):
            np.testing.assert_array_equal(
                column([got["value"], got["residual"]]), [ours.value, ours.residual]
            )
        np.testing.assert_array_equal(column([answer["stability"]]), [estimate.stability])
        adaptive = estimate.preconditioned
        assert answer["preconditioned"] == (None if adaptive is None else asdict(adaptive))
        assert ("preconditioned λmax" in words) == (adaptive is not None)
    series = run.get(DENSITY)
    steps = api.get("curvature", run=name)["density_steps"]
    assert steps == (series.steps.tolist() if series else [])
    for step, ours in zip(steps, series.values if series else (), strict=True):
        answer = api.get("density", run=name, step=step)["density"]
        assert answer["step"] == step
        np.testing.assert_array_equal(np.float32([answer["grid"], answer["density"]]), ours)
    assert ("spectral density at step 1,000" in words) == (series is not None)
    ends = iter(line.rstrip(" │┃").split(" ")[-1] for line in rows)
    for values in layers["values"]:
        newest = float(column(values)[-1])
        words = {"NaN", "none"} if np.isnan(newest) else {number(newest)}
        assert any(end in words for end in ends)  # the rows come in the same order


@pytest.mark.parametrize("later", [False, True])
async def test_a_monitoring_that_has_ended_is_seen_at_once_in_every_face(later, tmp_path):
    directory = tmp_path / "a"
    with EventFileWriter(directory, start_step=0) as writer:
        writer.add(0, [encode.manifest(manifest())])
        writer.add(10, [encode.scalar(GRADIENT_NORM, 1.0)])
        writer.add(20, [encode.note(f"monitoring of a {ENDED}; the disk is full")])
        if later:  # another session has gone on
            writer.add(30, [encode.scalar(GRADIENT_NORM, 1.0)])
    answer = Api(python_provider(tmp_path)).get("notes", run="a")
    assert answer["ended"] == (None if later else 20)
    words = "the monitoring ended at step 20"
    (run,) = read(tmp_path).values()
    assert (words in text_of(build(run))) == (not later)
    app = app_on(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        verdict = " ".join(app.run_screen.query_one(Verdict).lines())
    assert (words in verdict) == (not later)


async def test_the_share_above_zero_is_told_until_the_next_count(tmp_path):
    counted = replace(ESTIMATE, minimum_ratio=Share(0.123, 0.11, 0.136))
    with EventFileWriter(tmp_path / "a", start_step=0) as writer:
        writer.add(0, [encode.manifest(manifest())])
        writer.add(1000, [encode.curvature(counted)])
        writer.add(2000, [encode.curvature(ESTIMATE), encode.scalar("loss", 1.0)])
    app = app_on(tmp_path)
    async with app.run_test(size=(200, 60)) as pilot:
        await loaded(pilot)
        words = " ".join(line.strip(" │┃") for line in app.run_screen.panel("curvature").lines())
    assert "above zero 12.3 % (11.0 to 13.6) at step 1,000" in words
    (run,) = read(tmp_path).values()
    assert "12.3 % (11.0 to 13.6) of all eigenvalues, step 1,000" in text_of(build(run))
