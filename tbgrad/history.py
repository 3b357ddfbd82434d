"""What a reader keeps of the runs below a directory: series as arrays, rows by parameter.

`read` loads a directory once; `LogDirectory` follows it while training writes. Both hand out frozen
`Run`s whose arrays never change again, so that another thread may read while the next poll runs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad import logformat
from tbgrad.eventfile import Event, EventFileTail, find_event_files
from tbgrad.logformat import FormatError, Kind
from tbgrad.records import STATISTICS, Damage, HistogramBins, Manifest, Parameter


@dataclass(frozen=True)
class Series:
    """One tag of a run: `steps` [T] int64, `wall_times` [T] float64 in seconds, `values` [T, …].

    Scalars are float64 [T]. `tbgrad/parameters` is float32 [T, P, S] and `tbgrad/histograms` int32
    [T, P, B], with rows as in `Run.parameters`. Curvature estimates, alerts, texts and native
    histograms are object arrays [T] of records.
    """

    kind: Kind
    steps: NDArray[np.int64]
    wall_times: NDArray[np.float64]
    values: NDArray[Any]

    def __len__(self) -> int:
        return len(self.steps)


@dataclass(frozen=True)
class Run(Mapping[str, Series]):
    """All that was read of one run: a mapping from tag to `Series`.

    `manifest` is the newest one, None for a log without tbgrad series. `parameters` names the rows
    of the packed series: those of the manifest, then those that only earlier manifests had.
    `damage` lists what could not be read.
    """

    name: str
    series: Mapping[str, Series]
    manifest: Manifest | None = None
    parameters: tuple[Parameter, ...] = ()
    damage: tuple[Damage, ...] = ()
    bytes_read: int = 0

    def __getitem__(self, tag: str) -> Series:
        return self.series[tag]

    def __iter__(self) -> Iterator[str]:
        return iter(self.series)

    def __len__(self) -> int:
        return len(self.series)

    @property
    def last_step(self) -> int:
        """The highest step of any series, -1 where there is none."""
        return max((int(s.steps[-1]) for s in self.series.values() if len(s)), default=-1)

    @property
    def last_wall_time(self) -> float:
        """When the newest value was written, in seconds since the epoch; 0 where there is none."""
        return max((float(s.wall_times[-1]) for s in self.series.values() if len(s)), default=0.0)

    def statistic(self, name: str) -> NDArray[np.float32]:
        """One statistic of every parameter over time: [T, P], NaN where the log does not have it."""
        packed = self.series.get(logformat.PARAMETERS)
        if packed is None or self.manifest is None:
            return np.zeros((0, len(self.parameters)), dtype=np.float32)
        column = self.manifest.column(name)
        if column < 0:
            return np.full(packed.values.shape[:2], np.nan, dtype=np.float32)
        return np.asarray(packed.values[:, :, column])


def read(logdir: str | Path) -> dict[str, Run]:
    """Read all runs below `logdir`. Needs no TensorFlow.

    Returns a dict by run name, "." for the directory itself; empty where no run is.

    Raises:
        FileNotFoundError: `logdir` does not exist.
        NotADirectoryError: `logdir` is a file.
        PermissionError: `logdir` cannot be listed.

    >>> runs = tbgrad.read("runs")
    >>> runs["a"]["gradient/norm"].values
    """
    log = LogDirectory(logdir)
    if not log.path.exists():
        raise FileNotFoundError(f"{log.path} does not exist: give the directory of the event files")
    log.poll()
    if str(log.path) in log.problems:
        raise PermissionError(
            f"{log.path} cannot be read ({log.problems[str(log.path)]}): "
            "check its permissions or the user you run as"
        )
    return log.finish()


class LogDirectory:
    """Follows every run below a directory, including runs and files that appear later.

    `poll` reads what is new and replaces the changed entries of `runs`. A directory that does not
    exist yet is an empty one. `problems` maps what cannot be read to the reason.

    Raises:
        NotADirectoryError: `logdir` is a file.
    """

    def __init__(self, logdir: str | Path) -> None:
        self.path = Path(logdir).expanduser()
        if self.path.exists() and not self.path.is_dir():
            raise NotADirectoryError(
                f"{self.path} is a file: give the directory that holds the event files, "
                f"here {self.path.parent}"
            )
        self.runs: dict[str, Run] = {}
        self.problems: dict[str, str] = {}
        self._builders: dict[str, _RunBuilder] = {}

    def poll(self, seconds: float = float("inf")) -> set[str]:
        """Read what is new and return the names of the runs that changed.

        Stops after about `seconds`, so that a large log can be shown while it loads: call again
        until the result is empty.
        """
        deadline = time.monotonic() + seconds
        problems: dict[str, str] = {}
        files = find_event_files(self.path, problems) if self.path.exists() else {}
        changed = set(self._builders) - set(files)
        for name in changed:
            del self._builders[name], self.runs[name]
        for name, paths in files.items():
            if name not in self._builders or self._builders[name].outdated(paths):
                self._builders[name] = _RunBuilder(name)
                changed.add(name)
            builder = self._builders[name]
            if builder.read(paths, deadline, problems) or name in changed:
                changed.add(name)
                self.runs[name] = builder.freeze()
            if time.monotonic() > deadline:
                break
        self.problems = problems
        return changed

    def finish(self) -> dict[str, Run]:
        """The runs, with the damage at the ends of their files that only a last look can tell."""
        for name, builder in self._builders.items():
            builder.finish()
            self.runs[name] = builder.freeze()
        return self.runs


@dataclass
class _Column:
    """A series under construction: arrays that grow by doubling and are never written twice."""

    kind: Kind
    count: int = 0
    steps: NDArray[np.int64] = field(default_factory=lambda: np.zeros(16, np.int64))
    wall_times: NDArray[np.float64] = field(default_factory=lambda: np.zeros(16))
    values: NDArray[Any] = field(default_factory=lambda: np.zeros(0))

    def append(self, step: int, wall_time: float, value: Any) -> None:
        if self.count and step <= self.steps[self.count - 1]:
            self.truncate(step)
        if self.values.size == 0:
            self.values = self._room(value)
        if self.count == len(self.steps):
            self._resize(2 * self.count)
        self.steps[self.count] = step
        self.wall_times[self.count] = wall_time
        self.values[self.count] = value
        self.count += 1

    def truncate(self, step: int) -> None:
        """Forget everything at or after `step`: a new session of the run replaces it."""
        kept = int(np.searchsorted(self.steps[: self.count], step))
        if kept < self.count:
            self.count = kept
            self._resize(len(self.steps))

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

    def freeze(self) -> Series:
        n = self.count
        return Series(self.kind, self.steps[:n], self.wall_times[:n], self.values[:n])


def _copied(array: NDArray[Any], count: int, capacity: int) -> NDArray[Any]:
    copy = np.empty((capacity, *array.shape[1:]), dtype=array.dtype)
    copy[:count] = array[:count]
    return copy


class _RunBuilder:
    """Reads the event files of one run into columns."""

    MAX_DAMAGE = 1000

    def __init__(self, name: str) -> None:
        self.name = name
        self._tails: dict[Path, EventFileTail] = {}
        self._columns: dict[str, _Column] = {}
        self._metadata: dict[str, Any] = {}
        self._manifest: Manifest | None = None
        self._parameters: tuple[Parameter, ...] = ()
        self._damage: list[Damage] = []

    def outdated(self, paths: list[Path]) -> bool:
        """Whether a file read earlier was deleted, cut or replaced, so that all is to be reread."""
        return not self._tails.keys() <= set(paths) or any(
            tail.replaced() for tail in self._tails.values()
        )

    def read(self, paths: list[Path], deadline: float, problems: dict[str, str]) -> bool:
        """Take in what is new in the files; whether there was anything."""
        before = self._bytes_read()
        for path in paths:
            tail = self._tails.setdefault(path, EventFileTail(path))
            try:
                if tail.grown():
                    for number, event in enumerate(tail.read()):
                        self._add(event, tail)
                        if number % 64 == 63 and time.monotonic() > deadline:
                            return True
            except OSError as error:
                problems[str(path)] = error.strerror or str(error)
        return self._bytes_read() > before

    def finish(self) -> None:
        for tail in self._tails.values():
            tail.finish()

    def freeze(self) -> Run:
        damage = [d for tail in self._tails.values() for d in tail.damage] + self._damage
        return Run(
            name=self.name,
            series={tag: column.freeze() for tag, column in self._columns.items()},
            manifest=self._manifest,
            parameters=self._parameters,
            damage=tuple(damage),
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
                    self._damage.append(Damage(str(tail.path), tail.offset, str(error)))

    def _keep(self, tag: str, event: Event, kind: Kind, value: Any) -> None:
        if kind is Kind.MANIFEST:
            self._adopt(value)
            return
        if kind in (Kind.PARAMETERS, Kind.HISTOGRAMS):
            value = self._rows(kind, value)
        column = self._columns.setdefault(tag, _Column(kind))
        if column.kind is kind:
            column.append(event.step, event.wall_time, value)

    def _rows(self, kind: Kind, value: NDArray[Any]) -> NDArray[Any]:
        """Rows in the order of `Run.parameters`, which may have more than this manifest."""
        if self._manifest is None:
            self._adopt(_nameless_manifest(kind, value))
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
        return np.concatenate([value, np.full((missing, width), _blank(kind), value.dtype)])

    def _adopt(self, manifest: Manifest) -> None:
        """Take a new manifest and bring what was read so far into its order of rows and columns."""
        former, former_rows = self._manifest, self._parameters
        self._manifest = manifest
        paths = {parameter.path for parameter in manifest.parameters}
        vanished = tuple(p for p in former_rows if p.path not in paths)
        self._parameters = manifest.parameters + vanished
        if former is None:
            return
        rows = _positions([p.path for p in self._parameters], [p.path for p in former_rows])
        for column in self._columns.values():
            if column.kind is Kind.PARAMETERS:
                columns = _positions(manifest.statistics, former.statistics)
                column.values = _rearranged(column.values, rows, columns, np.nan)
            elif column.kind is Kind.HISTOGRAMS:
                if manifest.histogram_bins != former.histogram_bins:
                    column.truncate(-(2**62))
                    column.values = np.zeros(0)
                else:
                    everything = np.arange(column.values.shape[2])
                    column.values = _rearranged(column.values, rows, everything, 0)


def _blank(kind: Kind) -> float:
    return np.nan if kind is Kind.PARAMETERS else 0


def _nameless_manifest(kind: Kind, value: NDArray[Any]) -> Manifest:
    """Stands in for a manifest that was lost: rows have numbers for names."""
    rows, width = value.shape
    names = STATISTICS if kind is Kind.PARAMETERS and width == len(STATISTICS) else ()
    default = HistogramBins.powers_of_two()
    return Manifest(
        parameters=tuple(Parameter(f"parameter {i}", "", (), 0, "", "other") for i in range(rows)),
        statistics=names or STATISTICS,
        histogram_bins=default,
    )


def _positions(wanted: Any, present: Any) -> NDArray[np.intp]:
    """Index in `present` of every name in `wanted`, -1 for those that are missing."""
    where = {name: i for i, name in enumerate(present)}
    return np.array([where.get(name, -1) for name in wanted], dtype=np.intp)


def _rearranged(
    values: NDArray[Any], rows: NDArray[np.intp], columns: NDArray[np.intp], blank: float
) -> NDArray[Any]:
    if values.ndim != 3:
        return values
    result = values[:, rows][:, :, columns]
    result[:, rows < 0] = blank
    result[:, :, columns < 0] = blank
    return result
