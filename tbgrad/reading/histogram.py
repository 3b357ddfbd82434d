"""Histograms of gradients, out of the packed ones: of one parameter at a step, and of all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.tags import HISTOGRAMS, Kind
from tbgrad.reading.names import row_of
from tbgrad.reading.series import Series

if TYPE_CHECKING:
    from tbgrad.reading.run import Run

_NONE = (
    "the log of run {!r} has no histograms: tbgrad.GradientMonitor writes them every "
    "histograms_every steps"
)


@dataclass(frozen=True)
class Histogram:
    """How the gradient of one `parameter` was distributed at one logged `step`.

    `counts` [B] are the numbers of values between neighbours of `edges` [B + 1], which rise from
    the largest negative magnitude to the largest positive one, each a power of two. The middle bin
    holds what is nearer to zero than the smallest magnitude: `zero` values that are exactly 0, and
    `underflow` values that are not. Beyond the edges are `overflow` values on both sides, and
    `nonfinite` ones are NaN or infinite. `size` counts them all.

    >>> h = run.histogram("dense/kernel")
    >>> matplotlib.pyplot.stairs(h.counts, h.edges)
    """

    parameter: str
    step: int
    counts: NDArray[np.int64]
    edges: NDArray[np.float64]
    zero: int
    underflow: int
    overflow: int
    nonfinite: int

    @property
    def size(self) -> int:
        """All values."""
        return int(self.counts.sum()) + self.overflow + self.nonfinite


def histogram_of(run: Run, parameter: str, step: int | None) -> Histogram:
    """That of a parameter at or before a step, as `Run.histogram` says."""
    row = row_of(run, parameter)
    series = run.series.get(HISTOGRAMS)
    if series is None or series.kind is not Kind.HISTOGRAMS or run.manifest is None:
        raise ValueError(_NONE.format(run.name))
    there = having(series, row)
    if not len(there):
        raise ValueError(f"no histogram of {parameter!r} was logged")
    behind = len(there) if step is None else np.searchsorted(series.steps[there], step, "right")
    if behind == 0:
        first = int(series.steps[there[0]])
        raise ValueError(
            f"step {step:,} is before the first histogram of {parameter!r}, of step {first:,}"
        )
    at = there[behind - 1]
    bins = run.manifest.histogram_bins
    packed = series.values[at, row].astype(np.int64)
    counts, edges = bins.joined(packed)
    zero = int(packed[bins.zero_column])
    return Histogram(
        parameter=parameter,
        step=int(series.steps[at]),
        counts=counts,
        edges=edges,
        zero=zero,
        underflow=int(counts[bins.magnitudes]) - zero,
        overflow=int(packed[0] + packed[-2]),
        nonfinite=int(packed[-1]),
    )


def having(series: Series, row: int) -> NDArray[np.intp]:
    """At which places of `tbgrad/histograms` a row has one: all bins of one that was not trained
    are 0, the zeros' too.
    """
    return np.flatnonzero(series.values[:, row].any(axis=1))


def bins_in_use(
    run: Run, series: Series, part: slice
) -> tuple[
    NDArray[np.intp], NDArray[np.intp], NDArray[np.float64], NDArray[np.float64], NDArray[np.int32]
]:
    """Of a part of `tbgrad/histograms` every bin that is not empty: place, row, left, right, count.

    The edges of exact zero are both 0, those of what is not finite NaN.
    """
    assert run.manifest is not None
    counts = series.values[part]
    bounds = np.vstack([run.manifest.histogram_bins.bounds, [np.nan, np.nan]])
    at, row, column = np.nonzero(counts)
    return at, row, bounds[column, 0], bounds[column, 1], counts[at, row, column]
