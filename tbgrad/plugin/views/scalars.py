"""Scalar series as curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.scalars import SCALARS
from tbgrad.log.tags import EVERY_STEP, Kind
from tbgrad.plugin.answer import numbers, part_of
from tbgrad.plugin.arguments import BadRequestError
from tbgrad.plugin.samples import NOTHING, SCALARS_PLUGIN, Samples
from tbgrad.plugin.source import Snapshot
from tbgrad.plugin.stored_steps import read_steps, read_steps_ahead
from tbgrad.reading import thinning
from tbgrad.reading.every_step import together
from tbgrad.reading.series import Series

MAX_POINTS = 2000
"""Points of a curve: more than any screen has pixels across a chart."""

MAX_RUNS = 40
MAX_TAGS = 100
MAX_CURVES = 500

ALL_POINTS = 30_000
TIMED_POINTS = 18_000
"""Of all curves together, without and with wall times: less than 300 kB."""

EVERY_STEP_RUNS = 8
"""Of more runs the logged steps are shown: all steps of all parameters would have to be read."""


def scalars(
    snapshot: Snapshot,
    run: Sequence[str],
    tag: Sequence[str] = (),
    first: int | None = None,
    last: int | None = None,
    times: str = "0",
) -> dict[str, Any]:
    """Curves of at most about MAX_POINTS points, no peak lost; of the native series by default.

    Raises:
        BadRequestError: they are too many.
    """
    tags = tag or tuple(SCALARS)
    if len(run) * len(tag) > MAX_CURVES:
        asked = len(run) * len(tag)
        raise BadRequestError(f"'run' and 'tag' ask for {asked:,} curves; {MAX_CURVES} may be")
    places = [snapshot.place(name) for name in run]
    stored = snapshot.read(places, SCALARS_PLUGIN, tags)
    every = _every_step(snapshot, run, first, last) if set(tags) & set(EVERY_STEP) else {}
    curves = [
        (name, tag, samples.get(tag, NOTHING), every.get(name, {}).get(tag))
        for name, samples in zip(run, stored, strict=True)
        for tag in tags
        if tag in samples or tag in every.get(name, {})
    ]
    room = TIMED_POINTS if times == "1" else ALL_POINTS
    points = min(MAX_POINTS, room // max(1, len(curves)))
    series = []
    for name, tag, samples, of_every_step in curves:
        one = _series(samples)
        if of_every_step is not None:
            one = together(one, of_every_step)
        inside = part_of(one.steps, first, last)
        steps, values = one.steps[inside], one.values[inside]
        keep = thinning.extremes(values, points)
        series.append(
            {
                "run": name,
                "tag": tag,
                "steps": numbers(steps[keep]),
                # Scalars of the format are float32; others lose nothing a chart could show.
                "values": numbers(_as_float32(values[keep])),
                "stored": one.total,
                "every_step": of_every_step is not None,
                "sampled": of_every_step is None
                and snapshot.source.sampled(SCALARS_PLUGIN, len(samples)),
            }
        )
        if times == "1":
            series[-1]["wall_times"] = numbers(one.wall_times[inside][keep])
    return {"run": run[0], "series": series}


def _every_step(
    snapshot: Snapshot, names: Sequence[str], first: int | None, last: int | None
) -> dict[str, Mapping[str, Series]]:
    """What some runs have of every step."""
    if len(names) > EVERY_STEP_RUNS:
        return {}
    if len(names) > 1:
        read_steps_ahead(snapshot, names)
    return {name: read_steps(snapshot, name, first, last) or {} for name in names}


def _series(samples: Samples) -> Series:
    values = np.array(samples.values, dtype=np.float64)
    return Series(Kind.SCALAR, samples.steps, samples.wall_times, values)


def _as_float32(values: NDArray[np.float64]) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
    return narrow if np.array_equal(narrow.astype(np.float64), values, equal_nan=True) else values
