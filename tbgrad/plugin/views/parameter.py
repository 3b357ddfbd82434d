"""One parameter: its statistics over the steps, and the histograms of its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from tbgrad.log.tags import HISTOGRAMS, MANIFEST, PARAMETERS, STEPS
from tbgrad.plugin.answer import described, listed, numbers
from tbgrad.plugin.source import Snapshot, UnknownNameError
from tbgrad.plugin.stored_run import read_run
from tbgrad.plugin.stored_steps import read_steps
from tbgrad.plugin.views.scalars import MAX_POINTS
from tbgrad.reading import thinning
from tbgrad.reading.histogram import having
from tbgrad.reading.run import Run

MAX_HISTOGRAMS = 500


def parameter(snapshot: Snapshot, run: str, name: str) -> dict[str, Any]:
    """Every statistic of one parameter over time."""
    read = read_run(snapshot, run, (MANIFEST, PARAMETERS)).run
    row = _row(read, name)
    packed = read.get(PARAMETERS)
    count = len(packed) if packed else 0
    starts = thinning.buckets(count, MAX_POINTS)
    ends = np.append(starts[1:], count)[: len(starts)] - 1
    statistics = read.manifest.statistics if read.manifest else ()
    return {
        "run": run,
        "parameter": described([name], [read.parameters[row]])[0],
        "steps": numbers(packed.steps[ends]) if packed else [],
        "wall_times": numbers(packed.wall_times[ends]) if packed else [],
        "statistics": {
            statistic: numbers(thinning.largest(read.statistic(statistic)[:, row], starts))
            for statistic in statistics
        },
        "norms": _norms(read_steps(snapshot, run), name),
        "stored": count,
    }


def _norms(every: Run | None, name: str) -> dict[str, Any]:
    """The norm at every step, no peak lost; nothing where the log does not have them."""
    if every is None or STEPS not in every or name not in every.names:
        return {"steps": [], "values": []}
    norm = every.norm(name)
    keep = thinning.extremes(norm.values, MAX_POINTS)
    return {
        "steps": numbers(norm.steps[keep]),
        "values": numbers(norm.values[keep].astype(np.float32)),
    }


def histogram(snapshot: Snapshot, run: str, name: str) -> dict[str, Any]:
    """Counts by sign and power of two of one parameter, at every step that has them."""
    stored = read_run(snapshot, run, (MANIFEST, HISTOGRAMS))
    read = stored.run
    row = _row(read, name)
    series = read.get(HISTOGRAMS)
    at = having(series, row) if series else np.zeros(0, np.intp)
    # Evenly spaced and never without the newest: a histogram has no peak to lose.
    keep = at[np.unique(np.linspace(0, len(at) - 1, min(len(at), MAX_HISTOGRAMS), dtype=int))]
    return {
        "run": run,
        "parameter": described([name], [read.parameters[row]])[0],
        "edges": list(read.manifest.histogram_bins.edges) if read.manifest else [],
        "steps": numbers(series.steps[keep]) if series else [],
        "wall_times": numbers(series.wall_times[keep]) if series else [],
        "counts": numbers(series.values[keep, row]) if series else [],
        "stored": len(at),
        "problems": listed(stored.problems),
    }


def _row(run: Run, name: str) -> int:
    if name not in run.names:
        raise UnknownNameError(f"run {run.name!r} has no parameter {name!r}")
    return run.names.index(name)
