"""What TensorBoard has stored of a run, through its data provider; unchanged series are kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tensorboard.data.provider import RunTagFilter

from tbgrad.log.tags import PLUGIN_NAME, group_name, in_group, split_group
from tbgrad.log.wall_time import all_seconds, seconds

SCALARS = "scalars"
EVERYTHING = 2**31 - 1
"""`downsample` is required and random: ask for more than is stored and choose afterwards."""

MAX_REPLY = 128 * 2**20
"""The data server gives up at replies of 256 MiB; larger series are asked for in part."""


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
    group: str
    others: tuple[str, ...] = ()

    def tag(self, own: str) -> str:
        """The tag in TensorBoard of a series."""
        return in_group(self.group, own)

    def own(self, tag: str) -> str | None:
        """The series that a tag in TensorBoard names; None where it belongs to another group."""
        if self.group:
            start = f"{self.group}/"
            return tag[len(start) :] if tag.startswith(start) else None
        return None if any(tag.startswith(f"{group}/") for group in self.others) else tag


@dataclass(frozen=True)
class Request:
    """Who asks, about which experiment: what every call of the data provider needs."""

    context: Any
    experiment: str


class LogSource:
    """Reads through a TensorBoard data provider, either the Python one or the fast data server."""

    CACHED_SERIES = 12

    def __init__(self, provider: Any, limits: Mapping[str, int] | None = None) -> None:
        self._provider = provider
        self._limits = dict(limits or {})
        self._cache: OrderedDict[tuple[str, ...], tuple[str, Samples]] = OrderedDict()
        self._lock = threading.Lock()

    def runs(self, request: Request) -> list[str]:
        """Names of all runs, in TensorBoard's order; a group is a run of its own."""
        return list(self._places(request))

    def extents(
        self,
        request: Request,
        plugin: str,
        runs: Iterable[str] | None = None,
        tags: Iterable[str] | None = None,
    ) -> dict[str, dict[str, Extent]]:
        """Where every series of a plugin ends, by run and tag."""
        places = self._places(request)
        if runs is not None:
            places = {run: places[run] for run in runs if run in places}
        if tags is not None:
            tags = {place.tag(tag) for tag in tags for place in places.values()}
        wanted = None if runs is None else {place.run for place in places.values()}
        found = self._listed(request, plugin, RunTagFilter(runs=wanted, tags=tags))
        extents = {}
        for run, place in places.items():
            series = {
                own: Extent(int(series.max_step), seconds(float(series.max_wall_time)))
                for tag, series in found.get(place.run, {}).items()
                if series.max_step is not None and (own := place.own(tag)) is not None
            }
            if series:
                extents[run] = series
        return extents

    def scalars(self, request: Request, run: str, tags: Iterable[str]) -> dict[str, Samples]:
        """The stored points of scalar series."""
        place = self._places(request).get(run, Place(run, ""))
        found = self._provider.read_scalars(
            request.context,
            experiment_id=request.experiment,
            plugin_name=SCALARS,
            downsample=EVERYTHING,
            run_tag_filter=RunTagFilter(runs=[place.run], tags=[place.tag(tag) for tag in tags]),
        )
        return {
            place.own(tag) or tag: _samples(data, [datum.value for datum in data])
            for tag, data in (found or {}).get(place.run, {}).items()
        }

    def tensors(
        self, request: Request, run: str, plugin: str, tag: str, record_bytes: int = 0
    ) -> Samples:
        """The stored records of a tensor series; `record_bytes` is the size of one of them."""
        extent = self.extents(request, plugin, [run], [tag]).get(run, {}).get(tag)
        if extent is None:
            return NOTHING
        place = self._places(request).get(run, Place(run, ""))
        key = (request.experiment, place.run, plugin, place.tag(tag))
        with self._lock:  # two views that ask for the same series read it once
            revision, samples = self._cache.get(key, ("", NOTHING))
            if revision != extent.revision:
                samples = self._read_tensors(request, *key[1:], record_bytes)
                self._cache[key] = (extent.revision, samples)
            self._cache.move_to_end(key)
            while len(self._cache) > self.CACHED_SERIES:
                self._cache.popitem(last=False)
        return samples

    def sampled(self, plugin: str, count: int) -> bool:
        """Whether TensorBoard may have dropped records of a series of which it kept `count`."""
        limit = self._limits.get(plugin, 0)
        return 0 < limit <= count

    def _listed(self, request: Request, plugin: str, wanted: RunTagFilter) -> Any:
        """The series of a plugin, by TensorBoard's run and tag."""
        method = self._provider.list_scalars if plugin == SCALARS else self._provider.list_tensors
        found = method(
            request.context,
            experiment_id=request.experiment,
            plugin_name=plugin,
            run_tag_filter=wanted,
        )
        return found or {}

    def _places(self, request: Request) -> dict[str, Place]:
        """Where each run of the tab lies."""
        found = self._provider.list_runs(request.context, experiment_id=request.experiment)
        packed = self._listed(request, PLUGIN_NAME, RunTagFilter())
        names = [run.run_name for run in found]
        places = {}
        for run in names:
            groups = sorted({split_group(tag)[0] for tag in packed.get(run, ())} or {""})
            for group in groups:
                name = group_name(run, group)
                while name in places or (group and name in names):
                    name += " (group)"
                places[name] = Place(run, group, tuple(other for other in groups if other))
        return places

    def _read_tensors(
        self, request: Request, run: str, plugin: str, tag: str, record_bytes: int
    ) -> Samples:
        wanted = max(1, MAX_REPLY // record_bytes) if record_bytes else EVERYTHING
        found = self._provider.read_tensors(
            request.context,
            experiment_id=request.experiment,
            plugin_name=plugin,
            downsample=wanted,
            run_tag_filter=RunTagFilter(runs=[run], tags=[tag]),
        )
        data = (found or {}).get(run, {}).get(tag, [])
        return _samples(data, [datum.numpy for datum in data])


def _samples(data: Iterable[Any], values: list[Any]) -> Samples:
    steps = np.array([datum.step for datum in data], dtype=np.int64)
    wall_times = all_seconds(np.array([datum.wall_time for datum in data], dtype=np.float64))
    order = np.argsort(steps, kind="stable")
    last = np.append(steps[order][1:] != steps[order][:-1], True) if len(steps) else order
    order = order[last] if len(steps) else order
    return Samples(steps[order], wall_times[order], [values[i] for i in order])
