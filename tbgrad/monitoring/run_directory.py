"""Which directory a training is logged in: that of the run it resumes, or one of its own."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tbgrad.monitoring.storage import Storage, is_remote

_HEAD = 1024
"""So far from the start of an event file of ours is the name of the manifest."""

_runs: dict[str, tuple[str | Path, set[str]]] = {}
"""By the directory asked for: the one last begun by this process, and the groups in it."""
_by_optimizer: weakref.WeakKeyDictionary[Any, dict[tuple[str, str], str | Path]] = (
    weakref.WeakKeyDictionary()
)


def choose(
    logdir: str | Path, group: str, optimizer: Any, start_step: int, storage: Storage
) -> str | Path:
    """The directory for a training that has done `start_step` updates and is to be in `logdir`.

    One whose optimizer has counted on goes on with its run: that of the same optimizer, or else the
    newest. Any other begins a run of its own, in `logdir` where nothing is logged yet, or in the
    first of `logdir`-2, `logdir`-3, … that is free. The groups of a run share one.
    """
    asked = resolved(logdir)
    last, groups = _runs.get(asked, (None, set[str]()))
    known = _by_optimizer.get(optimizer, {}).get((asked, group)) if optimizer is not None else None
    if start_step > 0:
        taken = list(_taken(logdir, storage))
        chosen = known or (last if group else None) or (taken[-1] if taken else logdir)
    elif group and last is not None and group not in groups:
        chosen = last
    else:
        chosen = _free(logdir, storage)
    _runs[asked] = chosen, {group} | (groups if chosen == last else set())
    if optimizer is not None:
        _by_optimizer.setdefault(optimizer, {})[asked, group] = chosen
    return chosen


def resolved(logdir: str | Path) -> str:
    """What tells a directory from others, however it is spelled."""
    return str(logdir) if is_remote(logdir) else str(Path(logdir).resolve())


def _free(logdir: str | Path, storage: Storage) -> str | Path:
    number = 1 + sum(1 for _ in _taken(logdir, storage))
    if number == 1 or is_remote(logdir):
        return _numbered(logdir, number)
    while True:
        candidate = _numbered(logdir, number)
        try:  # at once, before another process finds it free, too
            Path(candidate).mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return candidate


def _taken(logdir: str | Path, storage: Storage) -> Iterator[str | Path]:
    number = 1
    while _has_log(candidate := _numbered(logdir, number), storage):
        yield candidate
        number += 1


def _numbered(logdir: str | Path, number: int) -> str | Path:
    if number == 1:
        return logdir
    if is_remote(logdir):
        return f"{logdir}-{number}"
    path = Path(logdir)
    path = path if path.name not in ("", "..") else path.resolve()
    return path.with_name(f"{path.name}-{number}")


def _has_log(directory: str | Path, storage: Storage) -> bool:
    """Whether a monitor has logged there; event files of others may lie beside."""
    try:
        names = storage.names(str(directory))
    except OSError:
        return False
    return any(_is_ours(f"{directory}/{name}", storage) for name in names if ".tfevents." in name)


def _is_ours(file: str, storage: Storage) -> bool:
    try:
        return b"tbgrad/" in storage.head(file, _HEAD)
    except OSError:
        return False
