"""The histograms of a layer through time: their shares, and the cursor on a step."""

from __future__ import annotations

import numpy as np
import pytest
from tbgrad_tui.chart.canvas import Canvas
from tbgrad_tui.chart.strip import shares_of
from tbgrad_tui.widgets.distributions import DistributionsPanel

from tbgrad import read
from tbgrad.log import encode
from tbgrad.log.append import EventFileWriter
from tbgrad.log.records import Alert
from tests.support.logs import EPOCH, manifest
from tests.tui.support import app_on, loaded, shown, until


@pytest.mark.parametrize(("columns", "rows"), [(50, 101), (50, 9), (4, 101), (7, 3), (1, 1)])
def test_shares_are_counts_of_values_over_all_of_them(columns, rows):
    rng, bins = np.random.default_rng(2), manifest().histogram_bins
    edges = bins.edges
    values = rng.standard_normal((10, 400)) * np.logspace(-4, 0, 10)[:, None]
    values[:, :40] = 0.0
    counts = np.zeros((10, bins.columns), np.int64)
    for t in range(10):
        left = np.searchsorted(bins.bounds[:, 1], values[t], side="right")
        np.add.at(counts[t], left, 1)
    shares = shares_of(counts, edges, columns, rows)
    assert len(shares.values) <= columns
    assert shares.values.shape[1] <= max(3, rows)
    middle = shares.values.shape[1] // 2
    if shares.group == 1:
        np.testing.assert_allclose(shares.values.sum(axis=1), 1.0)
        for entry, each in zip(shares.values, values, strict=True):
            assert entry[:middle].sum() == pytest.approx((each >= edges[0]).mean())
            assert entry[middle] == pytest.approx((np.abs(each) < edges[0]).mean())
            assert entry[middle + 1 :].sum() == pytest.approx((each <= -edges[0]).mean())
    else:  # the largest of each row, so that one histogram among many does not vanish
        single = shares_of(counts, edges, 10, rows).values
        groups = [single[i : i + shares.group] for i in range(0, 10, shares.group)]
        np.testing.assert_array_equal(shares.values, [group.max(axis=0) for group in groups])
    assert not shares.lost.any()
    if columns >= 10 and rows > 60:  # a row a bin
        used = edges.index(max(e for e in edges if e <= np.abs(values).max()))
        top = (values >= edges[used]).mean(axis=1)
        np.testing.assert_allclose(shares.values[:, 0], top)
        assert {"+1", "0", "-1", "-0.1"} <= set(shares.labels)


def test_what_is_beyond_and_what_is_not_finite():
    bins = manifest().histogram_bins
    counts = np.zeros((2, bins.columns), np.int64)
    counts[0, [0, -2]] = 3, 1  # beyond the edges on both sides
    counts[1, [bins.zero_column, -1]] = 2, 2
    shares = shares_of(counts, bins.edges, 10, 9)
    assert shares.values[0, [0, -1]].tolist() == [0.25, 0.75]
    assert shares.values[1, shares.values.shape[1] // 2] == 0.5
    assert shares.lost.tolist() == [False, True]
    assert shares.labels[len(shares.labels) // 2] == "0"


async def test_the_cursor_picks_a_step_of_the_selected_layer(logdir):
    run = read(logdir)["a"]
    steps = run["tbgrad/histograms"].steps
    app = app_on(logdir)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        await pilot.press("9")
        await pilot.pause()
        assert "Distributions: gradient of dense_0/kernel" in shown(app)
        assert f"step 1,000, {len(steps)} of {len(steps)}" in shown(app)
        await pilot.press("left", "left", "right")
        await until(pilot, lambda: f"gradient values at step {steps[-2]:,}" in shown(app))
        zero = run.histogram("dense_0/kernel", int(steps[-2]))
        assert f"{zero.size:,} values" in shown(app)
        await pilot.press("down")  # the cursor stays, the layer is another
        await until(pilot, lambda: "gradient of dense_0/bias" in shown(app))
        assert f"step {steps[-2]:,}, {len(steps) - 1} of {len(steps)}" in shown(app)
        await pilot.press(*["left"] * 20)
        await until(pilot, lambda: f"step {steps[0]:,}, 1 of {len(steps)}" in shown(app))
        panel = app.run_screen.panel("distributions")
        await pilot.click(panel, offset=(panel._plot.x + panel._plot.width - 1, 5))
        await until(pilot, lambda: f"step 1,000, {len(steps)} of" in shown(app))
        for size in ((80, 24), (40, 12), (10, 4), (240, 60)):
            await pilot.resize_terminal(*size)
            await pilot.pause()


def test_what_is_merged_is_said_and_the_cursor_goes_from_one_to_the_next(tmp_path):
    bins, steps = manifest(1).histogram_bins, 60
    with EventFileWriter(tmp_path / "a") as writer:
        writer.add(0, [encode.manifest(manifest(1))])
        for step in range(steps):
            counts = np.zeros((2, bins.columns), np.int32)
            counts[:, bins.zero_column + 20 + 10 * (step == 33)] = 5
            writer.add(step, [encode.histograms(counts)], EPOCH + step)
    panel = DistributionsPanel("distributions")
    panel.run, panel.step = read(tmp_path)["a"], 5
    for width, words in ((120, "share of the values"), (60, "largest share in 2"), (30, "3 a col")):
        canvas = Canvas(width, 11)
        panel.draw_content(canvas, canvas.box)
        text = canvas.text()
        assert words in "\n".join(text)
        start, there = panel._plot.x, panel._plot.width * 33 // steps
        lit = canvas.inks[1, start:] != canvas.inks[1, -1]  # the row of the largest values
        assert lit[there - 2 : there + 3].any(), "the one large histogram is lost"
    assert "step 5, 6 of 60" in panel.headline()[0]
    panel.turn(1)
    assert panel.step == 6


async def test_an_alert_is_gone_to_with_its_step(logdir):
    alert = Alert("nonfinite", "error", ("dense_2/bias",), 500, 500, "open", "e", ("c",), "do this")
    with EventFileWriter(logdir / "a") as writer:
        writer.add(1001, [encode.alerts([alert])], EPOCH + 50)
    app = app_on(logdir)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        await pilot.press("9", "a")
        await pilot.press("y")
        assert app.clipboard == "do this"
        await pilot.press("question_mark")
        await until(pilot, lambda: "copy the advice" in shown(app))
        await pilot.press("question_mark")  # and away again
        await until(pilot, lambda: "Alerts: 1 open" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "gradient of dense_2/bias" in shown(app))
        assert "step 500, 5 of 10" in shown(app)
        assert app.view.cursor == 500  # of all charts
        await pilot.press("o", "question_mark")  # a page of notes tells the keys too
        await until(pilot, lambda: "Keys (Esc closes)" in shown(app))
