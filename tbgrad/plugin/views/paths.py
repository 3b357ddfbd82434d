"""Where several runs went, on the two axes along which their weights moved most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tbgrad.log.tags import PLUGIN_NAME, TRAJECTORY_PLUGIN_NAME
from tbgrad.plugin.answer import numbers
from tbgrad.plugin.arguments import BadRequestError
from tbgrad.plugin.source import Snapshot
from tbgrad.plugin.stored_paths import has_path, read_paths, revision_of
from tbgrad.reading.findings import axis_words, path_words, trajectory_words
from tbgrad.reading.trajectories import Trajectories, trajectories

MAX_RUNS = 40
MAX_LAYERS = 1000


def paths(
    snapshot: Snapshot, run: str, other: Sequence[str] = (), layer: str = ""
) -> dict[str, Any]:
    """The paths of a run and of others, by default of all that have one; of a layer or of all.

    Raises:
        BadRequestError: none has a trajectory, or there is no such layer.
        UnknownNameError: TensorBoard knows no such run.
    """
    place = snapshot.place(run)
    with_path = [name for name in _candidates(snapshot) if has_path(snapshot, name)]
    wanted = other or with_path
    names = [run, *dict.fromkeys(name for name in wanted if name != run)][:MAX_RUNS]
    names.sort(key=lambda name: with_path.index(name) if name in with_path else -1)

    def find() -> tuple[Trajectories, bool]:
        read, thinned = read_paths(snapshot, names)
        try:
            return trajectories(read, layer, run), thinned
        except ValueError as error:
            raise BadRequestError(" ".join(str(error).split())[:300]) from error

    told, thinned = snapshot.kept(
        place, ("paths", layer, *names), revision_of(snapshot, names), find
    )
    return {
        "run": run,
        "layer": told.layer,
        "layers": list(told.layers[:MAX_LAYERS]),
        "with_path": with_path,
        "runs": [
            {
                "name": name,
                "words": path_words(told, row),
                "steps": numbers(path.steps),
                "places": numbers(path.places.astype(np.float32)),
                "losses": numbers(path.losses.astype(np.float32)),
                "from_start": float(told.from_start[row]),
            }
            for row, (name, path) in enumerate(told.runs.items())
        ],
        "axes": list(axis_words(told)),
        "explained": list(told.explained),
        "distances": numbers(told.distances),
        "error": told.error,
        "words": [phrase._asdict() for phrase in trajectory_words(told)],
        "left_out": [{"name": name, "reason": why} for name, why in told.left_out.items()],
        "thinned": thinned,
    }


def _candidates(snapshot: Snapshot) -> list[str]:
    """The runs of the tab that may have a trajectory, in TensorBoard's order."""
    ours = snapshot.series(PLUGIN_NAME)
    having = snapshot.series(TRAJECTORY_PLUGIN_NAME)
    return [
        name for name, place in snapshot.places.items() if place.run in ours and place.run in having
    ]
