"""Fewer points than were stored, chosen so that no peak is lost: never at random."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.median import median


def buckets(count: int, limit: int) -> NDArray[np.intp]:
    """Where each of at most `limit` buckets of nearly equal size begins, for `count` points."""
    number = min(count, max(1, limit))
    return np.arange(number, dtype=np.intp) * count // max(1, number)


def stretches(steps: NDArray[np.int64], most: int) -> tuple[int, int, NDArray[np.intp]]:
    """Equal stretches of steps, at most `most` of them: where they begin, how many steps each has,
    and which one every step [T] lies in. Each has room for a whole number of usual intervals.
    """
    start = int(steps[0])
    interval = usual_interval(steps)
    records = (int(steps[-1]) - start) // interval + 1
    width = interval * -(-records // max(1, most))
    return start, width, (steps - start) // width


def columns(
    first_steps: NDArray[np.int64], last_steps: NDArray[np.int64], most: int
) -> tuple[int, int, NDArray[np.intp], NDArray[np.intp]]:
    """Equal stretches of steps, at most `most`, over entries that cover some steps each.

    Where they begin, how many steps each has, and for every stretch from which entry on to which,
    this not included, there are entries in it. An entry may lie in several.
    """
    start = int(first_steps[0])
    width = -(-(int(last_steps[-1]) - start + 1) // max(1, most))
    bounds = np.arange(start, int(last_steps[-1]) + 1, width)
    lows = np.searchsorted(last_steps, bounds)
    highs = np.searchsorted(first_steps, bounds + width)
    return start, width, lows, highs


def unsplit(
    first_steps: NDArray[np.int64], last_steps: NDArray[np.int64], most: int
) -> NDArray[np.intp]:
    """Where about equal stretches begin, at most `most`, of entries that cover some steps each.

    An entry lies in one of them alone: none is shorter than what is known.
    """
    start, end = int(first_steps[0]), int(last_steps[-1])
    width = -(-(end - start + 1) // max(1, most))
    starts: NDArray[np.intp] = np.unique(
        np.searchsorted(last_steps, np.arange(start, end + 1, width))
    )
    return starts


def over(values: NDArray[Any], lows: NDArray[np.intp], highs: NDArray[np.intp]) -> NDArray[Any]:
    """The largest value from each of `lows` to each of `highs`, along axis 0; NaN where all are."""
    blank = np.full((1, *values.shape[1:]), np.nan, values.dtype)
    pairs = np.stack([lows, highs], axis=1).reshape(-1)
    found: NDArray[Any] = np.fmax.reduceat(np.concatenate([values, blank]), pairs)[::2]
    found[lows == highs] = np.nan
    return found


def usual_interval(steps: NDArray[np.int64]) -> int:
    """How many steps lie between most records, at least 1."""
    return max(1, int(median(np.diff(steps)))) if len(steps) > 1 else 1


def larger(low: NDArray[Any], high: NDArray[Any]) -> NDArray[Any]:
    """Of the ends of a range that of larger magnitude."""
    chosen: NDArray[Any] = np.where(np.abs(low) > np.abs(high), low, high)
    return chosen


def largest(values: NDArray[Any], starts: NDArray[np.intp]) -> NDArray[Any]:
    """The value of largest magnitude of each bucket along axis 0; NaN only where all are NaN."""
    if len(starts) == len(values):
        return values
    return larger(np.fmin.reduceat(values, starts), np.fmax.reduceat(values, starts))


_REDUCE: dict[str, np.ufunc] = {
    "minimum": np.fmin,
    "maximum": np.fmax,
    "counts": np.add,
    "finite": np.add,
    "nonfinite": np.add,
    "total": np.add,
}


def merged(
    arrays: Mapping[str, NDArray[Any]], starts: NDArray[np.intp], ends: NDArray[np.intp]
) -> dict[str, NDArray[Any]]:
    """One entry in place of each group of neighbours, from one of `starts` to one of `ends`.

    What its name does not say how to reduce is of the newest of the group, or with "first" in its
    name of the first.
    """
    reduced = {}
    for name, array in arrays.items():
        if name in _REDUCE:
            reduced[name] = _REDUCE[name].reduceat(array, starts)
        else:
            reduced[name] = array[starts if name.startswith("first") else ends]
    return reduced


def extremes(values: NDArray[np.float64], limit: int) -> NDArray[np.intp]:
    """Indices of at most about `limit` points of a curve that look the same when drawn.

    Each bucket keeps its lowest and its highest point and, where it has one, its first point that
    is not finite; the first and the last point are always kept.
    """
    count = len(values)
    if count <= limit:
        return np.arange(count, dtype=np.intp)
    starts = buckets(count, max(1, limit // 3))
    ends = np.append(starts[1:], count)
    finite = np.isfinite(values)
    keep = [0, count - 1]
    for start, end in zip(starts, ends, strict=True):
        part, ok = values[start:end], finite[start:end]
        if ok.any():
            keep.append(start + int(np.argmin(np.where(ok, part, np.inf))))
            keep.append(start + int(np.argmax(np.where(ok, part, -np.inf))))
        if not ok.all():
            keep.append(start + int(np.argmin(ok)))
    return np.array(sorted(set(keep)), dtype=np.intp)
