"""Marks, the reference, and runs beside one another, on a sweep with known losses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.canvas import ink
from tbgrad_tui.chart.text import number
from tbgrad_tui.widgets.comparison import ComparisonPanel, OverlayPanel, seen
from tbgrad_tui.widgets.marks import UNMARKED, Marks
from tbgrad_tui.widgets.timeline import clock_of

from tbgrad.log import encode
from tests.support.events import PatientEventFileWriter as EventFileWriter
from tests.support.logs import EPOCH
from tests.support.sweep import RATES, value_of, write_sweep
from tests.tui.support import SIZES, app_on, shown, until


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Four runs, once for all tests here."""
    directory = tmp_path_factory.mktemp("compare")
    return directory, write_sweep(directory)


async def opened(pilot):
    """The panel of all runs, judged, with the first chosen."""
    app = pilot.app
    await until(pilot, lambda: app.screen is app.overview_screen)
    panel = app.overview_screen.panel
    await until(pilot, lambda: len(panel.rows) == len(RATES) and all(r.health for r in panel.rows))
    await until(pilot, lambda: app.snapshot.loading is None)
    await pilot.press("s", "home")  # by name
    return panel


def table(app):
    return app.screen.query_one(ComparisonPanel).lines()


def row_of(app, start):
    (line,) = [line for line in table(app)[1:] if line.removeprefix("│ ").startswith(start)]
    return line.strip("│ ").split()


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_the_norms_of_two_runs_are_compared_with_three_keys(sweep, size):
    app = app_on(sweep[0], EPOCH + 5000)
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await pilot.press("space", "space", "c")
        await until(pilot, lambda: app.screen is app.compare_screen and table(app))
        (first, norm1), (second, norm2) = (value_of(rate, 400) for rate in RATES[:2])
        await until(pilot, lambda: "B lr0.03" in shown(app))
        assert row_of(app, "A*") == [
            "A*", "lr0.01", "400", number(first), "×1", number(norm1), "×1", "0.01", "100",
        ]  # fmt: skip
        assert row_of(app, "B ") == [
            "B", "lr0.03", "400", number(second), f"×{number(second / first)}", number(norm2),
            f"×{number(norm2 / norm1)}", "0.03", "–",
        ]  # fmt: skip
        heading = table(app)[1].strip("│ ").split()
        assert heading == ["run", "step", "loss", "÷A", "norm", "÷A", "lr", "warmup"]
        assert "2 hyperparameters are the same" in shown(app)
        for panel in app.screen.query(OverlayPanel):
            text = "".join(panel.lines()[2:])
            assert "A" in text
            assert "B" in text
            for style in colours.RUNS[:2]:
                assert (panel.canvas.inks == ink(style)).any()


async def test_keys_of_the_comparison(sweep):
    app = app_on(sweep[0], EPOCH + 5000)
    async with app.run_test(size=(120, 40)) as pilot:
        panel = await opened(pilot)
        await pilot.press("down", "c")  # none is marked: this one and the next
        await until(pilot, lambda: app.screen is app.compare_screen and "B lr0.1" in shown(app))
        assert app.marks.marked == sweep[1][1:3]
        await pilot.press("full_stop", "less_than_sign")
        step = app.view.cursor
        assert step == 360
        await until(pilot, lambda: f"at step {step}" in table(app)[0])
        assert row_of(app, "B ")[3] == number(value_of(RATES[2], step)[0])
        charts = list(app.screen.query(OverlayPanel))
        for wanted in (not all(chart.log_axis for chart in charts), True):
            await pilot.press("l")
            assert {chart.log_axis for chart in charts} == {wanted}
        await pilot.press("plus", "x", "right")
        await until(pilot, lambda: "step" not in table(app)[1].split())
        await pilot.press("left", "left", "down", "up", "equals_sign", "escape")
        assert app.view.cursor is None
        assert app.screen is app.compare_screen
        await pilot.press("c")
        await until(pilot, lambda: app.screen is app.overview_screen)
        assert panel.selected == sweep[1][1]


async def test_marks_and_the_reference_in_the_overview(sweep):
    app = app_on(sweep[0], EPOCH + 5000)
    async with app.run_test(size=(80, 24)) as pilot:
        panel = await opened(pilot)
        assert [row.name for row in panel.rows] == sweep[1]
        await pilot.press("space", "space", "space", "up", "p")
        await pilot.pause()
        assert [row.name for row in panel.rows] == [sweep[1][2], *sweep[1][:2], sweep[1][3]]
        lines = panel.lines()
        assert "C* lr0.1 " in lines[2]
        assert "A  lr0.01 " in lines[3]
        assert "B  lr0.03 " in lines[4]
        assert "   lr0.3 " in lines[5]
        await pilot.press("s", "slash", *"0.03", "enter")  # the reference stays
        assert [row.name for row in panel.rows] == [sweep[1][2], sweep[1][1]]
        await pilot.press("escape", "home", "p", "down", "space")
        assert app.marks.pinned == ""
        await pilot.press("u")
        await pilot.pause()
        assert app.marks.chosen == []
        assert not any("A  lr" in line for line in panel.lines())


async def test_marked_runs_are_in_the_charts_of_all_scalars(sweep):
    app = app_on(sweep[0], EPOCH + 5000)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        await pilot.press("space", "space", "down", "enter")  # a third run is in front
        await pilot.press("7")
        scalars = app.run_screen.panel("scalars")
        await until(pilot, lambda: "A lr0.01" in shown(app))
        assert "B lr0.03" in scalars.lines()[1]
        for style in (*colours.RUNS[:2], UNMARKED.style):
            assert (scalars.canvas.inks[3:-3] == ink(style)).any()


