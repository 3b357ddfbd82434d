"""One statistic of every parameter over the steps."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from tbgrad.plugin.answer import described, listed
from tbgrad.plugin.source import Snapshot
from tbgrad.plugin.stored_layers import MAX_ROWS, NORMS, read_layers, statistics_of
from tbgrad.reading.layer_history import MEASURES, LayerHistory, badness, change, history_of
from tbgrad.reading.parameter_tree import Node, tree_of
from tbgrad.reading.rounding import is_rounding
from tbgrad.reading.run import Run


def layers(
    snapshot: Snapshot,
    run: str,
    statistic: str = "norm",
    columns: int = 300,
    first: int | None = None,
    last: int | None = None,
    row: int = 0,
    form: str = "json",
) -> dict[str, Any]:
    """One statistic of every parameter over time, [P][T] in at most so many columns.

    Of very many parameters those from `row` on.
    """
    found = read_layers(snapshot, run, statistic, columns, first, last, form)
    read, page = found.run, slice(row, row + MAX_ROWS)
    names = read.names[page]
    return {
        "run": run,
        "statistic": statistic,
        "statistics": statistics_of(read),
        "parameters": described(names, read.parameters[page]),
        "row": row,
        "rows": len(read.names),
        "first_steps": found.first_steps,
        "steps": found.steps,
        "wall_times": found.wall_times,
        "values": np.ascontiguousarray(found.values[page]),
        "nonfinite": np.argwhere(found.nonfinite[page]).tolist(),
        **_arranged(read, "norm" if statistic in NORMS else statistic, (first, last), page),
        "rounding": _rounding(read, statistic, page),
        "tree": [_node(node) for node in tree_of(names)],
        "stored": found.stored,
        "sampled": found.sampled,
        "problems": listed(found.problems),
    }


SIZES = {*NORMS, "abs_max", "std"}
"""Statistics that tell how large a gradient is."""


def _rounding(run: Run, statistic: str, page: slice) -> list[int]:
    """Rows whose gradient is zero but for rounding: its size has no place among the others."""
    rows: list[int] = np.flatnonzero(is_rounding(run)[page]).tolist()
    return rows if statistic in SIZES else []


# ------------------------------------------------------------------------ how rows are arranged


def _arranged(
    run: Run, measured: str, between: tuple[int | None, int | None], page: slice
) -> dict[str, Any]:
    """How bad values are by the table that all faces have, and the rows of a page in two orders."""
    measure = MEASURES.get(measured)
    if measure is None:
        return {"measure": None, "worst": [], "change": []}
    told = {"measure": asdict(measure), "worst": [], "change": []}
    history = history_of(run, measure)
    history = None if history is None else _between(history, *between)
    if history is None or not len(history.steps):
        return told
    bad = badness(history.newest, measure, history.lost)
    far = change(history, measure)
    return {
        **told,
        "worst": np.argsort(-bad[page], kind="stable").tolist(),
        "change": np.argsort(-far[page], kind="stable").tolist(),
    }


def _between(history: LayerHistory, first: int | None, last: int | None) -> LayerHistory:
    """What of a history lies between two steps."""
    start = 0 if first is None else int(np.searchsorted(history.steps, first))
    if last is None or last >= history.steps[-1]:
        end, newest, lost = len(history.steps), history.newest, history.lost
    else:
        end = int(np.searchsorted(history.first_steps, last, side="right"))
        newest, lost = history.values[max(0, end - 1)], history.nonfinite[max(0, end - 1)]
    part = slice(start, max(start, end))
    return LayerHistory(
        history.first_steps[part],
        history.steps[part],
        history.values[part],
        history.nonfinite[part],
        newest,
        lost,
    )


def _node(node: Node) -> dict[str, Any]:
    return {
        "path": node.path,
        "label": node.label,
        "rows": list(node.rows),
        "children": [_node(child) for child in node.children],
    }
