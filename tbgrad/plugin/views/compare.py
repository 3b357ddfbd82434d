"""Two runs beside one another: what differs between them, the most first."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tbgrad.log.scalars import in_order, scalar_of
from tbgrad.log.statistics import statistic_of
from tbgrad.plugin.answer import numbers
from tbgrad.plugin.overviews import Overviews
from tbgrad.plugin.samples import NOTHING
from tbgrad.plugin.source import SCALARS_PLUGIN, Snapshot
from tbgrad.plugin.stored_layers import (
    MAX_ROWS,
    Layers,
    columns_for,
    read_layers,
    statistics_of,
)
from tbgrad.plugin.stored_steps import read_steps_ahead
from tbgrad.reading.compared import Difference, difference
from tbgrad.reading.hparams import differing_of
from tbgrad.reading.layer_history import MEASURES

MOST_COLUMNS = 2000
"""Of each run, ahead of the columns that both are shown in."""

MAX_ONLY = 200
MAX_SCALARS = 100


def compare(
    snapshot: Snapshot,
    run: str,
    other: str,
    statistic: str = "norm",
    columns: int = 300,
    first: int | None = None,
    last: int | None = None,
    form: str = "json",
) -> dict[str, Any]:
    """Settings, newest scalars, and a statistic of every parameter that both runs have."""
    names = (run, other)
    read_steps_ahead(snapshot, names)
    # As fine as the log has them: they are brought to the same steps below.
    sides = [read_layers(snapshot, name, statistic, MOST_COLUMNS, first, last) for name in names]
    rows, known, only = _rows(sides)
    log = _is_log(statistic)
    most = columns_for(len(rows), columns, form)
    found = difference(sides[0].columns, sides[1].columns, rows, log=log, most=most)
    order = found.order[:MAX_ROWS]
    layer_of = {
        n: p.layer for n, p in zip(sides[0].run.names, sides[0].run.parameters, strict=True)
    }
    parameters = [
        {"name": known[row], "layer": layer_of[known[row]], **_apart(found, row)}
        for row in order.tolist()
    ]
    return {
        "run": run,
        "with": other,
        "statistic": statistic,
        "statistics": statistics_of(sides[0].run),
        "difference": "log10" if log else "difference",
        **_settings(snapshot, names),
        "scalars": _scalars(snapshot, names),
        "layers": _layers(parameters),
        "parameters": parameters,
        "stored": len(rows),
        "only": {"run": only[0][:MAX_ONLY], "with": only[1][:MAX_ONLY]},
        "first_steps": found.first_steps,
        "steps": found.steps,
        "values": np.ascontiguousarray(found.values.T[order]),
        "sampled": any(side.sampled for side in sides),
    }


def _is_log(statistic: str) -> bool:
    measure = MEASURES.get(statistic)
    return (measure.scale if measure is not None else statistic_of(statistic).scale) == "log"


def _rows(sides: list[Layers]) -> tuple[list[tuple[int, int]], list[str], list[list[str]]]:
    """Where parameters of the same name stand in both, these names, and those one alone has."""
    places = [{name: row for row, name in enumerate(side.run.names)} for side in sides]
    known = [name for name in places[0] if name in places[1]]
    rows = [(places[0][name], places[1][name]) for name in known]
    only = [
        [name for name in own if name not in others] for own, others in (places, reversed(places))
    ]
    return rows, known, only


def _apart(found: Difference, row: int) -> dict[str, Any]:
    """How far two runs are apart in a parameter, and where they are farthest."""
    values = found.values[:, row]
    size = np.where(np.isnan(values), -1.0, np.abs(values))
    at = int(np.argmax(size)) if len(size) else -1
    far = None
    if at >= 0 and size[at] >= 0:
        far = {"step": int(found.steps[at]), "value": numbers(values[at : at + 1])[0]}
    return {
        "median": float(found.median[row]),
        "apart": float(found.apart[row]),
        "farthest": far,
    }


def _layers(parameters: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """By the parameter of each that is farthest apart, which comes first."""
    layers: dict[str, dict[str, Any]] = {}
    for one in parameters:
        if one["layer"] in layers:
            layers[one["layer"]]["parameters"] += 1
        else:
            kept = {key: one[key] for key in ("layer", "apart", "median")}
            layers[one["layer"]] = {**kept, "parameters": 1}
    return list(layers.values())


def _settings(snapshot: Snapshot, names: tuple[str, ...]) -> dict[str, Any]:
    settings = [snapshot.once(Overviews).hparams(snapshot, name) for name in names]
    differing = differing_of(settings)
    return {
        "hparams": [
            {"name": name, "values": [each.get(name) for each in settings]} for name in differing
        ],
        "same_hparams": len({name for each in settings for name in each}) - len(differing),
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
