"""Put a run together from the events of its files: restarts, manifests, rows and columns."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad import logformat
from tbgrad.eventfile import Event, EventFileTail
from tbgrad.logformat import FormatError, Kind
from tbgrad.records import Damage, Manifest, Parameter, distinct
from tbgrad.run import Run, Series


@dataclass
class _Column:
    """A series under construction: arrays that grow by doubling.

    What was handed out by `freeze` is never written again: `shared` counts those entries.
    """

    kind: Kind
    count: int = 0
    shared: int = 0
    steps: NDArray[np.int64] = field(default_factory=lambda: np.zeros(16, np.int64))
    wall_times: NDArray[np.float64] = field(default_factory=lambda: np.zeros(16))
    values: NDArray[Any] = field(default_factory=lambda: np.zeros(0))

    def append(self, step: int, wall_time: float, value: Any) -> None:
        """Add a value; those at or after its step give way to it, as in TensorBoard's server."""
        if self.count and step <= self.steps[self.count - 1]:
            self.truncate(step)
        if self.count == 0:
            self.values = self._room(value)
        elif self.count == len(self.steps):
            self._resize(2 * self.count)
        self.steps[self.count] = step
        self.wall_times[self.count] = wall_time
        self.values[self.count] = value
        self.count += 1

    def truncate(self, step: int) -> None:
        """Forget everything at or after `step`: a new session of the run replaces it."""
        self.count = int(np.searchsorted(self.steps[: self.count], step))
        if self.count < self.shared:
            self._resize(len(self.steps))

    def rearrange(
        self, rows: NDArray[np.intp], columns: NDArray[np.intp] | None, blank: float
    ) -> None:
        """Bring packed values into another order of rows and columns; -1 makes a blank one."""
        if self.count == 0:
            return
        values = self.values[:, rows]
        values[:, rows < 0] = blank
        if columns is not None:
            values = values[:, :, columns]
            values[:, :, columns < 0] = blank
        self.values = values

    def freeze(self) -> Series:
        self.shared = self.count
        return Series(
            self.kind,
            _read_only(self.steps[: self.count]),
            _read_only(self.wall_times[: self.count]),
            _read_only(self.values[: self.count]),
        )

    def _room(self, value: Any) -> NDArray[Any]:
        if self.kind is Kind.SCALAR:
            return np.zeros(len(self.steps))
        if self.kind in (Kind.PARAMETERS, Kind.HISTOGRAMS):
            return np.zeros((len(self.steps), *value.shape), dtype=value.dtype)
        return np.empty(len(self.steps), dtype=object)

    def _resize(self, capacity: int) -> None:
        self.steps = _copied(self.steps, self.count, capacity)
        self.wall_times = _copied(self.wall_times, self.count, capacity)
        self.values = _copied(self.values, self.count, capacity)
        self.shared = 0


def _copied(array: NDArray[Any], count: int, capacity: int) -> NDArray[Any]:
    copy = np.empty((capacity, *array.shape[1:]), dtype=array.dtype)
    copy[:count] = array[:count]
    return copy


def _read_only(view: NDArray[Any]) -> NDArray[Any]:
    view.flags.writeable = False
    return view


