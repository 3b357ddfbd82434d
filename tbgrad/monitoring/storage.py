"""Where event files are written: a disk, or whatever a framework can reach behind an address."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from tbgrad.log.backlog import File
from tbgrad.log.local_file import LocalFile


def is_remote(logdir: object) -> bool:
    """Whether a log directory is an address, as "gs://bucket/runs", rather than a path."""
    return "://" in str(logdir)


SIGN_SECONDS = 5.0
"""Between two signs of life of a run.

With the few seconds that TensorBoard and its page take to look again, it is told within 15 that a
run was killed.
"""


class Storage(Protocol):
    """What a run needs of the place of its directory. Errors are those of the place.

    Attributes:
        seen_after: seconds between two signs of life that readers see there.
    """

    seen_after: float

    def create(self, path: str) -> File:
        """A new file, its directory included."""

    def names(self, directory: str) -> list[str]:
        """The names in a directory."""

    def head(self, path: str, size: int) -> bytes:
        """The first bytes of a file, at most so many."""


class LocalStorage:
    """Directories of this machine."""

    seen_after = SIGN_SECONDS

    def create(self, path: str) -> File:
        """A new file; raises OSError where it exists or cannot be made."""
        return LocalFile(path)

    def names(self, directory: str) -> list[str]:
        """The names in a directory; raises OSError where it cannot be listed."""
        return [path.name for path in Path(directory).iterdir()]

    def head(self, path: str, size: int) -> bytes:
        """The first bytes of a file; raises OSError where it cannot be read."""
        with Path(path).open("rb") as file:
            return file.read(size)
