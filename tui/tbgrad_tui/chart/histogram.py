"""Histograms: over sign and magnitude with zero in the middle, and over bins of any kind."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from rich.style import Style

from tbgrad_tui.chart import colours
from tbgrad_tui.chart.canvas import Box, Canvas
from tbgrad_tui.chart.text import number

_EIGHTHS = " ▁▂▃▄▅▆▇█"


def draw_histogram(
    canvas: Canvas, box: Box, counts: NDArray[np.int64], edges: tuple[float, ...]
) -> None:
    """Draw `counts` of bins whose magnitude edges are `edges` (as records.HistogramBins has them).

    Bins outside the occupied magnitudes are left out; neighbours are added up where they do not
    fit. The column in the middle holds what is smaller than the smallest edge, zeros included.
    """
    if box.height < 2 or box.width < 7 or len(edges) < 2:
        return
    bins = len(edges) - 1
    negative = counts[1 : bins + 1][::-1].astype(np.int64)  # from small to large magnitude
    positive = counts[bins + 4 : 2 * bins + 4].astype(np.int64)
    middle = int(counts[bins + 1 : bins + 4].sum())
    beyond = (int(counts[0]), int(counts[2 * bins + 4]))
    used = np.flatnonzero(negative + positive)
    first, last = (int(used[0]), int(used[-1])) if used.size else (0, 0)
    if any(beyond):
        last = bins - 1
    side = max(1, (box.width - 3) // 2)
    group = -(-(last - first + 1) // side)
    last = first + group * -(-(last - first + 1) // group) - 1
    groups = (last - first + 1) // group
    wide = max(1, min(8, side // groups))
    left = _grouped(negative, first, last, group)
    right = _grouped(positive, first, last, group)
    left[-1] += beyond[0]
    right[-1] += beyond[1]

    plot = box.inside(0, 0, 0, 1)
    centre = box.x + box.width // 2
    tallest = max(int(left.max()), int(right.max()), middle, 1)
    for i in range(groups):
        _bar(canvas, plot, centre - 1 - (i + 1) * wide, wide, int(left[i]), tallest, colours.SECOND)
        _bar(canvas, plot, centre + 2 + i * wide, wide, int(right[i]), tallest, colours.MAIN)
    _bar(canvas, plot, centre, 1, middle, tallest, colours.WARNING)
    _draw_axis(canvas, box, centre, groups * wide, (edges[first], edges[min(last + 1, bins)]))


def draw_buckets(canvas: Canvas, box: Box, buckets: NDArray[np.float64]) -> None:
    """Draw a histogram of TensorBoard: left edge, right edge and count of each bin, [k, 3].

    A count spreads evenly over the columns of cells that its bin covers.
    """
    finite = buckets[np.isfinite(buckets).all(axis=1)]
    if box.height < 2 or box.width < 7:
        return
    if not len(finite) or not finite[:, 2].sum() > 0:
        canvas.write(box.x, box.y, "no values", colours.QUIET, box.width)
        return
    left, right, counts = finite.T
    low, high = float(left.min()), float(right.max())
    if not high > low:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, box.width + 1)
    narrow = np.maximum(right - left, (high - low) / (100 * box.width))
    covered = np.minimum(edges[1:, None], left + narrow) - np.maximum(edges[:-1, None], left)
    amounts = np.clip(covered, 0, None) / narrow @ counts
    plot = box.inside(0, 0, 0, 1)
    scaled = np.round(1e6 * amounts / max(float(amounts.max()), 1e-300)).astype(np.int64)
    for i, amount in enumerate(scaled.tolist()):
        _bar(canvas, plot, box.x + i, 1, amount, 1_000_000, colours.MAIN)
    y = box.y + box.height - 1
    labels = number(low), number(high)
    canvas.write(box.x, y, labels[0], colours.QUIET)
    canvas.write(box.x + box.width - len(labels[1]), y, labels[1], colours.QUIET)


def _grouped(counts: NDArray[np.int64], first: int, last: int, group: int) -> NDArray[np.int64]:
    part = counts[first : last + 1]
    part = np.concatenate([part, np.zeros(last - first + 1 - len(part), np.int64)])
    sums: NDArray[np.int64] = part.reshape(-1, group).sum(axis=1)
    return sums


def _bar(
    canvas: Canvas, plot: Box, x: int, width: int, amount: int, tallest: int, style: Style
) -> None:
    eighths = math.ceil(amount / tallest * plot.height * 8)
    for row in range(plot.height):
        part = min(8, eighths - 8 * row)
        if part <= 0:
            break
        canvas.fill(Box(x, plot.y + plot.height - 1 - row, width, 1), _EIGHTHS[part], style)


def _draw_axis(
    canvas: Canvas, box: Box, centre: int, reach: int, bounds: tuple[float, float]
) -> None:
    y = box.y + box.height - 1
    smallest, largest = (
        f"{bound:.0e}".replace("e-0", "e-").replace("e+0", "e") for bound in bounds
    )
    canvas.write(centre, y, "0", colours.QUIET)
    left, right = max(box.x, centre - 1 - reach), min(box.x + box.width, centre + 2 + reach)
    canvas.write(left, y, "-" + largest, colours.QUIET)
    canvas.write(right - len(largest), y, largest, colours.QUIET)
    if reach > 2 * len(largest) + 5:
        canvas.write(centre - 2 - len(smallest), y, "-" + smallest, colours.QUIET)
        canvas.write(centre + 2, y, smallest, colours.QUIET)
