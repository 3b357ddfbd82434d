"""The layers of a language model: what fits one page, and every key that changes what is seen."""

from __future__ import annotations

import numpy as np
import pytest
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.heat import Bins, HeatScale
from tbgrad_tui.chart.text import number
from tbgrad_tui.widgets.layer_bins import bins_of, folded, scale_of

from tbgrad import read
from tbgrad.reading.layer_history import MEASURES, LayerHistory, badness, history_of
from tbgrad.reading.parameter_tree import Line, Node
from tests.support.language_model import BLOCKS, RAPID, SILENT, write_language_model
from tests.support.logs import EPOCH
from tests.tui.support import app_on, loaded, shown, until

NOW = EPOCH + 202.0


@pytest.fixture(scope="module")
def language_model(tmp_path_factory):
    directory = tmp_path_factory.mktemp("language_model")
    write_language_model(directory / "run")
    return directory


def rows_of(lines, word="block"):
    """The lines of the panel that name a block, two columns side by side taken apart."""
    return [part for line in lines for part in line.split("  ") if word in part]


async def test_forty_two_blocks_fit_one_page_each_with_its_worst_member(language_model):
    run = read(language_model)["run"]
    norms = history_of(run, MEASURES["norm"])
    app = app_on(language_model, NOW)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        await pilot.press("5")
        await pilot.pause()
        panel = app.run_screen.table
        text = "\n".join(panel.lines())
        for block in range(BLOCKS):
            assert f"decoder_block_{block} +7" in text
        assert "head/kernel" in text
        for line in panel.view.lines():
            members = norms.newest[list(line.node.rows)]
            worst = 0.0 if (members == 0).any() else members.max()
            assert norms.newest[panel.view.worst(line.node)] == worst
        (silent,) = (line for line in panel.lines() if "decoder_block_17 " in line)
        assert "00000000" in silent
        (other,) = (line for line in panel.lines() if "decoder_block_18 " in line)
        values = [norms.newest[panel.view.worst(x.node)] for x in panel.view.lines()]
        assert number(float(values[19])) in other


async def test_the_layer_whose_gradient_is_zero_is_two_keys_away(language_model):
    app = app_on(language_model, NOW)
    async with app.run_test(size=(80, 24)) as pilot:
        await loaded(pilot)
        await pilot.press("s", "home")  # worst first
        assert app.run_screen.parameter == SILENT
        await until(pilot, lambda: "worst first" in shown(app) or "peak norm" in shown(app))
        await pilot.press("s", "s", "s")
        assert app.run_screen.table.view.order == "in order"


async def test_every_key_of_the_layers(language_model):
    app = app_on(language_model, NOW)
    async with app.run_test(size=(160, 50)) as pilot:
        await loaded(pilot)
        view, panel = app.run_screen.table.view, app.run_screen.table
        await until(pilot, lambda: "alert" in shown(app))
        await pilot.press("A")
        first = app.run_screen.parameter
        assert first in app.run_shown.names
        seen = {first}
        while SILENT not in seen:
            await pilot.press("A")
            seen.add(app.run_screen.parameter)
            assert len(seen) < 20
        assert any("▾" in line and "decoder_block_17" in line for line in panel.lines())
        await pilot.press("f")  # all are folded
        assert len(view.lines()) == BLOCKS + 3
        assert app.run_screen.parameter == SILENT  # the block stands for its worst
        await pilot.press("f")
        assert len(view.lines()) == 297 + BLOCKS
        await pilot.press("f", "home", "down", "space")
        at = [line.label for line in view.lines()]
        assert at[1:5] == ["decoder_block_0", "self_attention", "feedforward", "layer_norm/gamma"]
        await pilot.press("down", "space", "down", "space")  # a layer folds from within
        assert [line.label for line in view.lines()] == at
        await pilot.press("home", "down", "space", "pagedown")
        assert view.index(view.lines()) == 1 + panel.page
        await pilot.press("pageup", "pageup", "G")
        assert app.run_screen.parameter.endswith("head/kernel")
        await pilot.press("v")
        assert view.measure.name == "update_ratio"
        await until(pilot, lambda: "Layers: update / weight" in shown(app))
        await pilot.press("s", "g", "down")  # zero comes ahead of what is 60 times too fast
        assert app.run_screen.parameter == RAPID
        await pilot.press("v", "V", "V")
        assert view.measure.name == "norm"
        for _ in MEASURES:
            await pilot.press("v")
            await pilot.pause()
            assert "nan" not in "\n".join(panel.lines())


