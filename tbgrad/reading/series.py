"""A series of a run: its steps, times and values as arrays that never change again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.brief import count
from tbgrad.log.norm_codes import Codes, decoded
from tbgrad.log.tags import Kind
from tbgrad.reading import thinning


@dataclass(frozen=True)
class Buckets:
    """A series of any length in a bounded number of buckets of neighbours in time.

    `first_steps` and `last_steps` [B] say what each covers, `wall_times` [B] when its newest value
    was written, `counts` [B] how many values it holds, and `nonfinite` [B] how many scalars among
    them are not finite. `minimum`, `maximum`, `mean` and `last` have shape [B, …]; the mean of
    scalars is of the finite ones, minimum and maximum pass over NaN.
    """

    first_steps: NDArray[np.int64]
    last_steps: NDArray[np.int64]
    wall_times: NDArray[np.float64]
    minimum: NDArray[Any]
    maximum: NDArray[Any]
    mean: NDArray[Any]
    last: NDArray[Any]
    counts: NDArray[np.int64]
    nonfinite: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.last_steps)

    def largest(self, index: Any = ...) -> NDArray[Any]:
        """The value of largest magnitude of each bucket, at an index of all its arrays."""
        return thinning.larger(self.minimum[index], self.maximum[index])


@dataclass(frozen=True)
class Norms:
    """Norms [T, P] that are decoded when they are asked for."""

    codes: Codes

    def __call__(self) -> NDArray[np.float32]:
        """All of them."""
        return decoded(self.codes)

    def part(self, part: slice) -> NDArray[np.float32]:
        """Those of some steps: [T, P]."""
        return decoded(self.codes[part])

    def row(self, row: int) -> NDArray[np.float32]:
        """Those of one parameter: [T]."""
        return decoded(self.codes[:, row])

    def rows(self, rows: list[int]) -> NDArray[np.float32]:
        """Those of some parameters: [T, p]."""
        return decoded(self.codes[:, rows])


@dataclass(frozen=True)
class Peaks:
    """At which steps [B, P] the smallest and the largest of each bucket were."""

    minimum_steps: NDArray[np.int64]
    maximum_steps: NDArray[np.int64]


class Point(NamedTuple):
    """A value of a series and its step."""

    step: int
    value: float


@dataclass(frozen=True)
class Series:
    """One tag of a run: `steps` [T] int64, `wall_times` [T] float64 in seconds, `values` [T, …].

    Scalars are float64 [T], or integers where float64 does not hold all their digits.
    `tbgrad/steps` is float32 [T, P], the norms of the gradients at every step: NaN where there was
    none, infinite where it was not finite. `tbgrad/parameters` is float32 [T, P, S] and
    `tbgrad/histograms` int32 [T, P, B], with rows as in `Run.parameters`. Curvature estimates,
    alerts, texts and native histograms are object arrays [T] of records.

    A series that was read in bounded memory and grew long has `buckets`, and one that its writer
    has kept in windows. Then the points of a
    scalar are the smallest, the largest, a NaN and the newest of each bucket, at their own steps;
    those of packed statistics are the values of largest magnitude, at the bucket's last step
    (`peaks` says at which steps the extremes of norms were); and
    of all other series the newest of each bucket is left.

    The steps of extremes are known to `within` so many steps: 1, but for norms that their writer
    has kept in windows.

    `replaced` counts the values that were read and gave way to later ones of the same or a lower
    step: of a session that began anew, or of writers that repeat their steps.
    """

    kind: Kind
    steps: NDArray[np.int64]
    wall_times: NDArray[np.float64]
    points: NDArray[Any] | Callable[[], NDArray[Any]]
    buckets: Buckets | None = None
    replaced: int = 0
    peaks: Peaks | None = None
    within: int = 1

    def __repr__(self) -> str:
        span = f", steps {self.steps[0]:,} to {self.steps[-1]:,}" if len(self) else ""
        return f"Series({self.kind.value}: {count(len(self), 'value')}{span})"

    @property
    def values(self) -> NDArray[Any]:
        """One for each step: [T, …]."""
        return self.points() if callable(self.points) else self.points

    @property
    def first_value(self) -> Any:
        """The value of the first step; None where there is none."""
        if not len(self):
            return None
        points = self.points
        return points.part(slice(0, 1))[0] if isinstance(points, Norms) else self.values[0]

    def column(self, index: int) -> NDArray[Any]:
        """One statistic of all parameters: [T, P]."""
        if self.buckets is not None:
            return self.buckets.largest(np.s_[:, :, index])
        return np.asarray(self.values[:, :, index])

    @property
    def newest(self) -> Any:
        """The value of the last step."""
        if self.buckets is not None:
            return self.buckets.last[-1]
        points = self.points
        return points.part(slice(-1, None))[0] if isinstance(points, Norms) else self.values[-1]

    @property
    def total(self) -> int:
        """How many values were read, those that were merged included."""
        return len(self) if self.buckets is None else int(self.buckets.counts.sum())

    @property
    def nonfinite(self) -> int:
        """How many of a scalar's values are not finite."""
        if self.buckets is not None:
            return int(self.buckets.nonfinite.sum())
        return int(np.count_nonzero(~np.isfinite(self.values)))

    def window(self, first_step: int, last_step: int, buckets: int = 200) -> Buckets:
        """What lies between two steps, both included, in at most so many buckets.

        Buckets that reach over an end of the window are whole. `LogDirectory.window` goes back to
        the file where they are too wide.

        Raises:
            ValueError: the series does not hold numbers, or `buckets` is below 1.

        >>> peaks = runs["a"]["gradient/norm"].window(1_000, 2_000).maximum
        """
        if self.kind not in (Kind.SCALAR, Kind.PARAMETERS, Kind.STEPS):
            raise ValueError(f"a window shows numbers; this series holds {self.kind.value}")
        if buckets < 1:
            raise ValueError(f"buckets is at least 1, not {buckets}")
        whole = self.buckets or one_each(self)
        inside = slice(
            int(np.searchsorted(whole.last_steps, first_step)),
            int(np.searchsorted(whole.first_steps, last_step, side="right")),
        )
        return _merged({f.name: getattr(whole, f.name)[inside] for f in fields(whole)}, buckets)

    def smallest(self, count: int = 1) -> list[Point]:
        """The finite values of a scalar that are smallest, the smallest first: at most so many.

        Where there are `buckets` these are of different ones, of each its smallest.

        Raises:
            ValueError: the series does not hold single numbers.
        """
        return self._extremes(count, np.argsort(self.values, kind="stable"))

    def largest(self, count: int = 1) -> list[Point]:
        """The same of the largest, the largest first."""
        backwards = np.argsort(self.values[::-1], kind="stable")[::-1]
        return self._extremes(count, len(self) - 1 - backwards)

    def _extremes(self, count: int, order: NDArray[np.intp]) -> list[Point]:
        values = self.values
        if self.kind is not Kind.SCALAR:
            raise ValueError(f"only numbers have extremes; this series holds {self.kind.value}")
        chosen = order[np.isfinite(values[order])][:count]
        return [Point(int(self.steps[i]), values[i].item()) for i in chosen.tolist()]

    def __len__(self) -> int:
        return len(self.steps)


