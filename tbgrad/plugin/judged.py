"""A run as its alerts are found in it: what was told, and what rules look at where they must."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from operator import itemgetter
from typing import NamedTuple

from tbgrad.diagnosis import RULE_SCALARS
from tbgrad.diagnosis.record import called
from tbgrad.judgement.replay import Judgement, judge, newest, unwatched
from tbgrad.judgement.story import story_of
from tbgrad.log.records import Alert, Manifest
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
from tbgrad.plugin.samples import EVERYTHING, NOTHING, SCALARS_PLUGIN, Place, Samples
from tbgrad.plugin.source import Snapshot
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
    """What the alerts of a run were found in, and what they come to; `complete` where rules that
    its writer did not watch have been asked."""

    stored: StoredRun
    judgement: Judgement
    complete: bool = True


class Told(NamedTuple):
    """What the writer of a run told: its manifests, and its alerts with what is wrong with them."""

    samples: dict[str, Samples]
    manifests: list[Stored]
    alerts: list[Stored]
    problems: list[str]

    @property
    def manifest(self) -> Manifest | None:
        """The newest."""
        newest = max(self.manifests, key=itemgetter(0), default=None)
        return newest[-1] if newest else None

    @property
    def logged(self) -> list[Alert]:
        """The alerts as they were told, again and again."""
        return [alert for *_, alerts in self.alerts for alert in alerts]

    @property
    def is_all(self) -> bool:
        """Whether the writer watched all rules."""
        return not unwatched(self.manifest, self.logged)


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


def judgement_so_far(snapshot: Snapshot, name: str) -> Judged:
    """The same; where rules have to look at the series, at first what the writer told.

    So no request reads both from TensorBoard.

    Raises:
        UnknownNameError: TensorBoard knows no such run.
    """
    place = snapshot.place(name)
    revision = _told_at(snapshot, place)
    known = snapshot.is_kept(place, ("told",), revision)
    told = told_by_writer(snapshot, place)
    if known or told.is_all or not snapshot.is_kept(place, ("told",), revision):
        return judgement_of(snapshot, name)
    values, problems = [*told.manifests, *told.alerts], list(told.problems)
    stored = put_together(name, values, problems, told.samples, Limits(), tell_misfits=False)
    began = told.manifest.first_step if told.manifest is not None else 0
    return Judged(stored, Judgement(story_of(newest(told.logged, began)), ()), complete=False)


def told_by_writer(snapshot: Snapshot, place: Place) -> Told:
    """What the writer of a run told, which is kept."""

    def read() -> Told:
        samples = read_samples(snapshot, place, (MANIFEST, ALERTS))
        problems: list[str] = []
        alerts = list(decoded({ALERTS: samples.get(ALERTS, NOTHING)}, problems))
        manifests = list(decoded({MANIFEST: samples.get(MANIFEST, NOTHING)}, []))
        return Told(samples, manifests, alerts, problems)

    return snapshot.kept(place, ("told",), _told_at(snapshot, place), read)


def _told_at(snapshot: Snapshot, place: Place) -> str:
    """Changes whenever the writer has told more."""
    stored = ((tag, snapshot.stored_under(place, tag)) for tag in (MANIFEST, ALERTS))
    return " ".join(
        f"{tag} {snapshot.extents(plugin, place)[tag].revision}" for tag, plugin in stored if plugin
    )


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
    told = told_by_writer(snapshot, place)
    samples, problems = dict(told.samples), list(told.problems)
    values, replayed = [*told.manifests, *told.alerts], not told.is_all
    # Of what rules need not look at again it only counts whether it is there.
    most = EVERYTHING if replayed else 1
    scalars = snapshot.read([place], SCALARS_PLUGIN, _scalars(snapshot, name), most)[0]
    if replayed:
        samples |= read_samples(snapshot, place, (CURVATURE, PARAMETERS))
        values += decoded({tag: samples.get(tag, NOTHING) for tag in (CURVATURE, PARAMETERS)}, [])
        values += step_values(snapshot, place, told.manifests)
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
