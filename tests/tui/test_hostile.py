"""Names and words of a log are text, whatever they hold."""

import dataclasses

import numpy as np
import pytest
from rich.cells import cell_len
from tbgrad_tui.screens.alerts import AlertsPage
from tbgrad_tui.widgets.panel import Drawing

from tbgrad.log import encode
from tbgrad.log.append import EventFileWriter
from tbgrad.log.records import Alert
from tests.support.logs import EPOCH, manifest
from tests.tui.support import app_on, loaded, shown, until
from tests.tui.test_alerts import SIZES, alert

WORDS = "[bold red]x[/] \x1b[2J\u202e\x9b31m 層の重み/"


@pytest.mark.parametrize("size", [*SIZES, (20, 5), (5, 2)])
async def test_hostile_words_are_text(tmp_path, size):
    m = manifest(1)
    names = (WORDS * 9, "長い" * 90)
    rows = tuple(dataclasses.replace(p, path=n) for p, n in zip(m.parameters, names, strict=True))
    words = WORDS * 9
    hostile = Alert(words, "error", names, 1, 2, "open", words, (words,) * 3, "長" * 300)
    table = np.ones((2, len(m.statistics)), np.float32)
    with EventFileWriter(tmp_path) as writer:
        writer.add(0, [encode.manifest(dataclasses.replace(m, parameters=rows))], EPOCH)
        writer.add(1, [encode.parameters(table)], EPOCH)
        huge = dataclasses.replace(hostile, first_step=-(10**15), parameters=(), state="closed")
        writer.add(2, [encode.alerts([hostile, huge, alert(WORDS, first=10**15)])], EPOCH)
    app = app_on(tmp_path)
    async with app.run_test(size=size) as pilot:
        await loaded(pilot)
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, AlertsPage))
        for key in ("home", "down", "down", "down", "end", "up", "enter", "5"):
            await pilot.press(key)
            await pilot.pause()
            lines = [strip.text for strip in app.screen._compositor.render_strips()]
            assert [cell_len(line) for line in lines] == [size[0]] * size[1]
            assert all(character.isprintable() for line in lines for character in line)


NAME = "[bold red]x[] \x1b[2J"


@pytest.mark.parametrize("size", [*SIZES, (60, 18), (20, 5), (5, 2)])
async def test_hostile_names_are_text_everywhere(tmp_path, size):
    from dataclasses import replace

    from tests.support.logs import manifest

    m = manifest(1)
    names = (f"{NAME}/kernel", "層の重み/カーネル/" + "長い" * 40)
    rows = tuple(replace(p, path=n) for p, n in zip(m.parameters, names, strict=True))
    table = np.full((2, len(m.statistics)), np.nan, np.float32)
    table[:, 0] = 1.0, np.inf
    with EventFileWriter(tmp_path / NAME) as writer:
        writer.add(0, [encode.manifest(replace(m, parameters=rows))], EPOCH)
        writer.add(1, [encode.parameters(table), encode.note(NAME)], EPOCH)
        writer.add(2, [encode.scalar(NAME, 1.0)], EPOCH)
    app = app_on(tmp_path)
    async with app.run_test(size=size) as pilot:
        await loaded(pilot)
        for keys in ((), ("down",), ("1",), ("5",), ("6",), ("7",), ("o",)):
            await pilot.press(*keys)
            await pilot.pause()
            lines = [app.screen._compositor.get_widgets_at and strip.text
                     for strip in app.screen._compositor.render_strips()]  # fmt: skip
            assert len(lines) == size[1]
            assert not any("\x1b" in line for line in lines)
        await pilot.press("escape", "escape")
        if size == (120, 40):
            assert "[bold red]x[] �[2J" in shown(app)


async def test_an_error_in_a_panel_shows_in_that_panel(logdir):
    app = app_on(logdir)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        panel = app.run_screen.panel("norm")
        panel.run = object()  # no run at all
        panel.redraw()
        assert "A bug in tbgrad" in panel.lines()[0]
        assert "AttributeError" in "".join(panel.lines())
        assert "dense_0/kernel" in shown(app)
        app.show_everything()
        assert "Gradient norm" in panel.lines()[0]
    assert len(Drawing.faults) >= 1
    Drawing.faults.clear()
