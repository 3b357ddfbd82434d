"""The app driven by keys and mouse, on real event files."""

from __future__ import annotations

import numpy as np
import pytest
from tbgrad_tui.keys import KEYS
from tbgrad_tui.screens.page import Page

from tbgrad.log import encode
from tbgrad.log.append import EventFileWriter
from tbgrad.log.records import Alert
from tests.support.logs import EPOCH, write_run
from tests.tui.support import app_on, loaded, shown, until

SIZES = [(80, 24), (120, 40), (200, 60)]


def write_scalars(directory, tags=("loss", "accuracy"), steps=20, at=EPOCH):
    with EventFileWriter(directory) as writer:
        for step in range(steps):
            writer.add(step, [encode.scalar(tag, step / 10) for tag in tags], at + step)


@pytest.mark.parametrize("size", SIZES)
async def test_everything_is_on_one_screen(logdir, size):
    app = app_on(logdir)
    async with app.run_test(size=size) as pilot:
        await loaded(pilot)
        text = shown(app)
    for words in (
        "step 1,000",
        "loss 0.135",  # 2.3 exp(-3) + 0.02
        "updated 2 s ago",
        "0.92 ─",  # λ over its limit
        "at the edge",
        "healthy: loss still falling: by 48 % in the last quarter",
        "lr 0.05",
        "dense_0/kernel",
        "dense_3/bias",
        "at step 1,000",
        "quit",
    ):
        assert words in text, f"{words!r} is missing:\n{text}"
    assert any(0x2801 <= ord(character) < 0x2900 for character in text)


async def test_the_newest_norm_of_every_layer_is_the_number_in_the_log(logdir):
    from tbgrad_tui.chart.text import number

    from tbgrad import read

    run = read(logdir)["a"]
    app = app_on(logdir)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        lines = app.run_screen.panel("layers").lines()
    for row, parameter in enumerate(run.parameters):
        (line,) = (line for line in lines if parameter.path in line)
        assert line.rstrip("│┃ ").endswith(" " + number(float(run.statistic("norm")[-1, row])))


async def test_arrows_select_a_layer_and_show_it(logdir):
    app = app_on(logdir)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        assert "dense_0/kernel" in app.run_screen.panel("parameter").lines()[0]
        await pilot.press("down", "j", "down", "k")
        await pilot.pause()
        assert "dense_1/kernel" in app.run_screen.panel("parameter").lines()[0]
        assert any("▸dense_1/kernel" in x for x in app.run_screen.panel("layers").lines())
        await pilot.press("end")
        assert app.run_screen.parameter == "dense_3/bias"
        await pilot.press("down")
        assert app.run_screen.parameter == "dense_3/bias"
        await pilot.press("home", "up")
        assert app.run_screen.parameter == "dense_0/kernel"


async def test_a_thousand_rows_scroll(tmp_path):
    write_run(tmp_path / "wide", steps=30, layers=500)
    app = app_on(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await loaded(pilot)
        await pilot.press("G")
        await pilot.pause()
        lines = app.run_screen.panel("layers").lines()
        assert any("▸dense_499" in line for line in lines)  # of two parameters the worse one
        assert "999 of 1,000" in lines[0]
        await pilot.press("space", "end")
        await pilot.pause()
        lines = app.run_screen.panel("layers").lines()
        assert any("▸dense_499/bias" in line for line in lines)
        assert "1,000 of 1,000" in lines[0]


async def test_mouse_selects(logdir):
    write_run(logdir / "sub" / "b", steps=500)
    app = app_on(logdir)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        lines = app.run_screen.panel("layers").lines()
        y = next(i for i, line in enumerate(lines) if "dense_2/bias" in line)
        await pilot.click("#layers", offset=(6, y))
        await until(pilot, lambda: app.run_screen.parameter == "dense_2/bias")
        lines = app.run_screen.panel("runs").lines()
        y = next(i for i, line in enumerate(lines) if "sub/b" in line)
        await pilot.click("#runs", offset=(6, y))
        await until(pilot, lambda: app.run_name == "sub/b")
        assert app.run_screen.front == "runs"
        await pilot.click("#loss", offset=(6, 3), times=2)
        await until(pilot, lambda: app.run_screen.zoomed and app.run_screen.front == "loss")


async def test_tab_goes_round_and_enter_zooms(logdir):
    app = app_on(logdir)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        seen = []
        for _ in range(6):
            seen.append(app.run_screen.front)
            assert app.focused is app.run_screen.panel(app.run_screen.front)
            await pilot.press("tab")
        assert seen == ["layers", "parameter", "runs", "loss", "norm", "curvature"]
        await pilot.press("shift+tab", "enter")
        await pilot.pause()
        visible = [p.id for p in app.run_screen.query("Panel") if p.size.height and p.display]
        assert visible == ["curvature"]
        assert app.run_screen.panel("curvature").size.width == 120
        assert "2 of 5 not converged" not in shown(app)
        assert "1 of 5 not converged" in shown(app)
        await pilot.press("escape")
        await pilot.pause()
        assert app.run_screen.panel("layers").size.height > 10


async def test_l_switches_the_axis_of_the_panel_in_front(logdir):
    app = app_on(logdir)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        await pilot.press("2")
        assert "Loss (log)" not in shown(app)
        before = shown(app)
        await pilot.press("l")
        await pilot.pause()
        assert "Loss (log)" in shown(app)
        assert shown(app) != before


async def test_help_lists_every_key_of_the_table_and_every_key_works(logdir):
    app = app_on(logdir)
    async with app.run_test(size=(120, 60)) as pilot:
        await loaded(pilot)
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, Page))
        text = shown(app)
        while text.count("mouse selects") == 0:  # the last line
            before = shown(app)
            await pilot.press("pagedown")
            assert shown(app) != before
            text += shown(app)
        await pilot.press("home", "j", "k", "end", "pageup", "g")
        assert "next layer" in shown(app)
        for _, keys in KEYS:
            for key in keys:
                assert key.help in text
                name, _, _ = key.action.partition("(")
                owner = app if name.startswith("app.") else app.run_screen
                assert hasattr(owner, f"action_{name.removeprefix('app.')}")
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.run_screen)


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
@pytest.mark.parametrize("page", [(), ("question_mark",)])
async def test_quit_keys(logdir, key, page):
    app = app_on(logdir)
    async with app.run_test(size=(80, 24)) as pilot:
        await loaded(pilot)
        await pilot.press(*page)
        await pilot.press(key)
        if page and key == "q":
            assert app.screen is app.run_screen  # q closes the page first
            await pilot.press(key)
        await until(pilot, lambda: not app.is_running)
    assert app.return_code == 0


