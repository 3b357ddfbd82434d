"""A log in an object store, or wherever else fsspec reads: "gs://bucket/runs", "s3://…", …"""

from __future__ import annotations

import datetime
import os
import zlib
from functools import total_ordering
from typing import Any

from tbgrad.reading.tree import TRANSFER_DIRECTORIES, is_event_file


class MissingExtraError(OSError):
    """What would read a remote log is not installed; the message says how to install it."""


class RemotePlace:
    """A directory that fsspec reads; each look lists it anew.

    Raises:
        MissingExtraError: fsspec, or its part for this kind of place, is not installed.
        OSError: there is no such kind of place.
    """

    remote = True

    def __init__(self, url: str) -> None:
        self.path = url.rstrip("/")
        protocol = url.partition("://")[0]
        try:
            import fsspec
        except ImportError:
            raise MissingExtraError(
                f"reading {url} needs fsspec: pip install 'tbgrad[remote]', or copy the logs here"
            ) from None
        try:
            self._files, self._root = fsspec.core.url_to_fs(self.path)
        except ImportError as error:
            raise MissingExtraError(f"reading {url} needs more: {error}") from None
        except ValueError as error:
            known = "gs://, s3://, abfs://, sftp://, hdfs://"
            raise OSError(
                f"{url} cannot be read: {protocol}:// is not known ({error}); known are {known}"
            ) from None

    def event_files(
        self, problems: dict[str, str], aliases: dict[str, str] | None = None
    ) -> dict[str, list[RemoteFile]]:
        """What is there now, in one listing. There are no links and so no `aliases`."""
        del aliases
        self._files.invalidate_cache()
        try:
            listed = self._files.find(self._root, detail=True)
        except FileNotFoundError:
            return {}
        except Exception as error:  # noqa: BLE001 - every kind of store has errors of its own
            problems[self.path] = f"{type(error).__name__}: {error}".splitlines()[0][:300]
            return {}
        runs: dict[str, list[RemoteFile]] = {}
        for name, info in listed.items():
            directory, _, base = name.removeprefix(self._root).strip("/").rpartition("/")
            transferred = any(part in TRANSFER_DIRECTORIES for part in directory.split("/"))
            if is_event_file(base) and not transferred:
                url = "/".join(part for part in (self.path, directory, base) if part)
                runs.setdefault(directory or ".", []).append(
                    RemoteFile(self._files, name, url, info)
                )
        return {name: sorted(runs[name]) for name in sorted(runs)}

    def exists(self) -> bool:
        """Whether there is anything."""
        try:
            return bool(self._files.exists(self._root))
        except Exception:  # noqa: BLE001 - what is wrong is among the problems of a look
            return False

    def check(self) -> None:
        """Raise FileNotFoundError where there is nothing."""
        try:
            there = self._files.exists(self._root)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[0][:300]
            raise PermissionError(f"{self.path} cannot be read ({reason})") from error
        if not there:
            raise FileNotFoundError(f"{self.path} does not exist: give the directory of the logs")


@total_ordering
class RemoteFile:
    """A file as it stood in the last listing: what a tail asks of a path."""

    def __init__(self, files: Any, name: str, url: str, info: dict[str, Any]) -> None:
        self._files, self._name, self._url, self._info = files, name, url, info

    def stat(self) -> os.stat_result:
        """Size, and a time of change: an object of a store has no identity but its name."""
        size, changed = int(self._info.get("size") or 0), _changed(self._info)
        return _Status(size, changed)  # type: ignore[return-value]

    def open(self, mode: str, buffering: int = -1) -> Any:  # noqa: ARG002 - as of a path
        """A file object that reads, each time, what it is asked for and no more."""
        return _Reading(self._files, self._name, self.stat().st_size)

    def __str__(self) -> str:
        return self._url

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemoteFile) and self._url == other._url

    def __lt__(self, other: RemoteFile) -> bool:
        return self._url < other._url

    def __hash__(self) -> int:
        return hash(self._url)


class _Status:
    """The part of a `stat` that there is."""

    st_dev = st_ino = 0

    def __init__(self, size: int, changed: int) -> None:
        self.st_size, self.st_mtime_ns = size, changed


def _changed(info: dict[str, Any]) -> int:
    """A number that is another one once the object was written again."""
    for name in ("etag", "ETag", "generation", "md5Hash", "mtime", "LastModified", "updated"):
        value = info.get(name)
        if isinstance(value, datetime.datetime):
            return int(value.timestamp() * 1e9)
        if value is not None:
            return zlib.crc32(str(value).encode())
    return 0


class _Reading:
    """Ranges of an object, fetched as they are asked for."""

    def __init__(self, files: Any, name: str, size: int) -> None:
        self._files, self._name, self._size, self._at = files, name, size, 0

    def seek(self, position: int) -> None:
        """Go to a position."""
        self._at = position

    def read(self, count: int) -> bytes:
        """At most so many bytes."""
        end = min(self._at + count, self._size)
        if end <= self._at:
            return b""
        try:
            data: bytes = self._files.cat_file(self._name, start=self._at, end=end)
        except OSError:
            raise
        except Exception as error:
            raise OSError(0, f"{type(error).__name__}: {error}"[:300]) from error
        self._at += len(data)
        return data

    def __enter__(self) -> _Reading:
        return self

    def __exit__(self, *_: object) -> None:
        return None
