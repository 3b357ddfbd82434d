"""What two runs were told, and what their newest scalars are."""

from __future__ import annotations

import math
from typing import Any

from tbgrad.log.scalars import in_order, scalar_of
from tbgrad.plugin.samples import NOTHING, SCALARS_PLUGIN
from tbgrad.plugin.source import Snapshot
from tbgrad.plugin.stored_brief import read_described, read_states
from tbgrad.reading.hparams import differing_of, hparams_of
from tbgrad.reading.run import Run

MAX_SCALARS = 100


def settings(snapshot: Snapshot, run: str, other: str) -> dict[str, Any]:
    """The settings in which two runs differ, and the newest of each scalar that both have."""
    names = (run, other)
    places = [snapshot.place(name) for name in names]
    told, states = read_described(snapshot, places), read_states(snapshot, places)
    known = [
        hparams_of(Run(name, {}, one.manifest, state=heard.state))
        for name, one, heard in zip(names, told, states, strict=True)
    ]
    differing = differing_of(known)
    return {
        "run": run,
        "with": other,
        "hparams": [
            {"name": name, "values": [each.get(name) for each in known]} for name in differing
        ],
        "same_hparams": len({name for each in known for name in each}) - len(differing),
        "scalars": _scalars(snapshot, names),
    }


def _scalars(snapshot: Snapshot, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """The newest of each that both have, as logged."""
    places = [snapshot.place(name) for name in names]
    there = [set(snapshot.extents(SCALARS_PLUGIN, place)) for place in places]
    tags = in_order(sorted(there[0] & there[1]))[:MAX_SCALARS]
    newest = snapshot.read(places, SCALARS_PLUGIN, tags, 1) if tags else []
    told = []
    for tag in tags:
        last = [side.get(tag, NOTHING) for side in newest]
        if not all(len(samples) for samples in last):
            continue
        values = [float(samples.values[-1]) for samples in last]
        ratio = values[0] / values[1] if values[1] and all(map(math.isfinite, values)) else math.nan
        told.append(
            {
                "tag": tag,
                "label": scalar_of(tag).label,
                "values": values,
                "steps": [int(samples.steps[-1]) for samples in last],
                "ratio": ratio,
            }
        )
    return told
