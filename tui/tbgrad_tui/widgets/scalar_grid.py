"""Groups of charts laid out in rows that fill a height, as many as have room."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tbgrad_tui.chart.canvas import Box
from tbgrad_tui.widgets.scalar_groups import Group

ROWS, CELLS = 7, 34
"""A chart has so many rows and cells across at least."""

SHAPE = 3.2
"""A chart looks best so many times as wide in cells as high."""

Row = str | tuple[tuple[str, str], ...]
"""A heading, or a row of charts: tags with their names."""


def columns_for(amount: int, width: int, height: int) -> int:
    """How many charts of an amount stand in a row."""
    most = max(1, width // CELLS)
    best = round(math.sqrt(amount * width / max(1, height) / SHAPE))
    all_fit = math.ceil(amount / max(1, height // ROWS))
    return max(1, min(most, max(best, all_fit), amount))


def rows_of(groups: Sequence[Group], columns: int) -> list[Row]:
    """The rows of groups, each below its heading where there are several or names leave it out."""
    rows: list[Row] = []
    for group in groups:
        if len(groups) > 1 or "…" in group.title:
            rows.append(group.title)
        at = range(0, len(group.entries), columns)
        rows += [group.entries[i : i + columns] for i in at]
    return rows


def fitting(rows: Sequence[Row], first: int, height: int) -> int:
    """How many rows from `first` on have room, one at least; the last of them is no heading."""
    used = amount = 0
    for row in rows[first:]:
        used += 1 if isinstance(row, str) else ROWS
        if used > height and amount:
            break
        amount += 1
    heading_last = amount > 1 and isinstance(rows[first + amount - 1], str)
    return amount - heading_last


def furthest(rows: Sequence[Row], height: int) -> int:
    """The first row of the last page."""
    first = len(rows) - 1
    while first > 0 and fitting(rows, first - 1, height) >= len(rows) - first + 1:
        first -= 1
    return max(0, first)


def row_with(rows: Sequence[Row], tag: str) -> int:
    """The row of charts that has this tag, 0 where none has."""
    has = (i for i, row in enumerate(rows) if not isinstance(row, str) and tag in dict(row))
    return next(has, 0)


def heading_above(rows: Sequence[Row], first: int) -> str | None:
    """The heading of the charts in row `first`, which is further up; None where it is not."""
    above = (row for row in reversed(rows[:first]) if isinstance(row, str))
    return None if isinstance(rows[first], str) else next(above, None)


def boxes(rows: Sequence[Row], box: Box) -> list[Box]:
    """The place of each row; charts share what headings leave of the height."""
    charts = sum(not isinstance(row, str) for row in rows)
    room = box.height - (len(rows) - charts)
    places, y, placed = [], 0, 0
    for row in rows:
        height = 1
        if not isinstance(row, str):
            height = room * (placed + 1) // charts - room * placed // charts
            placed += 1
        places.append(box.rows(y, height))
        y += height
    return places
