"""Where several runs went, as far as TensorBoard has kept it: their trajectories in few calls."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tbgrad.log.tags import LOSS, MANIFEST, PLUGIN_NAME, TRAJECTORY, TRAJECTORY_PLUGIN_NAME, Kind
from tbgrad.plugin.answer import evenly
from tbgrad.plugin.samples import MAX_REPLY, SCALARS_PLUGIN, Place, Samples
from tbgrad.plugin.source import Snapshot
from tbgrad.plugin.stored_run import Stored, decoded, put_together, rows_of
from tbgrad.plugin.stored_steps import newest_steps
from tbgrad.reading.columns import Limits
from tbgrad.reading.run import Run

MAX_PLACES = 512
"""Of all runs together: the time of principal components grows with the cube of their number."""


def has_path(snapshot: Snapshot, name: str) -> bool:
    """Whether a run has a trajectory."""
    return TRAJECTORY in snapshot.extents(TRAJECTORY_PLUGIN_NAME, snapshot.place(name))


def revision_of(snapshot: Snapshot, names: Sequence[str]) -> str:
    """Changes whenever one of these runs has gone on."""
    ends = [snapshot.extents(TRAJECTORY_PLUGIN_NAME, snapshot.place(name)) for name in names]
    return " ".join(end[TRAJECTORY].revision if TRAJECTORY in end else "" for end in ends)


def read_paths(snapshot: Snapshot, names: Sequence[str]) -> tuple[dict[str, Run], bool]:
    """Runs with manifest, trajectory and loss, and whether they have had more places than these.

    Raises:
        UnknownNameError: TensorBoard knows no such run.
    """
    places = [snapshot.place(name) for name in names]
    told = snapshot.together(places, PLUGIN_NAME, MANIFEST)
    manifests: list[list[Stored]] = [list(decoded({MANIFEST: one}, [])) for one in told]
    most = _most(snapshot, places, manifests)
    paths = snapshot.together(places, TRAJECTORY_PLUGIN_NAME, TRAJECTORY, most)
    losses = snapshot.together(places, SCALARS_PLUGIN, LOSS)
    steps = newest_steps(snapshot, places, manifests)
    room = max(2, MAX_PLACES // max(1, len(names)))
    limits = Limits(merging=False)
    runs, thinned = {}, False
    read = zip(names, manifests, paths, losses, steps, strict=True)
    for name, described, path, loss, blocks in read:
        thinned |= len(path) > room or len(path) == most
        thinned |= snapshot.source.sampled(TRAJECTORY_PLUGIN_NAME, len(path))
        values = [*described, *blocks, *decoded({TRAJECTORY: _some(path, room)}, [])]
        values += ((s, t, LOSS, Kind.SCALAR, float(value)) for s, t, value in rows_of(loss))
        runs[name] = put_together(name, values, [], {}, limits, tell_misfits=False).run
    return runs, thinned


def _most(snapshot: Snapshot, places: Sequence[Place], manifests: list[list[Stored]]) -> int:
    """Records a run for which a reply has room.

    Of a model whose weights would not all fit one record each tells whether these are sketches.
    """
    weights = [
        sum(parameter.size for parameter in described[-1][-1].parameters) if described else 0
        for described in manifests
    ]
    source = snapshot.source
    most = MAX_PLACES
    if sum(source.bytes_of(TRAJECTORY_PLUGIN_NAME, 4 * size) for size in weights) > MAX_REPLY:
        newest = snapshot.together(places, TRAJECTORY_PLUGIN_NAME, TRAJECTORY, 1)
        sizes = [np.asarray(value).nbytes for samples in newest for value in samples.values]
        most = min(most, MAX_REPLY // max(1, sum(sizes)))
    return max(1, most)


def _some(path: Samples, most: int) -> Samples:
    """At most so many places of a run, evenly, its first and its last among them."""
    keep = evenly(len(path), most)
    return Samples(path.steps[keep], path.wall_times[keep], [path.values[i] for i in keep])
