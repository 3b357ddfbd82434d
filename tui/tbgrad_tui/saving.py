"""Files that a key writes, under a name that is asked for."""

from __future__ import annotations

import contextlib
import csv
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from textual.app import App

from tbgrad_tui.screens.naming import NamingPage
from tbgrad_tui.widgets.panel import Panel, frame

KINDS = {"svg": "the screen as a picture", "txt": "the screen as text", "csv": "the panel"}
"""What is saved, by the ending of its file."""


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
    """Write a file, or none at all; what to tell the user, also where that cannot be done."""
    written = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with written.open("x", encoding="utf-8", newline="") as file:
            write(file)
        written.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            written.unlink()
        return (
            f"{path} cannot be written ({error.strerror}): give it a name in a directory where "
            "you may write"
        )
    return f"saved as {path.absolute()}"


def ask_and_save(app: App[Any], ending: str, name: str, now: float) -> None:
    """Save the screen as a picture ("svg") or as text, or the panel in front as a table ("csv")."""
    panel = app.screen.focused
    rows = panel.table() if isinstance(panel, Panel) and ending == "csv" else []
    if ending == "csv" and not rows:
        words = "nothing to save here as a table: Tab to a chart, the layers or the runs"
        app.notify(words, timeout=6)
        return
    what = f"{name} {panel.id}" if ending == "csv" and panel is not None else name

    def written(file: TextIO) -> None:
        if ending == "svg":
            file.write(app.export_screenshot(title=name))
        elif ending == "txt":
            file.writelines(f"{line.rstrip()}\n" for line in frame(app.screen).text())
        else:
            csv.writer(file, lineterminator="\n").writerows(rows)

    def go_on(path: Path | None) -> None:
        if path is not None:
            app.notify(save(path, written), timeout=6, markup=False)

    app.push_screen(NamingPage(KINDS[ending], free_path(what, ending, now)), go_on)
