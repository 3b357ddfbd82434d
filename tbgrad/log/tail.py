"""Tail TensorBoard event files, without TensorFlow."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from tensorboard.compat.proto import event_pb2

from tbgrad.log.framing import missing_bytes, next_header, records_in
from tbgrad.log.records import Damage

Event: TypeAlias = Any  # event_pb2.Event: the generated module has no types

CHUNK_BYTES = 8 << 20
FINGERPRINT_BYTES = 64
BATCH_RECORDS = 4096
MAX_DAMAGE = 1000
"""So many damaged places of a file are listed, and that there are more."""

MAX_DOUBTFUL = 16
"""So many of the newest damaged places are looked at again when the file changes."""

CALM_NANOSECONDS = 2_000_000_000
"""A file that changed so short a time ago may change again without a new time of change."""

COMPRESSED = {
    b"\x1f\x8b": ("gzip", "gunzip"),
    b"\x28\xb5\x2f\xfd": ("Zstandard", "unzstd"),
    b"\xfd7zXZ": ("xz", "unxz"),
    b"BZh": ("bzip2", "bunzip2"),
    b"PK\x03\x04": ("zip", "unzip"),
}
"""How files begin that are compressed, by what, and what takes them apart."""


class CompressedError(OSError):
    """A file is compressed; `strerror` says by what and what to do."""


class Batch(NamedTuple):
    """Records that passed their checksums: the offset in the file and the data of each."""

    offsets: list[int]
    contents: list[bytes]


class EventFileTail:
    """Reads an event file as it grows; every `read` continues where the last one ended.

    A record that is not wholly there yet is left for a later `read`. A record whose data fails its
    checksum is skipped; after a length that fails its checksum, reading goes on at the next place
    where a length holds. Both are noted in `damage` once a sound record follows: at the growing end
    they may be bytes that are still on their way, and are looked at again. `offset` is where the
    next `read` begins.

    `path` is a `pathlib.Path`, or what has its `open` and `stat` and lies elsewhere. Batches have
    at most `batch_records` records.

    >>> tail = EventFileTail(Path("runs/a/events.out.tfevents.1"))
    >>> for batch in tail.read():        # all that is there now
    ...     events = [tail.event(*record) for record in zip(*batch)]
    >>> batches = list(tail.read())      # what came since
    """

    def __init__(self, path: Any, batch_records: int = BATCH_RECORDS) -> None:
        self.path = path
        self._batch_records = batch_records
        self.offset = 0
        self.damage: list[Damage] = []
        self._identity: tuple[int, int] | None = None
        self._beginning = b""
        self._latest = (0, b"")
        self._rewritten = False
        self._searched = 0
        self._changed = self._checked = -1
        self._gap_at: int | None = None
        self._suspects: list[tuple[int, str]] = []
        self._doubtful: list[int] = []
        self._end: Damage | None = None
        self._unsettled = False

    def replaced(self) -> bool:
        """Whether what was read is there no more, or damage was mended: read the file anew.

        A file that took the place of the one that was read and goes on where it ended, as rsync
        puts it there, is the same log.
        """
        if self._identity is None or self._rewritten:
            return self._rewritten
        try:
            status = self.path.stat()
            if status.st_size < max(self.offset, self._searched):
                return True
            identity = (status.st_dev, status.st_ino)
            if identity != self._identity or (
                self._doubtful and status.st_mtime_ns != self._checked
            ):
                with self.path.open("rb", buffering=0) as file:
                    self._rewritten = self._beginning_of(file) is None or self._mended(file)
                self._identity = identity
                self._checked = status.st_mtime_ns if _calm(status) else -1
        except FileNotFoundError:
            return True
        except OSError:
            return False  # it may come back; `grown` says what is wrong
        return self._rewritten

    def grown(self) -> bool:
        """Whether there are bytes that were not looked at yet. Costs one `stat`.

        Raises:
            OSError: the file cannot be looked at.
        """
        status = self.path.stat()
        if self._unsettled and status.st_mtime_ns != self._changed:
            return True  # what is no record at the end may have been filled in
        return bool(status.st_size > max(self.offset, self._searched))

    @property
    def stale(self) -> bool:
        """Whether the last look showed that the file is to be read anew."""
        return self._rewritten

    def read(self) -> Iterator[Batch]:
        """Yield the records that are complete now; what was yielded is not read again.

        Raises:
            OSError: the file cannot be opened or read, or is compressed.
        """
        with self.path.open("rb", buffering=0) as file:
            status = os.fstat(file.fileno()) if hasattr(file, "fileno") else self.path.stat()
            beginning = self._beginning_of(file)
            if beginning is None:
                self._rewritten = True
                return
            _refuse_compressed(beginning)
            self._identity = (status.st_dev, status.st_ino)
            self._beginning = beginning
            self._changed = status.st_mtime_ns if _calm(status) else -1
            rest = b""
            while True:
                position = self.offset + len(rest)
                missing = missing_bytes(rest)
                if position + missing > status.st_size:
                    break  # torn: the rest of the record is not there yet
                file.seek(position)
                chunk = file.read(min(max(CHUNK_BYTES, missing), status.st_size - position))
                if not chunk:
                    break
                data = rest + chunk
                start = self.offset
                yield from self._parse(data)
                rest = data[self.offset - start :]
            self._settle(status.st_size)

    def stretch(self, start: int, end: int) -> Iterator[Batch]:
        """Yield the records of a part of the file that was read before.

        Raises:
            OSError: the file cannot be opened or read.
        """
        with self.path.open("rb") as file:
            file.seek(start)
            self.offset = start
            yield from self._parse(file.read(end - start))

    def event(self, offset: int, content: bytes) -> Event | None:
        """The event of a record; None, and noted as damage, where it is none."""
        try:
            return event_pb2.Event.FromString(content)
        except DecodeError:
            self.note(offset, "a record is not an Event; it was skipped")
            return None

    def _parse(self, data: bytes) -> Iterator[Batch]:
        """Yield the complete records of `data`, which begins at `self.offset`."""
        base, position = self.offset, 0
        while True:
            records = records_in(data, position, self._batch_records)
            if records.end > position:
                self._close_gap(base + position)
            sound_until = records.starts[-1] if records.starts else -1
            for start in records.damaged:
                if start > sound_until >= 0:
                    self._confirm()
                    sound_until = -1
                reason = "a record fails its checksum; it was skipped"
                self._suspects.append((base + start, reason))
            if sound_until >= 0:
                self._confirm()
            stands = records.end == position
            position = records.end
            self.offset = base + position
            if records.contents:
                self._latest = self.offset, data[max(0, position - FINGERPRINT_BYTES) : position]
                yield Batch([base + start for start in records.starts], records.contents)
            if records.broken:
                if self._gap_at is None:
                    self._gap_at = base + position
                position = next_header(data, position + 1)
                self.offset = base + position
            elif stands:
                return

    # ------------------------------------------------------------------------ what is no record

    def _close_gap(self, next_record: int) -> None:
        if self._gap_at is not None:
            lost, self._gap_at = self._gap_at, None
            reason = f"{next_record - lost:,} bytes are not records; reading went on after them"
            self._suspects.append((lost, reason))

    def _confirm(self) -> None:
        """Note what is damaged before a sound record."""
        for offset, reason in self._suspects:
            self.note(offset, reason)
            self._doubtful = [*self._doubtful[1 - MAX_DOUBTFUL :], offset]
        self._suspects = []

    def _settle(self, size: int) -> None:
        """All was looked at: go back to what is no record behind the last sound one."""
        self._searched, self._end = size, None
        lost = [offset for offset, _ in self._suspects]
        lost += [] if self._gap_at is None else [self._gap_at]
        self._unsettled = bool(lost)
        if lost:
            reason = f"no whole record in the last {size - lost[0]:,} bytes"
            if len(self._suspects) == 1 and self._gap_at is None and self.offset == size:
                reason = self._suspects[0][1]
            self.offset, self._gap_at, self._suspects = lost[0], None, []
            self._end = Damage(str(self.path), self.offset, reason)
        elif size > self.offset:
            left = size - self.offset
            reason = f"the file ends within a record ({left:,} bytes): being written, or cut off"
            self._end = Damage(str(self.path), self.offset, reason)

    def unfinished(self) -> Damage | None:
        """What is wrong at the end of the file, should nothing be added to it any more."""
        return self._end

    def note(self, offset: int, reason: str) -> None:
        """Note damage at an offset of the file."""
        if len(self.damage) < MAX_DAMAGE:
            self.damage.append(Damage(str(self.path), offset, reason))
        elif len(self.damage) == MAX_DAMAGE:
            self.damage.append(Damage(str(self.path), offset, "from here on more is damaged"))

    # ------------------------------------------------------------------------ the same file

    def _beginning_of(self, file: Any) -> bytes | None:
        """How the file begins; None where it does not have any more what was read of it."""
        beginning: bytes = file.read(FINGERPRINT_BYTES)
        end, latest = self._latest
        if latest:
            file.seek(end - len(latest))
            if file.read(len(latest)) != latest:
                return None
        return beginning if beginning.startswith(self._beginning) else None

    def _mended(self, file: Any) -> bool:
        """Whether there is a whole record now where there was damage."""
        for start in self._doubtful:
            file.seek(start)
            data = file.read(FINGERPRINT_BYTES)
            missing = missing_bytes(data)
            if missing > 1 and not records_in(data, 0, 1).broken:
                data += file.read(missing)
            if records_in(data, 0, 1).contents:
                return True
        return False


def _calm(status: os.stat_result) -> bool:
    """Whether a further change of the file will have another time of change."""
    return time.time_ns() - status.st_mtime_ns > CALM_NANOSECONDS


def _refuse_compressed(beginning: bytes) -> None:
    for magic, (name, command) in COMPRESSED.items():
        if beginning.startswith(magic):
            raise CompressedError(
                0, f"it is compressed with {name}: decompress it first, as with {command}"
            )
