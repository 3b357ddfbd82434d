"""One statistic of every parameter over the steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from tbgrad.log.tags import MANIFEST, PARAMETERS, PLUGIN_NAME
from tbgrad.plugin.answer import described, numbers
from tbgrad.plugin.source import Snapshot, UnknownNameError
from tbgrad.plugin.stored_run import read_run
from tbgrad.reading import thinning

MAX_CELLS = 200_000


def layers(
    snapshot: Snapshot, run: str, statistic: str = "norm", columns: int = 300
) -> dict[str, Any]:
    """One statistic of every parameter over time, [P][T] in at most so many columns."""
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
        "problems": list(stored.problems),
    }
