"""Scalar series as curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.scalars import SCALARS
from tbgrad.log.tags import EVERY_STEP, Kind
from tbgrad.plugin.answer import numbers
from tbgrad.plugin.source import NOTHING, SCALARS_PLUGIN, Samples, Snapshot
from tbgrad.plugin.stored_steps import read_steps
from tbgrad.reading import thinning
from tbgrad.reading.every_step import together
from tbgrad.reading.series import Series

MAX_POINTS = 2000
"""Points of a curve: more than any screen has pixels across a chart."""


def scalars(snapshot: Snapshot, run: str, tags: Sequence[str] = ()) -> dict[str, Any]:
    """Curves of at most about MAX_POINTS points, no peak lost; of the native series by default."""
    tags = tags or tuple(SCALARS)
    stored = snapshot.scalars(snapshot.place(run), tags)
    every: Mapping[str, Series] = {}
    if set(tags) & set(EVERY_STEP):
        every = read_steps(snapshot, run) or {}
    series = []
    for tag in tags:
        if tag not in stored and tag not in every:
            continue
        samples = stored.get(tag, NOTHING)
        one = _series(samples)
        if tag in every:
            one = together(one, every[tag])
        keep = thinning.extremes(one.values, MAX_POINTS)
        series.append(
            {
                "tag": tag,
                "steps": numbers(one.steps[keep]),
                "wall_times": numbers(one.wall_times[keep]),
                # Scalars of the format are float32; others lose nothing a chart could show.
                "values": numbers(_as_float32(one.values[keep])),
                "stored": one.total,
                "every_step": tag in every,
                "sampled": tag not in every
                and snapshot.source.sampled(SCALARS_PLUGIN, len(samples)),
            }
        )
    return {"run": run, "series": series}


def _series(samples: Samples) -> Series:
    values = np.array(samples.values, dtype=np.float64)
    return Series(Kind.SCALAR, samples.steps, samples.wall_times, values)


def _as_float32(values: NDArray[np.float64]) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
    return narrow if np.array_equal(narrow.astype(np.float64), values, equal_nan=True) else values
