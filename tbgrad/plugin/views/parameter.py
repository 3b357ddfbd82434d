"""One parameter: its statistics over the steps, and the histograms of its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.tags import HISTOGRAMS, MANIFEST, PARAMETERS, STEPS
from tbgrad.plugin.answer import described, evenly, listed, numbers, part_of
from tbgrad.plugin.samples import UnknownNameError
from tbgrad.plugin.source import Snapshot
from tbgrad.plugin.stored_run import read_run
from tbgrad.plugin.stored_steps import read_steps
from tbgrad.plugin.views.scalars import MAX_POINTS
from tbgrad.reading import thinning
from tbgrad.reading.histogram import having
from tbgrad.reading.run import Run
from tbgrad.reading.series import Series

MAX_HISTOGRAMS = 500
MAX_ZEROS = 500


def parameter(
    snapshot: Snapshot,
    run: str,
    parameter: str,
    first: int | None = None,
    last: int | None = None,
    times: str = "0",
) -> dict[str, Any]:
    """Every statistic of one parameter over time."""
    read = read_run(snapshot, run, (MANIFEST, PARAMETERS)).run
    row = _row(read, parameter)
    packed = read.get(PARAMETERS)
    inside = part_of(packed.steps, first, last) if packed else slice(0, 0)
    count = inside.stop - inside.start
    starts = thinning.buckets(count, MAX_POINTS)
    ends = inside.start + np.append(starts[1:], count)[: len(starts)] - 1
    statistics = read.manifest.statistics if read.manifest else ()
    return {
        "run": run,
        "parameter": described([parameter], [read.parameters[row]])[0],
        "steps": numbers(packed.steps[ends]) if packed else [],
        **_timed(times, packed, ends),
        "statistics": {
            name: numbers(thinning.largest(read.statistic(name)[inside, row], starts))
            for name in statistics
        },
        "norms": _norms(read_steps(snapshot, run, first, last), parameter, first, last),
        "stored": len(packed) if packed else 0,
    }


def _norms(every: Run | None, name: str, first: int | None, last: int | None) -> dict[str, Any]:
    """The norm at every step, no peak lost; nothing where the log does not have them."""
    if every is None or STEPS not in every or name not in every.names:
        return {"steps": [], "values": [], "zeros": [], "lowest": None}
    norm = every.norm(name)
    inside = part_of(norm.steps, first, last)
    steps, values = norm.steps[inside], norm.values[inside]
    keep = thinning.extremes(values, MAX_POINTS)
    above = values[(values > 0) & np.isfinite(values)]
    return {
        "steps": numbers(steps[keep]),
        "values": numbers(values[keep].astype(np.float32)),
        "zeros": _stretches(steps, values == 0),
        "lowest": numbers(above.min(keepdims=True).astype(np.float32))[0] if len(above) else None,
    }


def _stretches(steps: NDArray[np.int64], there: NDArray[np.bool_]) -> list[list[int]]:
    """The first and the last step of each stretch where something is so; of too many, neighbours
    as one."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], there, [False]]).astype(np.int8)))
    starts, ends = edges[::2], edges[1::2] - 1
    some = thinning.buckets(len(starts), MAX_ZEROS)
    behind = np.append(some[1:], len(starts))[: len(some)] - 1
    return [
        list(ends)
        for ends in zip(steps[starts[some]].tolist(), steps[ends[behind]].tolist(), strict=True)
    ]


def histogram(
    snapshot: Snapshot,
    run: str,
    parameter: str,
    first: int | None = None,
    last: int | None = None,
    most: int = MAX_HISTOGRAMS,
    times: str = "0",
) -> dict[str, Any]:
    """Counts by sign and power of two of one parameter, at every step that has them."""
    stored = read_run(snapshot, run, (MANIFEST, HISTOGRAMS))
    read = stored.run
    row = _row(read, parameter)
    series = read.get(HISTOGRAMS)
    at = having(series, row) if series else np.zeros(0, np.intp)
    total = len(at)
    at = at[part_of(series.steps[at], first, last)] if series else at
    # Evenly spaced and never without the newest: a histogram has no peak to lose.
    keep = at[evenly(len(at), most)]
    return {
        "run": run,
        "parameter": described([parameter], [read.parameters[row]])[0],
        "edges": list(read.manifest.histogram_bins.edges) if read.manifest else [],
        "steps": numbers(series.steps[keep]) if series else [],
        **_timed(times, series, keep),
        "counts": numbers(series.values[keep, row]) if series else [],
        "stored": total,
        "problems": listed(stored.problems),
    }


def _timed(times: str, series: Series | None, places: NDArray[np.intp]) -> dict[str, Any]:
    """The wall times of these places of a series, where they are asked for."""
    if times != "1":
        return {}
    return {"wall_times": numbers(series.wall_times[places]) if series else []}


def _row(run: Run, name: str) -> int:
    if name not in run.names:
        raise UnknownNameError(f"run {run.name!r} has no parameter {name[:200]!r}")
    return run.names.index(name)
