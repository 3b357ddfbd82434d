"""Files that a key writes into the directory that the app was started in."""

from __future__ import annotations

import csv
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from textual.app import App

from tbgrad_tui.widgets.panel import Panel, frame


def free_path(what: str, ending: str, now: float) -> Path:
    """A path that is not taken, named after what it holds and the time of day.

    >>> free_path("runs/a loss", "csv", now)
    PosixPath('tbgrad-runs-a-loss-20260101-120000.csv')
    """
    named = re.sub(r"[^\w.=+-]+", "-", what, flags=re.ASCII).strip("-.") or "run"
    stem = f"tbgrad-{named[:80]}-{time.strftime('%Y%m%d-%H%M%S', time.localtime(now))}"
    path, number = Path(f"{stem}.{ending}"), 1
    while path.exists():
        path, number = Path(f"{stem}-{number}.{ending}"), number + 1
    return path


def save(path: Path, write: Callable[[TextIO], object]) -> str:
    """Write a file; what to tell the user, also where that cannot be done."""
    try:
        with path.open("x", encoding="utf-8", newline="") as file:
            write(file)
    except OSError as error:
        return (
            f"{path} cannot be written ({error.strerror}): start tbgrad watch in a directory where "
            "you may write"
        )
    return f"saved as {path.absolute()}"


def save_screen(app: App[Any], ending: str, name: str, now: float) -> str:
    """Save the screen as a picture ("svg") or as text, or the panel in front as a table ("csv")."""
    path, panel = free_path(name, ending, now), app.screen.focused
    if ending == "svg":
        return save(path, lambda file: file.write(app.export_screenshot(title=name)))
    if ending == "txt":
        lines = frame(app.screen).text()
        return save(path, lambda file: file.writelines(f"{line.rstrip()}\n" for line in lines))
    rows = panel.table() if isinstance(panel, Panel) else []
    if not rows:
        return "nothing to save here as a table: Tab to a chart, the layers or the runs"
    return save(path, lambda file: csv.writer(file, lineterminator="\n").writerows(rows))