def norms_of_row(series: Series, row: int) -> Series:
    """The norms of one parameter, out of those of all, as a scalar series.

    Points of buckets are the smallest and the largest of each, at their own steps, and the newest.
    """
    if series.buckets is None or series.peaks is None:
        points = series.points
        norms = points.row(row) if isinstance(points, Norms) else series.values[:, row]
        return Series(Kind.SCALAR, series.steps, series.wall_times, norms.astype(np.float64))
    whole = series.buckets
    numbers = {
        name: getattr(whole, name)[:, row].astype(np.float64)
        for name in ("minimum", "maximum", "mean", "last")
    }
    buckets = replace(whole, **numbers)
    there = ~np.isnan(numbers["maximum"])
    ends = whole.last_steps
    steps = np.concatenate(
        [
            series.peaks.minimum_steps[there, row],
            series.peaks.maximum_steps[there, row],
            ends[~there | (whole.counts == 1)],
        ]
    )
    values = np.concatenate(
        [
            numbers["minimum"][there],
            numbers["maximum"][there],
            numbers["last"][~there | (whole.counts == 1)],
        ]
    )
    # Where the two stand at one step, the larger: of a window, which has no step of its own.
    order = np.lexsort((np.nan_to_num(-values, nan=0.0), steps))
    rising, first = np.unique(steps[order], return_index=True)
    wall_times = np.interp(rising, ends, whole.wall_times)
    return Series(Kind.SCALAR, rising, wall_times, values[order][first], buckets)


def one_each(series: Series) -> Buckets:
    """Every value in a bucket of its own."""
    values = series.values
    scalar = series.kind is Kind.SCALAR
    return Buckets(
        first_steps=series.steps,
        last_steps=series.steps,
        wall_times=series.wall_times,
        minimum=values,
        maximum=values,
        mean=np.where(np.isfinite(values), values, np.nan) if scalar else values,
        last=values,
        counts=np.ones(len(series), np.int64),
        nonfinite=(~np.isfinite(values)).astype(np.int64) if scalar else np.zeros(len(series), int),
    )


def _merged(buckets: Mapping[str, NDArray[Any]], most: int) -> Buckets:
    """At most so many buckets, each of as many of those given."""
    count = len(buckets["counts"])
    if count <= most:
        return Buckets(**buckets)
    starts = thinning.buckets(count, most)
    reduced = thinning.merged(buckets, starts, np.append(starts[1:], count) - 1)
    mean = buckets["mean"]
    each_alike = (-1, *[1] * (mean.ndim - 1))
    weights = (buckets["counts"] - buckets["nonfinite"]).reshape(each_alike)
    finite = (reduced["counts"] - reduced["nonfinite"]).reshape(each_alike)
    total = np.add.reduceat(np.where(weights > 0, mean * weights, 0.0), starts)
    with np.errstate(invalid="ignore", divide="ignore"):
        reduced["mean"] = np.where(finite > 0, total / finite, np.nan).astype(mean.dtype)
    return Buckets(**reduced)
