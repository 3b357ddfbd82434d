"""The figure "distributions": the histogram of one parameter's gradient over the steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tbgrad.figures.drawing import (
    Drawing,
    Heat,
    Marks,
    NothingToDrawError,
    Panel,
    edges_of,
    power_of_ten,
    shown,
)
from tbgrad.log.tags import HISTOGRAMS, Kind
from tbgrad.log.text import printable
from tbgrad.reading import thinning
from tbgrad.reading.histogram import having
from tbgrad.reading.names import unknown
from tbgrad.reading.run import Run

COLUMNS = 300
DECADES_NAMED = 4
"""So many powers of ten have a tick on each side of zero."""

LEAST = 0.01
"""The bins nearest to zero lie in the middle row up to this share of what is not zero."""


class _Shares(NamedTuple):
    """Of a run: edges of the columns, shares [C, 2 E + 1] of bins, steps with some not finite."""

    run: Run
    x_edges: NDArray[Any]
    shares: NDArray[np.float64]
    lost: NDArray[Any]
    magnitudes: NDArray[np.float64]


def distributions(runs: Sequence[Run], parameter: str | None = None) -> Drawing:
    """A heat map a run: what share of the values lies in each bin, a power of two wide.

    Raises:
        KeyError: no run has the parameter.
        NothingToDrawError: none was named, or no run has histograms of it.
    """
    names = list(dict.fromkeys(name for run in runs for name in run.names))
    if parameter is None:
        there = f": one of {', '.join(names[:12])}" if names else ""
        raise NothingToDrawError(f"distributions shows one parameter, which is to be named{there}")
    if parameter not in names:
        raise unknown("parameter", parameter, names)
    found = [shares for run in runs if (shares := _shares(run, parameter)) is not None]
    if not found:
        raise NothingToDrawError(
            f"no run has histograms of {parameter!r}: tbgrad.GradientMonitor logs them every "
            "histograms_every steps"
        )
    lowest, highest = _reach(found)
    cut = [_cut(one, lowest, highest) for one in found]
    # The middle row may have nearly all, and would leave no colours for the others.
    outer = max(float(np.delete(s, s.shape[1] // 2, axis=1).max(initial=0)) for s, _ in cut)
    panels = [
        Panel(
            label=f"gradient of {printable(parameter, 60)}",
            heat=Heat(
                "share of the values",
                one.x_edges,
                places,
                shares.T,
                0.0,
                outer or 1.0,
                colours="Blues",
            ),
            marks=(Marks("some not finite", one.lost),) if len(one.lost) else (),
            title=printable(one.run.name) if len(runs) > 1 else "",
            ticks=_ticks(lowest, highest),
            height=2.8,
        )
        for one, (shares, places) in zip(found, cut, strict=True)
    ]
    note = f"rows are octaves, the middle one is 0 and all below {shown(lowest)}"
    return Drawing(tuple(panels), note)


def _shares(run: Run, parameter: str) -> _Shares | None:
    """The histograms of a parameter, added up where several share a column."""
    series = run.get(HISTOGRAMS)
    if series is None or series.kind is not Kind.HISTOGRAMS or run.manifest is None:
        return None
    if parameter not in run.names:
        return None
    row = run.names.index(parameter)
    at = having(series, row)
    if not len(at):
        return None
    starts = thinning.buckets(len(at), COLUMNS)
    packed = np.add.reduceat(series.values[at, row].astype(np.int64), starts)
    counts, edges = run.manifest.histogram_bins.joined(packed)
    counts = counts.astype(np.float64)
    counts[:, 0] += packed[:, 0]
    counts[:, -1] += packed[:, -2]
    steps = series.steps[at]
    ends = np.append(starts[1:], len(at)) - 1
    return _Shares(
        run,
        edges_of(steps[starts], steps[ends]),
        counts / packed.sum(axis=1, keepdims=True),
        steps[starts][packed[:, -1] > 0],
        edges[len(edges) // 2 :],
    )


def _reach(found: Sequence[_Shares]) -> tuple[float, float]:
    """The magnitudes from which on and up to which bins are told apart, of all runs together."""
    lows, highs = [], []
    for one in found:
        middle = one.shares.shape[1] // 2
        sides = one.shares[:, :middle][:, ::-1] + one.shares[:, middle + 1 :]
        there = np.flatnonzero(sides.any(axis=0))
        if len(there):
            total = sides.sum(axis=1, keepdims=True)
            nearer = (np.cumsum(sides, axis=1) <= LEAST * total).all(axis=0)
            lows.append(one.magnitudes[int(nearer.sum())])
            highs.append(one.magnitudes[there[-1] + 1])
    if not lows:
        return float(found[0].magnitudes[0]), float(found[0].magnitudes[-1])
    return float(min(lows)), float(max(highs))


def _cut(
    one: _Shares, lowest: float, highest: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shares [C, R], what is below `lowest` in one row, and where rows begin and end [R + 1]."""
    inside = (one.magnitudes >= lowest) & (one.magnitudes <= highest)
    low, high = np.flatnonzero(inside)[[0, -1]].tolist()
    middle = one.shares.shape[1] // 2
    centre = one.shares[:, middle - low : middle + low + 1].sum(axis=1, keepdims=True)
    below = one.shares[:, middle - high : middle - low]
    above = one.shares[:, middle + low + 1 : middle + high + 1]
    places = _place(one.magnitudes[low : high + 1], lowest)
    return np.hstack([below, centre, above]), np.concatenate([-places[::-1], places])


def _place(magnitudes: NDArray[np.floating[Any]], lowest: float) -> NDArray[np.float64]:
    """How far from the middle magnitudes are on the axis: an octave is one, the middle row too."""
    places: NDArray[np.float64] = 0.5 + np.log2(magnitudes / lowest)
    return places


def _ticks(lowest: float, highest: float) -> tuple[tuple[float, str], ...]:
    """Powers of ten on both sides of zero, with room for each."""
    first, last = math.ceil(math.log10(lowest)), math.floor(math.log10(highest))
    exponents = range(last, first - 1, -max(1, -(-(last - first + 1) // DECADES_NAMED)))
    room = float(_place(np.array([highest]), lowest)[0]) / 8
    places = [(float(_place(np.array([10.0**k]), lowest)[0]), k) for k in reversed(exponents)]
    above = [(place, power_of_ten(k)) for place, k in places if place >= room]
    return (*((-place, f"−{text}") for place, text in reversed(above)), (0.0, "0"), *above)
