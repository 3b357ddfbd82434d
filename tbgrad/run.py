"""What a reader hands out: a run, and its series as arrays that never change again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad import logformat
from tbgrad.logformat import Kind
from tbgrad.records import Damage, Manifest, Parameter


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
        low, high = self.minimum[index], self.maximum[index]
        found: NDArray[Any] = np.where(np.abs(low) > np.abs(high), low, high)
        return found


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
        every = self.buckets or _one_each(self)
        inside = np.s_[
            int(np.searchsorted(every.last_steps, first_step)) : int(
                np.searchsorted(every.first_steps, last_step, side="right")
            )
        ]
        return _merged({f.name: getattr(every, f.name)[inside] for f in fields(every)}, buckets)

    def __len__(self) -> int:
        return len(self.steps)


NAMED = 3
"""So many series are named where many have left something out for one reason."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Values of a series that the file has and the series has not: how many, and why."""

    tag: str
    count: int
    reason: str

    def __str__(self) -> str:
        return f"{_values(self.count)} of {self.tag} {self.reason}"


def left_out_lines(left_out: Iterable[LeftOut]) -> list[str]:
    """What is left out, in words: a line for each reason."""
    reasons: dict[str, list[LeftOut]] = {}
    for each in left_out:
        reasons.setdefault(each.reason, []).append(each)
    lines = []
    for reason, found in reasons.items():
        if len(found) == 1:
            lines.append(str(found[0]))
            continue
        found.sort(key=lambda each: -each.count)
        named = [f"{each.tag} {each.count:,}" for each in found[:NAMED]]
        named += ["…"] if len(found) > NAMED else []
        total = _values(sum(each.count for each in found))
        lines.append(f"{total} of {len(found):,} series {reason} ({', '.join(named)})")
    return lines


def _values(count: int) -> str:
    return f"{count:,} {'value' if count == 1 else 'values'}"


REPLACED = "gave way to later ones of the same or a lower step"


@dataclass(frozen=True)
class Run(Mapping[str, Series]):
    """All that was read of one run: a mapping from tag to `Series`.

    `manifest` is the newest one, None for a log without tbgrad series. `parameters` are the rows of
    the packed series: those of the manifest, then those that only earlier manifests had; `names`
    are their paths, each one different. `damage` lists what could not be read of all files of the
    directory, also where these are several runs; `bytes_read` counts their bytes, and of groups and
    of further names of a directory the first run has them. `left_out` counts what could be read and
    is in no series: values that gave way to others, and those of kinds that are not read.
    """

    name: str
    series: Mapping[str, Series]
    manifest: Manifest | None = None
    parameters: tuple[Parameter, ...] = ()
    names: tuple[str, ...] = ()
    damage: tuple[Damage, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
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

    def to_pandas(self, tag: str | None = None) -> Any:
        """A pandas DataFrame with one row a step: all scalars, or the packed statistics by `tag`.

        Scalars have a column a tag, `tbgrad/parameters` one a parameter and statistic (MultiIndex).

        Raises:
            ImportError: pandas is not installed.
            KeyError: the run has no such series.
            ValueError: the series is neither.

        >>> runs["a"].to_pandas()["gradient/norm"].rolling(100).max()
        >>> runs["a"].to_pandas("tbgrad/parameters").xs("norm", axis=1, level="statistic")
        """
        import pandas

        if tag is None:
            scalars = {
                tag: pandas.Series(series.values, index=series.steps)
                for tag, series in sorted(self.series.items())
                if series.kind is Kind.SCALAR
            }
            return pandas.DataFrame(scalars).rename_axis("step")
        series = self.series[tag]
        if series.kind is not Kind.PARAMETERS or self.manifest is None:
            raise ValueError(
                f"{tag!r} holds {series.kind.value}, which have no table; for a script: "
                f"tbgrad export LOGDIR -o FILE --tag {tag!r}"
            )
        columns = pandas.MultiIndex.from_product(
            [self.names, self.manifest.statistics], names=["parameter", "statistic"]
        )
        table = series.values.reshape(len(series), -1)
        return pandas.DataFrame(table, pandas.Index(series.steps, name="step"), columns)

    def statistic(self, name: str) -> NDArray[np.float32]:
        """One statistic of every parameter over time: [T, P]; NaN where the log lacks it."""
        packed = self.series.get(logformat.PARAMETERS)
        if packed is None or self.manifest is None:
            return np.zeros((0, len(self.parameters)), dtype=np.float32)
        column = self.manifest.column(name)
        if column < 0:
            return np.full((len(packed), len(self.parameters)), np.nan, dtype=np.float32)
        return packed.column(column)


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


def _merged(found: Mapping[str, NDArray[Any]], buckets: int) -> Buckets:
    """At most so many buckets, each of as many of those found."""
    count = len(found["counts"])
    if count <= buckets:
        return Buckets(**found)
    starts = np.unique(np.arange(buckets) * count // buckets)
    ends = np.append(starts[1:], count) - 1
    counts = np.add.reduceat(found["counts"], starts)
    nonfinite = np.add.reduceat(found["nonfinite"], starts)
    mean = found["mean"]
    weights = found["counts"] - found["nonfinite"]
    weights = weights.reshape(-1, *[1] * (mean.ndim - 1))
    finite = (counts - nonfinite).reshape(-1, *[1] * (mean.ndim - 1))
    total = np.add.reduceat(np.where(weights > 0, mean * weights, 0.0), starts)
    with np.errstate(invalid="ignore", divide="ignore"):
        averages = np.where(finite > 0, total / finite, np.nan).astype(mean.dtype)
    return Buckets(
        first_steps=found["first_steps"][starts],
        last_steps=found["last_steps"][ends],
        wall_times=found["wall_times"][ends],
        minimum=np.fmin.reduceat(found["minimum"], starts),
        maximum=np.fmax.reduceat(found["maximum"], starts),
        mean=averages,
        last=found["last"][ends],
        counts=counts,
        nonfinite=nonfinite,
    )
