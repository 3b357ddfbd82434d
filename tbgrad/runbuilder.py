"""Put a run together from the events of its files: restarts, manifests, rows and columns."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
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
from tbgrad.tags import group_name, in_group, split_group


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

    def adopt(self, manifest: Manifest, columns: Iterable[_Column]) -> None:
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
                column.truncate(-(2**62))
            elif column.kind is Kind.HISTOGRAMS:
                column.rearrange(rows, None, _BLANKS[column.kind])


class RunBuilder:
    """Reads the event files of one directory into columns.

    `problems` maps unreadable files to why.
    """

    MAX_DAMAGE = 1000
    EVENTS_BETWEEN_CLOCKS = 64

    def __init__(self, name: str) -> None:
        self.name = name
        self.problems: dict[str, str] = {}
        self._tails: dict[Path, EventFileTail] = {}
        self._columns: dict[str, _Column] = {}
        self._metadata: dict[str, Any] = {}
        self._groups: dict[str, _Rows] = {}
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

    def freeze(self, last_look: bool = False) -> dict[str, Run]:
        """The run as it is now, by name; with the ends of files that are no records if the last.

        Each group of parameters is a run of its own, named as if it were a directory in this one.
        """
        damage = [d for tail in self._tails.values() for d in tail.damage] + self._damage
        if last_look:
            ends = (tail.unfinished() for tail in self._tails.values())
            damage += [end for end in ends if end is not None]
        ordered = tuple(sorted(damage, key=lambda d: (d.file, d.offset)))
        series: dict[str, dict[str, Series]] = {"": {}, **{group: {} for group in self._groups}}
        for tag, column in self._columns.items():
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
                    bytes_read=0 if runs else self._bytes_read(),
                )
        return runs

    def _place(self, tag: str) -> tuple[str, str]:
        """The group that a series belongs to, and its tag there."""
        for group in self._groups:
            if group and tag.startswith(f"{group}/"):
                return group, tag[len(group) + 1 :]
        return "", tag

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
            column = self._columns[tag] = _Column(kind)
        if column.kind is kind:
            column.append(event.step, event.wall_time, value)

    def _adopt(self, group: str, manifest: Manifest) -> None:
        packed = (in_group(group, tag) for tag in (logformat.PARAMETERS, logformat.HISTOGRAMS))
        columns = [self._columns[tag] for tag in packed if tag in self._columns]
        self._groups.setdefault(group, _Rows()).adopt(manifest, columns)


_BLANKS = {Kind.PARAMETERS: np.nan, Kind.HISTOGRAMS: 0}


def _positions(wanted: Sequence[str], present: Sequence[str]) -> NDArray[np.intp]:
    """Index in `present` of every name in `wanted`, -1 for those that are missing."""
    where = {name: i for i, name in enumerate(present)}
    return np.array([where.get(name, -1) for name in wanted], dtype=np.intp)
