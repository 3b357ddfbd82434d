"""How a directory was looked at is there again at the next start."""

import json

import pytest
from tbgrad_tui.app import WatchApp
from tbgrad_tui.memory import forget, path_of
from textual.widgets import Input

from tbgrad.reading.layer_history import MEASURES
from tests.support.logs import EPOCH, write_run
from tests.tui.support import loaded, until


@pytest.fixture
def runs(tmp_path):
    for name in ("a", "b"):
        write_run(tmp_path / "runs" / name, steps=200)
    return tmp_path / "runs"


def app_with(runs, memory) -> WatchApp:
    return WatchApp(runs, clock=lambda: EPOCH + 20, memory=memory)


async def test_order_axes_measure_and_marks_are_kept(runs, tmp_path):
    memory = tmp_path / "state" / "one.json"
    app = app_with(runs, memory)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.screen is app.overview_screen)
        await pilot.press("s", "space", "enter")
        await until(pilot, lambda: app.screen is app.run_screen)
        await pilot.press("v", "s", "x", "m", "2", "l")
        await until(pilot, lambda: app.view.smoothing)
        measure, log = app.run_screen.table.view.measure, app.run_screen.panel("loss").log_axis
        await pilot.press("q")
        await until(pilot, lambda: memory.exists())
    again = app_with(runs, memory)
    async with again.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        assert again.overview_screen.panel.order == "name"
        assert again.marks.marked == app.marks.marked != []
        assert again.run_screen.table.view.measure == measure != MEASURES["norm"]
        assert again.run_screen.table.view.order == "worst first"
        assert (again.view.kind, again.view.smoothing) == ("relative", 0.6)
        assert again.run_screen.panel("loss").log_axis is log


async def test_filters_are_kept_seen_and_cleared(runs, tmp_path):
    memory = tmp_path / "state" / "one.json"
    app = app_with(runs, memory)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: len(app.overview_screen.panel.rows) == 2)
        await pilot.press("slash", "b", "enter", "enter", "7", "slash", *"norm", "enter", "q")
        await until(pilot, lambda: memory.exists())
    again = app_with(runs, memory)
    async with again.run_test(size=(120, 40)) as pilot:
        overview, scalars = again.overview_screen.panel, again.run_screen.panel("scalars")
        await until(pilot, lambda: overview.lines())
        assert [row.name for row in overview.rows] == ["b"]
        assert "1 of 2 runs with “b”" in overview.lines()[0]
        line = again.overview_screen.query_one(Input)
        assert (line.value, line.display) == ("b", True)
        await pilot.press("escape")
        await until(pilot, lambda: len(overview.rows) == 2)
        assert not line.display
        await pilot.press("enter", "7")
        await until(pilot, lambda: "2 of " in scalars.lines()[0])
        assert (scalars.query_one(Input).value, scalars.query_one(Input).display) == ("norm", True)
        await pilot.press("escape")
        await until(pilot, lambda: "2 of " not in scalars.lines()[0])
        await pilot.press("q")
        await pilot.pause()
    kept = json.loads(memory.read_text())
    assert (kept["filter"], kept["scalars_filter"]) == ("", "")


@pytest.mark.parametrize(
    "kept",
    [
        "",
        "[]",
        "{",
        '{"sort": 7, "marked": 3}',
        '{"log": [], "axis": "sideways"}',
        "null",
        '{"filter": 3}',
    ],
)
async def test_what_cannot_be_read_is_as_if_it_were_not_there(runs, tmp_path, kept):
    memory = tmp_path / "one.json"
    memory.write_text(kept)
    app = app_with(runs, memory)
    async with app.run_test(size=(80, 24)) as pilot:
        await loaded(pilot)
        assert app.overview_screen.panel.order == "worst first"
        assert app.view.kind == "step"
        app.exit()
    assert json.loads(memory.read_text())["sort"] == "worst first"


async def test_a_place_that_cannot_be_written_does_no_harm(runs, tmp_path):
    (tmp_path / "file").write_text("")
    app = app_with(runs, tmp_path / "file" / "one.json")
    async with app.run_test(size=(80, 24)) as pilot:
        await loaded(pilot)
        app.exit()
    assert app.return_code == 0


def test_it_is_forgotten_where_it_can_be(tmp_path):
    kept = tmp_path / "one.json"
    kept.write_text("{}")
    forget(kept / "one.json")  # below a file
    assert kept.exists()
    forget(kept)
    assert not kept.exists()
    forget(kept)


def test_each_directory_has_its_own(tmp_path, monkeypatch):
    place = {"XDG_STATE_HOME": str(tmp_path)}
    monkeypatch.chdir(tmp_path)
    assert path_of("runs", place) == path_of(tmp_path / "runs", place) == path_of(["runs"], place)
    assert path_of("runs", place).parent == tmp_path / "tbgrad" / "watch"
    others = [
        path_of("other", place),
        path_of(["runs", "other"], place),
        path_of("gs://b/x", place),
    ]
    assert len({path_of("runs", place), *others}) == 4
    assert str(path_of("runs", {"HOME": "/home/me"})).startswith("/home/me/.local/state/tbgrad/")
