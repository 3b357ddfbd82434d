"""Histograms through time: sign and magnitude upwards, one column an entry, colour = share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tbgrad_tui.chart import colours
from tbgrad_tui.chart.canvas import Box, Canvas
from tbgrad_tui.chart.heat import FINITE, NONFINITE, NOTHING, Bins, HeatScale, draw_heat

SCALE = HeatScale(1e-3, 1.0, marks_zero=False)
"""Shares of less than a thousandth have the darkest colour."""

MARGIN = 8
"""Cells for the magnitudes at the left."""


@dataclass(frozen=True)
class Shares:
    """What of each histogram lies where.

    `values` [N, R] are shares of the values, of rows from the largest value down to the lowest;
    `labels` say where a row ends, `lost` [N] where values were not finite. `group` histograms are
    one entry, of each row the largest of their shares: what was there once is seen.
    """

    values: NDArray[np.float64]
    labels: tuple[str, ...]
    lost: NDArray[np.bool_]
    group: int


def shares_of(
    counts: NDArray[np.int64], edges: tuple[float, ...], columns: int, rows: int
) -> Shares:
    """Shares of histograms [T, B], with magnitude edges as records.HistogramBins has them.

    Neighbours are merged where there are more than `columns` histograms, and added up where there
    are more than `rows` bins. The row in the middle has what is smaller than the smallest edge,
    zeros included.
    """
    group = max(1, -(-len(counts) // max(1, columns)))
    starts = np.arange(0, len(counts), group)
    counts = counts.astype(np.int64)
    bins = len(edges) - 1
    negative = counts[:, 1 : bins + 1][:, ::-1].copy()  # from small to large magnitude
    positive = counts[:, bins + 4 : 2 * bins + 4].copy()
    negative[:, -1] += counts[:, 0]
    positive[:, -1] += counts[:, 2 * bins + 4]
    middle = counts[:, bins + 1 : bins + 4].sum(axis=1)
    used = np.flatnonzero((negative + positive).sum(axis=0))
    first, last = (int(used[0]), int(used[-1])) if used.size else (0, 0)
    size = max(1, -(-(last - first + 1) // max(1, (rows - 1) // 2)))
    at: NDArray[np.intp] = np.arange(first, last + 1, size)
    sides = [np.add.reduceat(side[:, : last + 1], at, axis=1) for side in (positive, negative)]
    table = np.concatenate([sides[0][:, ::-1], middle[:, None], sides[1]], axis=1)
    total = np.maximum(1, counts.sum(axis=1))[:, None]
    ends = [_short(edges[min(i + size, bins)]) for i in at.tolist()]
    labels = (*(f"+{end}" for end in ends[::-1]), "0", *(f"-{end}" for end in ends))
    shares = np.maximum.reduceat(table / total, starts, axis=0)
    return Shares(shares, labels, np.logical_or.reduceat(counts[:, -1] > 0, starts), group)


def draw_strip(canvas: Canvas, box: Box, shares: Shares, chosen: int, *, shades: bool) -> Box:
    """Draw the shares with entry `chosen` marked; the box of the cells alone."""
    rows = len(shares.labels)
    tall = max(1, min(3, box.height // max(1, rows)))
    plot = Box(box.x + MARGIN, box.y, max(0, box.width - MARGIN), min(box.height, rows * tall))
    states = np.where(shares.values > 0, FINITE, NOTHING).astype(np.uint8)
    states[shares.lost, 0] = NONFINITE
    bins = Bins(0, 1, shares.values.astype(np.float32), states)
    draw_heat(canvas, plot, bins, range(rows), SCALE, tall=tall, shades=shades)
    every = 2 if tall == 1 and rows > 12 else 1
    middle = rows // 2
    for row in range(rows):
        if (row - middle) % every == 0:
            label = shares.labels[row].rjust(MARGIN - 1)
            style = colours.WARNING if row == middle else colours.QUIET
            canvas.write(box.x, box.y + row * tall, label, style)
    across = np.arange(plot.width) * len(shares.values) // max(len(shares.values), plot.width)
    marked = np.flatnonzero(across == chosen)
    if marked.size:
        x = plot.x + int(marked[len(marked) // 2])
        levels = SCALE.levels(shares.values[chosen])
        for y in range(plot.height):
            row = y // tall
            there = states[chosen, row] == FINITE
            style = SCALE.styles[levels[row]] if there else colours.PLAIN
            canvas.write(x, plot.y + y, "│", style + colours.STRONG)
    return plot


def _short(edge: float) -> str:
    if 0.1 <= edge < 1000:
        return f"{edge:.0f}" if edge >= 1 else f"{edge:.1f}"
    return f"{edge:.0e}".replace("e-0", "e-").replace("e+0", "e")
