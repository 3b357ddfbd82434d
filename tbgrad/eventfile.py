"""Find and tail TensorBoard event files, without TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from tensorboard.compat.proto import event_pb2

from tbgrad.framing import missing_bytes, next_header, records_in
from tbgrad.records import Damage

Event: TypeAlias = Any  # event_pb2.Event: the generated module has no types

CHUNK_BYTES = 8 << 20
FINGERPRINT_BYTES = 64
BATCH_RECORDS = 4096
MAX_DAMAGE = 1000
"""So many damaged places of a file are listed, and that there are more."""


class Batch(NamedTuple):
    """Records that passed their checksums: the offset in the file and the data of each."""

    offsets: list[int]
    contents: list[bytes]


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
    where a length holds. Both are noted in `damage`. `offset` is where the next `read` begins.

    >>> tail = EventFileTail(Path("runs/a/events.out.tfevents.1"))
    >>> for batch in tail.read():        # all that is there now
    ...     events = [tail.event(*record) for record in zip(*batch)]
    >>> batches = list(tail.read())      # what came since
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0
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

    def read(self) -> Iterator[Batch]:
        """Yield the records that are complete now; what was yielded is not read again.

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
                missing = missing_bytes(rest)
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
            found = records_in(data, position, BATCH_RECORDS)
            if found.end > position:
                self._note_gap(base + position)
            for start in found.damaged:
                self.note(base + start, "a record fails its checksum; it was skipped")
            stands = found.end == position
            position = found.end
            self.offset = base + position
            if found.contents:
                yield Batch([base + start for start in found.starts], found.contents)
            if found.broken:
                if self._lost_at is None:
                    self._lost_at = base + position
                position = next_header(data, position + 1)
                self.offset = base + position
            elif stands:
                return

    def _note_gap(self, found: int) -> None:
        if self._lost_at is not None:
            lost, self._lost_at = self._lost_at, None
            self.note(lost, f"{found - lost:,} bytes are not records; reading went on after them")

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

    def note(self, offset: int, reason: str) -> None:
        """Note damage at an offset of the file."""
        if len(self.damage) < MAX_DAMAGE:
            self.damage.append(Damage(str(self.path), offset, reason))
        elif len(self.damage) == MAX_DAMAGE:
            self.damage.append(Damage(str(self.path), offset, "from here on more is damaged"))
