"""The keys and the mouse on all charts at once, on real event files."""

from __future__ import annotations

import numpy as np
import pytest
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.canvas import ink
from tbgrad_tui.chart.text import number
from tbgrad_tui.widgets.timeline import seen_scalar
from textual import events

from tbgrad import read
from tbgrad.log import encode
from tbgrad.log.records import Alert
from tests.support.events import PatientEventFileWriter as EventFileWriter
from tests.support.logs import EPOCH, write_run
from tests.tui.support import app_on, loaded, shown, until


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """A run that trains well, once for all tests here."""
    directory = tmp_path_factory.mktemp("charts")
    write_run(directory / "a", steps=1000)
    return directory


def panel(app, name):
    return app.run_screen.panel(name)


def column_of_cursor(app, name):
    """The columns in which a panel shows the vertical line, from the cells themselves."""
    drawn = panel(app, name)
    plots = getattr(drawn, "_plots", [])
    first = plots[0].box.x if plots else 1  # to the left of it is the vertical axis
    columns = (drawn.canvas.codes[2:-2] == ord("│")).sum(axis=0) >= 2
    return [x for x in np.flatnonzero(columns).tolist() if first <= x < len(columns) - 1]


async def test_the_cursor_shows_value_step_and_time_in_every_panel(log):
    run = read(log)["a"]
    losses = dict(zip(run["loss"].steps.tolist(), run["loss"].values.tolist(), strict=True))
    app = app_on(log)
    async with app.run_test(size=(200, 60)) as pilot:
        await loaded(pilot)
        before = shown(app)
        await pilot.press("full_stop")
        assert app.view.cursor == 1000
        await pilot.press("comma", "comma", "less_than_sign")
        step = app.view.cursor
        assert step == 880  # two records, and a tenth of all hundred
        await pilot.pause()
        text = shown(app)
        assert f"{number(losses[step])} at step 880" in panel(app, "loss").lines()[0]
        assert f"step 880 · +{0.05 * 870:.3g}s" in text
        assert "0.79 @800" in panel(app, "curvature").lines()[0]  # (20 + 50 · 0.8) / 76
        assert panel(app, "distributions").step == 880
        for name in ("loss", "norm", "curvature", "parameter", "layers"):
            assert column_of_cursor(app, name), name
        row = run.names.index("dense_1/bias")
        logged = run["tbgrad/parameters"].steps.tolist().index(step)
        norm = float(run.statistic("norm_max")[logged, row])
        (line,) = [line for line in panel(app, "layers").lines() if "dense_1/bias" in line]
        assert line.rstrip("│┃ ").endswith(" " + number(norm))
        await pilot.press("greater_than_sign", "full_stop")
        assert app.view.cursor == 990
        await pilot.press("escape")
        await pilot.pause()
        assert app.view.cursor is None
        assert shown(app) == before


