"""Two runs beside one another: a measure of every parameter that both have, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tbgrad.reading import thinning
from tbgrad.reading.layer_history import LayerHistory


@dataclass(frozen=True)
class Difference:
    """How far two runs are apart in a measure of each parameter, over the steps that both have.

    Entries are of the steps from `first_steps` to `steps` [T]. `values` [T, p] are log₁₀(A/B), or
    A − B; NaN where one of the two has none, or both are zero or lost alike, infinite where one
    alone is zero or not finite. `median` [p] is over all entries, NaN where none is finite, and
    `apart` [p] its size, infinite where one alone was lost at the newest step.
    """

    first_steps: NDArray[np.int64]
    steps: NDArray[np.int64]
    values: NDArray[np.float32]
    median: NDArray[np.float64]
    apart: NDArray[np.float64]

    @property
    def order(self) -> NDArray[np.intp]:
        """The rows, those farthest apart first; what is not known last."""
        return np.argsort(-np.where(np.isnan(self.apart), -1.0, self.apart), kind="stable")


def difference(
    first: LayerHistory,
    second: LayerHistory,
    rows: Sequence[tuple[int, int]],
    *,
    log: bool,
    most: int = 300,
) -> Difference:
    """Two histories beside one another, in at most so many equal stretches of their common steps.

    `rows` are those of a parameter in the first and in the second. Where `log`, ratios are meant.
    In a stretch the value of largest magnitude counts.

    >>> difference(history_of(a, measure), history_of(b, measure), [(0, 0)], log=True).order
    """
    begin = max(int(one.first_steps[0]) for one in (first, second)) if _both(first, second) else 0
    end = min(int(one.steps[-1]) for one in (first, second)) if _both(first, second) else -1
    if end < begin:
        none = np.zeros(len(rows))
        steps = np.zeros(0, np.int64)
        blank = np.zeros((0, len(rows)), np.float32)
        return Difference(steps, steps, blank, none * np.nan, none * np.nan)
    interval = max(thinning.usual_interval(one.steps) for one in (first, second))
    width = max(interval, -(-(end - begin + 1) // max(1, most)))
    bounds = np.arange(begin, end + 1, width)
    a = _over(first, bounds, width)[:, [row for row, _ in rows]].astype(np.float64)
    b = _over(second, bounds, width)[:, [row for _, row in rows]].astype(np.float64)
    values = _log_ratio(a, b) if log else _minus(a, b)
    finite = np.where(np.isfinite(values), values, np.nan)
    median = np.full(len(rows), np.nan)
    known = ~np.isnan(finite).all(axis=0)
    median[known] = np.nanmedian(finite[:, known], axis=0)
    lost = np.isinf(values[-1])
    return Difference(
        bounds,
        np.minimum(bounds + width - 1, end),
        values.astype(np.float32),
        median,
        np.where(lost, np.inf, np.abs(median)),
    )


def _both(first: LayerHistory, second: LayerHistory) -> bool:
    return bool(len(first.steps) and len(second.steps))


def _over(history: LayerHistory, bounds: NDArray[np.int64], width: int) -> NDArray[np.float32]:
    """The value of largest magnitude in each stretch."""
    lows = np.searchsorted(history.steps, bounds)
    highs = np.maximum(np.searchsorted(history.first_steps, bounds + width), lows)
    least = -thinning.over(-history.values, lows, highs)
    found: NDArray[np.float32] = thinning.larger(least, thinning.over(history.values, lows, highs))
    return found


def _log_ratio(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: NDArray[np.float64] = np.log10(np.abs(a)) - np.log10(np.abs(b))
    return ratio


def _minus(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):
        return a - b
