"""One statistic of every parameter over the steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from tbgrad.log.tags import MANIFEST, PARAMETERS, PLUGIN_NAME, STEPS
from tbgrad.plugin.answer import described, listed, numbers
from tbgrad.plugin.source import Snapshot, UnknownNameError
from tbgrad.plugin.stored_run import read_run
from tbgrad.plugin.stored_steps import read_steps
from tbgrad.reading import thinning
from tbgrad.reading.run import Run
from tbgrad.reading.series import one_each

MAX_CELLS = 200_000


def layers(
    snapshot: Snapshot, run: str, statistic: str = "norm", columns: int = 300
) -> dict[str, Any]:
    """One statistic of every parameter over time, [P][T] in at most so many columns."""
    every = read_steps(snapshot, run) if statistic in ("norm", "norm_max") else None
    if every is not None and STEPS in every:
        return _peaks(every, run, statistic, columns)
    stored = read_run(snapshot, run, (MANIFEST, PARAMETERS))
    read = stored.run
    statistics = read.manifest.statistics if read.manifest else ()
    if read.manifest and statistic not in statistics:
        known = ", ".join(statistics) or "none at all"
        raise UnknownNameError(f"run {run!r} has no statistic {statistic!r}; it has {known}")
    values, bad = read.statistic(statistic), read.statistic("nonfinite")
    packed = read.get(PARAMETERS)
    steps = packed.steps if packed else np.zeros(0, np.int64)
    wall_times = packed.wall_times if packed else np.zeros(0)
    cells = max(1, min(columns, MAX_CELLS // max(1, len(read.names))))
    starts = thinning.buckets(len(steps), cells)
    ends = np.append(starts[1:], len(steps))[: len(starts)] - 1
    return {
        "run": run,
        "statistic": statistic,
        "statistics": list(statistics),
        "parameters": described(read.names, read.parameters),
        "first_steps": numbers(steps[starts]),
        "steps": numbers(steps[ends]),
        "wall_times": numbers(wall_times[ends]),
        "values": numbers(thinning.largest(values, starts).T),
        "nonfinite": np.argwhere((thinning.largest(bad, starts) > 0).T).tolist(),
        "stored": len(steps),
        "sampled": snapshot.source.sampled(PLUGIN_NAME, stored.stored.get(PARAMETERS, 0)),
        "problems": listed(stored.problems),
    }


def _peaks(every: Run, run: str, statistic: str, columns: int) -> dict[str, Any]:
    """The largest norm of every parameter in equal stretches of all steps."""
    series = every[STEPS]
    whole = series.buckets or one_each(series)
    cells = max(1, min(columns, MAX_CELLS // max(1, len(every.names))))
    start, width, lows, highs = thinning.columns(whole.first_steps, whole.last_steps, cells)
    values = thinning.over(whole.maximum, lows, highs)
    firsts = start + width * np.arange(len(lows))
    lasts = np.minimum(firsts + width - 1, whole.last_steps[-1])
    newest = np.maximum(highs - 1, 0)
    return {
        "run": run,
        "statistic": statistic,
        "statistics": list(every.manifest.statistics) if every.manifest else [],
        "parameters": described(every.names, every.parameters),
        "first_steps": numbers(firsts),
        "steps": numbers(lasts),
        "wall_times": numbers(whole.wall_times[newest]),
        "values": numbers(values.T),
        "nonfinite": np.argwhere(np.isinf(values).T).tolist(),
        "stored": series.total,
        "sampled": False,
        "problems": [],
    }
