"""A file on a disk of this machine, to be appended to."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path


class LocalFile:
    """A new file on a disk; what was written is seen at once.

    Raises:
        OSError: it exists, or it or its directory cannot be made.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("xb", buffering=0)
        self._size = 0

    def write(self, data: bytes) -> None:
        """Append `data`; raises OSError where it cannot be, or the file was deleted.

        Half of a record would be damage to what is written behind it.
        """
        left = memoryview(data)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError:
            with contextlib.suppress(OSError):
                self._file.truncate(self._size)
                self._file.seek(self._size)
            raise
        self._size += len(data)
        if os.fstat(self._file.fileno()).st_nlink == 0:
            raise FileNotFoundError(errno.ENOENT, "the event file was deleted", str(self._path))

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()
