"""What TensorBoard has stored, through its data provider: listed once a look, kept if unchanged.

A provider lists one plugin name a call. Each such call is made once for all the requests of one
look at the tab; `Snapshot` answers everything that a request needs from it.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from operator import attrgetter
from typing import Any, TypeVar

from tensorboard.data.provider import RunTagFilter

from tbgrad.log.state import RunState
from tbgrad.log.tags import (
    ALERT_PLUGIN_NAME,
    HISTOGRAM_PLUGIN_NAME,
    NOTES,
    PLUGIN_NAME,
    PLUGINS,
    STEPS_PLUGIN_NAME,
    group_name,
    in_group,
    plugin_names,
    split_group,
    within,
)
from tbgrad.plugin.kept import Kept
from tbgrad.plugin.listing import Listings
from tbgrad.plugin.samples import (
    EVERYTHING,
    MAX_REPLY,
    NOTHING,
    SCALARS_PLUGIN,
    Extent,
    Place,
    Samples,
    UnknownNameError,
    list_runs,
    list_series,
    samples_of,
)
from tbgrad.reading.state import Condition, Pulse, condition, no_room

RUNS = ""
"""In the place of a plugin name: the runs themselves."""

LOOK = (
    RUNS, PLUGIN_NAME, SCALARS_PLUGIN, STEPS_PLUGIN_NAME, ALERT_PLUGIN_NAME, *PLUGINS[NOTES],
    HISTOGRAM_PLUGIN_NAME,
)  # fmt: skip
"""What an open tab needs to have listed."""

ROOM = 48 * 2**20
"""Bytes that are kept of what was read: all views of some runs, or one view of many."""

AT_ONCE = 2
"""Threads that make answers of series. More are no faster, and the process keeps what each has once
taken of memory: these must not be the server's, of which there is another for each request."""

Made = TypeVar("Made")


