"""Read and tail TensorBoard event files, without TensorFlow.

An event file is a sequence of records: an 8-byte little-endian length, the masked CRC32C of these
8 bytes, the data (an `Event` protocol buffer), and the masked CRC32C of the data. This module is
the only place that knows the framing, in both directions.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import google_crc32c
import numpy as np
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from tensorboard.compat.proto import event_pb2

from tbgrad.records import Damage

Event: TypeAlias = Any  # event_pb2.Event: the generated module has no types

HEADER_BYTES = 12
FOOTER_BYTES = 4
CHUNK_BYTES = 8 << 20
SEARCH_BYTES = 64 << 10
FINGERPRINT_BYTES = 64
MAX_RECORD_BYTES = 1 << 30
"""A longer record is taken for damage: no event is, and nobody has the memory."""

_LENGTH = struct.Struct("<Q")
_CHECKSUM = struct.Struct("<I")
_HEADER = struct.Struct("<QI")


def masked_crc32c(data: bytes) -> int:
    """The checksum that guards lengths and data: CRC32C, rotated by 15 bits and offset."""
    crc: int = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


_EMPTY_CHECKSUM = masked_crc32c(_LENGTH.pack(0))


def frame(data: bytes) -> bytes:
    """One record around `data`, as it stands in the file."""
    length = _LENGTH.pack(len(data))
    return b"".join(
        (
            length,
            _CHECKSUM.pack(masked_crc32c(length)),
            data,
            _CHECKSUM.pack(masked_crc32c(data)),
        )
    )


def is_event_file(name: str) -> bool:
    """Whether TensorBoard would take a file of this name for an event file."""
    return "tfevents" in name


def find_event_files(logdir: Path, problems: dict[str, str] | None = None) -> dict[str, list[Path]]:
    """Event files below `logdir` by run name, in the order in which TensorBoard reads them.

    A run is a directory that holds event files; its name is its path relative to `logdir`, "." for
    `logdir` itself. What cannot be read goes into `problems` (path -> reason). Symbolic links are
    followed; a directory that is reached twice counts once, under its own name where it has one.
    """
    runs: dict[str, list[Path]] = {}
    seen: set[tuple[int, int]] = set()
    pending = [Path(logdir)]
    links: list[Path] = []
    while pending or links:
        directory = pending.pop() if pending else links.pop()
        try:
            status = directory.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(directory) as entries:
                listing = sorted(entries, key=lambda entry: entry.name, reverse=True)
        except OSError as error:
            if problems is not None:
                problems[str(directory)] = error.strerror or str(error)
            continue
        files = []
        for entry in listing:
            try:
                if entry.is_dir():
                    (links if entry.is_symlink() else pending).append(Path(entry.path))
                elif is_event_file(entry.name) and entry.is_file():
                    files.append(Path(entry.path))
            except OSError as error:  # noqa: PERF203 - one bad entry must not hide the others
                if problems is not None:
                    problems[entry.path] = error.strerror or str(error)
        if files:
            runs[directory.relative_to(logdir).as_posix()] = sorted(files)
    return dict(sorted(runs.items()))


class EventFileTail:
    """Reads an event file as it grows; every `read` continues where the last one ended.

    A record that is not wholly there yet is left for a later `read`. A record whose data fails its
    checksum is skipped; after a length that fails its checksum, reading goes on at the next place
    where a length holds. Both are noted in `damage`. `offset` is where the next `read` begins,
    `event_offset` where the event that was yielded last stands.

    >>> tail = EventFileTail(Path("runs/a/events.out.tfevents.1"))
    >>> events = list(tail.read())       # all that is there now
    >>> events = list(tail.read())       # what came since
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0
        self.event_offset = 0
        self.damage: list[Damage] = []
        self._identity: tuple[int, int] | None = None
        self._beginning = b""
        self._rewritten = False
        self._lost_at: int | None = None
        self._searched = 0

    def replaced(self) -> bool:
        """Whether the file was replaced, cut or deleted since the last read: read it anew."""
        if self._identity is None or self._rewritten:
            return self._rewritten
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return True
        except OSError:
            return False  # it may come back; `grown` says what is wrong
        identity = (status.st_dev, status.st_ino)
        return identity != self._identity or status.st_size < max(self.offset, self._searched)

    def grown(self) -> bool:
        """Whether there are bytes that were not looked at yet. Costs one `stat`.

        Raises:
            OSError: the file cannot be looked at.
        """
        return self.path.stat().st_size > max(self.offset, self._searched)

    def read(self) -> Iterator[Event]:
        """Yield the events that are complete now.

        Raises:
            OSError: the file cannot be opened or read.
        """
        with self.path.open("rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            self._identity = (status.st_dev, status.st_ino)
            beginning = file.read(FINGERPRINT_BYTES)
            if not beginning.startswith(self._beginning):
                self._rewritten = True
                return
            self._beginning = beginning
            rest = b""
            while True:
                position = self.offset + len(rest)
                missing = self._missing_bytes(rest)
                if position + missing > status.st_size:
                    self._searched = status.st_size
                    return  # torn: the rest of the record is not there yet
                file.seek(position)
                chunk = file.read(min(max(CHUNK_BYTES, missing), status.st_size - position))
                if not chunk:
                    return
                data = rest + chunk
                start = self.offset
                yield from self._parse(data)
                rest = data[self.offset - start :]

    def _missing_bytes(self, rest: bytes) -> int:
        if len(rest) < HEADER_BYTES:
            return 1
        return HEADER_BYTES + int(_LENGTH.unpack_from(rest)[0]) + FOOTER_BYTES - len(rest)

    def _parse(self, data: bytes) -> Iterator[Event]:
        """Yield the complete records of `data`, which begins at `self.offset`."""
        base, position, end = self.offset, 0, len(data)
        while position + HEADER_BYTES <= end:
            length, checksum = _HEADER.unpack_from(data, position)
            sound = masked_crc32c(data[position : position + 8]) == checksum
            if not sound or length > MAX_RECORD_BYTES:
                if self._lost_at is None:
                    self._lost_at = base + position
                position = _next_header(data, position + 1)
                self.offset = base + position
                continue
            body = position + HEADER_BYTES
            following = body + length + FOOTER_BYTES
            if following > end:
                break
            self._note_gap(base + position)
            content = data[body : body + length]
            event = None
            if masked_crc32c(content) != _CHECKSUM.unpack_from(data, body + length)[0]:
                self._note(base + position, "a record fails its checksum; it was skipped")
            else:
                try:
                    event = event_pb2.Event.FromString(content)
                except DecodeError:
                    self._note(base + position, "a record is not an Event; it was skipped")
            self.event_offset = base + position
            position = following
            self.offset = base + position
            if event is not None:
                yield event

    def _note_gap(self, found: int) -> None:
        if self._lost_at is not None:
            lost, self._lost_at = self._lost_at, None
            self._note(lost, f"{found - lost:,} bytes are not records; reading went on after them")

    def unfinished(self) -> Damage | None:
        """What is wrong at the end of the file, should nothing be added to it any more."""
        start = self.offset if self._lost_at is None else self._lost_at
        left = self._searched - start
        if left <= 0:
            return None
        reason = f"the file ends within a record ({left:,} bytes): being written, or cut off"
        if self._lost_at is not None:
            reason = f"no whole record in the last {left:,} bytes"
        return Damage(str(self.path), start, reason)

    def _note(self, offset: int, reason: str) -> None:
        self.damage.append(Damage(str(self.path), offset, reason))


def _next_header(data: bytes, start: int) -> int:
    """The first position from `start` where a length holds, or else the first one cut off."""
    end = max(start, len(data) - HEADER_BYTES + 1)
    for block in range(start, end, SEARCH_BYTES):
        count = min(SEARCH_BYTES, end - block)
        lengths = np.ndarray((count,), "<u8", data, block, (1,))
        checksums = np.ndarray((count,), "<u4", data, block + _LENGTH.size, (1,))
        possible = (lengths <= MAX_RECORD_BYTES) & ((lengths > 0) | (checksums == _EMPTY_CHECKSUM))
        for i in np.flatnonzero(possible).tolist():
            if masked_crc32c(data[block + i : block + i + _LENGTH.size]) == checksums[i]:
                return int(block + i)
    return end
