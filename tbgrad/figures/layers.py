"""The figure "layers": a statistic of every layer, or every parameter, over the steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tbgrad.figures.drawing import Drawing, Heat, NothingToDrawError, Numbers, Panel, edges_of
from tbgrad.log.statistics import STATISTICS, Statistic, statistic_of
from tbgrad.log.tags import PARAMETERS, STEPS, Kind
from tbgrad.log.text import printable
from tbgrad.reading import thinning
from tbgrad.reading.names import unknown
from tbgrad.reading.norms import layers_of, norm_of, rooted
from tbgrad.reading.rounding import is_rounding
from tbgrad.reading.run import Run
from tbgrad.reading.series import one_each

COLUMNS = 300
ROWS_NAMED = 32
DECADES = 12
"""So many below the largest value colours are told apart."""

_OF_LAYERS = ("norm", "weight_norm", "update_norm")
"""Norms, of which those of the parameters of a layer add up to its own."""


def layers(runs: Sequence[Run], statistic: str = "norm") -> Drawing:
    """A heat map a run: rows in the order of the model, its input at the top.

    A norm is that of the whole layer, the gradient norm at every step; of all other statistics
    there is a row a parameter. Where steps share a column it has the value of largest magnitude.

    Raises:
        KeyError: there is no such statistic.
        NothingToDrawError: no run has it.
    """
    logged = [name for run in runs if run.manifest for name in run.manifest.statistics]
    if statistic not in STATISTICS and statistic not in logged:
        raise unknown("statistic", statistic, [*logged, *STATISTICS])
    entry = statistic_of(statistic)
    found = [(run, *cells) for run in runs if (cells := _cells(run, statistic)) is not None]
    if not found:
        raise NothingToDrawError(
            f"no run has the statistic {statistic!r}: tbgrad.GradientMonitor logs it"
        )
    low, high = _range(entry, [_meant(run, names, values) for run, names, _, values in found])
    panels = []
    for run, names, edges, values in found:
        rows = np.arange(len(names) + 1, dtype=np.float64)
        heat = Heat(printable(entry.label), edges, rows, values, low, high, *_colours(entry))
        panels.append(
            Panel(
                label="layer" if statistic in _OF_LAYERS else "parameter",
                heat=heat,
                title=printable(run.name) if len(runs) > 1 else "",
                ticks=_named(names),
                falling=True,
                height=min(6.0, max(1.6, 0.5 + 0.18 * len(names))),
            )
        )
    return Drawing(tuple(panels), _note(found))


def _cells(run: Run, name: str) -> tuple[list[str], NDArray[Any], Numbers] | None:
    """Names of rows, edges of columns and values [R, C]; None where the run has none of these."""
    groups = layers_of(run)
    packed = run.get(PARAMETERS)
    if name == "norm" and _has_every_step(run):
        wholes = [
            (s.buckets or one_each(s)) for s in (norm_of(run, rows) for rows in groups.values())
        ]
        firsts, lasts = wholes[0].first_steps, wholes[0].last_steps
        table = np.stack([whole.maximum for whole in wholes], axis=1)
        names = list(groups)
    elif packed is None or not len(packed) or not run.names:
        return None
    else:
        values = run.statistic(name)
        lost = run.statistic("nonfinite") > 0
        firsts = packed.steps if packed.buckets is None else packed.buckets.first_steps
        lasts = packed.steps
        if name in _OF_LAYERS:
            names = list(groups)
            table = np.stack([rooted(values[:, list(rows)]) for rows in groups.values()], axis=1)
            lost = np.stack([lost[:, list(rows)].any(axis=1) for rows in groups.values()], axis=1)
        else:
            names, table = list(run.names), values.astype(np.float64)
        if name != "nonfinite":
            table = np.where(lost & ~np.isfinite(table), np.inf, table)
    if np.isnan(table).all():
        return None
    starts = thinning.buckets(len(firsts), COLUMNS)
    ends = np.append(starts[1:], len(firsts)) - 1
    return names, edges_of(firsts[starts], lasts[ends]), thinning.largest(table, starts).T


def _meant(run: Run, names: Sequence[str], values: Numbers) -> Numbers:
    """Without the rows of parameters whose gradient is zero but for rounding."""
    if list(names) != list(run.names):
        return values
    return values[~is_rounding(run)]


def _has_every_step(run: Run) -> bool:
    series = run.get(STEPS)
    return series is not None and series.kind is Kind.STEPS and len(series) > 0


def _range(entry: Statistic, tables: Sequence[Numbers]) -> tuple[float, float]:
    """What the first and the last colour stand for, in all runs alike."""
    if entry.scale == "unit":
        return 0.0, 1.0
    if entry.scale == "correlation":
        return -1.0, 1.0
    numbers = np.concatenate([table[np.isfinite(table)] for table in tables])
    if entry.scale == "log":
        numbers = numbers[numbers > 0]
        if not len(numbers):
            return 0.1, 1.0
        high = float(numbers.max())
        low = max(float(numbers.min()), high * 10.0**-DECADES)
        return (low, high) if low < high else (low / 2, high * 2)
    if not len(numbers):
        return 0.0, 1.0
    if entry.scale == "signed":
        reach = float(np.quantile(np.abs(numbers), 0.98)) or float(np.abs(numbers).max()) or 1.0
        return -reach, reach
    return 0.0, float(numbers.max()) or 1.0


def _colours(entry: Statistic) -> tuple[Literal["linear", "log"], Literal["viridis", "RdBu"]]:
    diverging = entry.scale in ("signed", "correlation")
    return "log" if entry.scale == "log" else "linear", "RdBu" if diverging else "viridis"


def _named(names: Sequence[str]) -> tuple[tuple[float, str], ...]:
    """Rows and what they are called; of very many only some."""
    stride = -(-len(names) // ROWS_NAMED)
    return tuple((i + 0.5, printable(names[i], 40)) for i in range(0, len(names), stride))


def _note(found: Sequence[tuple[Run, list[str], NDArray[Any], Numbers]]) -> str:
    """What the cells are that have no colour of the bar."""
    said = []
    if any(np.isnan(values).any() for *_, values in found):
        said.append("grey: nothing logged")
    if any(np.isinf(values).any() for *_, values in found):
        said.append("red: not finite")
    return "; ".join(said)
