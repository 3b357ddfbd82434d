"""From the records of event files into a store, by their bytes where those repeat."""

from __future__ import annotations

import struct
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from tensorboard.compat.proto import summary_pb2

from tbgrad.log.decode import decode, unread
from tbgrad.log.tags import STEPS, FormatError, Kind, split_group
from tbgrad.log.tail import Batch, EventFileTail
from tbgrad.log.wall_time import all_seconds, seconds
from tbgrad.reading.left_out import REPLACED
from tbgrad.reading.repeats import (
    NUMBER_BYTES,
    STEP,
    TIME_KEY,
    WALL_TIME,
    Repeat,
    repeat_of,
    step_of,
    tag_bytes,
    values_of,
)
from tbgrad.reading.store import SeriesStore

_DOUBLE = struct.Struct("<d")
_NEVER = 2**63 - 1


class EventParser:
    """Decodes the events of one directory into a store.

    TensorBoard keeps the metadata of the first value of a tag; so does this. A parser that goes
    over old ground has those of the `former` one.
    """

    def __init__(self, store: SeriesStore, former: EventParser | None = None) -> None:
        self._store = store
        self._metadata: dict[str, Any] = former._metadata if former is not None else {}
        self._ignored: set[bytes] = former._ignored if former is not None else set()
        self._repeats: dict[bytes, dict[int, tuple[str, Repeat]]] = {}
        self._irregular: set[tuple[bytes, int]] = set()
        self._scalars: dict[str, _Scalars] = {}
        self._lone_scalars: dict[bytes, _Scalars] = {}
        self._reaching = _NEVER

    def parse(self, batch: Batch, tail: EventFileTail) -> tuple[int, int]:
        """Add the records of a batch in their order; the lowest and the highest step in them."""
        lone = self._lone_scalars
        self._reaching = _NEVER
        steps: list[int] = []
        former, step, summary = b"?", 0, 0
        for offset, content in zip(batch.offsets, batch.contents, strict=True):
            head = content[STEP]
            if head != former or not content.startswith(TIME_KEY):
                step, summary = step_of(content)
                # Many events of one step follow one another.
                former = head if 0 < summary < STEP.stop else b"?"
            if not summary:
                steps.append(self._parse_event(offset, content, tail))
                continue
            steps.append(step)
            scalars = lone.get(content[summary:-NUMBER_BYTES])
            if scalars is not None:
                scalars.steps.append(step)
                scalars.wall_times.append(content[WALL_TIME])
                scalars.numbers.append(content[-NUMBER_BYTES:])
                continue
            values = values_of(content, summary)
            if values is None or not self._parse_values(offset, content, step, values, tail):
                self._parse_event(offset, content, tail)
            elif len(values) == 1:
                self._remember_lone(content[summary:-NUMBER_BYTES], values[0])
        for scalars in self._scalars.values():
            scalars.flush(self._store)
        return min(self._reaching, *steps), max(steps)

    def parse_late(self, batch: Batch, tail: EventFileTail, later: Collection[object]) -> bool:
        """Add a batch of a file although `later` ones, which go behind it, were read already.

        False where these have to be read anew, as if they had come behind it.
        """
        for offset, content in zip(batch.offsets, batch.contents, strict=True):
            event = tail.event(offset, content)
            if event is None:
                continue
            if (
                event.HasField("session_log")
                and event.session_log.status == event.session_log.START
            ):
                return False
            for value in event.summary.value:
                if self._store.is_redundant(value.tag):
                    continue
                first = self._first_step(value) if split_group(value.tag)[1] == STEPS else None
                replaced = self._store.replaced_by(later, value.tag, event.step, first)
                if replaced is None:
                    return False
                if replaced:
                    self._store.leave_out(value.tag, REPLACED)
                else:
                    wall_time = seconds(event.wall_time)
                    self._parse_value(value, event.step, wall_time, offset, tail)
        return True

    def _first_step(self, value: Any) -> int | None:
        """Where a block of steps begins; None where it is none."""
        try:
            decoded = decode(value, self._metadata.get(value.tag))
        except FormatError:
            return None
        return None if decoded is None else int(decoded[1].first_step)

    def _parse_values(
        self, offset: int, content: bytes, step: int, values: list[bytes], tail: EventFileTail
    ) -> bool:
        """Add the values of an event by their bytes; False, and none added, if one is none."""
        parts: list[tuple[Any, Repeat | None, Any]] = []
        repeats, ignored = self._repeats, self._ignored
        for value in values:
            key = tag_bytes(value)
            lengths = repeats.get(key)
            if lengths is not None and (known := lengths.get(len(value))) is not None:
                numbers = known[1].numbers(value)
                if numbers is not None:
                    parts.append((*known, numbers))
                    continue
            elif key in ignored:
                continue
            try:
                parsed = summary_pb2.Summary.Value.FromString(value)
            except DecodeError:
                return False
            if key in repeats and parsed.HasField("metadata"):
                return False  # it may say what the next value of the tag in this event is
            parts.append((value, None, parsed))
        wall_time = seconds(_DOUBLE.unpack(content[WALL_TIME])[0])
        for tag, repeat, numbers in parts:
            if repeat is None:
                self._parse_value(numbers, step, wall_time, offset, tail, tag)
            elif repeat.kind is Kind.SCALAR:
                scalars = self._scalars[tag]
                scalars.steps.append(step)
                scalars.wall_times.append(content[WALL_TIME])
                scalars.numbers.append(numbers.tobytes())
            else:
                try:
                    self._store.add(tag, step, wall_time, repeat.kind, numbers)
                except FormatError as error:
                    tail.note(offset, str(error))
        return True

    def _parse_event(self, offset: int, content: bytes, tail: EventFileTail) -> int:
        """Add any event, by the parser of the protocol; its step."""
        event = tail.event(offset, content)
        if event is None:
            return 0
        if event.HasField("session_log"):
            if event.session_log.status == event.session_log.START:
                for scalars in self._scalars.values():
                    scalars.flush(self._store)
                self._store.restart(event.step)
            return int(event.step)
        wall_time = seconds(event.wall_time)
        for value in event.summary.value:
            self._parse_value(value, event.step, wall_time, offset, tail)
        return int(event.step)

    def _parse_value(
        self,
        value: Any,
        step: int,
        wall_time: float,
        offset: int,
        tail: EventFileTail,
        content: bytes = b"",
    ) -> None:
        """Add one value; by its bytes `content` the next ones like it are added faster."""
        tag = value.tag
        if self._store.is_redundant(tag):
            self._ignored.add(tag.encode())
            return
        has_metadata = value.HasField("metadata")
        if has_metadata and tag not in self._metadata:
            self._metadata[tag] = value.metadata
            self._repeats.pop(tag.encode(), None)
            self._lone_scalars.clear()
        try:
            decoded = decode(value, self._metadata.get(tag))
            if decoded is None:
                what = unread(value, self._metadata.get(tag))
                self._store.leave_out(tag, f"not read: {what}")
                return
            if tag in self._scalars:
                self._scalars[tag].flush(self._store)
            if decoded[0] is Kind.STEPS:
                self._reaching = min(self._reaching, decoded[1].first_step)
            self._store.add(tag, step, wall_time, *decoded)
        except FormatError as error:
            tail.note(offset, str(error))
            return
        if not has_metadata:
            self._remember(tag, content, *decoded)

    def _remember(self, tag: str, content: bytes, kind: Kind, decoded: Any) -> None:
        """Keep how the bytes of a value repeat, where they do."""
        key = tag_bytes(content)
        if not key or (key, len(content)) in self._irregular:
            return
        repeat = repeat_of(content, self._metadata.get(tag), kind, decoded)
        if repeat is None or self._store.kind(tag) is not repeat.kind:
            self._irregular.add((key, len(content)))
            return
        self._repeats.setdefault(key, {})[len(content)] = tag, repeat
        if repeat.kind is Kind.SCALAR and tag not in self._scalars:
            self._scalars[tag] = _Scalars(tag)

    def _remember_lone(self, summary: bytes, value: bytes) -> None:
        """Keep what comes ahead of the number in events of this one scalar alone."""
        known = self._repeats.get(tag_bytes(value), {}).get(len(value))
        if known is not None and known[1].is_scalar(value):
            self._lone_scalars[summary] = self._scalars[known[0]]


@dataclass
class _Scalars:
    """Numbers of one series that were read and wait to be added to it all at once."""

    tag: str
    steps: list[int] = field(default_factory=list)
    wall_times: list[bytes] = field(default_factory=list)
    numbers: list[bytes] = field(default_factory=list)

    def flush(self, store: SeriesStore) -> None:
        """Add them."""
        if self.steps:
            store.extend(
                self.tag,
                np.array(self.steps, dtype=np.int64),
                all_seconds(np.frombuffer(b"".join(self.wall_times), "<f8")),
                np.frombuffer(b"".join(self.numbers), "<f4").astype(np.float64),
            )
            self.steps, self.wall_times, self.numbers = [], [], []
