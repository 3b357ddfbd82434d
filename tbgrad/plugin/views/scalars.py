"""Scalar series as curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.scalars import SCALARS
from tbgrad.plugin.answer import numbers
from tbgrad.plugin.source import SCALARS_PLUGIN, Snapshot
from tbgrad.reading import thinning

MAX_POINTS = 2000
"""Points of a curve: more than any screen has pixels across a chart."""


def scalars(snapshot: Snapshot, run: str, tags: Sequence[str] = ()) -> dict[str, Any]:
    """Curves of at most about MAX_POINTS points, no peak lost; of the native series by default."""
    tags = tags or tuple(SCALARS)
    stored = snapshot.scalars(snapshot.place(run), tags)
    series = []
    for tag in tags:
        if tag not in stored:
            continue
        samples = stored[tag]
        values = np.array(samples.values, dtype=np.float64)
        keep = thinning.extremes(values, MAX_POINTS)
        series.append(
            {
                "tag": tag,
                "steps": numbers(samples.steps[keep]),
                "wall_times": numbers(samples.wall_times[keep]),
                # Scalars of the format are float32; others lose nothing a chart could show.
                "values": numbers(_as_float32(values[keep])),
                "stored": len(samples),
                "sampled": snapshot.source.sampled(SCALARS_PLUGIN, len(samples)),
            }
        )
    return {"run": run, "series": series}


def _as_float32(values: NDArray[np.float64]) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
    return narrow if np.array_equal(narrow.astype(np.float64), values, equal_nan=True) else values
