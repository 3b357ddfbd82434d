"""What TensorBoard has stored, through its data provider: listed once a look, kept if unchanged.

A provider lists one plugin name a call. Each such call is made once for all the requests of one
look at the tab; `Snapshot` answers everything that a request needs from it.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from tensorboard.data.provider import RunTagFilter

from tbgrad.log.tags import PLUGIN_NAME, group_name, in_group, plugin_names, split_group, within
from tbgrad.log.wall_time import all_seconds, seconds
from tbgrad.reading.state import Pulse

SCALARS_PLUGIN = "scalars"
EVERYTHING = 2**31 - 1
"""`downsample` is required and random: ask for more than is stored and choose afterwards."""

MAX_REPLY = 128 * 2**20
"""The data server gives up at replies of 256 MiB; larger series are asked for in part."""

FRESH_SECONDS = 1.0
"""So long a listing serves: the tab looks every three seconds, with up to nine requests at once."""

CACHED = 12
"""Answers that are kept: of several runs, or of several views of one."""

Made = TypeVar("Made")


class UnknownNameError(LookupError):
    """The request names a run, statistic or parameter that the log does not have."""


@dataclass(frozen=True)
class Extent:
    """Where a series ends, without its values."""

    last_step: int
    last_wall_time: float

    @property
    def revision(self) -> str:
        """Changes whenever a record was added."""
        return f"{self.last_step}@{self.last_wall_time!r}"


@dataclass(frozen=True)
class Samples:
    """The stored records of one series: steps strictly rising, the newest of equal steps."""

    steps: NDArray[np.int64]
    wall_times: NDArray[np.float64]
    values: list[Any]

    def __len__(self) -> int:
        return len(self.values)


NOTHING = Samples(np.zeros(0, np.int64), np.zeros(0), [])


@dataclass(frozen=True)
class Place:
    """Where the series of a run of the tab lie: in a run of TensorBoard, or a group of one."""

    run: str
    group: str = ""
    groups: tuple[str, ...] = ()


class LogSource:
    """Reads through a TensorBoard data provider, either the Python one or the fast data server.

    `limits` are how many records it keeps of a series, by plugin name.
    """

    def __init__(self, provider: Any, limits: Mapping[str, int] | None = None) -> None:
        self.provider = provider
        self._limits = dict(limits or {})
        self._cache: OrderedDict[tuple[Any, ...], tuple[str, Any]] = OrderedDict()
        self._listings: dict[tuple[str, str], tuple[float, Any]] = {}
        self._pulses: dict[tuple[str, Place], Pulse] = {}
        self._lock = threading.RLock()

    def snapshot(self, context: Any, experiment: str) -> Snapshot:
        """What there is now, for one request about an experiment."""
        return Snapshot(self, context, experiment)

    def sampled(self, plugin: str, count: int) -> bool:
        """Whether TensorBoard may have dropped records of a series of which it kept `count`."""
        limit = self._limits.get(plugin, 0)
        return 0 < limit <= count

    def bytes_of(self, plugin: str, record_bytes: int) -> float:
        """What a series of records of this size may take at most; infinite where all are kept."""
        return self._limits.get(plugin, 0) * record_bytes or math.inf

    def listing(self, experiment: str, plugin: str, make: Callable[[], Made]) -> Made:
        """What `make` lists of a plugin ("": the runs), or has listed FRESH_SECONDS ago at most."""
        with self._lock:  # two views that ask for the same list it once
            key = experiment, plugin
            if key not in self._listings or not _fresh(self._listings[key][0]):
                made = make()
                fresh = {k: v for k, v in self._listings.items() if _fresh(v[0])}
                self._listings = {**fresh, key: (time.monotonic(), made)}
            listed: Made = self._listings[key][1]
        return listed

    def silence(self, experiment: str, place: Place, heard: float) -> float:
        """Seconds since a run was heard of, of which the newest was written at `heard`."""
        now = time.time()
        with self._lock:
            pulse = self._pulses.setdefault((experiment, place), Pulse())
            pulse.look(heard, now)
            return pulse.silence(now)

    def kept(self, key: tuple[Any, ...], revision: str, make: Callable[[], Made]) -> Made:
        """What was made for this key at this revision, or else what `make` makes now."""
        with self._lock:  # two views that ask for the same read it once
            before, value = self._cache.get(key, ("", None))
            if value is None or before != revision:
                value = make()
                self._cache[key] = (revision, value)
            self._cache.move_to_end(key)
            while len(self._cache) > CACHED:
                self._cache.popitem(last=False)
        made: Made = value
        return made


class Snapshot:
    """What one request sees: runs and series are listed when they are first asked for, once."""

    def __init__(self, source: LogSource, context: Any, experiment: str) -> None:
        self.source = source
        self._context = context
        self._experiment = experiment
        self._listed: dict[str, dict[str, dict[str, Extent]]] = {}

    # ------------------------------------------------------------------------ which runs

    @cached_property
    def places(self) -> dict[str, Place]:
        """Where each run of the tab lies, in TensorBoard's order; a group is a run of its own."""
        names = self.source.listing(self._experiment, "", self._list_runs)
        places: dict[str, Place] = {}
        for run in names:
            groups = self._groups(run)
            for group in groups:
                taken = {*places, *names} if group else places
                others = tuple(other for other in groups if other)
                places[group_name(run, group, taken)] = Place(run, group, others)
        return places

    def place(self, run: str) -> Place:
        """Where a run lies.

        Raises:
            UnknownNameError: TensorBoard knows no such run.
        """
        listed = self.series(PLUGIN_NAME)
        if run in listed and not any(self._groups(name) != [""] for name in listed):
            return Place(run)  # without groups a name is that of TensorBoard's run
        if run not in self.places:
            raise UnknownNameError(f"TensorBoard knows no run {run!r}")
        return self.places[run]

    def _groups(self, run: str) -> list[str]:
        listed = self.series(PLUGIN_NAME).get(run, ())
        return sorted({split_group(tag)[0] for tag in listed} or {""})

    # ------------------------------------------------------------------------ which series

    def series(self, plugin: str) -> dict[str, dict[str, Extent]]:
        """Where every series of a plugin ends, by TensorBoard's run and tag."""
        if plugin not in self._listed:
            self._listed[plugin] = self.source.listing(
                self._experiment, plugin, lambda: self._list(plugin)
            )
        return self._listed[plugin]

    def _list_runs(self) -> list[str]:
        runs = self.source.provider.list_runs(self._context, experiment_id=self._experiment)
        return [run.run_name for run in runs]

    def _list(self, plugin: str) -> dict[str, dict[str, Extent]]:
        provider = self.source.provider
        listing = provider.list_scalars if plugin == SCALARS_PLUGIN else provider.list_tensors
        listed = listing(
            self._context,
            experiment_id=self._experiment,
            plugin_name=plugin,
            run_tag_filter=RunTagFilter(),
        )
        return {
            run: {
                tag: Extent(int(series.max_step), seconds(float(series.max_wall_time)))
                for tag, series in by_tag.items()
                if series.max_step is not None
            }
            for run, by_tag in (listed or {}).items()
        }

    def extents(self, plugin: str, place: Place) -> dict[str, Extent]:
        """Where the series of a plugin end that lie in a place, by their tags there."""
        extents = {}
        for tag, extent in self.series(plugin).get(place.run, {}).items():
            group, own = within(place.groups, tag)
            if group == place.group:
                extents[own] = extent
        return extents

    def stored_under(self, place: Place, tag: str) -> str | None:
        """The plugin name under which there is a packed series, None where there is none."""
        for plugin in plugin_names(tag):
            if tag in self.extents(plugin, place):
                return plugin
        return None

    # ------------------------------------------------------------------------ what is in them

    def scalars(self, place: Place, tags: Iterable[str]) -> dict[str, Samples]:
        """The stored points of scalar series."""
        return self._read([place], SCALARS_PLUGIN, tags, EVERYTHING)[0]

    def tensors(
        self, place: Place, plugin: str, tags: Iterable[str], record_bytes: int = 0
    ) -> dict[str, Samples]:
        """The stored records of tensor series; `record_bytes` is the size of one of them."""
        most = max(1, MAX_REPLY // record_bytes) if record_bytes else EVERYTHING
        return self._read([place], plugin, tags, most)[0]

    def together(
        self, places: Sequence[Place], plugin: str, tag: str, most: int = EVERYTHING
    ) -> list[Samples]:
        """One series of several places, in one call: of more than `most` some, and the newest."""
        return [read.get(tag, NOTHING) for read in self._read(places, plugin, [tag], most)]

    def silence(self, place: Place, heard: float) -> float:
        """As `LogSource.silence` says."""
        return self.source.silence(self._experiment, place, heard)

    def kept(
        self, place: Place, what: tuple[Any, ...], revision: str, make: Callable[[], Made]
    ) -> Made:
        """As `LogSource.kept` says, for what is made of the series of a place."""
        key = (self._experiment, place.run, place.group, *what)
        return self.source.kept(key, revision, make)

    def _read(
        self, places: Sequence[Place], plugin: str, tags: Iterable[str], most: int
    ) -> list[dict[str, Samples]]:
        provider, own = self.source.provider, list(tags)
        scalars = plugin == SCALARS_PLUGIN
        data = (provider.read_scalars if scalars else provider.read_tensors)(
            self._context,
            experiment_id=self._experiment,
            plugin_name=plugin,
            downsample=most,
            run_tag_filter=RunTagFilter(
                runs=[place.run for place in places],
                tags=[in_group(place.group, tag) for place in places for tag in own],
            ),
        )
        value = attrgetter("value" if scalars else "numpy")
        return [
            {
                tag: _samples(stored, [value(datum) for datum in stored])
                for tag in own
                if (stored := (data or {}).get(place.run, {}).get(in_group(place.group, tag)))
            }
            for place in places
        ]


def _fresh(made: float) -> bool:
    return time.monotonic() - made < FRESH_SECONDS


def _samples(data: Iterable[Any], values: list[Any]) -> Samples:
    steps = np.array([datum.step for datum in data], dtype=np.int64)
    wall_times = all_seconds(np.array([datum.wall_time for datum in data], dtype=np.float64))
    order = np.argsort(steps, kind="stable")
    last = np.append(steps[order][1:] != steps[order][:-1], True) if len(steps) else order
    order = order[last] if len(steps) else order
    return Samples(steps[order], wall_times[order], [values[i] for i in order])
