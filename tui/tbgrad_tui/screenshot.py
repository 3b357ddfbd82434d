"""Pictures of the app without a terminal."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from tbgrad.reading.directory import read
from tbgrad_tui.app import WatchApp

LOADING_SECONDS = 60.0


def save_screenshot(
    logdir: str | Path,
    path_svg: str | Path,
    size: tuple[int, int] = (120, 40),
    keys: tuple[str, ...] = (),
) -> None:
    """Save what the app shows of `logdir`, after `keys` were pressed, as an SVG picture.

    The clock stands still two seconds after the last write, as if training were going on.

    >>> save_screenshot("runs", "watch.svg", size=(100, 30), keys=("down",))
    """
    asyncio.run(_save(Path(logdir), Path(path_svg), size, keys))


async def _save(logdir: Path, path: Path, size: tuple[int, int], keys: tuple[str, ...]) -> None:
    runs = read(logdir)
    now = max((run.last_wall_time for run in runs.values()), default=0.0) + 2.0
    size_of_log = sum(run.bytes_read for run in runs.values())
    app = WatchApp(logdir, clock=lambda: now)
    async with app.run_test(size=size) as pilot:
        deadline = time.monotonic() + LOADING_SECONDS
        while sum(run.bytes_read for run in app.snapshot.runs.values()) < size_of_log:
            if not app.is_running:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"{logdir} was not read within {LOADING_SECONDS:.0f} s")
            await pilot.pause(0.05)
        await pilot.press(*keys)
        await pilot.pause()
        path.write_text(app.export_screenshot(title=f"tbgrad watch {logdir.name}"))
