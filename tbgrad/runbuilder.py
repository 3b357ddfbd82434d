"""Put a run together from the events of its files: restarts, manifests, rows and columns."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from tensorboard.compat.proto import summary_pb2

from tbgrad import logformat
from tbgrad.columns import Column, PackedColumn, ScalarColumn, column_for
from tbgrad.eventfile import Batch, EventFileTail
from tbgrad.framing import FOOTER_BYTES, HEADER_BYTES
from tbgrad.logformat import FormatError, Kind
from tbgrad.records import Manifest, Parameter, distinct
from tbgrad.run import Run, Series
from tbgrad.tags import group_name, in_group, split_group
from tbgrad.templates import (
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

_DOUBLE = struct.Struct("<d")


@dataclass
class _Rows:
    """The rows of the packed series of one group: those of its newest manifest, then others."""

    manifest: Manifest | None = None
    parameters: tuple[Parameter, ...] = ()
    names: tuple[str, ...] = ()

    def fit(self, kind: Kind, value: NDArray[Any]) -> NDArray[Any]:
        """Rows in the order of `Run.parameters`, which may have more than this manifest."""
        manifest = self.manifest
        assert manifest is not None
        width = (
            len(manifest.statistics) if kind is Kind.PARAMETERS else manifest.histogram_bins.columns
        )
        if value.shape != (len(manifest.parameters), width):
            raise FormatError(
                f"{kind.value} of shape {value.shape} do not fit the manifest, which has "
                f"{len(manifest.parameters)} parameters and {width} columns"
            )
        missing = len(self.parameters) - len(value)
        if missing == 0:
            return value
        return np.concatenate([value, np.full((missing, width), _BLANKS[kind], value.dtype)])

    def adopt(self, manifest: Manifest, columns: Iterable[PackedColumn]) -> None:
        """Take a new manifest and bring what was read so far into its order of rows and columns."""
        former, former_names = self.manifest, self.names
        current = set(manifest.names)
        vanished = [i for i, name in enumerate(former_names) if name not in current]
        self.parameters = manifest.parameters + tuple(self.parameters[i] for i in vanished)
        self.names = manifest.names + tuple(former_names[i] for i in vanished)
        self.manifest = manifest
        if former is None:
            return
        rows = _positions(self.names, former_names)
        order = _positions(distinct(manifest.statistics), distinct(former.statistics))
        for column in columns:
            if column.kind is Kind.PARAMETERS:
                column.rearrange(rows, order, _BLANKS[column.kind])
            elif (
                column.kind is Kind.HISTOGRAMS and manifest.histogram_bins != former.histogram_bins
            ):
                column.forget()
            elif column.kind is Kind.HISTOGRAMS:
                column.rearrange(rows, None, _BLANKS[column.kind])


class RunBuilder:
    """Reads the event files of one directory into columns, `bounded` in memory or not.

    `problems` maps unreadable files to why.
    """

    def __init__(self, name: str, bounded: bool = False) -> None:
        self.name = name
        self.problems: dict[str, str] = {}
        self._bounded = bounded
        self._tails: dict[Path, EventFileTail] = {}
        self._columns: dict[str, Column] = {}
        self._metadata: dict[str, Any] = {}
        self._groups: dict[str, _Rows] = {}
        self._templates: dict[bytes, dict[int, tuple[str, Template]]] = {}
        self._unlearned: set[tuple[bytes, int]] = set()
        self._expected = 0
        self._ignored: set[bytes] = set()
        self._stretches: list[_Stretch] = []
        self._scalars: dict[str, _Scalars] = {}
        self._lone_scalars: dict[bytes, _Scalars] = {}

    def outdated(self, paths: list[Path]) -> bool:
        """Whether a file read earlier was deleted, cut or replaced, so that all is to be reread."""
        return not self._tails.keys() <= set(paths) or any(
            tail.replaced() for tail in self._tails.values()
        )

    def read(self, paths: list[Path], deadline: float) -> bool:
        """Take in what is new in the files until `deadline`; whether there was anything."""
        before = self.bytes_read
        self.problems = {}
        self._expected = sum(path.stat().st_size for path in paths if path.exists())
        for path in paths:
            tail = self._tails.setdefault(path, EventFileTail(path))
            try:
                if tail.grown():
                    for batch in tail.read():
                        self._take(batch, tail)
                        if time.monotonic() > deadline:
                            return True
            except OSError as error:
                self.problems[str(path)] = error.strerror or str(error)
        return self.bytes_read > before

    def freeze(self, last_look: bool = False) -> dict[str, Run]:
        """The run as it is now, by name; with the ends of files that are no records if the last.

        Each group of parameters is a run of its own, named as if it were a directory in this one.
        """
        damage = [d for tail in self._tails.values() for d in tail.damage]
        if last_look:
            ends = (tail.unfinished() for tail in self._tails.values())
            damage += [end for end in ends if end is not None]
        ordered = tuple(sorted(damage, key=lambda d: (d.file, d.offset)))
        series: dict[str, dict[str, Series]] = {"": {}, **{group: {} for group in self._groups}}
        for tag, column in self._columns.items():
            if column.begun:
                group, own = self._place(tag)
                series[group][own] = column.freeze()
        runs: dict[str, Run] = {}
        for group, found in series.items():
            if found or group or len(series) == 1:
                rows = self._groups.get(group, _Rows())
                name = group_name(self.name, group)
                runs[name] = Run(
                    name=name,
                    series=found,
                    manifest=rows.manifest,
                    parameters=rows.parameters,
                    names=rows.names,
                    # Of the whole directory: told once, so that sums over runs are right.
                    damage=() if runs else ordered,
                    bytes_read=0 if runs else self.bytes_read,
                )
        return runs

    def _place(self, tag: str) -> tuple[str, str]:
        """The group that a series belongs to, and its tag there."""
        for group in self._groups:
            if group and tag.startswith(f"{group}/"):
                return group, tag[len(group) + 1 :]
        return "", tag

    @property
    def bytes_read(self) -> int:
        """Of all files."""
        return sum(tail.offset for tail in self._tails.values())

    def _take(self, batch: Batch, tail: EventFileTail) -> None:
        """Take in the records of a batch, in their order."""
        lone = self._lone_scalars
        steps: list[int] = []
        manifests = self._manifests
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
                known = self._known(values[0])
                if known is not None and known[1].is_scalar(values[0]):
                    lone[content[summary:-NUMBER_BYTES]] = self._scalars[known[0]]
        for scalars in self._scalars.values():
            scalars.flush()
        if self._bounded:
            end = batch.offsets[-1] + len(batch.contents[-1]) + HEADER_BYTES + FOOTER_BYTES
            self._stretches.append(
                _Stretch(tail.path, batch.offsets[0], end, min(steps), max(steps), manifests)
            )

    def reread(self, first_step: int, last_step: int) -> dict[str, Run]:
        """All that was written of the steps between these, both included, and maybe some more.

        Raises:
            OSError: a file cannot be read any more.
        """
        builder = RunBuilder(self.name)
        builder._metadata, builder._ignored = self._metadata, self._ignored
        for stretch in self._stretches:
            if stretch.first_step <= last_step and stretch.last_step >= first_step:
                builder._adopt_all(stretch.manifests)
                tail = EventFileTail(stretch.path)
                for batch in tail.stretch(stretch.start, stretch.end):
                    builder._take(batch, tail)
        builder._adopt_all(self._manifests)
        return builder.freeze()

    @property
    def _manifests(self) -> dict[str, Manifest]:
        """The newest of every group."""
        return {name: rows.manifest for name, rows in self._groups.items() if rows.manifest}

    def _adopt_all(self, manifests: Mapping[str, Manifest]) -> None:
        for group, manifest in manifests.items():
            if self._manifests.get(group) is not manifest:
                self._adopt(group, manifest)

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
                found.append((value, None, summary_pb2.Summary.Value.FromString(value)))
            except DecodeError:
                return False
        (wall_time,) = _DOUBLE.unpack(content[WALL_TIME])
        for tag, template, numbers in found:
            if template is None:
                self._take_value(numbers, step, wall_time, offset, tail, tag)
            elif template.kind is Kind.SCALAR:
                scalars = self._scalars[tag]
                scalars.steps.append(step)
                scalars.wall_times.append(content[WALL_TIME])
                scalars.numbers.append(numbers.tobytes())
            elif template.kind is Kind.HISTOGRAM:
                self._columns[tag].append(step, wall_time, numbers)
            else:
                try:
                    self._keep(tag, step, wall_time, template.kind, numbers)
                except FormatError as error:
                    tail.note(offset, str(error))
        return True

    def _known(self, value: bytes) -> tuple[str, Template] | None:
        """The tag and the template that a value of these bytes may have."""
        lengths = self._templates.get(tag_bytes(value))
        return lengths.get(len(value)) if lengths is not None else None

    def _take_event(self, offset: int, content: bytes, tail: EventFileTail) -> int:
        """Take in any event, by the parser of the protocol; its step."""
        event = tail.event(offset, content)
        if event is None:
            return 0
        if event.HasField("session_log"):
            if event.session_log.status == event.session_log.START:
                for scalars in self._scalars.values():
                    scalars.flush()
                for column in self._columns.values():
                    column.truncate(event.step)
            return int(event.step)
        for value in event.summary.value:
            self._take_value(value, event.step, event.wall_time, offset, tail)
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
        if self._bounded and self._groups and self._is_told_twice(tag):
            self._ignored.add(tag.encode())
            return
        has_metadata = value.HasField("metadata")
        if has_metadata and tag not in self._metadata:
            self._metadata[tag] = value.metadata
            self._templates.pop(tag.encode(), None)
            self._lone_scalars.clear()
        metadata = self._metadata.get(tag)
        try:
            decoded = logformat.decode(value, metadata)
            if decoded is None:
                return
            if tag in self._scalars:
                self._scalars[tag].flush()
            self._keep(tag, step, wall_time, *decoded)
        except FormatError as error:
            tail.note(offset, str(error))
            return
        key = tag_bytes(content)
        if key and not has_metadata and (key, len(content)) not in self._unlearned:
            template = learn(content, metadata, *decoded)
            column = self._columns.get(tag)
            if template is None or column is None or column.kind is not template.kind:
                self._unlearned.add((key, len(content)))
            else:
                self._templates.setdefault(key, {})[len(content)] = tag, template
                if isinstance(column, ScalarColumn) and tag not in self._scalars:
                    self._scalars[tag] = _Scalars(column)

    def _is_told_twice(self, tag: str) -> bool:
        """Whether it is a histogram for TensorBoard of what our packed ones tell."""
        return self._place(tag)[1].startswith(logformat.HISTOGRAM_PREFIX)

    def _keep(self, tag: str, step: int, wall_time: float, kind: Kind, value: Any) -> None:
        if kind is Kind.MANIFEST:
            self._adopt(split_group(tag)[0], value)
            return
        if kind in (Kind.PARAMETERS, Kind.HISTOGRAMS):
            group = split_group(tag)[0]
            if group not in self._groups:
                rows, width = value.shape
                nameless = Manifest.nameless(rows, width if kind is Kind.PARAMETERS else None)
                self._adopt(group, nameless)
            value = self._groups[group].fit(kind, value)
        column = self._columns.get(tag)
        if column is None:
            column = self._columns[tag] = column_for(kind, self._bounded)
            if isinstance(column, PackedColumn):
                column.expected_bytes = self._expected
        if column.kind is kind:
            column.append(step, wall_time, value)

    def _adopt(self, group: str, manifest: Manifest) -> None:
        tags = (in_group(group, tag) for tag in (logformat.PARAMETERS, logformat.HISTOGRAMS))
        columns = (self._columns.get(tag) for tag in tags)
        packed = [column for column in columns if isinstance(column, PackedColumn)]
        self._groups.setdefault(group, _Rows()).adopt(manifest, packed)


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A part of a file: between which steps its events are, and the manifests ahead of them."""

    path: Path
    start: int
    end: int
    first_step: int
    last_step: int
    manifests: Mapping[str, Manifest]


@dataclass
class _Scalars:
    """Numbers of one series that were read and wait to be added to it all at once."""

    column: ScalarColumn
    steps: list[int] = field(default_factory=list)
    wall_times: list[bytes] = field(default_factory=list)
    numbers: list[bytes] = field(default_factory=list)

    def flush(self) -> None:
        """Add them."""
        if self.steps:
            self.column.extend(
                np.array(self.steps, dtype=np.int64),
                np.frombuffer(b"".join(self.wall_times), "<f8"),
                np.frombuffer(b"".join(self.numbers), "<f4").astype(np.float64),
            )
            self.steps, self.wall_times, self.numbers = [], [], []


_BLANKS = {Kind.PARAMETERS: np.nan, Kind.HISTOGRAMS: 0}


def _positions(wanted: Sequence[str], present: Sequence[str]) -> NDArray[np.intp]:
    """Index in `present` of every name in `wanted`, -1 for those that are missing."""
    where = {name: i for i, name in enumerate(present)}
    return np.array([where.get(name, -1) for name in wanted], dtype=np.intp)