async def test_a_clock_that_ticks_while_the_app_ends_does_no_harm(logdir):
    app = app_on(logdir)
    async with app.run_test(size=(80, 24)) as pilot:
        await loaded(pilot)
    app.show_time()
    app.show_everything()


async def test_the_histograms_of_other_writers_are_drawn(tmp_path):
    buckets = np.array([[-2.0, 0.0, 10.0], [0.0, 1.0, 30.0], [1.0, 4.0, 20.0]])
    with EventFileWriter(tmp_path) as writer:
        for step in (1, 2):
            value = encode.histogram("weights/dense", buckets)
            writer.add(step, [encode.scalar("loss", 0.5), value], EPOCH + step)
    app = app_on(tmp_path)
    async with app.run_test(size=(120, 30)) as pilot:
        await loaded(pilot)
        text = shown(app)
    assert "1 scalar, 1 histogram" in text
    assert "weights/dense" in text
    assert "step 2" in text
    assert "█" in text
    assert "-2" in text


async def test_damage_is_counted_and_listed_and_nothing_else_is_lost(logdir):
    (path,) = (logdir / "a").iterdir()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    app = app_on(logdir)
    async with app.run_test(size=(160, 40)) as pilot:
        await loaded(pilot)
        assert "1 damaged record (d)" in shown(app)
        assert "step 1,000" in shown(app)
        (damage,) = app.snapshot.runs["a"].damage
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, Page))
        assert f"byte {damage.offset:,}" in shown(app)
        assert path.name in "".join(shown(app).replace("│", "").split())


async def test_a_run_without_gradients_shows_its_scalars_and_says_how_to_get_them(tmp_path):
    write_scalars(tmp_path / "plain", ("loss", "val_loss", "epoch_accuracy"))
    app = app_on(tmp_path, EPOCH + 400)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        text = shown(app)
        assert "no gradient series" in text
        assert "GradientMonitor" in text
        assert all(label in text for label in ("loss", "validation loss", "epoch_accuracy"))
        assert "1.9" in text
        assert "no new data for 6 min" in text


async def test_notes_and_alerts_are_a_key_away(tmp_path):
    write_run(tmp_path, steps=100)
    alert = Alert("exploding_gradient", "error", ("dense_0/kernel",), 10, 90, "open", "norm 1e9",
                  ("learning rate too large",), "lower it")  # fmt: skip
    with EventFileWriter(tmp_path) as writer:
        writer.add(
            101,
            [encode.alerts([alert]), encode.note("The disk was full; step 50 is missing.")],
            EPOCH,
        )
    app = app_on(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        assert "1 alert (a): an exploding gradient in dense_0" in shown(app)
        await pilot.press("a")
        await until(pilot, lambda: "learning rate too large" in shown(app))
        assert "lower it" in shown(app)
        await pilot.press("escape", "o")
        await until(pilot, lambda: "The disk was full; step 50 is missing." in shown(app))


async def test_a_small_terminal_shows_one_panel_and_says_so(logdir):
    app = app_on(logdir)
    async with app.run_test(size=(60, 18)) as pilot:
        await loaded(pilot)
        assert "small terminal: one panel at a time" in shown(app)
        assert "quit" in shown(app)
        for name in (
            "parameter",
            "distributions",
            "landscape",
            "runs",
            "loss",
            "norm",
            "curvature",
            "layers",
        ):
            await pilot.press("tab")
            await pilot.pause()
            visible = [p.id for p in app.run_screen.query("Panel") if p.display and p.size.height]
            assert visible == [name]
        await pilot.resize_terminal(120, 40)
        await until(pilot, lambda: app.run_screen.panel("loss").size.height > 5)
        assert "small terminal" not in shown(app)


async def test_only_cells_that_changed_are_repainted(logdir):
    app = app_on(logdir)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        regions = []
        for panel in app.run_screen.query("Panel"):
            panel.refresh = lambda *r, **_: regions.extend(r)
        app.show_everything()
        assert regions == []
        app.run_screen.table.view.path = "dense_0/bias"
        app.show_everything()
        layers = app.run_screen.panel("layers")
        assert 0 < len(regions) < layers.size.height + app.run_screen.panel("parameter").size.height


async def test_new_steps_arrive_while_the_app_runs(tmp_path):
    app = app_on(tmp_path, EPOCH + 10)
    async with app.run_test(size=(120, 40)) as pilot:
        with EventFileWriter(tmp_path) as writer:
            for step, loss in ((1, 0.5), (2, 0.25), (3, float("nan"))):
                values = (("loss", loss), ("gradient/norm", loss * 4))
                writer.add(step, [encode.scalar(*value) for value in values], EPOCH + step)
                writer.flush()
                await until(pilot, lambda value=f"loss {loss}": value in shown(app))
            assert "✕" in shown(app)
