"""What the app shows, without a terminal: one frame as text, or as a picture."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text
from textual.pilot import Pilot

from tbgrad.reading.directory import read
from tbgrad.reading.places import Logdir
from tbgrad_tui import facts
from tbgrad_tui.app import WatchApp
from tbgrad_tui.chart.appearance import Appearance
from tbgrad_tui.chart.canvas import Canvas
from tbgrad_tui.widgets.panel import Drawing, frame

LOADING_SECONDS = 60.0
DRAWING_SECONDS = 5.0
"""On a terminal that is too small some panels get no cells at all."""

LOOK_SECONDS = 0.01

Size = tuple[int, int]
"""Columns and rows."""


def print_once(
    logdir: Logdir, console: Console, appearance: Appearance, pattern: str = "*"
) -> None:
    """Print one frame of the app, of the size and in the colours of `console`."""
    app = WatchApp(logdir, pattern=pattern, appearance=appearance, once=True)
    drawn = Canvas(0, 0)

    async def look(pilot: Pilot[object]) -> None:
        nonlocal drawn
        while app.is_running and not _is_read(app):
            await pilot.pause(LOOK_SECONDS)
        await _show_all(app, pilot)
        deadline = time.monotonic() + DRAWING_SECONDS
        while not _is_drawn(app) and time.monotonic() < deadline:
            await pilot.pause(LOOK_SECONDS)
        drawn = frame(app.screen)
        app.exit()

    app.run(headless=True, size=(console.width, console.height), auto_pilot=look)
    for y in range(drawn.height):
        pieces = ((segment.text, segment.style or "") for segment in drawn.strip(y))
        console.print(Text.assemble(*pieces), no_wrap=True, overflow="ignore", crop=False)


def _is_read(app: WatchApp) -> bool:
    """Whether everything that is in the log was read, and judged."""
    snapshot = app.snapshot
    return snapshot.exists and snapshot.loading is None and all(
        facts.is_judged(run) or not facts.has_begun(run) for run in snapshot.runs.values()
    )  # fmt: skip


async def _show_all(app: WatchApp, pilot: Pilot[Any]) -> None:
    """Show what was read last: the app itself may rest first, since it has just drawn."""
    if app.is_running:
        app.show_everything()
        await pilot.pause()


def save_screenshot(
    logdir: str | Path,
    path_svg: str | Path,
    size: Size = (120, 40),
    keys: tuple[str, ...] = (),
) -> None:
    """Save what the app shows of `logdir`, after `keys` were pressed, as an SVG picture.

    The clock stands still two seconds after the last write, as if training were going on.

    >>> save_screenshot("runs", "watch.svg", size=(100, 30), keys=("down",))
    """
    asyncio.run(_save(Path(logdir), Path(path_svg), size, keys))


def _is_drawn(app: WatchApp) -> bool:
    """Whether all that is to be seen has been laid out, and drawn at its size."""
    drawings = [
        d for d in app.screen.query(Drawing) if all(a.display for a in d.ancestors_with_self)
    ]
    return bool(drawings) and all(
        d.size.area and (d.canvas.width, d.canvas.height) == d.size for d in drawings
    )


async def _save(logdir: Path, path: Path, size: Size, keys: tuple[str, ...]) -> None:
    runs = read(logdir)
    now = max((run.last_wall_time for run in runs.values()), default=0.0) + 2.0
    size_of_log = sum(run.bytes_read for run in runs.values())
    app = WatchApp(logdir, clock=lambda: now)
    async with app.run_test(size=size) as pilot:
        deadline = time.monotonic() + LOADING_SECONDS
        while sum(
            run.bytes_read for run in app.snapshot.runs.values()
        ) < size_of_log or not _is_read(app):
            if not app.is_running:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"{logdir} was not read within {LOADING_SECONDS:.0f} s")
            await pilot.pause(0.05)
        await _show_all(app, pilot)
        await pilot.press(*keys)
        await pilot.pause()
        path.write_text(app.export_screenshot(title=f"tbgrad watch {logdir.name}"))
