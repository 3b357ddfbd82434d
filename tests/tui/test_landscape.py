"""Landscapes, critical points and trajectories in the terminal."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from tbgrad_tui.chart.braille import polyline
from tbgrad_tui.chart.canvas import Canvas
from tbgrad_tui.chart.plane import draw_plane
from tbgrad_tui.widgets.landscape import LandscapePanel

from tbgrad.log.landscape import Axis, Landscape
from tests.support.findings import write_findings
from tests.support.logs import write_run
from tests.tui.support import app_on, loaded, shown, until

SIZES = [(80, 24), (120, 40)]
IDS = ["80x24", "120x40"]


async def first_run(pilot):
    """Wait until all is read, and go to the first run."""
    await loaded(pilot)
    while pilot.app.run_name != min(pilot.app.snapshot.runs):
        await pilot.press("right_square_bracket")


def look(logdir, keys, size=(120, 40), wanted=""):
    """What the screen shows after some keys, and the words that are waited for."""

    async def run():
        app = app_on(logdir)
        async with app.run_test(size=size) as pilot:
            await first_run(pilot)
            await pilot.press("8", *keys)
            await until(pilot, lambda: wanted in shown(app))
            return shown(app)

    return asyncio.run(run())


@pytest.mark.parametrize("size", SIZES, ids=IDS)
@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (0, ["1 of 5: critical points", "saddle", "≥1", "not critical", "above zero", "75 %"]),
        (1, ["2 of 5: gradient check", "0.0502 over 640 samples", "9.96 times its norm", "dense"]),
        (2, ["3 of 5: line to seed1", "barrier 0.5", "gradient norm", "those (1)"]),
        (3, ["4 of 5: plane of the path", "95 % of the path", "2 of 315 interpolated", "(log)"]),
        (4, ["5 of 5: trajectories", "seed2", "of the variance", "apart", "another layer"]),
    ],
    ids=["points", "check", "line", "plane", "trajectories"],
)
def test_every_finding_at_every_size(keys, words, size, tmp_path):
    write_findings(tmp_path)
    screen = look(tmp_path, ["down"] * keys, size, words[-1])
    assert [word for word in words if word not in screen] == []


@pytest.mark.parametrize("size", [*SIZES, (240, 60)], ids=(*IDS, "240x60"))
@pytest.mark.parametrize("down", [0, 3, 4], ids=["points", "plane", "trajectories"])
def test_what_it_looks_like(down, size, tmp_path, snap_compare):
    write_findings(tmp_path)

    async def ready(pilot):
        await first_run(pilot)
        await pilot.press("8", *["down"] * down)
        panel = pilot.app.query_one(LandscapePanel)
        await until(pilot, lambda: down < 4 or "of the variance" in shown(pilot.app))
        assert panel.display

    assert snap_compare(app_on(tmp_path), terminal_size=size, run_before=ready)


def test_the_paths_of_one_layer(tmp_path):
    write_findings(tmp_path)
    keys = [*["down"] * 4, "right"]
    screen = look(tmp_path, keys, wanted="trajectories of dense")
    assert "trajectories of dense" in screen
    assert "trajectories of out" in look(tmp_path, [*keys, "right"], wanted="of out")
    assert "trajectories ─" in look(tmp_path, [*keys, "left"], wanted="trajectories ─")


def test_a_run_without_findings_says_how_to_have_them(tmp_path):
    write_run(tmp_path / "a")
    screen = look(tmp_path, [])
    assert "Nothing was logged of the surface" in screen
    assert "log_analysis" in screen


def test_a_long_table_scrolls(tmp_path):
    write_findings(tmp_path)
    screen = look(tmp_path, ["pagedown"], (80, 12))
    assert "5   saddle" in screen
    assert "4   not critical" not in screen


def test_the_plane_is_drawn_where_it_is():
    """The first axis to the right and the second upwards; what is not finite is marked."""
    x, y = np.linspace(0, 1, 5), np.linspace(0, 1, 4)
    loss = 1.0 + 10 * (x[:, np.newaxis] > 0.9) + 0 * y
    loss[0, -1] = np.inf
    loss[0, 0] = np.nan
    axes = Axis("right", x, 1.0), Axis("up", y, 1.0)
    canvas = Canvas(40, 12)
    draw_plane(canvas, canvas.box, Landscape(axes, loss, np.ones((5, 4), bool), 1.0), shades=True)
    rows = [line[8:] for line in canvas.text()[2:-1]]
    assert rows[0].startswith("!!")
    assert rows[-1][1:3] == "··"
    assert rows[-1][0] == "●"  # at (0, 0), the weights
    assert rows[4][-1] == "█"
    assert rows[4][:8] == "        "
    assert canvas.text()[-1].split() == ["0", "right", "→", "1"]
    assert canvas.text()[1].startswith("↑ up")


def test_lines_go_from_point_to_point_and_break():
    x = np.array([0.0, 1.0, np.nan, 0.0, 0.0])
    y = np.array([0.0, 1.0, 0.5, 1.0, 0.0])
    dots = polyline(x, y, 9, 9)
    np.testing.assert_array_equal(dots, np.eye(9, dtype=bool)[::-1] | (np.arange(9) == 0))
