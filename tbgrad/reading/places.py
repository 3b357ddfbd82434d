"""Where a log lies: in a directory here, or elsewhere; and in words what cannot be one."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import Any, Protocol

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


def place_of(logdir: str | os.PathLike[str]) -> Place:
    """The place that a user names: `~` is their home, "gs://…" and the like are remote.

    Raises:
        NotADirectoryError: it is a file.
        OSError: it is on another machine, or needs what is not installed; the sentence says more.
    """
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
