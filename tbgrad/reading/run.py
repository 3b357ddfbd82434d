"""What a reader hands out: a run, a mapping from tag to series."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.analyses import Analysis
from tbgrad.log.decode import ended_at
from tbgrad.log.records import Damage, Manifest, Parameter
from tbgrad.log.state import RunState
from tbgrad.log.tags import ANALYSES, GRADIENT_NORM, NOTES, PARAMETERS, STEPS, Kind
from tbgrad.reading.every_step import together
from tbgrad.reading.series import Point, Series, norms_of_row

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
    for entry in left_out:
        reasons.setdefault(entry.reason, []).append(entry)
    lines = []
    for reason, entries in reasons.items():
        if len(entries) == 1:
            lines.append(str(entries[0]))
            continue
        entries.sort(key=lambda entry: -entry.count)
        named = [f"{entry.tag} {entry.count:,}" for entry in entries[:NAMED]]
        named += ["…"] if len(entries) > NAMED else []
        total = _values(sum(entry.count for entry in entries))
        lines.append(f"{total} of {len(entries):,} series {reason} ({', '.join(named)})")
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

    `state` is how its writer said last that it goes, None of logs that do not say so, and `heard`
    when that was, in seconds since the epoch by the writer's clock; `tbgrad.reading.state` tells
    what that means now. `full` has the gradient norms without the steps of a short batch, where
    the reader was to hold them (`Limits.extremes`).
    """

    name: str
    series: Mapping[str, Series]
    manifest: Manifest | None = None
    parameters: tuple[Parameter, ...] = ()
    names: tuple[str, ...] = ()
    damage: tuple[Damage, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    bytes_read: int = 0
    state: RunState | None = None
    heard: float = 0.0
    full: Mapping[str, Series] = field(default_factory=dict)

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

    @property
    def last_sign(self) -> float:
        """When anything at all was written last, as `last_wall_time`."""
        return max(self.last_wall_time, self.heard)

    @property
    def notes(self) -> list[tuple[int, str]]:
        """Step and text of what the monitor wrote about itself."""
        series = self.series.get(NOTES)
        if series is None or series.kind is not Kind.TEXT:
            return []
        return [
            (int(step), str(text)) for step, text in zip(series.steps, series.values, strict=True)
        ]

    @property
    def monitoring_ended(self) -> int | None:
        """The step at which the monitoring ended after a failure of its own; None where not."""
        norm = self.series.get(GRADIENT_NORM)
        return ended_at(self.notes, int(norm.steps[-1]) if norm is not None and len(norm) else None)

    @property
    def analyses(self) -> dict[str, Analysis]:
        """What was found of the weights after the training, or during it: the newest by name.

        Landscapes, critical points and checks of the gradient: see `tbgrad.analysis`.
        """
        return {
            tag.removeprefix(ANALYSES): series.values[-1]
            for tag, series in sorted(self.series.items())
            if series.kind is Kind.ANALYSIS and len(series)
        }

    def to_pandas(self, tag: str | None = None) -> Any:
        """A pandas DataFrame with one row a step: all scalars, or a packed series by `tag`.

        Scalars have a column a tag, `tbgrad/steps` (norms) one a parameter, `tbgrad/parameters` one
        a parameter and statistic (MultiIndex).

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
        if series.kind is Kind.STEPS:
            steps = pandas.Index(series.steps, name="step")
            return pandas.DataFrame(series.values, steps, list(self.names))
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

    def norm(self, parameter: str) -> Series:
        """The gradient norm of one parameter at every step, by its name in `names`: float64 [T].

        NaN where it had no gradient, infinite where that was not finite. Where a log does not have
        every step, the norms at the logged steps.

        Raises:
            KeyError: the run has no such parameter.

        >>> runs["a"].norm("dense/kernel").window(1_000, 2_000).maximum
        """
        if parameter not in self.names:
            raise KeyError(parameter)
        row = self.names.index(parameter)
        packed = self.series.get(PARAMETERS)
        logged = Series(Kind.SCALAR, np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
        if packed is not None:
            norms = self.statistic("norm")[:, row].astype(np.float64)
            logged = Series(Kind.SCALAR, packed.steps, packed.wall_times, norms)
        steps = self.series.get(STEPS)
        if steps is None or steps.kind is not Kind.STEPS or not len(steps):
            return logged
        return together(logged, norms_of_row(steps, row))

    def smallest(self, tag: str, count: int = 1) -> list[Point]:
        """Steps and values at which a scalar was smallest, as `Series.smallest` says.

        >>> runs["a"].smallest("gradient/norm", 5)
        """
        return self.series[tag].smallest(count)

    def largest(self, tag: str, count: int = 1) -> list[Point]:
        """The same of its largest values."""
        return self.series[tag].largest(count)

    def statistic(self, name: str) -> NDArray[np.float32]:
        """One statistic of every parameter over time: [T, P]; NaN where the log lacks it."""
        packed = self.series.get(PARAMETERS)
        if packed is None or self.manifest is None:
            return np.zeros((0, len(self.parameters)), dtype=np.float32)
        column = self.manifest.column(name)
        if column < 0:
            return np.full((len(packed), len(self.parameters)), np.nan, dtype=np.float32)
        return packed.column(column)
