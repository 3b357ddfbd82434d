"""From the records of event files to the values of series, by their bytes where those repeat."""

from __future__ import annotations

import struct
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from tensorboard.compat.proto import summary_pb2

from tbgrad.log.decode import decode, unread
from tbgrad.log.tags import FormatError, Kind
from tbgrad.log.tail import Batch, EventFileTail
from tbgrad.log.wall_time import all_seconds, seconds
from tbgrad.reading.columns import ScalarColumn
from tbgrad.reading.repeats import (
    NUMBER_BYTES,
    STEP,
    TIME_KEY,
    WALL_TIME,
    Template,
    learn,
    step_of,
    tag_bytes,
    values_of,
)
from tbgrad.reading.run import REPLACED
from tbgrad.reading.store import SeriesStore

_DOUBLE = struct.Struct("<d")


class Intake:
    """Decodes the events of one directory into a store.

    TensorBoard keeps the metadata of the first value of a tag; so does this. An intake that goes
    over old ground takes those of the `former` one.
    """

    def __init__(self, store: SeriesStore, former: Intake | None = None) -> None:
        self._store = store
        self._metadata: dict[str, Any] = former._metadata if former is not None else {}
        self._ignored: set[bytes] = former._ignored if former is not None else set()
        self._templates: dict[bytes, dict[int, tuple[str, Template]]] = {}
        self._unlearned: set[tuple[bytes, int]] = set()
        self._scalars: dict[str, _Scalars] = {}
        self._lone_scalars: dict[bytes, _Scalars] = {}

    def take(self, batch: Batch, tail: EventFileTail) -> tuple[int, int]:
        """Take in the records of a batch in their order; the lowest and the highest step."""
        lone = self._lone_scalars
        steps: list[int] = []
        former, step, summary = b"?", 0, 0
        for offset, content in zip(batch.offsets, batch.contents, strict=True):
            head = content[STEP]
            if head != former or not content.startswith(TIME_KEY):
                step, summary = step_of(content)
                # Many events of one step follow one another.
                former = head if 0 < summary < STEP.stop else b"?"
            if not summary:
                steps.append(self._take_event(offset, content, tail))
                continue
            steps.append(step)
            scalars = lone.get(content[summary:-NUMBER_BYTES])
            if scalars is not None:
                scalars.steps.append(step)
                scalars.wall_times.append(content[WALL_TIME])
                scalars.numbers.append(content[-NUMBER_BYTES:])
                continue
            values = values_of(content, summary)
            if values is None or not self._take_values(offset, content, step, values, tail):
                self._take_event(offset, content, tail)
            elif len(values) == 1:
                self._learn_lone(content[summary:-NUMBER_BYTES], values[0])
        for scalars in self._scalars.values():
            scalars.flush(self._store.file)
        return min(steps), max(steps)

    def take_late(self, batch: Batch, tail: EventFileTail, later: Collection[object]) -> bool:
        """Take in a batch of a file although `later` ones, which go before it, were read already.

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
                late = self._store.gives_way(value.tag, event.step, later)
                if late is None:
                    return False
                if late:
                    self._store.leave_out(value.tag, REPLACED)
                else:
                    wall_time = seconds(event.wall_time)
                    self._take_value(value, event.step, wall_time, offset, tail)
        return True

    def _take_values(
        self, offset: int, content: bytes, step: int, values: list[bytes], tail: EventFileTail
    ) -> bool:
        """Take in the values of an event by their bytes; False, and none taken, if one is none."""
        found: list[tuple[Any, Template | None, Any]] = []
        templates, ignored = self._templates, self._ignored
        for value in values:
            key = tag_bytes(value)
            lengths = templates.get(key)
            if lengths is not None and (known := lengths.get(len(value))) is not None:
                numbers = known[1].numbers(value)
                if numbers is not None:
                    found.append((*known, numbers))
                    continue
            elif key in ignored:
                continue
            try:
                parsed = summary_pb2.Summary.Value.FromString(value)
            except DecodeError:
                return False
            if key in templates and parsed.HasField("metadata"):
                return False  # it may say what the next value of the tag in this event is
            found.append((value, None, parsed))
        wall_time = seconds(_DOUBLE.unpack(content[WALL_TIME])[0])
        for tag, template, numbers in found:
            if template is None:
                self._take_value(numbers, step, wall_time, offset, tail, tag)
            elif template.kind is Kind.SCALAR:
                scalars = self._scalars[tag]
                scalars.steps.append(step)
                scalars.wall_times.append(content[WALL_TIME])
                scalars.numbers.append(numbers.tobytes())
            elif template.kind is Kind.HISTOGRAM:
                column = self._store.columns[tag]
                column.begin_file(self._store.file, step)
                column.append(step, wall_time, numbers)
            else:
                try:
                    self._store.keep(tag, step, wall_time, template.kind, numbers)
                except FormatError as error:
                    tail.note(offset, str(error))
        return True

    def _take_event(self, offset: int, content: bytes, tail: EventFileTail) -> int:
        """Take in any event, by the parser of the protocol; its step."""
        event = tail.event(offset, content)
        if event is None:
            return 0
        if event.HasField("session_log"):
            if event.session_log.status == event.session_log.START:
                for scalars in self._scalars.values():
                    scalars.flush(self._store.file)
                self._store.restart(event.step)
            return int(event.step)
        wall_time = seconds(event.wall_time)
        for value in event.summary.value:
            self._take_value(value, event.step, wall_time, offset, tail)
        return int(event.step)

    def _take_value(
        self,
        value: Any,
        step: int,
        wall_time: float,
        offset: int,
        tail: EventFileTail,
        content: bytes = b"",
    ) -> None:
        """Take in one value; by its bytes `content` the next ones like it are taken in faster."""
        tag = value.tag
        if self._store.is_told_twice(tag):
            self._ignored.add(tag.encode())
            return
        has_metadata = value.HasField("metadata")
        if has_metadata and tag not in self._metadata:
            self._metadata[tag] = value.metadata
            self._templates.pop(tag.encode(), None)
            self._lone_scalars.clear()
        try:
            decoded = decode(value, self._metadata.get(tag))
            if decoded is None:
                what = unread(value, self._metadata.get(tag))
                self._store.leave_out(tag, f"not read: {what}")
                return
            if tag in self._scalars:
                self._scalars[tag].flush(self._store.file)
            self._store.keep(tag, step, wall_time, *decoded)
        except FormatError as error:
            tail.note(offset, str(error))
            return
        if not has_metadata:
            self._learn(tag, content, *decoded)

    def _learn(self, tag: str, content: bytes, kind: Kind, decoded: Any) -> None:
        """Keep the template of a value's bytes, where it has one."""
        key = tag_bytes(content)
        if not key or (key, len(content)) in self._unlearned:
            return
        template = learn(content, self._metadata.get(tag), kind, decoded)
        column = self._store.columns.get(tag)
        if template is None or column is None or column.kind is not template.kind:
            self._unlearned.add((key, len(content)))
            return
        self._templates.setdefault(key, {})[len(content)] = tag, template
        if isinstance(column, ScalarColumn) and tag not in self._scalars:
            self._scalars[tag] = _Scalars(column)

    def _learn_lone(self, summary: bytes, value: bytes) -> None:
        """Keep what comes ahead of the number in events of this one scalar alone."""
        known = self._templates.get(tag_bytes(value), {}).get(len(value))
        if known is not None and known[1].is_scalar(value):
            self._lone_scalars[summary] = self._scalars[known[0]]


@dataclass
class _Scalars:
    """Numbers of one series that were read and wait to be added to it all at once."""

    column: ScalarColumn
    steps: list[int] = field(default_factory=list)
    wall_times: list[bytes] = field(default_factory=list)
    numbers: list[bytes] = field(default_factory=list)

    def flush(self, file: object) -> None:
        """Add them; they are of this file."""
        if self.steps:
            wall_times = all_seconds(np.frombuffer(b"".join(self.wall_times), "<f8"))
            self.column.begin_file(file, self.steps[0])
            self.column.extend(
                np.array(self.steps, dtype=np.int64),
                wall_times,
                np.frombuffer(b"".join(self.numbers), "<f4").astype(np.float64),
            )
            self.steps, self.wall_times, self.numbers = [], [], []
