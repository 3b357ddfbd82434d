"""A run as its alerts are found in it: what was told, and what rules look at where they must."""

from __future__ import annotations

from operator import itemgetter

from tbgrad.diagnosis import RULE_SCALARS
from tbgrad.diagnosis.record import called
from tbgrad.diagnosis.replay import unwatched
from tbgrad.log.tags import ALERTS, CURVATURE, MANIFEST, PARAMETERS, PLUGIN_NAME, Kind
from tbgrad.plugin.source import NOTHING, SCALARS_PLUGIN, Snapshot
from tbgrad.plugin.stored_run import StoredRun, decoded, put_together, read_samples, rows_of
from tbgrad.plugin.stored_steps import step_values
from tbgrad.reading.columns import Limits


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
    scalars = snapshot.scalars(place, _scalars(snapshot, name))
    if unwatched(newest[-1] if newest else None, logged):
        samples |= read_samples(snapshot, place, (CURVATURE, PARAMETERS))
        values += decoded({tag: samples.get(tag, NOTHING) for tag in (CURVATURE, PARAMETERS)}, [])
        values += step_values(snapshot, place, manifests)
    samples |= scalars
    for tag, points in scalars.items():
        values += ((s, t, tag, Kind.SCALAR, float(v)) for s, t, v in rows_of(points))
    limits = Limits(runs=len(snapshot.series(PLUGIN_NAME)))
    return put_together(name, values, problems, samples, limits, tell_misfits=False)


def _scalars(snapshot: Snapshot, name: str) -> list[str]:
    """What rules look at, by the names that this log has for it."""
    there = list(snapshot.extents(SCALARS_PLUGIN, snapshot.place(name)))
    return [found for tag in RULE_SCALARS if (found := called(tag, there)) is not None]
