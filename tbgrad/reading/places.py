"""Where a log lies: in a directory here, or elsewhere; and in words what cannot be one."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from tbgrad.reading.tree import find_event_files

_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")
_SSH = re.compile(r"[\w.-]+@[\w.-]+:.*|[\w.-]{2,}:[/~].*")


class Place(Protocol):
    """Where the event files of runs are."""

    path: Any
    remote: bool

    def event_files(
        self, problems: dict[str, str], aliases: dict[str, str] | None = None
    ) -> dict[str, list[Any]]:
        """As `tbgrad.reading.tree.find_event_files` says."""

    def exists(self) -> bool:
        """Whether there is anything."""

    def check(self) -> None:
        """Raise FileNotFoundError, with a sentence, where there is nothing."""


class LocalPlace:
    """A directory of this machine."""

    remote = False

    def __init__(self, path: Path) -> None:
        self.path = path
        if os.path.exists(path) and not os.path.isdir(path):
            raise NotADirectoryError(
                f"{path} is a file: give the directory that holds the event files, "
                f"here {path.parent}"
            )

    def event_files(
        self, problems: dict[str, str], aliases: dict[str, str] | None = None
    ) -> dict[str, list[Any]]:
        """What is there now."""
        if not os.path.lexists(self.path):
            return {}
        return find_event_files(self.path, problems, aliases)

    def exists(self) -> bool:
        """Whether the directory is there."""
        return os.path.lexists(self.path)

    def check(self) -> None:
        """Raise FileNotFoundError where it is not."""
        if not os.path.lexists(self.path):
            nearest = near(self.path)
            meant = f"did you mean {nearest}?" if nearest else "give the directory of the logs"
            raise FileNotFoundError(f"{self.path} does not exist: {meant}")


class SeveralPlaces:
    """Several places as one: a run's name begins with that of its place."""

    def __init__(self, places: Sequence[Place]) -> None:
        self.path = ", ".join(str(place.path) for place in places)
        self.remote = any(place.remote for place in places)
        self._places = dict(zip(_names([str(p.path) for p in places]), places, strict=True))

    def event_files(
        self, problems: dict[str, str], aliases: dict[str, str] | None = None
    ) -> dict[str, list[Any]]:
        """What is in each of them now."""
        found: dict[str, list[Any]] = {}
        for name, place in self._places.items():
            same: dict[str, str] = {}
            files = place.event_files(problems, same)
            found |= {_within(name, run): paths for run, paths in files.items()}
            if aliases is not None:
                aliases |= {_within(name, run): _within(name, own) for run, own in same.items()}
        return found

    def exists(self) -> bool:
        """Whether one of them is there."""
        return any(place.exists() for place in self._places.values())

    def check(self) -> None:
        """Raise FileNotFoundError where one of them is not."""
        for place in self._places.values():
            place.check()


def _names(paths: Sequence[str]) -> list[str]:
    """Names of directories: what is last in their paths, and as much before it as they differ in.

    >>> _names(["/a/runs", "/b/runs"])
    ['a/runs', 'b/runs']
    """
    parts = [[part for part in path.split("/") if part and part != "."] for path in paths]
    for length in range(1, max(map(len, parts), default=1) + 1):
        names = ["/".join(part[-length:]) or "/" for part in parts]
        if len(set(names)) == len(names):
            return names
    return list(paths)


def _within(directory: str, run: str) -> str:
    return directory if run == "." else f"{directory}/{run}"


Logdir: TypeAlias = "str | os.PathLike[str] | Sequence[str | os.PathLike[str]]"
"""One directory of logs, or several."""


def place_of(logdir: Logdir) -> Place:
    """The place that a user names: `~` is their home, "gs://…" and the like are remote.

    Several of them are one place, in which a directory that is named twice is once.

    Raises:
        NotADirectoryError: it is a file.
        OSError: it is on another machine, or needs what is not installed; the sentence says more.
    """
    if not isinstance(logdir, str | os.PathLike):
        distinct = list(dict.fromkeys(os.path.normpath(d) if _is_local(d) else d for d in logdir))
        places = [place_of(each) for each in distinct]
        return places[0] if len(places) == 1 else SeveralPlaces(places)
    text = os.fspath(logdir)
    if _URL.match(text):
        from tbgrad.reading.remote import RemotePlace

        return RemotePlace(text)
    path = Path(os.path.expanduser(text))
    if _SSH.fullmatch(text) and not os.path.lexists(path):
        host, _, directory = text.partition(":")
        raise OtherMachineError(
            f"{text} is on another machine: read it there, with "
            f"ssh -t {host} tbgrad watch {directory or '.'}"
        )
    return LocalPlace(path)


def _is_local(logdir: str | os.PathLike[str]) -> bool:
    return not _URL.match(os.fspath(logdir))


class OtherMachineError(OSError):
    """A directory that only another machine can read."""


def near(path: Path) -> Path | None:
    """The path that exists and is spelled most like one that does not; None where none is."""
    existing = path
    while not os.path.lexists(existing) and existing != existing.parent:
        existing = existing.parent
    for part in path.parts[len(existing.parts) :]:
        names = _directories(existing)
        alike = difflib.get_close_matches(part, names, 1, 0.6)
        alike = alike or [name for name in names if name.lower() == part.lower()]
        if not alike:
            return None
        existing = existing / alike[0]
    return existing


def _directories(directory: Path) -> list[str]:
    try:
        with os.scandir(directory) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir())
    except OSError:
        return []
