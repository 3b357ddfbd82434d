"""A series of a run: its steps, times and values as arrays that never change again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
class Series:
    """One tag of a run: `steps` [T] int64, `wall_times` [T] float64 in seconds, `values` [T, …].

    Scalars are float64 [T], or integers where float64 does not hold all their digits.
    `tbgrad/parameters` is float32 [T, P, S] and `tbgrad/histograms` int32 [T, P, B], with rows as
    in `Run.parameters`. Curvature estimates, alerts, texts and native histograms are object arrays
    [T] of records.

    A series that was read in bounded memory and grew long has `buckets`. Then the points of a
    scalar are the smallest, the largest, a NaN and the newest of each bucket, at their own steps;
    those of packed statistics are the values of largest magnitude, at the bucket's last step; and
    of all other series the newest of each bucket is left.

    `replaced` counts the values that were read and gave way to later ones of the same or a lower
    step: of a session that began anew, or of writers that repeat their steps.
    """

    kind: Kind
    steps: NDArray[np.int64]
    wall_times: NDArray[np.float64]
    points: NDArray[Any] | Callable[[], NDArray[Any]]
    buckets: Buckets | None = None
    replaced: int = 0

    @property
    def values(self) -> NDArray[Any]:
        """One for each step: [T, …]."""
        return self.points() if callable(self.points) else self.points

    def column(self, index: int) -> NDArray[Any]:
        """One statistic of all parameters: [T, P]."""
        if self.buckets is not None:
            return self.buckets.largest(np.s_[:, :, index])
        return np.asarray(self.values[:, :, index])

    @property
    def newest(self) -> Any:
        """The value of the last step."""
        return self.values[-1] if self.buckets is None else self.buckets.last[-1]

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
        if self.kind not in (Kind.SCALAR, Kind.PARAMETERS):
            raise ValueError(f"a window shows numbers; this series holds {self.kind.value}")
        if buckets < 1:
            raise ValueError(f"buckets is at least 1, not {buckets}")
        whole = self.buckets or _one_each(self)
        inside = slice(
            int(np.searchsorted(whole.last_steps, first_step)),
            int(np.searchsorted(whole.first_steps, last_step, side="right")),
        )
        return _merged({f.name: getattr(whole, f.name)[inside] for f in fields(whole)}, buckets)

    def __len__(self) -> int:
        return len(self.steps)


def _one_each(series: Series) -> Buckets:
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
