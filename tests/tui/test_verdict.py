"""The verdict of a run, its state and the age of its curvature: always on the screen of the run."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from tbgrad_tui import facts
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.canvas import ink
from tbgrad_tui.widgets.curvature import charts_of
from tbgrad_tui.widgets.curvature_words import cost_words, spread_words, standing_words
from tbgrad_tui.widgets.verdict import fitted

from tbgrad import read
from tbgrad.log import encode
from tbgrad.log.append import EventFileWriter
from tbgrad.log.records import CurvatureEstimate, Eigenvalue
from tbgrad.log.share import Share
from tbgrad.log.state import RunState
from tbgrad.log.tags import CURVATURE, ENDED
from tbgrad.reading.estimates import EstimateAge
from tbgrad.reading.state import condition
from tests.support.logs import EPOCH, write_run
from tests.tui.support import app_on, loaded, shown, until

SIZES = [(80, 24), (120, 40)]


def lost(directory, at=300):
    """A run that trained well and whose loss and gradient then were NaN for a hundred steps."""
    write_run(directory, steps=at)
    with EventFileWriter(directory) as writer:
        for step in range(at + 10, at + 101, 10):
            values = [encode.scalar(tag, math.nan) for tag in ("loss", "gradient/norm")]
            values.append(encode.scalar("learning_rate", 0.05))
            writer.add(step, values, EPOCH + step * 0.05)


@pytest.mark.parametrize("size", SIZES)
async def test_a_stale_estimate_is_grey_beside_a_lost_network_and_the_rate_stays(tmp_path, size):
    lost(tmp_path / "a")
    app = app_on(tmp_path, EPOCH + 22)
    async with app.run_test(size=size) as pilot:
        await loaded(pilot)
        await until(pilot, lambda: "alert" in shown(app))
        summary, verdict, *_ = shown(app).splitlines()
        assert "step 400" in summary
        assert "lr 0.05" in summary
        assert "◆" in verdict
        assert "1 alert (a): the loss is not finite from step 310" in verdict
        assert "change first:" in shown(app)
        panel = app.run_screen.panel("curvature")
        (y,) = (y for y, line in enumerate(panel.lines()) if "stale: 200 steps ago" in line)
        quiet, good = ink(colours.QUIET), ink(colours.GOOD)
        assert quiet in panel.canvas.inks[y]
        assert good not in panel.canvas.inks
        if size[0] >= 120:
            assert "λ/limit 0.7, 200 steps ago" in summary  # (20 + 50 · 2 / 3) / 76
            at = summary.index("λ/limit")
            assert good not in app.run_screen.query_one("#summary").canvas.inks[0, at : at + 26]


async def test_a_run_that_is_over_says_since_when_and_nothing_is_amber(tmp_path):
    write_run(tmp_path / "a", steps=100)
    with EventFileWriter(tmp_path / "a") as writer:
        writer.add(100, [encode.state(RunState(status="finished", heartbeat=5.0))], EPOCH + 10)
    app = app_on(tmp_path, EPOCH + 10 + 7300)
    async with app.run_test(size=(80, 24)) as pilot:
        await loaded(pilot)
        await until(pilot, lambda: "finished, 2 h ago" in shown(app))
        assert "updated" not in shown(app)
        assert "no new data" not in shown(app)


def test_how_long_a_run_is_over(tmp_path):
    write_run(tmp_path, steps=100)
    run = replace(read(tmp_path)["."], heard=EPOCH + 100)
    now = EPOCH + 160
    for status, words in (
        ("finished", "finished, 1 min ago"),
        ("failed", "failed: ValueError: x, 1 min ago"),
        ("running", "running"),
    ):
        state = RunState(status=status, exception="ValueError: x" if status == "failed" else "")
        assert facts.state_words(run, condition(state, 0.0), now) == words
    silent = condition(RunState(status="running", heartbeat=5.0), 60.0)
    assert facts.state_words(run, silent, now) == silent.words
    assert facts.state_words(run, condition(RunState(status="finished"), 0.0), 0.0) == "finished"


async def test_a_monitoring_that_ended_is_said_plainly_and_no_run_is_healthy_after_it(tmp_path):
    write_run(tmp_path / "a", steps=200)
    with EventFileWriter(tmp_path / "a") as writer:
        writer.add(200, [encode.note(f"OSError: disk full. {ENDED}")], EPOCH + 10)
    app = app_on(tmp_path, EPOCH + 12)
    async with app.run_test(size=(80, 24)) as pilot:
        await loaded(pilot)
        await until(pilot, lambda: "the monitoring ended at step 200" in shown(app))
        assert "healthy" not in shown(app)


@pytest.mark.parametrize("rows", [2, 3, 4, 9])
@pytest.mark.parametrize("width", [30, 78])
def test_a_verdict_fits_and_its_cause_and_its_advice_stay(rows, width):
    lines = [
        [("◆ ", colours.ALERT), ("cause " + "word " * 20, colours.ALERT)],
        [("change first: ", colours.QUIET), ("advice " + "word " * 12, colours.TEXT)],
        [("then: ", colours.QUIET), ("another " + "word " * 12, colours.TEXT)],
    ]
    drawn = ["".join(text for text, _ in line) for line in fitted(lines, width, rows)]
    assert len(drawn) <= rows
    assert all(len(line.rstrip()) <= width for line in drawn)
    assert drawn[0].startswith("◆ cause")
    assert any(line.startswith("change first: advice") for line in drawn)
    whole = sum(text.count("word") for line in lines for text, _ in line)
    if sum(line.count("word") for line in drawn) < whole and len(drawn) < 3 * rows:
        assert "…" in "".join(drawn) or not any(line.startswith("then") for line in drawn)


def estimate(top=40.0, limit=80.0, **more):
    values = Eigenvalue(top, 2.0), Eigenvalue(-1.0, 0.1)
    return CurvatureEstimate(values, True, 12, 0.5, 1.0, 64, limit, **more)


def test_what_is_said_of_where_a_training_stands():
    words = standing_words(estimate(), EstimateAge(0, False))
    assert words == [("λ/limit 0.50", colours.GOOD), ("below the limit", colours.GOOD)]
    words = standing_words(estimate(), EstimateAge(200, False))
    assert words[-1] == ("estimated 200 steps ago", colours.QUIET)
    words = standing_words(estimate(100.0), EstimateAge(1, True))
    assert words[0] == ("stale: 1 step ago", colours.QUIET)
    assert {style for _, style in words} == {colours.QUIET}


def test_cost_spread_and_charts_are_those_of_the_estimates(tmp_path):
    many = [
        estimate(40.0, trace=100.0, trace_error=4.0, negative_fraction=Share.between(0.1, 0.2)),
        estimate(60.0, 50.0, minimum_ratio=Share.between(0.6, 0.64)),
        estimate(30.0, None),
    ]
    with EventFileWriter(tmp_path) as writer:
        for i, each in enumerate(many):
            writer.add(100 * i, [encode.curvature(each)], EPOCH + 5 * i)
    run = read(tmp_path)["."]
    steps, estimates = run[CURVATURE].steps, list(run[CURVATURE].values)
    told = [text for text, _ in cost_words(run, estimates)]
    assert told == ["cost 12 products, 0.5 s", "3 estimates took 1.5 s, 15 % of the run"]
    told = [text for text, _ in spread_words(steps.tolist(), estimates)]
    assert told == [
        "above zero 62.0 % (60.0 to 64.0) at step 100",
        "below zero 15 % (10 to 20) at step 0",
        "trace 100.0 ± 4.0 at step 0",
    ]
    ratio, extremes, below, trace = charts_of(run, steps, estimates)
    assert ratio.level == 1.0
    np.testing.assert_allclose(ratio.curves[0].values, [0.5, 1.2])
    np.testing.assert_allclose(ratio.curves[0].errors, [2 / 80, 2 / 50])
    np.testing.assert_array_equal(ratio.curves[0].steps, [0, 100])
    np.testing.assert_allclose(extremes.curves[1].values, [40, 60, 30])
    np.testing.assert_allclose((below.curves[0].values[0], below.curves[0].errors[0]), (0.15, 0.05))
    np.testing.assert_allclose((trace.curves[0].values[0], trace.curves[0].errors[0]), (100, 4))


async def test_the_validation_loss_is_in_the_panel_of_the_loss(tmp_path):
    with EventFileWriter(tmp_path / "a") as writer:
        for step in range(10):
            values = [encode.scalar("loss", 1.0), encode.scalar("val_loss", 1.5 + step / 100)]
            values.append(encode.scalar("gradient/norm", 1.0))
            writer.add(step, values, EPOCH + step)
    app = app_on(tmp_path, EPOCH + 10)
    async with app.run_test(size=(80, 24)) as pilot:
        await loaded(pilot)
        assert "validation 1.59" in "\n".join(app.run_screen.panel("loss").lines())