def test_a_look_stays_and_is_no_others():
    marks = Marks()
    assert [marks.toggle(name) for name in "abc"] == [True] * 3
    looks = {name: marks.look(name) for name in "abc"}
    assert [looks[name].letter for name in "abc"] == ["A", "B", "C"]
    assert marks.toggle("b") is False
    assert marks.look("b") is UNMARKED
    assert marks.look("c") == looks["c"]
    marks.toggle("d")
    assert marks.look("d").letter == "B"
    marks.toggle("b")
    assert marks.look("b").letter == "D"
    marks.toggle("c")
    marks.toggle("c")
    assert marks.look("c") == looks["c"]
    assert len({marks.look(name).style for name in marks.chosen}) == 4
    marks.pin("z")
    assert marks.chosen[0] == "z"
    assert marks.look("z").letter == "E"


def test_which_runs_are_compared_where_few_are_marked():
    names = ["a", "b", "c"]
    marks = Marks()
    assert marks.compared("b", names) == ["b", "c"]
    marks = Marks()
    assert marks.compared("c", names) == ["c", "b"]
    marks = Marks()
    marks.pin("a")
    assert marks.compared("c", names) == ["a", "c"]
    assert Marks().compared("a", ["a"]) == ["a"]
    marks.toggle("b")
    assert marks.compared("b", names) == ["a", "c", "b"]


async def test_no_size_is_too_small_for_a_comparison(sweep):
    app = app_on(sweep[0], EPOCH + 5000)
    async with app.run_test(size=(240, 60)) as pilot:
        await opened(pilot)
        await pilot.press(*["space"] * 4, "c")
        await until(pilot, lambda: app.screen is app.compare_screen)
        for size in ((10, 3), (30, 8), (45, 16), (300, 20)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
        assert "D lr0.3" in shown(app)
        assert math.isfinite(app.return_code or 0)


@pytest.mark.parametrize("size", SIZES, ids="{0[0]}x{0[1]}".format)
def test_what_it_looks_like(size, sweep, snap_compare):
    async def ready(pilot):
        await opened(pilot)
        await pilot.press("space", "space", "space", "c")
        await until(pilot, lambda: "C lr0.1" in shown(pilot.app))

    app = app_on(sweep[0], EPOCH + 5000)
    assert snap_compare(app, terminal_size=size, run_before=ready)


def curve_of(step: int, shift: float) -> float:
    """A loss that no two steps share, with a peak at every 617th."""
    return shift + (step * 7919 % 1000) / 1000 + (50.0 + step if step % 617 == 5 else 0.0)


async def test_ratios_are_of_one_and_the_same_step_however_long_the_log(tmp_path):
    lengths = {"long": (6000, 1.0), "short": (4004, 2.0)}
    for name, (steps, shift) in lengths.items():
        with EventFileWriter(tmp_path / name) as writer:
            for step in range(steps):
                writer.add(step, [encode.scalar("loss", curve_of(step, shift))], EPOCH + step)
    app = app_on(tmp_path, EPOCH + 6001)
    async with app.run_test(size=(120, 40)) as pilot:
        panel = app.overview_screen.panel
        await until(pilot, lambda: len(panel.rows) == 2 and all(r.health for r in panel.rows))
        await pilot.press("s", "home", "c")
        await until(pilot, lambda: app.screen is app.compare_screen and len(table(app)) > 3)
        short = app.snapshot.runs["short"]["loss"]
        assert short.buckets is not None, "the log is not long enough for this test"
        steps = app.snapshot.runs["long"]["loss"].steps
        held = int(steps[np.searchsorted(steps, 4003, side="right") - 1])
        assert held < 4003, "the log has to be merged there for this test"
        newest = curve_of(4003, 2.0)
        ratio = newest / curve_of(held, 1.0)
        assert row_of(app, "B ")[2:5] == ["4,003", number(newest), f"~×{number(ratio, 3)}"]
        assert "~ the last step before that" in shown(app)
        step = int(next(s for s in range(3000, 3900) if s not in short.steps))
        app.cursor_to(step)
        values = curve_of(step, 1.0), curve_of(step, 2.0)
        ratio = f"×{number(values[1] / values[0], 3)}"
        await until(pilot, lambda: row_of(app, "B ")[3:5] == [number(values[1]), ratio])
        assert row_of(app, "A*")[3:5] == [number(values[0]), "×1"]
        await pilot.press(*["plus"] * 7)
        first, last = app.view.stretch(clock_of(app.snapshot.runs["long"]))
        near = lambda: [each.first_step for each in app.view.closer.values()]  # noqa: E731
        await until(pilot, lambda: near() == [first, first])
        overlay = next(iter(app.screen.query(OverlayPanel)))
        first, last = app.view.stretch(clock_of(app.snapshot.runs["long"]))
        for name, (_, shift) in lengths.items():
            found = seen(app.snapshot.runs[name], "loss", overlay.view)
            inside = (found.steps >= first) & (found.steps <= last)
            assert found.steps[inside].tolist() == list(range(first, last + 1))
            expected = [curve_of(s, shift) for s in range(first, last + 1)]
            np.testing.assert_allclose(found.values[inside], expected, rtol=1e-6)
