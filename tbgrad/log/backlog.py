"""A file that outlives a full disk: what finds no room waits in memory until there is some."""

from __future__ import annotations

import contextlib
import errno
from collections import deque
from collections.abc import Callable
from typing import Protocol

NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
"""What a system says of a disk, or of a share of it, that is full."""

HELD = 64_000_000
"""So many bytes wait at most: an hour of what a minute of a log may have by default."""


class File(Protocol):
    """What an event file is written to."""

    def write(self, data: bytes) -> None:
        """Append `data`, all of it or, where that fails, nothing."""

    def flush(self) -> None:
        """Bring what was written to where readers see it."""

    def close(self) -> None:
        """Flush, and write no more."""


class Backlog:
    """Appends to `file` in order; what a full disk does not take is tried again with what follows.

    `on_full` is called with the error when the disk is first found full. Other errors are raised,
    and so is this one where more than `held` bytes would wait, or some still do at the end.
    """

    def __init__(
        self, file: File, on_full: Callable[[Exception], None], *, held: int = HELD
    ) -> None:
        self._file = file
        self._on_full = on_full
        self._held = held
        self._waiting: deque[bytes] = deque()
        self._told = False

    @property
    def waiting(self) -> int:
        """How many pieces of data wait."""
        return len(self._waiting)

    def write(self, data: bytes) -> None:
        """Append `data`, or keep it; where an error is raised, it is not kept."""
        self._waiting.append(data)
        try:
            self._write_all()
        except OSError as error:
            if error.errno not in NO_ROOM or sum(map(len, self._waiting)) > self._held:
                self._waiting.pop()
                raise
            if not self._told:
                self._told = True
                self._on_full(error)

    def flush(self) -> None:
        """Write what waits, if there is room now."""
        try:
            self._write_all()
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
        self._file.flush()

    def close(self) -> None:
        """Write what waits, and close the file whether that goes or not."""
        try:
            self._write_all()
        except OSError:
            with contextlib.suppress(Exception):
                self._file.close()
            raise
        self._file.close()

    def _write_all(self) -> None:
        while self._waiting:
            self._file.write(self._waiting[0])
            self._waiting.popleft()
