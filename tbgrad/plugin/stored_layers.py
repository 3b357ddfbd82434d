"""A statistic of every parameter of a run over its steps, as arrays."""

from __future__ import annotations

from collections.abc import Callable, Sized
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.tags import MANIFEST, PARAMETERS, PLUGIN_NAME, STEPS
from tbgrad.plugin.answer import part_of
from tbgrad.plugin.samples import UnknownNameError
from tbgrad.plugin.source import Snapshot
from tbgrad.plugin.stored_run import read_run
from tbgrad.plugin.stored_steps import read_steps
from tbgrad.reading import thinning
from tbgrad.reading.layer_history import MEASURES, LayerHistory, history_of
from tbgrad.reading.run import Run
from tbgrad.reading.series import one_each

NORMS = ("norm", "norm_max")

MAX_ROWS = 4000
"""Parameters that are shown at once: of more those of one page after another."""

ANSWER_BYTES = 280_000
ROW_BYTES = 35
CELL_BYTES = {"binary": 4, "json": 7}
"""What an answer may take, and what of that a parameter and a value in it do, compressed."""


@dataclass(frozen=True)
class Layers:
    """A statistic of every parameter of a run in columns of steps: `values` [P, T]."""

    run: Run
    first_steps: NDArray[np.int64]
    steps: NDArray[np.int64]
    wall_times: NDArray[np.float64]
    values: NDArray[np.float32]
    nonfinite: NDArray[np.bool_]
    stored: int
    sampled: bool
    problems: tuple[str, ...] = ()

    @property
    def columns(self) -> LayerHistory:
        """The same as the reader of files has it, [T, P]."""
        values, lost = self.values.T, self.nonfinite.T
        if not len(values):
            rows = values.shape[1]
            newest, gone = np.zeros(rows, np.float32), np.zeros(rows, np.bool_)
        else:
            newest, gone = values[-1], lost[-1]
        return LayerHistory(self.first_steps, self.steps, values, lost, newest, gone)


def statistics_of(run: Run) -> list[str]:
    """What may be asked for: the logged statistics, and what is made of them."""
    logged = run.manifest.statistics if run.manifest is not None else ()
    return list(dict.fromkeys([*logged, *(MEASURES if logged else ())]))


def _all(run: Run) -> Sized:
    return run.names


def read_layers(
    snapshot: Snapshot,
    run: str,
    statistic: str,
    columns: int,
    first: int | None,
    last: int | None,
    form: str = "",
    some: Callable[[Run], Sized] = _all,
) -> Layers:
    """The same as arrays; where it is to be written in this form, with fewer columns where it must:
    as many as there is room for in `some` of the rows.

    Raises:
        UnknownNameError: there is no such run, or it has no such statistic.
    """
    every = read_steps(snapshot, run, first, last) if statistic in NORMS else None
    if every is not None and STEPS in every:
        return _peaks(every, columns_for(len(some(every)), columns, form), first, last)
    stored = read_run(snapshot, run, (MANIFEST, PARAMETERS))
    read = stored.run
    if read.manifest and statistic not in statistics_of(read):
        known = ", ".join(statistics_of(read)) or "none at all"
        raise UnknownNameError(f"run {run!r} has no statistic {statistic[:80]!r}; it has {known}")
    packed = read.get(PARAMETERS)
    inside = part_of(packed.steps, first, last) if packed else slice(0, 0)
    values, bad = _values(read, statistic)
    values, bad = values[inside], bad[inside]
    steps = packed.steps[inside] if packed else np.zeros(0, np.int64)
    wall_times = packed.wall_times[inside] if packed else np.zeros(0)
    starts = thinning.buckets(len(steps), columns_for(len(some(read)), columns, form))
    ends = np.append(starts[1:], len(steps))[: len(starts)] - 1
    return Layers(
        read,
        steps[starts],
        steps[ends],
        wall_times[ends],
        thinning.largest(values, starts).T,
        (thinning.largest(bad, starts) > 0).T,
        len(steps),
        snapshot.source.sampled(PLUGIN_NAME, stored.stored.get(PARAMETERS, 0)),
        stored.problems,
    )


def _values(run: Run, statistic: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A statistic, or what is made of some, [T, P], and how many values were not finite."""
    logged = run.manifest.statistics if run.manifest is not None else ()
    bad = run.statistic("nonfinite")
    if statistic in logged or statistic not in MEASURES or not len(bad):
        return run.statistic(statistic) if len(bad) else bad, bad
    history = history_of(run, MEASURES[statistic])
    assert history is not None
    return history.values, history.nonfinite.astype(np.float32)


def columns_for(rows: int, columns: int, form: str) -> int:
    """As many columns as a map of so many rows may have that is written in a form."""
    if form not in CELL_BYTES:
        return columns
    rows = min(rows, MAX_ROWS)
    cells = (ANSWER_BYTES - ROW_BYTES * rows) // CELL_BYTES[form]
    return max(1, min(columns, cells // max(1, rows)))


def _peaks(every: Run, columns: int, first: int | None, last: int | None) -> Layers:
    """The largest norm of every parameter in equal stretches of all steps."""
    series = every[STEPS]
    whole = series.buckets or one_each(series)
    there = slice(
        0 if first is None else int(np.searchsorted(whole.last_steps, first)),
        None if last is None else int(np.searchsorted(whole.first_steps, last, side="right")),
    )
    firsts, lasts = whole.first_steps[there], whole.last_steps[there]
    peaks, wall_times = whole.maximum[there], whole.wall_times[there]
    if not len(firsts):
        nothing = np.zeros(0, np.int64)
        none = np.zeros((len(every.names), 0), np.float32)
        return Layers(
            every, nothing, nothing, np.zeros(0), none, none > 0, series.total, sampled=False
        )
    starts = thinning.unsplit(firsts, lasts, columns)
    ends = np.append(starts[1:], len(lasts))
    values = np.fmax.reduceat(peaks, starts)
    return Layers(
        every,
        firsts[starts],
        lasts[ends - 1],
        wall_times[ends - 1],
        values.T,
        np.isinf(values).T,
        series.total,
        sampled=False,
    )
