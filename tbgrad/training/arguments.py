"""Arguments that the callback and the writer share, checked with a sentence for the user."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def check_cadence(name: str, value: object) -> int:
    """`value` as a number of steps.

    Raises:
        ValueError: it is not a whole number of at least 1.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name} is a number of steps: a whole number from 1 on, not {value!r}")
    return int(value)


def check_logdir(logdir: str | Path) -> Path:
    """`logdir` as a path.

    Raises:
        NotADirectoryError: it is a file.
    """
    path = Path(logdir).expanduser()
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"logdir {path} is a file: give a directory for the event files")
    return path
