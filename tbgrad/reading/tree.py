"""Find TensorBoard event files: which runs a directory holds."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias

IN_TRANSFER = (".part", ".partial", ".filepart", ".tmp", ".crdownload", "_.gstmp")
"""How names end that programs give to files which they are still bringing."""

TRANSFER_DIRECTORIES = (".~tmp~", ".rsync-partial")

Key: TypeAlias = tuple[int, int]
Chain: TypeAlias = "tuple[Key, Chain | None]"
"""A directory, and the one that it was reached from."""


def is_event_file(name: str) -> bool:
    """Whether a file of this name is an event file.

    TensorBoard asks for "tfevents" in the name, and so takes for one what rsync writes beside it
    (`.NAME.XXXXXX`) until all of it is there.
    """
    return "tfevents" in name and not name.startswith(".") and not name.endswith(IN_TRANSFER)


def find_event_files(
    logdir: Path,
    problems: dict[str, str] | None = None,
    aliases: dict[str, str] | None = None,
) -> dict[str, list[Path]]:
    """Event files below `logdir` by run name, in the order in which TensorBoard reads them.

    A run is a directory that holds event files; its name is its path relative to `logdir`, "." for
    `logdir` itself. What cannot be read goes into `problems` (path -> reason). Symbolic links are
    followed, but for those that lead back to where they lie. A directory that is reached by several
    names is a run by each of them; `aliases` then says which of them stands for which.
    """
    return _Walk(Path(logdir), problems if problems is not None else {}).all(aliases)


class _Walk:
    """From directory to directory, those that lie there ahead of those that links lead to."""

    def __init__(self, logdir: Path, problems: dict[str, str]) -> None:
        self._problems = problems
        self._runs: dict[str, list[Path]] = {}
        self._seen: dict[Key, str] = {}
        self._same: dict[str, str] = {}
        self._pending = [_Step(str(logdir), "", None, False)]
        self._links: list[_Step] = []

    def all(self, aliases: dict[str, str] | None) -> dict[str, list[Path]]:
        """The runs by name."""
        while self._pending or self._links:
            self._visit(self._pending.pop() if self._pending else self._links.pop())
        if aliases is not None:
            aliases |= {name: own for name, own in self._same.items() if name in self._runs}
        return dict(sorted(self._runs.items()))

    def _visit(self, step: _Step) -> None:
        try:
            status = os.stat(step.path)
            key = (status.st_dev, status.st_ino)
            if _contains(step.chain, key) or (key in self._seen and not step.linked):
                return
            with os.scandir(step.path) as entries:
                listing = sorted(entries, key=lambda entry: entry.name, reverse=True)
        except OSError as error:
            self._problems[str(Path(step.path))] = error.strerror or str(error)
            return
        name = step.name or "."
        own = self._seen.setdefault(key, name)
        if own != name:
            self._same[name] = own
        files = []
        for entry in listing:
            try:
                if entry.is_dir():
                    self._enter(entry, step, (key, step.chain))
                elif is_event_file(entry.name) and entry.is_file():
                    files.append(Path(entry.path))
            except OSError as error:  # noqa: PERF203 - one bad entry must not hide the others
                self._problems[str(Path(entry.path))] = error.strerror or str(error)
        if files:
            self._runs[name] = sorted(files)

    def _enter(self, entry: os.DirEntry[str], step: _Step, chain: Chain) -> None:
        if entry.name in TRANSFER_DIRECTORIES:
            return
        name = f"{step.name}/{entry.name}" if step.name else entry.name
        if not entry.is_symlink():
            further = self._links if step.linked else self._pending
            further.append(_Step(entry.path, name, chain, step.linked))
            return
        if step.linked:
            # Links that lead to links could go on for ever longer: what is known has a name.
            status = os.stat(entry.path)
            if (status.st_dev, status.st_ino) in self._seen:
                return
        self._links.append(_Step(entry.path, name, chain, True))


class _Step(NamedTuple):
    """A directory to look into, by its name below the first; `linked` if a link led there."""

    path: str
    name: str
    chain: Chain | None
    linked: bool


def _contains(chain: Chain | None, key: Key) -> bool:
    while chain is not None:
        if chain[0] == key:
            return True
        chain = chain[1]
    return False


def unaliased(files: Mapping[str, list[Path]], aliases: Mapping[str, str]) -> dict[str, list[Path]]:
    """The runs that are to be read: the others are some of these by another name."""
    return {name: paths for name, paths in files.items() if name not in aliases}
