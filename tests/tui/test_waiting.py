"""A log that is not there yet, cannot be read, or does not answer."""

from __future__ import annotations

from tbgrad_tui.app import WatchApp
from tbgrad_tui.screens.page import Page

from tests.support.logs import write_run
from tests.tui.support import app_on, loaded, shown, until


async def test_waits_for_a_directory_that_appears_later(tmp_path):
    logdir = tmp_path / "not" / "yet"
    app = app_on(logdir)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: "does not exist yet" in shown(app))
        assert "as soon as training starts writing" in shown(app)
        logdir.mkdir(parents=True)
        await until(pilot, lambda: "holds no event files yet" in shown(app))
        write_run(logdir, steps=100)
        await until(pilot, lambda: "step 100" in shown(app))
        assert "Waiting" not in shown(app)


async def test_a_directory_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    import os

    write_run(tmp_path / "a", steps=100)
    locked = tmp_path / "locked"
    locked.mkdir()
    scandir = os.scandir

    def refuse(path):
        if str(path) == str(locked):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)  # root may read everything: chmod proves nothing
    app = app_on(tmp_path)
    async with app.run_test(size=(160, 40)) as pilot:
        await loaded(pilot)
        await until(pilot, lambda: "Permission denied" in " ".join(shown(app).split()))
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, Page))
        # The path before it may be so long that the two words stand in two lines of the box.
        assert "Permission denied" in " ".join(shown(app).replace("│", " ").split())
    app = app_on(locked)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: "This directory cannot be read" in shown(app))


async def test_a_log_that_does_not_answer_is_named_and_the_app_goes_on(logdir, monkeypatch):
    """As a hanging network file system: the call to the kernel does not come back."""
    import os
    import threading

    hangs, scandir = threading.Event(), os.scandir
    back = threading.Event()

    def hang(path):
        if hangs.is_set():
            assert back.wait(60)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", hang)
    app = WatchApp(logdir, hanging_seconds=0.2)
    async with app.run_test(size=(160, 40)) as pilot:
        await loaded(pilot)
        await until(pilot, lambda: "not answering" not in shown(app))
        hangs.set()
        await until(pilot, lambda: "the log is not answering since" in shown(app))
        await pilot.press("down")
        await until(pilot, lambda: app.run_screen.row == 1)
        hangs.clear()
        back.set()
        await until(pilot, lambda: "not answering" not in shown(app))
