"""What a line of a run is made of, of many runs in few calls: what is newest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tbgrad.diagnosis.record import called
from tbgrad.log.records import Manifest
from tbgrad.log.tags import (
    CURVATURE,
    GRADIENT_NORM,
    HEARTBEAT,
    LAMBDA_MAX,
    LOSS,
    MANIFEST,
    PLUGIN_NAME,
    STATE,
    STATE_PLUGIN_NAME,
    STEPS,
    STEPS_PLUGIN_NAME,
    UPDATE_RATIO,
    VALIDATION_LOSS,
    Kind,
)
from tbgrad.plugin.samples import MAX_REPLY, NOTHING, SCALARS_PLUGIN, Place, Samples
from tbgrad.plugin.source import Snapshot
from tbgrad.plugin.stored_levels import BLOCK_BYTES
from tbgrad.plugin.stored_run import decoded, put_together
from tbgrad.reading.columns import Limits
from tbgrad.reading.run import Run
from tbgrad.reading.series import Series
from tbgrad.reading.state import Heard, heard

POINTS = 500
"""Of a curve, at random where there are more: trends are medians of many of them."""

_OWN = (VALIDATION_LOSS, UPDATE_RATIO, LAMBDA_MAX)
_LIMITS = Limits(merging=False)


class Described(NamedTuple):
    """The newest manifest of a run, and its newest estimate of the curvature with its step."""

    manifest: Manifest | None = None
    step: int = -1
    wall_time: float = 0.0
    estimate: Any = None


def described_at(snapshot: Snapshot, place: Place) -> str:
    """Changes whenever there is a newer manifest or estimate."""
    ours = snapshot.extents(PLUGIN_NAME, place)
    return " ".join(ours[tag].revision if tag in ours else "" for tag in (MANIFEST, CURVATURE))


def read_described(snapshot: Snapshot, places: Sequence[Place]) -> list[Described]:
    """Of each the newest, in one call; in none where none of them is ours."""
    ours = [place for place in places if snapshot.extents(PLUGIN_NAME, place)]
    read = snapshot.read(ours, PLUGIN_NAME, (MANIFEST, CURVATURE), 1) if ours else []
    found = dict(zip(ours, map(_described, read), strict=True))
    return [found.get(place, Described()) for place in places]


def _described(samples: dict[str, Samples]) -> Described:
    told = Described()
    for step, wall_time, _, kind, value in decoded(samples, []):
        if kind is Kind.MANIFEST:
            told = told._replace(manifest=value)
        elif kind is Kind.CURVATURE:
            told = told._replace(step=step, wall_time=wall_time, estimate=value)
    return told


def read_states(snapshot: Snapshot, places: Sequence[Place]) -> list[Heard]:
    """How each goes, as its writer said last, in one call."""
    if not places:
        return []
    states = []
    for samples in snapshot.read(places, STATE_PLUGIN_NAME, (STATE, HEARTBEAT), 1):
        newest = Heard(0.0, None)
        told = decoded(samples, [])
        for _, wall_time, _, kind, value in sorted(told, key=lambda one: one[1]):
            newest = heard(newest, kind, value, wall_time)
        states.append(newest)
    return states


def read_runs(
    snapshot: Snapshot, named: Mapping[str, Place], told: Sequence[Described], states: list[Heard]
) -> list[Run]:
    """Runs with what a line needs of their series, in two calls; one where none has every step."""
    places = list(named.values())
    tags = {place: _tags(snapshot, place) for place in places}
    asked = dict.fromkeys(tag for own in tags.values() for tag in own)
    curves = snapshot.read(places, SCALARS_PLUGIN, asked, POINTS) if asked else [{} for _ in places]
    newest = _newest_steps(snapshot, places, told)
    runs = []
    for i, (name, place) in enumerate(named.items()):
        series = {tag: _series(curves[i][tag]) for tag in tags[place] if tag in curves[i]}
        for tag, (step, wall_time, value) in newest[i].items():
            series[tag] = _with(series.get(tag), step, wall_time, value)
        if told[i].estimate is not None:
            series[CURVATURE] = _estimates(told[i], series.get(LAMBDA_MAX))
        state = states[i]
        runs.append(Run(name, series, told[i].manifest, state=state.state, heard=state.wall_time))
    return runs


def _tags(snapshot: Snapshot, place: Place) -> list[str]:
    """What a line shows of a run, by the names that this log has for it."""
    there = list(snapshot.extents(SCALARS_PLUGIN, place))
    known = [called(tag, there) for tag in (LOSS, GRADIENT_NORM)]
    return [*filter(None, known), *(tag for tag in _OWN if tag in there)]


def _newest_steps(
    snapshot: Snapshot, places: Sequence[Place], told: Sequence[Described]
) -> list[dict[str, tuple[int, float, float]]]:
    """Step, wall time and value of the last of the scalars that every step has."""
    room, having = float(MAX_REPLY), []
    for place, one in zip(places, told, strict=True):
        room -= BLOCK_BYTES[STEPS] * (len(one.manifest.parameters) if one.manifest else 1)
        if room >= 0 and STEPS in snapshot.extents(STEPS_PLUGIN_NAME, place):
            having.append(place)
    read = snapshot.together(having, STEPS_PLUGIN_NAME, STEPS, 1) if having else []
    blocks = dict(zip(having, read, strict=True))
    return [_last(blocks.get(place, NOTHING)) for place in places]


def _last(samples: Samples) -> dict[str, tuple[int, float, float]]:
    values = [
        (block.first_step, block.end, STEPS, kind, block)
        for *_, kind, block in decoded({STEPS: samples}, [])
    ]
    run = put_together("", values, [], {}, _LIMITS, tell_misfits=False).run
    return {
        tag: (int(series.steps[-1]), float(series.wall_times[-1]), float(series.values[-1]))
        for tag, series in run.items()
        if series.kind is Kind.SCALAR and len(series)
    }


def _series(samples: Samples) -> Series:
    values = np.array(samples.values, dtype=np.float64)
    return Series(Kind.SCALAR, samples.steps, samples.wall_times, values)


def _with(series: Series | None, step: int, wall_time: float, value: float) -> Series:
    """A series with the value of the last step, where it does not have it."""
    if series is not None and len(series) and series.steps[-1] >= step:
        return series
    before = series if series is not None else _series(NOTHING)
    return Series(
        Kind.SCALAR,
        np.append(before.steps, step),
        np.append(before.wall_times, wall_time),
        np.append(before.values, value),
    )


def _estimates(told: Described, largest: Series | None) -> Series:
    """The newest estimate in place of all, at the steps at which there were any."""
    earlier = [] if largest is None else largest.steps[largest.steps < told.step].tolist()
    steps = np.array([*earlier, told.step], np.int64)
    values = np.empty(len(steps), dtype=object)
    values[:] = [told.estimate] * len(steps)
    return Series(Kind.CURVATURE, steps, np.full(len(steps), told.wall_time), values)
