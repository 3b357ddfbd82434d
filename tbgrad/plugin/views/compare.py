"""The layers of two runs beside one another, the farthest apart first."""

from __future__ import annotations

from typing import Any

import numpy as np

from tbgrad.log.statistics import statistic_of
from tbgrad.plugin.answer import numbers
from tbgrad.plugin.source import Snapshot
from tbgrad.plugin.stored_layers import (
    MAX_ROWS,
    NORMS,
    Layers,
    columns_for,
    read_layers,
    statistics_of,
)
from tbgrad.plugin.stored_run import manifests_ahead
from tbgrad.plugin.stored_steps import read_steps_ahead
from tbgrad.reading.compared import Difference, difference
from tbgrad.reading.layer_history import MEASURES

MOST_COLUMNS = 2000
"""Of each run, ahead of the columns that both are shown in."""

MAX_ONLY = 200


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
    """A statistic of every parameter that both runs have."""
    names = (run, other)
    if statistic in NORMS:
        read_steps_ahead(snapshot, names)
    else:
        manifests_ahead(snapshot, [snapshot.place(name) for name in names])
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