async def test_a_search(language_model):
    app = app_on(language_model, NOW)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        await pilot.press("2", "slash", *"17 dense", "enter")  # the layers come to the front
        panel = app.run_screen.table
        await until(pilot, lambda: "2 of 297 with “17 dense”" in shown(app))
        assert [line.label for line in panel.view.lines()] == [
            "decoder_block_17/feedforward/dense_in/kernel",
            "decoder_block_17/feedforward/dense_out/kernel",
        ]
        await pilot.press("slash", *"nowhere", "enter")
        await until(pilot, lambda: "no layer has “nowhere” in its name" in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: "of 297 parameters" in shown(app))
        assert len(panel.view.lines()) == BLOCKS + 3


async def test_a_click_opens_and_folds_a_block(language_model):
    app = app_on(language_model, NOW)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        await pilot.press("5")
        await pilot.pause()
        panel = app.run_screen.table
        lines = panel.lines()
        y = next(i for i, line in enumerate(lines) if "decoder_block_30 " in line)
        x = lines[y].index("decoder_block_30 ")
        await pilot.click(panel, offset=(x, y))
        assert panel.view.path.endswith("decoder_block_30/")
        await pilot.click(panel, offset=(x, y))
        assert len(panel.view.lines()) == BLOCKS + 3 + 3


def history(values):
    values = np.array(values, np.float32)
    steps = np.arange(1, len(values) + 1) * 10
    lost = np.isinf(values)
    return LayerHistory(steps - 9, steps, values, lost, values[-1], lost[-1])


@pytest.mark.parametrize("name", ["norm", "update_ratio", "cosine", "snr", "dead_fraction"])
def test_a_bin_has_the_worst_of_its_values_and_a_fold_of_its_members(name):
    measure, rng = MEASURES[name], np.random.default_rng(11)
    values = 10 ** rng.uniform(-5, 0, (40, 6))
    if name == "cosine":
        values *= rng.choice([-1, 1], values.shape)
    values[rng.uniform(size=values.shape) < 0.2] = np.nan
    bins = bins_of(history(values), measure, 10)
    parts = np.float32(values).reshape(10, 4, 6)
    bad = badness(parts, measure)
    if measure.none_is_worse:  # in time what was known counts
        bad[np.isnan(parts)] = -np.inf
    expected = np.take_along_axis(parts, bad.argmax(axis=1)[:, None], axis=1)[:, 0]
    there = np.isfinite(expected)
    np.testing.assert_array_equal(bins.values[there], expected[there])
    node = Node("a/", "a", (1, 3, 4))
    one = folded(bins, [Line(node, "a", 0), Line(Node("b", "b", (5,)), "b", 0)], measure)
    np.testing.assert_array_equal(one.values[:, 1], bins.values[:, 5])
    members = np.where(there, expected, np.nan)[:, [1, 3, 4]]
    worst = badness(members, measure).max(axis=1)
    known = np.isfinite(worst) & (worst < 1e3)
    np.testing.assert_array_equal(badness(one.values[known, 0], measure), worst[known])


def test_a_diverging_map_is_darkest_at_its_centre():
    bins = Bins(0, 1, np.ones((1, 1), np.float32), np.ones((1, 1), np.uint8))
    scale = scale_of(bins, MEASURES["update_ratio"])
    levels = scale.levels(np.array([1e-7, 1e-5, 1e-3, 1e-1, 10.0]))
    assert levels.tolist() == [0, 0, colours.LEVELS // 2, colours.LEVELS - 1, colours.LEVELS - 1]
    lightness = [sum(style.bgcolor.triplet) for style in colours.DIVERGING]
    half = colours.LEVELS // 2
    assert lightness[:half] == sorted(lightness[:half], reverse=True)
    assert lightness[half:] == sorted(lightness[half:])
    assert scale_of(bins, MEASURES["cosine"]).levels(np.array([-1.0, 0.0, 1.0])).tolist() == [
        0,
        colours.LEVELS // 2,
        colours.LEVELS - 1,
    ]
    assert scale_of(bins, MEASURES["dead_fraction"]) == HeatScale(0.0, 1.0, False, marks_zero=False)
