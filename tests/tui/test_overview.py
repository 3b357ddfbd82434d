"""The overview of all runs: who comes first, why, and every key."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from tbgrad_tui.widgets.marks import Marks
from tbgrad_tui.widgets.overview import OverviewPanel
from tbgrad_tui.widgets.overview_columns import trend_bars

from tbgrad.judgement.overview import overview_of
from tbgrad.log import encode
from tbgrad.log.append import EventFileWriter
from tbgrad.reading.directory import read
from tests.support.logs import EPOCH, write_run
from tests.tui.support import SIZES, app_on, shown, until


def write_sweep(directory):
    """Three healthy runs, and one whose loss was lost."""
    for name in ("lr0.01-seed7", "lr0.1-seed7", "lr1-seed7"):
        write_run(directory / "sweep" / name, steps=400)
    with EventFileWriter(directory / "sweep" / "lr10-seed7") as writer:
        for step in range(60):
            value = 2.0 if step < 50 else math.nan
            values = [encode.scalar(tag, value) for tag in ("loss", "gradient/norm")]
            writer.add(step, values, EPOCH + step)


async def opened(app, pilot):
    """Wait until all runs are judged."""
    await until(pilot, lambda: app.screen is app.overview_screen)
    rows = app.overview_screen.panel
    await until(pilot, lambda: len(rows.rows) == 4 and all(row.health for row in rows.rows))
    return rows


def names(panel):
    return [row.name.removeprefix("sweep/") for row in panel.rows]


async def test_several_runs_begin_with_the_worst_and_why(tmp_path):
    write_sweep(tmp_path)
    app = app_on(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        panel = await opened(app, pilot)
        await until(pilot, lambda: panel.selected.endswith("lr10-seed7"))  # nobody chose another
        screen = shown(app)
        assert names(panel)[0] == "lr10-seed7"
        assert "4 runs, worst first" in screen
        assert "◆ 1 with errors" in screen
        (line,) = [line for line in screen.splitlines() if "◆ lr10 " in line]
        assert "nonfinite @50" in line
        assert "NaN" in line
        assert "from step 50" in screen
        assert "change first:" in screen
        assert "healthy" in screen


def test_what_is_not_judged_yet_is_not_called_healthy(tmp_path):
    write_sweep(tmp_path)
    runs = read(tmp_path)
    panel = OverviewPanel("runs", Marks())
    for judged, said in ((False, "4 not judged yet"), (True, "all healthy")):
        panel.show([overview_of(run, None, None, judged=judged) for run in runs.values()], runs)
        assert panel.headline()[0] == said


async def test_the_chosen_run_is_drawn_where_there_is_room(tmp_path):
    """The worst one at first, then the one that was chosen, which stays."""
    write_sweep(tmp_path)
    app = app_on(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        panel = await opened(app, pilot)
        await until(pilot, lambda: "gradient norm" in shown(app))
        worst = shown(app)
        await pilot.press("down")
        await until(pilot, lambda: "gradient norm  (log)" in shown(app))
        assert "gradient norm  (log)" not in worst  # 2.0 and then nothing
        assert panel.selected.endswith("lr0.01-seed7")
        panel.sort()
        assert panel.selected.endswith("lr0.01-seed7")
        await pilot.resize_terminal(80, 15)
        await until(pilot, lambda: "gradient norm" not in shown(app))


def test_over_a_network_curves_stay_for_a_while(tmp_path, monkeypatch):
    write_sweep(tmp_path)
    monkeypatch.delenv("SSH_TTY", raising=False)
    panel = OverviewPanel("runs", Marks())

    def is_anew():
        runs = read(tmp_path)
        panel.show([overview_of(run, None, None) for run in runs.values()], runs)
        return panel.charted() is runs[panel.selected]

    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.1 50000 192.0.2.2 22")
    assert is_anew()
    assert not is_anew()
    panel.choose(panel.rows[-1].name)
    assert is_anew()
    monkeypatch.delenv("SSH_CONNECTION")
    assert is_anew()


async def test_keys(tmp_path):
    write_sweep(tmp_path)
    app = app_on(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        panel = await opened(app, pilot)
        await pilot.press("home")
        assert panel.selected == panel.rows[0].name
        await pilot.press("down", "j")
        assert panel.selected == panel.rows[2].name
        await pilot.press("k", "up")
        assert panel.selected == panel.rows[0].name
        await pilot.press("pagedown")
        assert panel.selected == panel.rows[3].name
        await pilot.press("g", "G")
        assert panel.selected == panel.rows[3].name
        for order in ("name", "newest first", "lowest loss first", "worst first"):
            await pilot.press("s")
            await until(pilot, lambda order=order: order in shown(app))
        assert names(panel) == ["lr10-seed7", "lr0.01-seed7", "lr0.1-seed7", "lr1-seed7"]
        await pilot.press("question_mark")
        await until(pilot, lambda: "overview of all runs" in shown(app))
        await pilot.press("escape")
        await pilot.press("G", "enter")
        assert app.screen is app.run_screen
        assert app.run_name == "sweep/lr1-seed7"
        await pilot.press("escape")  # no panel is alone: back to all runs
        assert app.screen is app.overview_screen
        assert panel.selected == "sweep/lr1-seed7"
        await pilot.press("home", "a")
        await until(pilot, lambda: app.screen not in (app.run_screen, app.overview_screen))
        assert app.run_name == "sweep/lr10-seed7"
        await pilot.press("escape", "0")
        assert app.screen is app.overview_screen


async def test_a_filter(tmp_path):
    write_sweep(tmp_path)
    app = app_on(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        panel = await opened(app, pilot)
        await pilot.press("slash", *"lr0", "enter")
        assert names(panel) == ["lr0.01-seed7", "lr0.1-seed7"]
        await until(pilot, lambda: "2 of 4 runs" in shown(app))
        await pilot.press("down", "enter")
        assert app.run_name == "sweep/lr0.1-seed7"
        await pilot.press("escape", "slash", *" nowhere", "enter")
        await until(pilot, lambda: "no run is chosen by" in shown(app))
        await pilot.press("escape")
        assert len(panel.rows) == 4
        await pilot.press("slash", "slash", "left_square_bracket", "slash")
        await until(pilot, lambda: "is no regular expression" in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: "4 runs" in shown(app))
        await pilot.press("slash", *"severity=error", "enter")
        assert names(panel) == ["lr10-seed7"]
        await pilot.press("escape", "slash", *"!severity=error", "enter")
        assert names(panel) == ["lr0.01-seed7", "lr0.1-seed7", "lr1-seed7"]


async def test_it_says_how_much_of_the_log_was_read(tmp_path):
    write_sweep(tmp_path)
    app = app_on(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        panel = await opened(app, pilot)
        await until(pilot, lambda: "with errors" in panel.lines()[0])
        reading = replace(app.snapshot, loading=0.42)
        app.overview_screen.show(reading, EPOCH)
        assert "reading 42 %" in panel.lines()[0]


async def test_one_run_is_shown_at_once(tmp_path):
    write_run(tmp_path / "a")
    app = app_on(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.run_name == "a" and app.snapshot.loading is None)
        assert app.screen is app.run_screen
        write_run(tmp_path / "b")  # a second one later does not take anybody away
        await until(pilot, lambda: "b" in app.snapshot.runs)
        assert app.screen is app.run_screen


async def test_a_click_chooses_and_two_open(tmp_path):
    write_sweep(tmp_path)
    app = app_on(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        panel = await opened(app, pilot)
        await pilot.click(panel, offset=(10, 3))
        assert panel.selected == panel.rows[1].name
        await pilot.click(panel, offset=(10, 4), times=2)
        await until(pilot, lambda: app.screen is app.run_screen)
        assert app.run_name == panel.rows[2].name


@pytest.mark.parametrize("size", SIZES, ids="{0[0]}x{0[1]}".format)
def test_what_it_looks_like(size, tmp_path, snap_compare):
    write_sweep(tmp_path)

    async def ready(pilot):
        await opened(pilot.app, pilot)
        await pilot.press("home")

    assert snap_compare(app_on(tmp_path), terminal_size=size, run_before=ready)


async def test_no_size_is_too_small(tmp_path):
    write_sweep(tmp_path)
    app = app_on(tmp_path)
    async with app.run_test(size=(200, 50)) as pilot:
        await opened(app, pilot)
        for size in ((10, 3), (20, 6), (40, 10), (300, 20)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
        assert app.is_running


def test_bars_of_a_trend():
    assert trend_bars(np.array([1.0, 10.0, 100.0])) == "▁▅█"
    assert trend_bars(np.array([-1.0, 0.0, 1.0])) == "▁▅█"
    assert trend_bars(np.array([2.0, np.nan, 2.0])) == "▁ ▁"
    assert trend_bars(np.array([np.nan])) == ""
