"""Files that a key writes into the directory that the app was started in."""

from __future__ import annotations

import csv
import re
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TextIO

from tbgrad_tui.chart.canvas import Canvas


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


def save_text(path: Path, drawn: Canvas) -> str:
    """The cells of a screen as lines."""
    return save(path, lambda file: file.writelines(f"{line.rstrip()}\n" for line in drawn.text()))


def save_table(path: Path, rows: Iterable[Sequence[object]]) -> str:
    """Rows as comma-separated values."""
    return save(path, lambda file: csv.writer(file, lineterminator="\n").writerows(rows))
