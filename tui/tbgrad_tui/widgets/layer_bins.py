"""The heat map of the layers: what a measure was in each stretch of steps, and its colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from rich.style import Style

from tbgrad.reading.layer_history import LayerHistory, Measure, badness
from tbgrad.reading.parameter_tree import Line
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.heat import FINITE, NONFINITE, Bins, HeatScale, bin_maxima
from tbgrad_tui.chart.text import number, percent

REACH = 100.0
"""The map around a centre goes so many times further down and up."""


def bins_of(
    history: LayerHistory, measure: Measure, width: int, *, every_step: bool = False
) -> Bins:
    """The worst value of each parameter in each of at most `width` stretches of steps."""
    firsts = history.first_steps if every_step else None
    steps, marks = history.steps, history.nonfinite
    largest = bin_maxima(steps, history.values, marks, width, firsts)
    if measure.worst == "largest":
        return largest
    smallest = bin_maxima(steps, -history.values, marks, width, firsts)
    values = -smallest.values
    if measure.worst == "far":
        finite = largest.states == FINITE
        both = np.where(finite, largest.values, np.nan), np.where(finite, values, np.nan)
        further = badness(both[0], measure) >= badness(both[1], measure)
        values = np.where(further, largest.values, values)
    return replace(largest, values=values)


def folded(bins: Bins, lines: Sequence[Line], measure: Measure) -> Bins:
    """The bins of lines in place of parameters: of a branch those of its worst member."""
    values = np.zeros((len(bins.values), len(lines)), bins.values.dtype)
    states = np.zeros(values.shape, bins.states.dtype)
    across = np.arange(len(values))
    for i, line in enumerate(lines):
        rows = np.array(line.node.rows)
        worst = np.zeros(len(values), np.intp)
        if len(rows) > 1:
            known = np.where(bins.states[:, rows] == FINITE, bins.values[:, rows], np.nan)
            bad = badness(known, measure, bins.states[:, rows] == NONFINITE)
            worst = np.argmax(bad, axis=1)
        values[:, i] = bins.values[across, rows[worst]]
        states[:, i] = bins.states[across, rows[worst]]
    return replace(bins, values=values, states=states)


def scale_of(bins: Bins, measure: Measure, rounding: NDArray[np.bool_] | None = None) -> HeatScale:
    """The colours of a measure; what is `rounding` [P] alone makes their range no longer."""
    if measure.worst == "far":
        low, high = measure.centre / REACH, measure.centre * REACH
        middle = number(measure.centre, 1)
        return HeatScale(low, high, styles=colours.DIVERGING, middle=middle)
    if measure.scale == "correlation":
        styles = colours.DIVERGING
        return HeatScale(-1.0, 1.0, log=False, styles=styles, marks_zero=False, middle="0")
    if measure.scale == "unit":
        return HeatScale(0.0, 1.0, log=False, marks_zero=False)
    if measure.name == "norm" and rounding is not None:
        bins = replace(bins, values=bins.values[:, ~rounding])
    return bins.scale()


def value_words(value: float, measure: Measure, *, lost: bool) -> tuple[str, Style]:
    """The newest value of a line."""
    if lost:
        return ("inf" if math.isinf(value) else "NaN"), colours.ALERT
    if math.isnan(value):
        return ("none" if measure.none_is_worse else "–"), colours.ABSENT
    return (percent(value) if measure.scale == "unit" else number(value)), colours.TEXT


def newest_of(
    history: LayerHistory, lines: Sequence[Line], measure: Measure
) -> list[tuple[float, bool]]:
    """The newest value of every line, and whether it is not finite: of a branch of its worst."""
    bad: NDArray[np.float64] = badness(history.newest, measure, history.lost)
    found = []
    for line in lines:
        rows = np.array(line.node.rows)
        row = int(rows[np.argmax(bad[rows])])
        found.append((float(history.newest[row]), bool(history.lost[row])))
    return found
