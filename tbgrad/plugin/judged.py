"""A run as its alerts are found in it: what was told, and what rules look at where they must."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from operator import itemgetter
from typing import NamedTuple

from tbgrad.diagnosis import RULE_SCALARS
from tbgrad.diagnosis.record import called
from tbgrad.diagnosis.replay import Judgement, judge, unwatched
from tbgrad.log.tags import (
    ALERT_PLUGIN_NAME,
    ALERTS,
    CURVATURE,
    MANIFEST,
    PARAMETERS,
    PLUGIN_NAME,
    STEPS_PLUGIN_NAME,
    Kind,
)
from tbgrad.plugin.answer import digest
from tbgrad.plugin.samples import EVERYTHING, NOTHING, Place, Samples
from tbgrad.plugin.source import SCALARS_PLUGIN, Snapshot
from tbgrad.plugin.stored_run import (
    Stored,
    StoredRun,
    decoded,
    put_together,
    read_samples,
    rows_of,
)
from tbgrad.plugin.stored_steps import step_values
from tbgrad.reading.columns import Limits


class Judged(NamedTuple):
    """What the alerts of a run were found in, and what they come to."""

    stored: StoredRun
    judgement: Judgement


def judgement_of(snapshot: Snapshot, name: str) -> Judged:
    """The alerts of a run, judged again only when it has gone on; without the series.

    Raises:
        UnknownNameError: TensorBoard knows no such run.
    """
    place = snapshot.place(name)

    def find() -> Judged:
        stored = read_judged(snapshot, name)
        judgement = judge(stored.run)
        return Judged(replace(stored, run=replace(stored.run, series={}, full={})), judgement)

    ends = [
        f"{plugin} {tag} {extent.revision}"
        for plugin in (SCALARS_PLUGIN, PLUGIN_NAME, STEPS_PLUGIN_NAME, ALERT_PLUGIN_NAME)
        for tag, extent in snapshot.extents(plugin, place).items()
    ]
    return snapshot.kept(place, ("judged",), digest(ends), find)


def judgements_of_scalars(
    snapshot: Snapshot, named: Mapping[str, Place]
) -> Iterator[tuple[str, Judgement]]:
    """Of runs that have scalars alone, which are read in one call, the alerts of one after another.

    >>> for name, judgement in judgements_of_scalars(snapshot, {"a": snapshot.place("a")}):
    ...     print(name, judgement.story)
    """
    tags = dict.fromkeys(tag for name in named for tag in _scalars(snapshot, name))
    read = snapshot.read(list(named.values()), SCALARS_PLUGIN, tags) if tags else [{}] * len(named)
    for name, samples in zip(named, read, strict=True):
        own = set(_scalars(snapshot, name))
        values = _values({tag: points for tag, points in samples.items() if tag in own})
        run = put_together(name, values, [], {}, _limits(snapshot), tell_misfits=False).run
        yield name, judge(run)


def read_judged(snapshot: Snapshot, name: str) -> StoredRun:
    """The series of a run that its alerts are found in; those that only rules need where it must.

    They are held as the other readers hold them, so that long series are judged alike. What is
    wrong with others than the alerts, their own views say.

    Raises:
        UnknownNameError: TensorBoard knows no such run.
    """
    place = snapshot.place(name)
    samples = read_samples(snapshot, place, (MANIFEST, ALERTS))
    problems: list[str] = []
    alerts = list(decoded({ALERTS: samples.get(ALERTS, NOTHING)}, problems))
    logged = [alert for *_, told in alerts for alert in told]
    manifests = list(decoded({MANIFEST: samples.get(MANIFEST, NOTHING)}, []))
    values = [*manifests, *alerts]
    newest = max(manifests, key=itemgetter(0), default=None)
    replayed = bool(unwatched(newest[-1] if newest else None, logged))
    # Of what rules need not look at again it only counts whether it is there.
    most = EVERYTHING if replayed else 1
    scalars = snapshot.read([place], SCALARS_PLUGIN, _scalars(snapshot, name), most)[0]
    if replayed:
        samples |= read_samples(snapshot, place, (CURVATURE, PARAMETERS))
        values += decoded({tag: samples.get(tag, NOTHING) for tag in (CURVATURE, PARAMETERS)}, [])
        values += step_values(snapshot, place, manifests)
    samples |= scalars
    values += _values(scalars)
    limits = _limits(snapshot)
    return put_together(name, values, problems, samples, limits, tell_misfits=False)


def _values(scalars: Mapping[str, Samples]) -> list[Stored]:
    return [
        (step, wall_time, tag, Kind.SCALAR, float(value))
        for tag, points in scalars.items()
        for step, wall_time, value in rows_of(points)
    ]


def _limits(snapshot: Snapshot) -> Limits:
    """As the other readers hold runs, so that long series are judged alike."""
    return Limits(runs=len(snapshot.series(PLUGIN_NAME)))


def _scalars(snapshot: Snapshot, name: str) -> list[str]:
    """What rules look at, by the names that this log has for it."""
    there = list(snapshot.extents(SCALARS_PLUGIN, snapshot.place(name)))
    return [found for tag in RULE_SCALARS if (found := called(tag, there)) is not None]
