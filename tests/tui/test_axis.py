"""The axes that charts share: outliers, times, stretches, the cursor."""

from __future__ import annotations

import datetime
import time

import numpy as np
import pytest
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.axis import Clock, axis_over, elapsed
from tbgrad_tui.chart.canvas import Canvas, ink
from tbgrad_tui.chart.line import Curve, draw_chart
from tbgrad_tui.chart.scale import reaches_far, robust_scale
from tbgrad_tui.chart.view import SMOOTHINGS, View

RNG = np.random.default_rng(11)
CLOCK = Clock(np.arange(0, 1001, 10), 1.79e9 + np.arange(101) * 5.0)


def expected_range(values, newest):
    """By sorting: fences at twice the range of what is left without a twentieth at each end."""
    ranked = sorted(values)
    if len(ranked) < 12:
        return ranked[0], ranked[-1]
    cut = max(1, len(ranked) // 20)
    low, high = ranked[cut], ranked[len(ranked) - 1 - cut]
    fences = low - 2 * (high - low), high + 2 * (high - low)
    return (
        min(max(ranked[0], fences[0]), newest),
        max(min(ranked[-1], fences[1]), newest),
    )


@pytest.mark.parametrize("count", [1, 11, 12, 40, 2000])
@pytest.mark.parametrize("outliers", [0, 1, 3])
@pytest.mark.parametrize("log", [False, True])
def test_the_range_without_outliers(count, outliers, log):
    values = RNG.uniform(1.0, 2.0, count)
    values[: min(outliers, count)] = [8000.0, 1e-9, 8000.0][: min(outliers, count)]
    values = RNG.permutation(values)
    scale = robust_scale([values, np.array([np.nan, np.inf])], [values[-1]], log=log)
    change = np.log10 if log else np.asarray
    wanted = expected_range(change(values), change(values)[-1])
    if count > 1:
        assert change([scale.low, scale.high]) == pytest.approx(wanted, abs=1e-9)
    assert scale.log is log


@pytest.mark.parametrize("outlier", [8000.0, 2.5])
def test_one_value_far_off_does_not_flatten_the_loss_and_is_marked(outlier):
    steps = np.arange(500)
    loss = 1 - steps / 1000
    loss[250] = outlier
    canvas = Canvas(80, 16)
    draw_chart(canvas, canvas.box, [Curve(steps, loss)])
    lines = canvas.text()
    rows = np.nonzero((canvas.inks == ink(colours.MAIN)).sum(axis=1) > 1)[0]
    assert len(rows) >= 16 // 4  # what falls from 1 to 0.5 is seen to fall
    assert "▴" in lines[0]
    at = lines[0].index("▴")
    assert at == pytest.approx(lines[-1].index("200") + 1 + 50 / 500 * 75, abs=3)
    loss[250] = -outlier
    canvas = Canvas(80, 16)
    draw_chart(canvas, canvas.box, [Curve(steps, loss)])
    assert "▾" in canvas.text()[-2]


def test_where_a_curve_has_gone_is_no_outlier():
    loss = np.append(np.linspace(1.0, 0.5, 200), [40.0, 9e5])
    scale = robust_scale([loss], [loss[-1]], log=True)
    assert scale.high == pytest.approx(9e5)
    fell = robust_scale([1 / loss], [1 / loss[-1]], log=True)
    assert fell.low == pytest.approx(1 / 9e5)
    canvas = Canvas(60, 10)
    draw_chart(canvas, canvas.box, [Curve(np.arange(202), loss)], log=True)
    assert "▴" not in "".join(canvas.text())


def test_when_a_logarithmic_axis_suits_better():
    fell = np.geomspace(3.0, 0.1, 100)
    assert reaches_far([fell])
    assert not reaches_far([np.linspace(3.0, 0.2, 100)])
    assert not reaches_far([np.append(fell, 0.0)])
    assert reaches_far([fell, np.array([np.nan, 1.0])])
    spike = np.linspace(3.0, 1.0, 100)
    spike[50] = 8000.0
    assert not reaches_far([spike])
    assert not reaches_far([])
    assert not reaches_far([np.full(3, np.nan)])


@pytest.mark.parametrize("kind", ["step", "relative", "wall"])
def test_places_and_steps_are_inverse(kind):
    steps = np.array([0, 35, 990, 1000])
    x = CLOCK.x(steps, kind)
    assert [CLOCK.step(at, kind) for at in x] == pytest.approx(steps, abs=1e-4)
    if kind != "step":
        start = 0.0 if kind == "relative" else 1.79e9
        assert x == pytest.approx(start + steps / 10 * 5.0)


def test_a_clock_that_was_set_back_never_goes_back():
    clock = Clock(np.array([0, 1, 2]), np.maximum.accumulate(np.array([5.0, 9.0, 7.0])))
    assert clock.x(np.array([0, 1, 2]), "relative").tolist() == [0.0, 4.0, 4.0]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0"), (0.25, "0.25s"), (30, "30s"), (150, "2m30s"), (4200, "1h10m"), (10800, "3h"),
     (194400, "2d6h"), (86399.9, "1d")],
)  # fmt: skip
def test_lengths_of_time(seconds, words):
    assert elapsed(seconds) == words