async def test_a_click_puts_the_cursor_where_it_is(log):
    app = app_on(log)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        plot = panel(app, "loss")._plots[0].box
        await pilot.click("#loss", offset=(plot.x + plot.width // 2, plot.y + 2))
        await until(pilot, lambda: app.view.cursor is not None)
        assert app.view.cursor == pytest.approx(500, abs=45)  # a column
        assert plot.x + plot.width // 2 in column_of_cursor(app, "loss")
        norm = panel(app, "norm")._plots[0].box
        (x,) = column_of_cursor(app, "norm")
        assert (x - norm.x) / norm.width == pytest.approx(0.5, abs=0.05)
        await pilot.click("#loss", offset=(1, 0))  # on the frame: beside the chart
        assert app.view.cursor is not None


async def test_keys_and_the_wheel_zoom_and_pan_all_charts(log):
    app = app_on(log)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        before = shown(app)

        def stretches():
            scales = [panel(app, n)._plots[0].axis.scale for n in ("loss", "norm", "parameter")]
            return {(scale.low, scale.high) for scale in scales}

        await pilot.press("plus", "plus")
        assert stretches() == {(752.0, 1000.0)}
        words = " ".join(panel(app, "layers").lines()).split()
        assert "760" in words  # the first record of the stretch
        await pilot.press("shift+left", "left_curly_bracket")
        assert stretches() == {(628.0, 876.0)}
        await pilot.press("right_curly_bracket", "shift+right", "shift+right", "minus")
        assert stretches() == {(504.0, 1000.0)}
        await pilot.press("equals_sign")
        await pilot.pause()
        assert shown(app) == before
        await pilot.press("shift+left")  # all is shown: nothing to pan
        assert stretches() == {(10.0, 1000.0)}

        loss = panel(app, "loss")
        box = loss._plots[0].box
        place = {"widget": loss, "x": box.x, "y": box.y + 1, "delta_x": 0, "delta_y": 0,
                 "button": 0, "meta": False, "ctrl": False, "screen_x": 0,
                 "screen_y": 0}  # fmt: skip
        loss.post_message(events.MouseScrollUp(**place, shift=False))
        await until(pilot, lambda: app.view.is_zoomed)
        assert stretches() == {(10.0, 802.0)}  # about the first step, under the mouse
        loss.post_message(events.MouseScrollDown(**place, shift=True))
        await until(pilot, lambda: stretches() == {(89.0, 881.0)})
        loss.post_message(events.MouseScrollDown(**place, shift=False))
        loss.post_message(events.MouseScrollDown(**place, shift=False))
        await until(pilot, lambda: stretches() == {(10.0, 1000.0)} or None)


async def test_the_kind_of_the_axis_below(log):
    app = app_on(log)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        below = {}
        for kind in ("relative", "wall", "step"):
            await pilot.press("x")
            await pilot.pause()
            below[kind] = panel(app, "loss").lines()[-2]
            assert app.view.kind == kind
        assert "30s" in below["relative"]
        assert below["wall"].count(":") >= 2
        assert "500" in below["step"]
        await pilot.press("X")
        await pilot.pause()
        assert app.view.log
        assert "100" in panel(app, "loss").lines()[-2]
        assert "500" not in panel(app, "loss").lines()[-2]


async def test_smoothing_keeps_the_values_behind(log):
    app = app_on(log)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        await pilot.press("2", "m", "m")
        await pilot.pause()
        assert "smoothed 0.9" in panel(app, "loss").lines()[0]
        inks = panel(app, "loss").canvas.inks
        assert (inks == ink(colours.BEHIND)).any()
        assert (inks == ink(colours.MAIN)).any()
        await pilot.press("m", "m")
        await pilot.pause()
        assert not (panel(app, "loss").canvas.inks == ink(colours.BEHIND)).any()


async def test_a_loss_that_falls_far_opens_on_a_logarithmic_axis(tmp_path):
    with EventFileWriter(tmp_path / "far") as writer:
        for step in range(200):
            writer.add(step, [encode.scalar("loss", 30 * 0.96**step)], EPOCH + step)
        alerts = [
            Alert("gradient_spike", "warning", (), 50, 60, "closed", "a spike", (), "none"),
            Alert("nonfinite", "error", (), 150, 150, "open", "a NaN", (), "lower it"),
        ]
        writer.add(199, [encode.alerts(alerts), encode.scalar("gradient/norm", 1.0)], EPOCH + 199)
    app = app_on(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        await pilot.press("2")
        await until(pilot, lambda: "Loss (log)" in shown(app))
        lines = panel(app, "loss").lines()
        axis = next(line for line in lines if "◆" in line)
        plot = panel(app, "loss")._plots[0].box
        for mark, step in (("▲", 50), ("◆", 150)):
            assert axis.index(mark) == plot.x + round(step / 199 * (plot.width - 1))
        await pilot.press("l")
        await pilot.pause()
        assert "Loss (log)" not in shown(app)
        await pilot.press("l")
        await until(pilot, lambda: "Loss (log)" in shown(app))


async def test_zoomed_charts_have_every_value_of_a_long_run(tmp_path):
    """A log that is longer than what is held of it: between two points lie others on disk."""
    count = 9000
    with EventFileWriter(tmp_path / "long") as writer:
        for step in range(count):
            writer.add(step, [encode.scalar("loss", 1 + (step % 7) / 10)], EPOCH + step)
    app = app_on(tmp_path, EPOCH + count)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        assert app.snapshot.runs["long"]["loss"].buckets is not None
        await pilot.press("2", *["plus"] * 7)
        first, last = app.view.first, count - 1
        assert last - first == pytest.approx(last / 2**7, abs=2)
        await until(
            pilot, lambda: "long" in app.view.closer and app.view.closer["long"].first_step == first
        )
        run = app.run_shown
        steps, values = seen_scalar(run, "loss", app.view)
        inside = (steps >= first) & (steps <= last)
        assert steps[inside].tolist() == list(range(first, last + 1))
        np.testing.assert_allclose(values[inside], 1 + (steps[inside] % 7) / 10, rtol=1e-6)
        assert (np.diff(steps) > 0).all()
        await pilot.press("comma", "comma", "comma")  # from record to record
        assert app.view.cursor == last - 2
        await until(pilot, lambda: f"at step {last - 2:,}" in panel(app, "loss").lines()[0])
        await pilot.press("equals_sign")
        await until(pilot, lambda: not app.view.closer)
        assert len(seen_scalar(run, "loss", app.view).steps) < count


async def test_times_that_no_calendar_has_do_no_harm(tmp_path):
    with EventFileWriter(tmp_path / "odd") as writer:
        for step, moment in enumerate((float("nan"), 1e300, -5.0, float("inf"), EPOCH)):
            writer.add(step, [encode.scalar("loss", 1.0 + step)], moment)
    app = app_on(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        await pilot.press("2", "full_stop", "comma", "x", "comma", "x", "X", "comma", "plus")
        await pilot.pause()
        assert app.is_running
        assert "Loss" in shown(app)
