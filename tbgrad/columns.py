"""A series under construction: arrays that grow, and that merge neighbours where they are bounded.

Unbounded, a column keeps every value. Bounded, it has room for twice as many entries as it may have
buckets; when that is full, neighbours are merged into buckets of about as many values each. What
was handed out by `freeze` is never written again.
"""

# ruff: noqa: D102 - what the methods do is said once, in Column
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad.logformat import Kind
from tbgrad.records import Alert
from tbgrad.run import Buckets, Series

SCALAR_BUCKETS = 1024
RECORD_BUCKETS = 1024
HISTOGRAM_BUCKETS = 32
"""Of a histogram of other writers, of which a run may have thousands of series."""

PACKED_BYTES = 96 << 20
"""What the packed statistics of a run may take, at the most entries it holds."""

PACKED_HISTOGRAM_BYTES = 64 << 20
MIN_PACKED_BUCKETS, MAX_PACKED_BUCKETS = 16, 1024

_FIRST_ROOM = 16
_NEVER = np.int64(2**62)

Arrays = dict[str, NDArray[Any]]


class Column:
    """A series under construction, of values of one kind; `bounded` says whether it merges.

    `_arrays` have one entry a value, or a bucket of values, in the order of their steps: `last` the
    newest value, `steps` and `wall_times` its place, and once there are merged ones `first_steps`
    and `counts`, and what a kind of column adds.
    """

    def __init__(self, kind: Kind, bounded: bool = False) -> None:
        self.kind = kind
        self.bounded = bounded
        self.count = 0
        self.merged = False
        self._shared = 0
        self._width = 1
        self._arrays: Arrays = {"steps": np.zeros(0, np.int64), "wall_times": np.zeros(0)}

    def append(self, step: int, wall_time: float, value: Any) -> None:
        """Add a value; those at or after its step give way to it, as in TensorBoard's server."""
        if self.count and step <= self._arrays["steps"][self.count - 1]:
            self.truncate(step)
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
        kept = int(np.searchsorted(self._arrays["steps"][: self.count], step))
        reaching = None
        if self.merged and kept < self.count and self._arrays["first_steps"][kept] < step:
            reaching = {name: array[kept : kept + 1] for name, array in self._arrays.items()}
        self.count = kept
        if self.count < self._shared:
            self._resize(len(self._arrays["steps"]))
        if reaching is not None:
            self._cut(step, reaching)

    @property
    def begun(self) -> bool:
        """Whether there was a value, so that the shape of all is known."""
        return "last" in self._arrays

    def forget(self) -> None:
        """Begin anew, with values of any shape."""
        type(self).__init__(self, self.kind, self.bounded)

    def freeze(self) -> Series:
        """What there is now."""
        self._shared = self.count
        steps, wall_times, values = (
            self._view("steps"),
            self._view("wall_times"),
            self._view("last"),
        )
        return Series(self.kind, steps, wall_times, values)

    def _view(self, name: str) -> NDArray[Any]:
        view = self._arrays[name][: self.count]
        view.flags.writeable = False
        return view

    def _blank(self, value: Any, room: int) -> NDArray[Any]:  # noqa: ARG002 - other kinds ask it
        return np.empty(room, dtype=object)

    def _buckets(self) -> int:
        """How many entries are left when they merge."""
        return RECORD_BUCKETS if self.kind is not Kind.HISTOGRAM else HISTOGRAM_BUCKETS

    def _make_room(self, value: Any) -> None:
        if not self.begun:
            self._arrays["last"] = self._blank(value, 0)
        most = 2 * self._buckets() if self.bounded else None
        if most is not None and self.count >= most:
            self._merge()
        else:
            room = max(self._first_room(value), 2 * self.count)
            self._resize(room if most is None else min(room, most))

    def _first_room(self, value: Any) -> int:  # noqa: ARG002 - other kinds ask it
        return _FIRST_ROOM

    def _resize(self, room: int) -> None:
        for name, array in self._arrays.items():
            copy = np.empty((room, *array.shape[1:]), dtype=array.dtype)
            copy[: self.count] = array[: self.count]
            self._arrays[name] = copy
        self._shared = 0

    def _merge(self) -> None:
        """Merge neighbours, so that half of the room is free again."""
        if not self.merged:
            self.merged = True
            for name, dtype in (("first_steps", np.int64), ("counts", np.int64)):
                self._arrays[name] = np.zeros(self.count, dtype)
            self._add_arrays()
            self._describe(slice(0, self.count))
        counts = self._arrays["counts"][: self.count]
        self._width = -(-int(counts.sum()) // self._buckets())
        group = (np.cumsum(counts) - counts) // self._width
        group[-1] = group[-2] + 1  # the newest value stands alone
        starts = np.flatnonzero(np.diff(group, prepend=-1))
        ends = np.append(starts[1:], self.count) - 1
        former = {name: array[: self.count] for name, array in self._arrays.items()}
        with np.errstate(invalid="ignore", over="ignore"):
            merged = self._reduced(former, starts, ends)
        room = 2 * self._buckets()
        for name, array in merged.items():
            self._arrays[name] = np.empty((room, *array.shape[1:]), dtype=array.dtype)
            self._arrays[name][: len(starts)] = array
        self.count, self._shared = len(starts), 0

    def _add_arrays(self) -> None:
        """Make the arrays that only merged entries need."""

    def _describe(self, entries: slice) -> None:
        """Fill in what merged entries need, for entries of one value each."""
        self._arrays["first_steps"][entries] = self._arrays["steps"][entries]
        self._arrays["counts"][entries] = 1

    def _reduced(self, former: Arrays, starts: NDArray[np.intp], ends: NDArray[np.intp]) -> Arrays:
        """The arrays with one entry in place of each group of neighbours."""
        reduced = {name: former[name][ends] for name in ("steps", "wall_times", "last")}
        reduced["first_steps"] = former["first_steps"][starts]
        reduced["counts"] = np.add.reduceat(former["counts"], starts)
        return reduced

    def _cut(self, step: int, reaching: Arrays) -> None:
        """Take care of an entry that was dropped, but holds values from before `step` too."""


class ScalarColumn(Column):
    """Numbers; merged ones keep where the smallest, the largest and a NaN stood."""

    def extend(
        self, steps: NDArray[np.int64], wall_times: NDArray[np.float64], values: NDArray[Any]
    ) -> None:
        """Add many values at once."""
        last = self._arrays["steps"][self.count - 1] if self.count else -_NEVER
        if steps[0] <= last or (np.diff(steps) <= 0).any():
            for entry in zip(steps.tolist(), wall_times.tolist(), values.tolist(), strict=True):
                self.append(*entry)
            return
        done = 0
        while done < len(steps):
            if self.count == len(self._arrays["steps"]):
                self._make_room(0.0)
            new = min(len(steps) - done, len(self._arrays["steps"]) - self.count)
            entries, taken = slice(self.count, self.count + new), slice(done, done + new)
            self._arrays["steps"][entries] = steps[taken]
            self._arrays["wall_times"][entries] = wall_times[taken]
            self._arrays["last"][entries] = values[taken]
            self.count += new
            done += new
            if self.merged:
                self._describe(entries)

    def freeze(self) -> Series:
        if not self.merged or not self.count:
            return super().freeze()
        self._shared = self.count
        arrays = {name: self._view(name) for name in self._arrays}
        steps, values = _points(arrays)
        wall_times = np.interp(steps, arrays["steps"], arrays["wall_times"])
        finite = np.maximum(arrays["finite"], 1)
        buckets = Buckets(
            first_steps=arrays["first_steps"],
            last_steps=arrays["steps"],
            wall_times=arrays["wall_times"],
            minimum=arrays["low"],
            maximum=arrays["high"],
            mean=np.where(arrays["finite"] > 0, arrays["total"] / finite, np.nan),
            last=arrays["last"],
            counts=arrays["counts"],
            nonfinite=arrays["counts"] - arrays["finite"],
        )
        return Series(self.kind, steps, wall_times, values, buckets)

    def _blank(self, value: Any, room: int) -> NDArray[Any]:  # noqa: ARG002
        return np.zeros(room)

    def _buckets(self) -> int:
        return SCALAR_BUCKETS

    def _add_arrays(self) -> None:
        for name in ("first", "low", "high", "total"):
            self._arrays[name] = np.zeros(self.count)
        for name in ("low_steps", "high_steps", "nan_steps", "finite"):
            self._arrays[name] = np.zeros(self.count, np.int64)

    def _describe(self, entries: slice) -> None:
        super()._describe(entries)
        arrays = self._arrays
        steps, values = arrays["steps"][entries], arrays["last"][entries]
        finite = np.isfinite(values)
        for name in ("first", "low", "high"):
            arrays[name][entries] = values
        arrays["low_steps"][entries] = arrays["high_steps"][entries] = steps
        arrays["nan_steps"][entries] = np.where(np.isnan(values), steps, _NEVER)
        arrays["total"][entries] = np.where(finite, values, 0.0)
        arrays["finite"][entries] = finite

    def _reduced(self, former: Arrays, starts: NDArray[np.intp], ends: NDArray[np.intp]) -> Arrays:
        reduced = super()._reduced(former, starts, ends)
        reduced["first"] = former["first"][starts]
        lengths = ends - starts + 1
        for name, extreme in (("low", np.fmin), ("high", np.fmax)):
            reduced[name] = extreme.reduceat(former[name], starts)
            here = former[name] == np.repeat(reduced[name], lengths)
            where = np.where(here, former[f"{name}_steps"], _NEVER)
            reduced[f"{name}_steps"] = np.minimum.reduceat(where, starts)
        reduced["nan_steps"] = np.minimum.reduceat(former["nan_steps"], starts)
        for name in ("total", "finite"):
            reduced[name] = np.add.reduceat(former[name], starts)
        return reduced

    def _cut(self, step: int, reaching: Arrays) -> None:
        """Keep its points from before."""
        wall_time = float(reaching["wall_times"][0])
        steps, values = _points(reaching)
        before = steps < step
        for at, value in zip(steps[before].tolist(), values[before].tolist(), strict=True):
            self.append(at, wall_time, value)


class PackedColumn(Column):
    """Arrays [P, S]; of merged statistics the smallest, largest, mean and newest, of others that.

    Of a bucket that reaches over the step of a new session nothing is kept. `expected_bytes` is the
    size of the files, of which the values are at most all: room for so many costs no memory until
    it is used, and saves to copy them again and again as they grow.
    """

    expected_bytes = 0

    def append(self, step: int, wall_time: float, value: Any) -> None:
        """Add a value; the one before it goes into the bucket ahead of it, if that has room."""
        newest, bucket = self.count - 1, self.count - 2
        if self.merged and bucket >= self._shared and step > self._arrays["steps"][newest]:
            counts = self._arrays["counts"]
            if counts[bucket] + counts[newest] <= self._width:
                self._fold(bucket, newest)
                self.count -= 1
        super().append(step, wall_time, value)

    def _fold(self, bucket: int, newest: int) -> None:
        """Take the next entry into a bucket."""
        arrays = self._arrays
        counts = arrays["counts"]
        counts[bucket] += counts[newest]
        for name in ("steps", "wall_times", "last"):
            arrays[name][bucket] = arrays[name][newest]
        if self.kind is Kind.PARAMETERS:
            for name, extreme in (("low", np.fmin), ("high", np.fmax)):
                extreme(arrays[name][bucket], arrays[name][newest], out=arrays[name][bucket])
            mean = arrays["mean"]
            share = mean.dtype.type(counts[newest] / counts[bucket])
            with np.errstate(invalid="ignore", over="ignore"):  # +∞ and −∞ have no mean
                mean[bucket] *= 1 - share
                mean[bucket] += share * mean[newest]

    def freeze(self) -> Series:
        plain = super().freeze()
        if not self.merged or self.kind is not Kind.PARAMETERS:
            return plain
        buckets = Buckets(
            first_steps=self._view("first_steps"),
            last_steps=plain.steps,
            wall_times=plain.wall_times,
            minimum=self._view("low"),
            maximum=self._view("high"),
            mean=self._view("mean"),
            last=plain.values,
            counts=self._view("counts"),
            nonfinite=np.zeros(self.count, np.int64),
        )
        return Series(self.kind, plain.steps, plain.wall_times, buckets.largest, buckets)

    def rearrange(
        self, rows: NDArray[np.intp], columns: NDArray[np.intp] | None, blank: float
    ) -> None:
        """Bring the values into another order of rows and columns; -1 makes a blank one."""
        if not self.begun:
            return
        for name in {"last", "low", "high", "mean"} & self._arrays.keys():
            values = self._arrays[name][:, rows]
            values[:, rows < 0] = blank
            if columns is not None:
                values = values[:, :, columns]
                values[:, :, columns < 0] = blank
            self._arrays[name] = values

    def _blank(self, value: Any, room: int) -> NDArray[Any]:
        return np.zeros((room, *value.shape), dtype=value.dtype)

    def _first_room(self, value: Any) -> int:
        expected = self.expected_bytes // max(1, value.nbytes)
        return _FIRST_ROOM if self.bounded else max(_FIRST_ROOM, expected)

    def _buckets(self) -> int:
        last = self._arrays["last"]
        one = max(1, last.itemsize * math.prod(last.shape[1:]))
        statistics = self.kind is Kind.PARAMETERS
        most = PACKED_BYTES // (8 * one) if statistics else PACKED_HISTOGRAM_BYTES // (2 * one)
        return int(np.clip(most, MIN_PACKED_BUCKETS, MAX_PACKED_BUCKETS))

    def _add_arrays(self) -> None:
        if self.kind is Kind.PARAMETERS:
            for name in ("low", "high", "mean"):
                self._arrays[name] = np.empty_like(self._arrays["last"])

    def _describe(self, entries: slice) -> None:
        super()._describe(entries)
        if self.kind is Kind.PARAMETERS:
            for name in ("low", "high", "mean"):
                self._arrays[name][entries] = self._arrays["last"][entries]

    def _reduced(self, former: Arrays, starts: NDArray[np.intp], ends: NDArray[np.intp]) -> Arrays:
        reduced = super()._reduced(former, starts, ends)
        if self.kind is Kind.PARAMETERS:
            reduced["low"] = np.fmin.reduceat(former["low"], starts)
            reduced["high"] = np.fmax.reduceat(former["high"], starts)
            counts = former["counts"]
            mean = np.empty_like(reduced["low"])
            for i, (a, b) in enumerate(zip(starts.tolist(), (ends + 1).tolist(), strict=True)):
                weights = counts[a:b].astype(mean.dtype) / reduced["counts"][i]
                mean[i] = np.einsum("i,ijk->jk", weights, former["mean"][a:b])
            reduced["mean"] = mean
        return reduced


class AlertColumn(Column):
    """Alerts by step; merged entries keep the newest state of each."""

    def _reduced(self, former: Arrays, starts: NDArray[np.intp], ends: NDArray[np.intp]) -> Arrays:
        reduced = super()._reduced(former, starts, ends)
        for i, (a, b) in enumerate(zip(starts.tolist(), (ends + 1).tolist(), strict=True)):
            newest: dict[tuple[str, tuple[str, ...], int], Alert] = {}
            for alerts in former["last"][a:b]:
                newest |= {(x.rule, x.parameters, x.first_step): x for x in alerts}
            reduced["last"][i] = tuple(newest.values())
        return reduced


def column_for(kind: Kind, bounded: bool) -> Column:
    """An empty column for values of a kind."""
    make: dict[Kind, Callable[[Kind, bool], Column]] = {
        Kind.SCALAR: ScalarColumn,
        Kind.PARAMETERS: PackedColumn,
        Kind.HISTOGRAMS: PackedColumn,
        Kind.ALERTS: AlertColumn,
    }
    return make.get(kind, Column)(kind, bounded)


def _points(arrays: Arrays) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The smallest, the largest, the newest and a NaN of each bucket, and the first of them all.

    These are true points; their steps rise.
    """
    count = len(arrays["steps"])
    usable = ~np.isnan(arrays["low"])
    found = [
        (arrays["first_steps"], arrays["first"], np.arange(count) == 0),
        (arrays["low_steps"], arrays["low"], usable),
        (arrays["high_steps"], arrays["high"], usable),
        (arrays["nan_steps"], np.full(count, np.nan), arrays["nan_steps"] < _NEVER),
        (arrays["steps"], arrays["last"], np.ones(count, np.bool_)),
    ]
    steps = np.concatenate([steps[there] for steps, _, there in found])
    values = np.concatenate([values[there] for _, values, there in found])
    rising, first = np.unique(steps, return_index=True)
    return rising, values[first]