@pytest.mark.parametrize("length", [0.5, 3, 20, 100, 4000, 90_000, 900_000, 3e7])
@pytest.mark.parametrize("log", [False, True])
def test_ticks_of_time_are_round_and_few(length, log):
    axis = axis_over(0.0, length, log=log, kind="relative")
    ticks = axis.ticks(6)
    assert 2 <= len(ticks) <= 10
    assert len({label for _, label in ticks}) == len(ticks)
    assert all(0 <= at <= length for at, _ in ticks)


@pytest.mark.parametrize("length", [10, 100, 4000, 90_000, 900_000])
def test_ticks_of_the_day_are_round_by_the_local_clock(length, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Kolkata")  # half an hour off
    time.tzset()
    try:
        ticks = axis_over(1.79e9, 1.79e9 + length, kind="wall").ticks(6)
        zone = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
        assert 2 <= len(ticks) <= 8
        for at, label in ticks:
            there = datetime.datetime.fromtimestamp(at, zone)
            form = "%b %d" if " " in label else "%H:%M:%S" if label.count(":") == 2 else "%H:%M"
            assert label == there.strftime(form)
            if " " in label:
                assert (there.hour, there.minute, there.second) == (0, 0, 0)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_stretch_is_zoomed_about_the_cursor_and_goes_on_with_the_newest_step():
    near = View().zoomed(CLOCK, 0.5)
    assert near.stretch(CLOCK) == (500, 1000)
    longer = Clock(np.arange(0, 2001, 10), np.arange(201) * 1.0)
    assert near.stretch(longer) == (500, 2000)
    about = View(cursor=200).zoomed(CLOCK, 0.5)
    assert about.stretch(CLOCK) == (100, 600)  # the cursor stays where it was on the screen
    assert View().zoomed(CLOCK, 0.5, 0.0).stretch(CLOCK) == (0, 500)
    assert about.zoomed(CLOCK, 2.0).zoomed(CLOCK, 2.0).stretch(CLOCK) == (0, 1000)
    assert not near.whole().is_zoomed
    view = View()
    for _ in range(30):
        view = view.zoomed(CLOCK, 0.5)
    first, last = view.stretch(CLOCK)
    assert 20 <= last - first < 80  # a few records at least
    halves = View(log=True).zoomed(CLOCK, 0.5).stretch(CLOCK)
    assert halves[0] == round(1000**0.5)


def test_a_stretch_is_panned_to_the_ends_and_no_further():
    view = View().zoomed(CLOCK, 0.25)
    assert view.panned(CLOCK, -0.5).stretch(CLOCK) == (625, 875)
    assert view.panned(CLOCK, -99).stretch(CLOCK) == (0, 250)
    assert view.panned(CLOCK, 99).stretch(CLOCK) == (750, 1000)
    assert View().panned(CLOCK, 0.5) == View()


def test_the_cursor_goes_from_record_to_record_and_takes_the_stretch_along():
    view = View().moved(CLOCK, -0.01)
    assert view.cursor == 1000
    assert view.moved(CLOCK, -0.01).cursor == 990
    assert view.moved(CLOCK, -0.1).cursor == 900
    assert view.moved(CLOCK, 0.1).cursor == 1000
    assert View(cursor=5).moved(CLOCK, -0.01).cursor == 0
    assert View(cursor=5).moved(CLOCK, 0.01).cursor == 10
    near = View(cursor=760).zoomed(CLOCK, 0.25, 1000.0)
    assert near.stretch(CLOCK) == (750, 1000)
    for _ in range(3):
        near = near.moved(CLOCK, -0.01)
    assert near.cursor == 730
    assert near.stretch(CLOCK)[0] == 730
    assert View().moved(Clock(np.zeros(0, np.int64), np.zeros(0)), 0.1) == View()


def test_kinds_and_weights_go_round():
    view = View()
    kinds = []
    for _ in range(3):
        view = view.next_kind()
        kinds.append(view.kind)
    assert kinds == ["relative", "wall", "step"]
    for weight in (*SMOOTHINGS[1:], 0.0):
        view = view.next_smoothing()
        assert view.smoothing == weight


def test_letters_tell_curves_apart_and_lie_on_them():
    steps = np.arange(200)
    curves = [
        Curve(steps, np.full(200, level), colours.RUNS[i], letter=letter)
        for i, (level, letter) in enumerate([(0.0, "A"), (1.0, "B")])
    ]
    canvas = Canvas(80, 10)
    draw_chart(canvas, canvas.box, curves)
    lines = canvas.text()
    assert "B" in lines[0]
    assert "A" in lines[-2]
    assert set(lines[0]) & {"A"} == set()
    assert not {x for x, c in enumerate(lines[0]) if c == "B"} & {
        x for x, c in enumerate(lines[-2]) if c == "A"
    }