class LogSource:
    """Reads through a TensorBoard data provider, either the Python one or the fast data server.

    `limits` are how many records it keeps of a series, by plugin name; `logdir` is where they come
    from, where that is known and one directory.
    """

    def __init__(
        self, provider: Any, limits: Mapping[str, int] | None = None, logdir: str = ""
    ) -> None:
        self.provider = provider
        self._logdir = logdir
        self.limits = dict(limits or {})
        self.kept = Kept(ROOM)
        self.pool = ThreadPoolExecutor(AT_ONCE, "tbgrad-answers")
        self.listings = Listings()
        self._pulses: dict[tuple[str, Place], Pulse] = {}
        self._derived: dict[tuple[str, str], tuple[tuple[Any, ...], Any]] = {}
        self._once: dict[tuple[str, Callable[[], Any]], Any] = {}
        self._lock = threading.Lock()

    def snapshot(self, context: Any, experiment: str) -> Snapshot:
        """What there is now, for one request about an experiment."""
        return Snapshot(self, context, experiment)

    def sampled(self, plugin: str, count: int) -> bool:
        """Whether TensorBoard may have dropped records of a series of which it kept `count`."""
        limit = self.limits.get(plugin, 0)
        return 0 < limit <= count

    def bytes_of(self, plugin: str, record_bytes: int) -> float:
        """What a series of records of this size may take at most; infinite where all are kept."""
        return self.limits.get(plugin, 0) * record_bytes or math.inf

    def derived(self, key: tuple[str, str], of: tuple[Any, ...], make: Callable[[], Made]) -> Made:
        """What `make` makes of listings, or has made of the very same ones."""
        before = self._derived.get(key)
        if before is None or any(a is not b for a, b in zip(before[0], of, strict=True)):
            before = self._derived[key] = of, make()
        made: Made = before[1]
        return made

    def once(self, experiment: str, make: Callable[[], Made]) -> Made:
        """What `make` has made of an experiment when this was first asked for."""
        with self._lock:
            if (experiment, make) not in self._once:
                self._once[experiment, make] = make()
            made: Made = self._once[experiment, make]
            return made

    def condition(
        self, experiment: str, place: Place, state: RunState | None, heard: float
    ) -> Condition | None:
        """How a run stands of which the newest was written at `heard`."""
        now = time.time()
        with self._lock:
            pulse = self._pulses.setdefault((experiment, place), Pulse())
            pulse.look(heard, now)
            silence = pulse.silence(now)
        return condition(state, silence, disk_is_full=no_room(self._logdir))


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
        names: list[str] = self._listing(RUNS)
        listed = names, self.series(PLUGIN_NAME)
        return self.derived("places", listed, lambda: self._places(names))

    def _places(self, names: list[str]) -> dict[str, Place]:
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
        if run in listed and not self._has_groups:
            return Place(run)  # without groups a name is that of TensorBoard's run
        if run not in self.places:
            raise UnknownNameError(f"TensorBoard knows no run {run!r}")
        return self.places[run]

    @cached_property
    def _has_groups(self) -> bool:
        listed = self.series(PLUGIN_NAME)
        return self.derived(
            "groups", (listed,), lambda: any(self._groups(name) != [""] for name in listed)
        )

    def _groups(self, run: str) -> list[str]:
        listed = self.series(PLUGIN_NAME).get(run, ())
        return sorted({split_group(tag)[0] for tag in listed} or {""})

    # ------------------------------------------------------------------------ which series

    def series(self, plugin: str) -> dict[str, dict[str, Extent]]:
        """Where every series of a plugin ends, by TensorBoard's run and tag."""
        if plugin not in self._listed:
            self._listed[plugin] = self._listing(plugin)
        return self._listed[plugin]

    def expect(self) -> None:
        """Have listed what an open tab needs, once for all of its first requests."""
        self.source.listings.expect(
            {(self._experiment, plugin): self._lister(plugin) for plugin in LOOK}
        )

    def _listing(self, plugin: str) -> Any:
        return self.source.listings.get((self._experiment, plugin), self._lister(plugin))

    def _lister(self, plugin: str) -> Callable[[], Any]:
        provider, context, experiment = self.source.provider, self._context, self._experiment
        if plugin == RUNS:
            return lambda: list_runs(provider, context, experiment)
        return lambda: list_series(provider, context, experiment, plugin)

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
        return self.read([place], SCALARS_PLUGIN, tags, EVERYTHING)[0]

    def tensors(
        self, place: Place, plugin: str, tags: Iterable[str], record_bytes: int = 0
    ) -> dict[str, Samples]:
        """The stored records of tensor series; `record_bytes` is the size of one of them."""
        most = max(1, MAX_REPLY // record_bytes) if record_bytes else EVERYTHING
        return self.read([place], plugin, tags, most)[0]

    def together(
        self, places: Sequence[Place], plugin: str, tag: str, most: int = EVERYTHING
    ) -> list[Samples]:
        """One series of several places, as `read` says."""
        return [read.get(tag, NOTHING) for read in self.read(places, plugin, [tag], most)]

    def derived(self, what: str, of: tuple[Any, ...], make: Callable[[], Made]) -> Made:
        """As `LogSource.derived` says, of the experiment of this request."""
        return self.source.derived((self._experiment, what), of, make)

    def once(self, make: Callable[[], Made]) -> Made:
        """As `LogSource.once` says, of the experiment of this request."""
        return self.source.once(self._experiment, make)

    def condition(self, place: Place, state: RunState | None, heard: float) -> Condition | None:
        """As `LogSource.condition` says."""
        return self.source.condition(self._experiment, place, state, heard)

    def kept(
        self, place: Place, what: tuple[Any, ...], revision: str, make: Callable[[], Made]
    ) -> Made:
        """As `Kept.get` says, for what is made of the series of a place."""
        key = (self._experiment, place.run, place.group, *what)
        return self.source.kept.get(key, revision, make)

    def is_kept(self, place: Place, what: tuple[Any, ...], revision: str) -> bool:
        """Whether that is kept, so that it takes no time."""
        return self.source.kept.has((self._experiment, place.run, place.group, *what), revision)

    def read(
        self, places: Sequence[Place], plugin: str, tags: Iterable[str], most: int = EVERYTHING
    ) -> list[dict[str, Samples]]:
        """Series of several places, in one call: of more than `most` some, and the newest."""
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
                tag: samples_of(stored, [value(datum) for datum in stored])
                for tag in own
                if (stored := (data or {}).get(place.run, {}).get(in_group(place.group, tag)))
            }
            for place in places
        ]
