"""Fewer points than were stored, chosen so that no peak is lost: never at random."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def buckets(count: int, limit: int) -> NDArray[np.intp]:
    """Where each of at most `limit` buckets of nearly equal size begins, for `count` points."""
    number = min(count, max(1, limit))
    return np.arange(number, dtype=np.intp) * count // max(1, number)


def largest(values: NDArray[Any], starts: NDArray[np.intp]) -> NDArray[Any]:
    """The value of largest magnitude of each bucket along axis 0; NaN only where all are NaN."""
    if len(starts) == len(values):
        return values
    # NaN ranks below everything, so that one missing value does not hide the others.
    magnitude = np.where(np.isnan(values), -1.0, np.abs(values))
    ends = np.append(starts[1:], len(values))
    result = np.empty((len(starts), *values.shape[1:]), dtype=values.dtype)
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        index = np.argmax(magnitude[start:end], axis=0)
        result[i] = np.take_along_axis(values[start:end], index[None], axis=0)[0]
    return result


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
    return np.unique(np.array(keep, dtype=np.intp))
