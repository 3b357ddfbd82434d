"""Every scalar of a log of another writer: groups, the grid, pages, the filter."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tbgrad_tui.chart.canvas import Box
from tbgrad_tui.widgets.scalar_grid import (
    ROWS,
    boxes,
    columns_for,
    fitting,
    furthest,
    heading_above,
    rows_of,
)
from tbgrad_tui.widgets.scalar_groups import Group, grouped
from textual import events

from tbgrad.log import encode
from tests.support.events import PatientEventFileWriter as EventFileWriter
from tests.support.logs import EPOCH
from tests.tui.support import SIZES, app_on, loaded, shown, until

TAGS = (
    "train/loss", "eval/loss", "train/accuracy", "lr",
    *(f"params/layer_{i}/weight_norm" for i in range(12)),
)  # fmt: skip


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """A run as a training loop of PyTorch logs it, once for all tests here."""
    directory = tmp_path_factory.mktemp("scalars")
    rng = np.random.default_rng(5)
    with EventFileWriter(directory / "torch") as writer:
        for step in range(200):
            values = [3.0 * math.exp(-step / 40), 1.5, step / 200, 0.1]
            values += (10 + np.arange(12) + 0.1 * rng.standard_normal(12)).tolist()
            pairs = zip(TAGS, values, strict=True)
            writer.add(step, [encode.scalar(tag, value) for tag, value in pairs], EPOCH + step)
    return directory


def test_groups():
    groups = grouped([*TAGS, "val_loss", "gradient/norm"], ["weights/b"])
    assert [group.title for group in groups] == [
        "loss", "others", "params/layer_…/weight_norm", "histograms",
    ]  # fmt: skip
    names = [[name for _, name in group.entries] for group in groups]
    assert names[0] == ["validation loss", "eval/loss", "train/loss"]
    assert names[1] == ["gradient norm", "lr", "train/accuracy"]
    assert names[2] == [str(i) for i in range(12)]  # 10 behind 9
    assert names[3] == ["weights/b"]
    assert [tag for tag, _ in groups[2].entries][10] == "params/layer_10/weight_norm"


@pytest.mark.parametrize(
    ("tag", "alike"),
    [
        ("loss", True), ("epoch_loss", True), ("train/loss_step", True), ("eval/perplexity", True),
        ("loss1", True), ("Loss/total", True), ("glossary", False), ("terror", False),
        ("lossless", False),
    ],
)  # fmt: skip
def test_what_is_like_a_loss_comes_first(tag, alike):
    others = [f"a{i}" for i in range(9)]
    groups = grouped([*others, tag])
    assert (groups[0].title == "loss") is alike
    assert sum(len(group.entries) for group in groups) == 10


def test_few_are_one_group_and_none_is_none():
    (group,) = grouped(["b", "a/loss"], ["h"])
    assert [tag for tag, _ in group.entries] == ["a/loss", "b", "h"]
    assert grouped([]) == []


@pytest.mark.parametrize("amount", [1, 2, 5, 21, 300])
@pytest.mark.parametrize(("width", "height"), [(76, 18), (116, 34), (236, 54), (20, 4)])
def test_pages_fill_the_height_and_lose_no_chart(amount, width, height):
    entries = tuple((str(i), str(i)) for i in range(amount))
    cut = amount // 3
    groups = [Group("first", entries[:cut]), Group("second", entries[cut:])]
    groups = [group for group in groups if group.entries]
    rows = rows_of(groups, columns_for(amount, width, height))
    first, seen = 0, []
    while first < len(rows):
        page = rows[first : first + fitting(rows, first, height)]
        placed = boxes(page, Box(0, 0, width, height))
        charts = [box for row, box in zip(page, placed, strict=True) if not isinstance(row, str)]
        if charts and height >= ROWS + 1:
            assert sum(box.height for box in placed) == height
            assert min(box.height for box in charts) >= ROWS - 1
            assert placed[-1].y + placed[-1].height == height
        seen += [tag for row in page if not isinstance(row, str) for tag, _ in row]
        first += len(page)
    assert seen == [tag for tag, _ in entries]
    last = furthest(rows, height)
    assert last + fitting(rows, last, height) >= len(rows)


def test_a_heading_is_never_without_its_charts():
    chart = (("a", "a"),)
    assert fitting([chart, "heading", chart], 0, ROWS + 1) == 1
    assert fitting([chart, "heading", chart], 0, 2 * ROWS + 1) == 3
    assert fitting(["heading", chart], 0, 3) == 1  # one at least, where nothing has room
    rows = ["first", chart, chart, "second", chart]
    assert [heading_above(rows, i) for i in range(5)] == [None, "first", "first", None, "second"]
    assert heading_above([chart], 0) is None


async def test_keys_of_the_scalars(log):
    app = app_on(log, EPOCH + 202)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        panel = app.run_screen.panel("scalars")
        await pilot.press("7")
        await until(pilot, lambda: "16 scalars" in shown(app))
        assert app.focused is panel
        assert "train/loss" in shown(app)
        first_page = panel.lines()[0]
        assert "1–" in first_page
        await pilot.press("pagedown")
        await until(pilot, lambda: panel.lines()[0] != first_page)
        assert "16 of 16" in panel.lines()[0]
        assert "train/loss" not in shown(app)
        await pilot.press("pageup", "j")
        assert panel.first == 1
        await pilot.press("k", "down", "up", "space", "ctrl+u", "G")
        at_end = panel.first
        assert at_end > 0
        await pilot.press("end")
        assert panel.first == at_end
        await pilot.press("g", "end", "home")
        assert panel.first == 0

        await pilot.press("slash", *"norm !/1[01]/")
        await until(pilot, lambda: "10 of 16 scalars" in shown(app))
        await pilot.press("enter")
        assert app.focused is panel
        assert "params/layer_…/weight_norm" in shown(app)
        await pilot.press("slash", *" nothing")
        await until(pilot, lambda: "no scalar is chosen by" in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: "16 scalars" in shown(app))
        assert app.focused is panel
        await pilot.press("slash", "slash", "left_square_bracket", "slash", "enter")
        await until(pilot, lambda: "is no regular expression" in shown(app))
        await pilot.press("escape")

        await pilot.press("l")
        await until(pilot, lambda: "16 scalars (log)" in shown(app))
        await pilot.press("l")
        await until(pilot, lambda: "16 scalars (linear)" in shown(app))
        await pilot.press("l", "m")
        await until(pilot, lambda: "16 scalars (smoothed 0.6)" in shown(app))


async def test_the_wheel_scrolls_and_a_click_puts_the_cursor(log):
    app = app_on(log, EPOCH + 202)
    async with app.run_test(size=(80, 24)) as pilot:
        await loaded(pilot)
        await pilot.press("7")
        panel = app.run_screen.panel("scalars")
        await until(pilot, lambda: len(panel._plots) > 1)
        box = panel._plots[0].box
        await pilot._post_mouse_events(
            [events.MouseScrollDown], widget=panel, offset=(box.x, box.y), button=0
        )
        await until(pilot, lambda: panel.first == 1)
        await pilot.press("home")
        await pilot.click("#scalars", offset=(box.x + box.width - 1, box.y + 1))
        await until(pilot, lambda: app.view.cursor == 199)


@pytest.mark.parametrize("size", SIZES, ids="{0[0]}x{0[1]}".format)
def test_what_it_looks_like(size, log, snap_compare):
    async def ready(pilot):
        await loaded(pilot)
        await pilot.press("7")
        await until(pilot, lambda: "train/loss" in shown(pilot.app))

    assert snap_compare(app_on(log, EPOCH + 202), terminal_size=size, run_before=ready)
