"""One statistic of every parameter over the steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    find: str = "",
    order: str = "network",
    form: str = "json",
    times: str = "0",
) -> dict[str, Any]:
    """One statistic of every parameter over time, [P][T] in at most so many columns.

    Of those that have all words of `find` in their names; of very many a page, from `row` on in
    an order of all of them.
    """

    def some(read: Run) -> NDArray[np.intp]:
        return named(read.names, find)

    found = read_layers(snapshot, run, statistic, columns, first, last, form, some)
    read = found.run
    ranked = _ranked(read, "norm" if statistic in NORMS else statistic, (first, last))
    rows = some(read)
    if (rank := ranked.get(order)) is not None:
        rows = rows[np.argsort(-rank[rows], kind="stable")]
    page = np.sort(rows[row : row + MAX_ROWS])
    names = [read.names[i] for i in page]
    measure = MEASURES.get("norm" if statistic in NORMS else statistic)
    return {
        "run": run,
        "statistic": statistic,
        "statistics": statistics_of(read),
        "parameters": described(names, [read.parameters[i] for i in page]),
        "row": row,
        "rows": len(rows),
        "all": len(read.names),
        "numbers": [] if len(page) == len(read.names) else page.tolist(),
        "first_steps": found.first_steps,
        "steps": found.steps,
        **({"wall_times": found.wall_times} if times == "1" else {}),
        "values": np.ascontiguousarray(found.values[page]),
        "nonfinite": np.argwhere(found.nonfinite[page]).tolist(),
        "measure": None if measure is None else asdict(measure),
        "worst": _order(ranked.get("worst"), page),
        "change": _order(ranked.get("change"), page),
        "rounding": _rounding(read, statistic, page),
        "tree": [_node(node) for node in tree_of(names)],
        "stored": found.stored,
        "sampled": found.sampled,
        "problems": listed(found.problems),
    }


SIZES = {*NORMS, "abs_max", "std"}
"""Statistics that tell how large a gradient is."""


def named(names: Sequence[str], words: str) -> NDArray[np.intp]:
    """Which names have all of these words in them, without regard to case."""
    wanted = words.lower().split()
    lower = (name.lower() for name in names) if wanted else names
    return np.flatnonzero([all(word in name for word in wanted) for name in lower])


def _order(rank: NDArray[Any] | None, page: NDArray[np.intp]) -> list[int]:
    """The rows of a page, the largest rank first; none where nothing is known."""
    order: list[int] = [] if rank is None else np.argsort(-rank[page], kind="stable").tolist()
    return order


def _rounding(run: Run, statistic: str, page: NDArray[np.intp]) -> list[int]:
    """Rows whose gradient is zero but for rounding: its size has no place among the others."""
    rows: list[int] = np.flatnonzero(is_rounding(run)[page]).tolist()
    return rows if statistic in SIZES else []


# ------------------------------------------------------------------------ how rows are arranged


def _ranked(
    run: Run, measured: str, between: tuple[int | None, int | None]
) -> dict[str, NDArray[Any]]:
    """By the table that all faces have, how bad each parameter is, and how much it has changed:
    the larger, the further ahead in that order."""
    measure = MEASURES.get(measured)
    history = None if measure is None else history_of(run, measure)
    history = None if history is None else _between(history, *between)
    if measure is None or history is None or not len(history.steps):
        return {}
    return {
        "worst": badness(history.newest, measure, history.lost),
        "change": change(history, measure),
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