class RunBuilder:
    """Reads the event files of one run into columns. `problems` maps unreadable files to why."""

    MAX_DAMAGE = 1000
    EVENTS_BETWEEN_CLOCKS = 64

    def __init__(self, name: str) -> None:
        self.name = name
        self.problems: dict[str, str] = {}
        self._tails: dict[Path, EventFileTail] = {}
        self._columns: dict[str, _Column] = {}
        self._metadata: dict[str, Any] = {}
        self._manifest: Manifest | None = None
        self._parameters: tuple[Parameter, ...] = ()
        self._names: tuple[str, ...] = ()
        self._damage: list[Damage] = []

    def outdated(self, paths: list[Path]) -> bool:
        """Whether a file read earlier was deleted, cut or replaced, so that all is to be reread."""
        return not self._tails.keys() <= set(paths) or any(
            tail.replaced() for tail in self._tails.values()
        )

    def read(self, paths: list[Path], deadline: float) -> bool:
        """Take in what is new in the files until `deadline`; whether there was anything."""
        before = self._bytes_read()
        self.problems = {}
        for path in paths:
            tail = self._tails.setdefault(path, EventFileTail(path))
            try:
                if tail.grown():
                    for number, event in enumerate(tail.read(), start=1):
                        self._add(event, tail)
                        late = number % self.EVENTS_BETWEEN_CLOCKS == 0
                        if late and time.monotonic() > deadline:
                            return True
            except OSError as error:
                self.problems[str(path)] = error.strerror or str(error)
        return self._bytes_read() > before

    def freeze(self, last_look: bool = False) -> Run:
        """The run as it is now; with the ends of files that are no records if it is the last."""
        damage = [d for tail in self._tails.values() for d in tail.damage] + self._damage
        if last_look:
            ends = (tail.unfinished() for tail in self._tails.values())
            damage += [end for end in ends if end is not None]
        return Run(
            name=self.name,
            series={tag: column.freeze() for tag, column in self._columns.items()},
            manifest=self._manifest,
            parameters=self._parameters,
            names=self._names,
            damage=tuple(sorted(damage, key=lambda d: (d.file, d.offset))),
            bytes_read=self._bytes_read(),
        )

    def _bytes_read(self) -> int:
        return sum(tail.offset for tail in self._tails.values())

    def _add(self, event: Event, tail: EventFileTail) -> None:
        if event.HasField("session_log"):
            if event.session_log.status == event.session_log.START:
                for column in self._columns.values():
                    column.truncate(event.step)
            return
        for value in event.summary.value:
            if value.HasField("metadata"):
                self._metadata.setdefault(value.tag, value.metadata)
            try:
                decoded = logformat.decode(value, self._metadata.get(value.tag))
                if decoded is not None:
                    self._keep(value.tag, event, *decoded)
            except FormatError as error:
                if len(self._damage) < self.MAX_DAMAGE:
                    self._damage.append(Damage(str(tail.path), tail.event_offset, str(error)))

    def _keep(self, tag: str, event: Event, kind: Kind, value: Any) -> None:
        if kind is Kind.MANIFEST:
            self._adopt(value)
            return
        if kind in (Kind.PARAMETERS, Kind.HISTOGRAMS):
            value = self._rows(kind, value)
        column = self._columns.get(tag)
        if column is None:
            column = self._columns[tag] = _Column(kind)
        if column.kind is kind:
            column.append(event.step, event.wall_time, value)

    def _rows(self, kind: Kind, value: NDArray[Any]) -> NDArray[Any]:
        """Rows in the order of `Run.parameters`, which may have more than this manifest."""
        if self._manifest is None:
            rows, width = value.shape
            self._adopt(Manifest.nameless(rows, width if kind is Kind.PARAMETERS else None))
        manifest = self._manifest
        assert manifest is not None
        width = (
            len(manifest.statistics) if kind is Kind.PARAMETERS else manifest.histogram_bins.columns
        )
        if value.shape != (len(manifest.parameters), width):
            raise FormatError(
                f"{kind.value} of shape {value.shape} do not fit the manifest, which has "
                f"{len(manifest.parameters)} parameters and {width} columns"
            )
        missing = len(self._parameters) - len(value)
        if missing == 0:
            return value
        return np.concatenate([value, np.full((missing, width), _BLANKS[kind], value.dtype)])

    def _adopt(self, manifest: Manifest) -> None:
        """Take a new manifest and bring what was read so far into its order of rows and columns."""
        former, former_names = self._manifest, self._names
        current = set(manifest.names)
        vanished = [i for i, name in enumerate(former_names) if name not in current]
        self._parameters = manifest.parameters + tuple(self._parameters[i] for i in vanished)
        self._names = manifest.names + tuple(former_names[i] for i in vanished)
        self._manifest = manifest
        if former is None:
            return
        rows = _positions(self._names, former_names)
        columns = _positions(distinct(manifest.statistics), distinct(former.statistics))
        for column in self._columns.values():
            if column.kind is Kind.PARAMETERS:
                column.rearrange(rows, columns, _BLANKS[column.kind])
            elif (
                column.kind is Kind.HISTOGRAMS and manifest.histogram_bins != former.histogram_bins
            ):
                column.truncate(-(2**62))
            elif column.kind is Kind.HISTOGRAMS:
                column.rearrange(rows, None, _BLANKS[column.kind])


_BLANKS = {Kind.PARAMETERS: np.nan, Kind.HISTOGRAMS: 0}


def _positions(wanted: Sequence[str], present: Sequence[str]) -> NDArray[np.intp]:
    """Index in `present` of every name in `wanted`, -1 for those that are missing."""
    where = {name: i for i, name in enumerate(present)}
    return np.array([where.get(name, -1) for name in wanted], dtype=np.intp)
