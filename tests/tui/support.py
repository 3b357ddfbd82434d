"""Wait for what the screen shows, with a deadline instead of a guess."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tbgrad_tui import facts
from tbgrad_tui.app import WatchApp
from tbgrad_tui.widgets.panel import Drawing

from tbgrad.reading.run import Run
from tbgrad.reading.tree import find_event_files
from tests.support.logs import EPOCH

DEADLINE_SECONDS = 20.0

SIZES = ((80, 24), (120, 40), (240, 60))
"""At which every screen is looked at."""


def app_on(logdir: Path, now: float = EPOCH + 52.0) -> WatchApp:
    """The app with a clock that stands still."""
    return WatchApp(logdir, clock=lambda: now)


def shown(app: WatchApp) -> str:
    """All the visible text, line by line and widget by widget."""
    widgets = [w for w in app.screen.query(Drawing) if w.display and w.size.height]
    return "\n".join(line for widget in widgets for line in widget.lines())


async def until(pilot, condition: Callable[[], object]) -> None:
    """Wait until `condition` holds; fail with the screen's text when it does not."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"never happened; the screen:\n{shown(pilot.app)}"
        await pilot.pause(0.02)
    await pilot.pause()


def judged(run: Run) -> bool:
    """Whether the rules have had their turn."""
    return facts.is_judged(run) or not facts.has_begun(run)


async def loaded(pilot) -> None:
    """Wait until everything that is in the log was read, judged and drawn."""
    app = pilot.app
    size = sum(p.stat().st_size for ps in find_event_files(app.logdir).values() for p in ps)
    await until(
        pilot, lambda: size and sum(r.bytes_read for r in app.snapshot.runs.values()) == size
    )
    await until(pilot, lambda: app.run_name)
    await until(pilot, lambda: all(map(judged, app.snapshot.runs.values())))
    app.show_everything()  # ahead of its turn
    await pilot.pause()
    if app.screen is app.overview_screen:  # the first screen of several runs
        app.pop_screen()
        await pilot.pause()
