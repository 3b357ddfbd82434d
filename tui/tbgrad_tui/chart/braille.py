"""Curves as braille dots: two columns and four rows of dots in every cell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DOTS_ACROSS, DOTS_DOWN = 2, 4
BLANK = 0x2800
_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], dtype=np.uint32)

Dots = NDArray[np.bool_]


def trace(x: NDArray[np.float64], y: NDArray[np.float64], width: int, height: int) -> Dots:
    """The dots [height, width] of a curve through points at places between 0 and 1.

    `x` rises. Where `y` is NaN the curve breaks. Every column of dots gets one vertical span from
    the smallest to the largest point in it, so that no peak is lost however many points there are.
    """
    rows = np.arange(height)[:, None]
    drawn = np.flatnonzero(np.isfinite(y))
    if drawn.size == 0 or width == 0 or height == 0:
        return np.zeros((height, width), dtype=np.bool_)
    column = np.rint(np.clip(x[drawn], 0, 1) * (width - 1)).astype(np.intp)
    row = (1 - np.clip(y[drawn], 0, 1)) * (height - 1)
    first = np.flatnonzero(np.concatenate([[True], np.diff(column) > 0]))
    last = np.concatenate([first[1:], [len(column)]]) - 1
    at = column[first]
    top, bottom = np.full(width, np.inf), np.full(width, -np.inf)
    top[at] = np.minimum.reduceat(row, first)
    bottom[at] = np.maximum.reduceat(row, first)

    if len(at) > 1:
        # where the curve crosses from each column into the next one
        crossing = np.arange(at[0], at[-1]) + 0.5
        left = np.searchsorted(at, crossing) - 1
        share = (crossing - at[left]) / (at[left + 1] - at[left])
        height_there = row[last[left]] * (1 - share) + row[first[left + 1]] * share
        joined = np.diff(drawn)[last[left]] == 1
        for columns in (slice(at[0], at[-1]), slice(at[0] + 1, at[-1] + 1)):
            top[columns] = np.fmin(top[columns], np.where(joined, height_there, np.inf))
            bottom[columns] = np.fmax(bottom[columns], np.where(joined, height_there, -np.inf))
    dots: Dots = (rows >= np.rint(top)) & (rows <= np.rint(bottom))
    return dots


def polyline(x: NDArray[np.float64], y: NDArray[np.float64], width: int, height: int) -> Dots:
    """The dots of straight lines from point to point, at places between 0 and 1, in any order.

    A line breaks where a point is NaN, and goes no further than the edge.
    """
    dots = np.zeros((height, width), dtype=np.bool_)
    if not (width and height):
        return dots
    column, row = x * (width - 1), (1 - y) * (height - 1)
    for i in range(len(x) - 1):
        x0, x1, y0, y1 = column[i], column[i + 1], row[i], row[i + 1]
        if not np.isfinite([x0, x1, y0, y1]).all():
            continue
        count = int(min(4 * (width + height), max(abs(x1 - x0), abs(y1 - y0)))) + 2
        across = np.rint(np.linspace(x0, x1, count)).astype(np.intp)
        down = np.rint(np.linspace(y0, y1, count)).astype(np.intp)
        inside = (across >= 0) & (across < width) & (down >= 0) & (down < height)
        dots[down[inside], across[inside]] = True
    return dots


def spans(
    x: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    width: int,
    height: int,
) -> Dots:
    """The dots of vertical bars from `low` to `high` at `x`, all places between 0 and 1."""
    rows = np.arange(height)[:, None]
    top, bottom = np.full(width, np.inf), np.full(width, -np.inf)
    usable = np.isfinite(low) & np.isfinite(high)
    column = np.rint(np.clip(x[usable], 0, 1) * (width - 1)).astype(np.intp)
    np.minimum.at(top, column, (1 - np.clip(high[usable], 0, 1)) * (height - 1))
    np.maximum.at(bottom, column, (1 - np.clip(low[usable], 0, 1)) * (height - 1))
    dots: Dots = (rows >= np.rint(top)) & (rows <= np.rint(bottom))
    return dots


def cells(dots: Dots) -> NDArray[np.uint32]:
    """Braille code points [height / 4, width / 2], 0 where a cell has no dot."""
    height, width = dots.shape
    blocks = dots.reshape(height // DOTS_DOWN, DOTS_DOWN, width // DOTS_ACROSS, DOTS_ACROSS)
    bits = np.einsum("adbc,dc->ab", blocks.astype(np.uint32), _BITS)
    codes: NDArray[np.uint32] = np.where(bits > 0, BLANK + bits, 0).astype(np.uint32)
    return codes
