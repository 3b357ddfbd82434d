"""What all columns have in common, and those of records: texts, histograms, estimates, alerts."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.records import Alert
from tbgrad.log.tags import Kind
from tbgrad.reading import thinning
from tbgrad.reading.columns.limits import Limits
from tbgrad.reading.columns.strays import MAX_STRAYS, Former
from tbgrad.reading.series import Series

_FIRST_ROOM = 16
Arrays = dict[str, NDArray[Any]]


class Column:
    """A series under construction, of values of one kind, that merges neighbours by its `limits`.

    `_arrays` have one entry a value, or a bucket of values, in the order of their steps: `last` the
    newest value, `steps` and `wall_times` its place, and once there are merged ones `first_steps`
    and `counts`, and what a kind of column adds.

    `replaced` counts the values that gave way to others. `begins` says for each file from which
    step on its values took the place of those of the files before it.
    """

    keeps_strays = True
    keeps_first = False
    count: int
    merged: bool
    _shared: int
    _width: int
    _arrays: Arrays
    _former: Former | None

    def __init__(self, kind: Kind, limits: Limits) -> None:
        self.kind = kind
        self.limits = limits
        self.replaced = 0
        self.begins: dict[object, int] = {}
        self._file: object = None
        self._falls = 0
        self.forget()

    def begin_file(self, file: object, step: int) -> None:
        """What comes next, the first at `step`, is of this file: a session of its own."""
        if file is not self._file:
            self._settle()
            if self.count and step <= self._arrays["steps"][self.count - 1]:
                self._drop(step)
            self._file = file
            self._takes_over(step)

    def append(self, step: int, wall_time: float, value: Any) -> None:
        """Add a value; those at or after its step give way to it, as in TensorBoard's server.

        Not so where more would be lost than came since: a step that fell back, and went on above
        where the series had been, is a stray one, which takes no other place than its own.
        """
        if self.count and step <= self._arrays["steps"][self.count - 1]:
            self._fall(step)
        elif self._former is not None and step > self._former.last_step:
            self._settle()
        if self.count == len(self._arrays["steps"]):
            self._make_room(value)
        entry = self.count
        self._arrays["steps"][entry] = step
        self._arrays["wall_times"][entry] = wall_time
        self._arrays["last"][entry] = value
        self.count += 1
        if self.merged:
            self._describe(slice(entry, entry + 1))

    def truncate(self, step: int) -> None:
        """Forget everything at or after `step`: a new session of the run replaces it."""
        self._settle()
        self._drop(step)

    def _drop(self, step: int) -> None:
        before = self.total
        kept = int(np.searchsorted(self._arrays["steps"][: self.count], step))
        reaching = None
        if self.merged and kept < self.count and self._arrays["first_steps"][kept] < step:
            reaching = {name: array[kept : kept + 1] for name, array in self._arrays.items()}
        self.count = kept
        if self.count < self._shared:
            self._resize(len(self._arrays["steps"]))
        if reaching is not None:
            self._cut(step, reaching)
        self.replaced += before - self.total

    @property
    def total(self) -> int:
        """How many values there are, those that were merged included."""
        return int(self._arrays["counts"][: self.count].sum()) if self.merged else self.count

    def _takes_over(self, step: int) -> None:
        self.begins[self._file] = min(step, self.begins.get(self._file, step))

    def _fall(self, step: int) -> None:
        """Make room for a value at a step that is not above the last one."""
        self._settle()
        last = int(self._arrays["steps"][self.count - 1])
        if step > last:
            return
        if step < last and self.keeps_strays and self._falls < MAX_STRAYS:
            self._falls += 1
            self._shared = self.count  # so that it is copied before it is written over
            self._former = Former(dict(self._arrays), self.count, step, self.replaced)
        else:
            self._takes_over(step)
        self._drop(step)

    def _settle(self) -> None:
        """Decide what a step that fell back was: a new session, or a stray one."""
        former, self._former = self._former, None
        if former is None:
            return
        newest = int(self._arrays["steps"][self.count - 1])
        came = self.count - former.kept
        if former.values_after(newest) <= came:
            self._takes_over(former.fell_to)
        elif self.merged:  # a bucket has no place within it
            self._arrays, self.count = dict(former.arrays), former.count
            self._shared, self.replaced = self.count, former.replaced + came
        else:
            self._arrays, gone = former.with_strays(self._arrays, self.count)
            self.count = len(self._arrays["steps"])
            self._shared, self.replaced = 0, former.replaced + gone

    @property
    def begun(self) -> bool:
        """Whether there was a value, so that the shape of all is known."""
        return "last" in self._arrays

    def forget(self) -> None:
        """Begin anew, with values of any shape."""
        self.count, self.merged = 0, False
        self._shared, self._width = 0, 1
        self._former = None
        self._arrays = {"steps": np.zeros(0, np.int64), "wall_times": np.zeros(0)}

    def freeze(self) -> Series:
        """What there is now."""
        self._shared = self.count
        shown = self
        if self._former is not None:  # it may look otherwise once more is there
            shown = copy.copy(self)
            shown._arrays, shown.begins = dict(self._arrays), {}
            shown._settle()
        return replace(shown._frozen(), replaced=shown.replaced)

    def _frozen(self) -> Series:
        self._shared = self.count
        view = self._view
        return Series(self.kind, view("steps"), view("wall_times"), view("last"))

    def _view(self, name: str) -> NDArray[Any]:
        view = self._arrays[name][: self.count]
        view.flags.writeable = False
        return view

    def _blank(self, value: Any, room: int) -> NDArray[Any]:  # noqa: ARG002 - other kinds ask it
        return np.empty(room, dtype=object)

    def _buckets(self, limits: Limits) -> int:
        """How many entries are left when they merge."""
        return limits.entries(self.kind)

    def _make_room(self, value: Any) -> None:
        if not self.begun:
            self._arrays["last"] = self._blank(value, 0)
        room = max(self._first_room(value), 2 * self.count)
        if not self.limits.merging:
            self._resize(room)
            return
        buckets = self._buckets(self.limits)
        if self.count >= 2 * buckets:
            self._merge(buckets)
        else:
            self._resize(min(room, 2 * buckets))

    def _first_room(self, value: Any) -> int:  # noqa: ARG002 - other kinds ask it
        return _FIRST_ROOM

    def _resize(self, room: int) -> None:
        for name, array in self._arrays.items():
            copy = np.empty((room, *array.shape[1:]), dtype=array.dtype)
            copy[: self.count] = array[: self.count]
            self._arrays[name] = copy
        self._shared = 0

    def _merge(self, buckets: int) -> None:
        """Merge neighbours, so that half of the room is free again."""
        self._begin_merging()
        counts = self._arrays["counts"][: self.count]
        self._width = -(-int(counts.sum()) // buckets)
        group = (np.cumsum(counts) - counts) // self._width
        group[-1] = group[-2] + 1  # the newest value stands alone
        if self.keeps_first:
            group[1:] += 1
        starts = np.flatnonzero(np.diff(group, prepend=-1))
        ends = np.append(starts[1:], self.count) - 1
        former = {name: array[: self.count] for name, array in self._arrays.items()}
        with np.errstate(invalid="ignore", over="ignore"):
            merged = self._reduced(former, starts, ends)
        room = 2 * buckets
        for name, array in merged.items():
            self._arrays[name] = np.empty((room, *array.shape[1:]), dtype=array.dtype)
            self._arrays[name][: len(starts)] = array
        self.count, self._shared = len(starts), 0

    def _begin_merging(self, value: Any = None) -> None:
        """Have from now on what merged entries need; `value` is like those that come first."""
        if self.merged:
            return
        if not self.begun:
            self._arrays["last"] = self._blank(value, 0)
        self._resize(self.count)
        self.merged = True
        for name, dtype in (("first_steps", np.int64), ("counts", np.int64)):
            self._arrays[name] = np.zeros(self.count, dtype)
        self._add_arrays()
        self._describe(slice(0, self.count))

    def _places(self, count: int, value: Any) -> Iterator[tuple[slice, slice]]:
        """Room for so many entries like `value`: which of them are free, for which of the new."""
        done = 0
        while done < count:
            if self.count == len(self._arrays["steps"]):
                self._make_room(value)
            new = min(count - done, len(self._arrays["steps"]) - self.count)
            entries = slice(self.count, self.count + new)
            self.count += new
            yield entries, slice(done, done + new)
            done += new

    def _give_way(self, step: int) -> None:
        """Drop what is at or after a step, if there is anything: a session begins anew there."""
        if self.count and step <= self._arrays["steps"][self.count - 1]:
            self._fall(step)

    def _add_arrays(self) -> None:
        """Make the arrays that only merged entries need."""

    def _describe(self, entries: slice) -> None:
        """Fill in what merged entries need, for entries of one value each."""
        self._arrays["first_steps"][entries] = self._arrays["steps"][entries]
        self._arrays["counts"][entries] = 1

    def _reduced(self, former: Arrays, starts: NDArray[np.intp], ends: NDArray[np.intp]) -> Arrays:
        """The arrays with one entry in place of each group of neighbours."""
        return thinning.merged(former, starts, ends)

    def _cut(self, step: int, reaching: Arrays) -> None:
        """Take care of an entry that was dropped, but holds values from before `step` too."""


class PlacesColumn(Column):
    """A trajectory, which begins where it began, however much of it is merged."""

    keeps_strays = False
    keeps_first = True


class AlertColumn(Column):
    """Alerts by step; merged entries keep the newest state of each, in the order it was told."""

    keeps_strays = False

    def _reduced(self, former: Arrays, starts: NDArray[np.intp], ends: NDArray[np.intp]) -> Arrays:
        reduced = super()._reduced(former, starts, ends)
        for i, (a, b) in enumerate(zip(starts.tolist(), (ends + 1).tolist(), strict=True)):
            newest: dict[tuple[str, int], Alert] = {}
            for alert in (alert for alerts in former["last"][a:b] for alert in alerts):
                newest.pop(alert.key, None)  # so that it takes the place of its newest state
                newest[alert.key] = alert
            reduced["last"][i] = tuple(newest.values())
        return reduced

    def _cut(self, step: int, reaching: Arrays) -> None:
        """Keep what was told before: alerts that began there, seen no later than that."""
        before = tuple(
            replace(alert, last_step=min(alert.last_step, step - 1))
            for alert in reaching["last"][0]
            if alert.first_step < step
        )
        if before:
            self.append(step - 1, float(reaching["wall_times"][0]), before)
