"""The figure "scalars": loss, gradient norm and others over the steps, several runs in one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tbgrad.figures.drawing import Drawing, Line, Marks, NothingToDrawError, Panel, colour_of
from tbgrad.judgement.history import scalar
from tbgrad.log.scalars import Scalar, in_order, scalar_of
from tbgrad.log.tags import GRADIENT_NORM, LOSS, VALIDATION_LOSS, Kind
from tbgrad.log.text import printable
from tbgrad.reading import thinning
from tbgrad.reading.names import unknown
from tbgrad.reading.run import Run
from tbgrad.reading.series import Series

DEFAULT = (LOSS, VALIDATION_LOSS, GRADIENT_NORM)
POINTS = 2000
"""So many points of a line show all that print does."""
MEANS = 100
"""Of a noisy line with more than twice as many values there are so many means, too."""
FEW = 60
"""So few values are points, each of which can be seen."""

_FACTORS = {"log": 3.0, "linear": 100.0}
"""By how much values differ where the axis is logarithmic, by what the table of scalars says."""


def scalars(runs: Sequence[Run], tags: Sequence[str] | None = None) -> Drawing:
    """A panel a tag; validation loss is drawn into that of the loss.

    Raises:
        KeyError: no run has one of the tags.
        NothingToDrawError: none were asked for, and no run has a loss or a gradient norm.
    """
    found = {tag: [(i, one) for i, run in enumerate(runs) if (one := _of(run, tag)) is not None]
             for tag in tags or DEFAULT}  # fmt: skip
    known = in_order(sorted({t for run in runs for t, s in run.items() if s.kind is Kind.SCALAR}))
    for tag in tags or ():
        if not found[tag]:
            raise unknown("scalar", tag, known)
    found = {tag: series for tag, series in found.items() if series}
    if not found:
        there = f"; there are {', '.join(known[:12])}: choose with tags" if known else ""
        raise NothingToDrawError(f"no run has a loss or a gradient norm{there}")
    beside = VALIDATION_LOSS if LOSS in found and VALIDATION_LOSS in found else None
    widest = max(_mean_of(one) for series in found.values() for _, one in series)
    panels = tuple(
        _panel(tag, series, found[beside] if beside and tag == LOSS else [], runs)
        for tag, series in found.items()
        if tag != beside
    )
    note = ""
    if widest > 1:
        note = f"pale: every value; lines: means of about {widest:,}"
    return Drawing(panels, note)


def _of(run: Run, tag: str) -> Series | None:
    """A scalar by its own tag, or by the name that its writer has for it."""
    own = run.get(tag)
    if own is not None and own.kind is Kind.SCALAR and len(own):
        return own
    return scalar(run, tag)


def _panel(
    tag: str,
    series: list[tuple[int, Series]],
    beside: list[tuple[int, Series]],
    runs: Sequence[Run],
) -> Panel:
    entry = scalar_of(tag)
    scale = _scale(entry, [one.values for _, one in (*series, *beside)])
    lines: list[Line] = []
    for place, one in series:
        name = entry.label if len(runs) == 1 else runs[place].name
        lines += _lines(one, printable(name), place, scale == "log")
    for place, one in beside:
        name = scalar_of(VALIDATION_LOSS).label
        name = name if len(runs) == 1 else f"{runs[place].name}, validation"
        colour, _ = colour_of(place + 1 if len(runs) == 1 else place)
        drawn = _positive(one.values, scale == "log")
        lines.append(Line(printable(name), one.steps, drawn, "points", colour, "dash"))
    if len(runs) == 1 and not beside:
        lines = [replace(line, label="") for line in lines]  # the axis says it
    unit = f" ({entry.unit})" if entry.unit else ""
    return Panel(
        label=printable(entry.label) + unit,
        scale=scale,
        lines=tuple(lines),
        marks=_marks([one for _, one in (*series, *beside)], scale == "log"),
    )


def _lines(series: Series, name: str, place: int, log: bool) -> list[Line]:
    """Every value, thinned so that no peak is lost, and where they are many their means."""
    colour, dash = colour_of(place)
    values = _positive(series.values, log)
    keep = thinning.extremes(values, POINTS)
    x, y = series.steps[keep], values[keep]
    if _mean_of(series) == 1:
        return [Line(name, x, y, "points" if len(x) <= FEW else "line", colour, dash)]
    means = series.window(int(series.steps[0]), int(series.steps[-1]), MEANS)
    middle = (means.first_steps + means.last_steps) / 2
    mean = _positive(means.mean, log)
    return [Line("", x, y, "faint", colour), Line(name, middle, mean, "line", colour, dash)]


def _marks(series: Sequence[Series], log: bool) -> tuple[Marks, ...]:
    """Where values have no place on the axis: the first step of every stretch of them."""
    lost = [_beginnings(one.steps, ~np.isfinite(one.values)) for one in series]
    marks = [Marks("not finite from here", np.unique(np.concatenate(lost)))]
    if log:
        zero = [_beginnings(one.steps, one.values <= 0) for one in series]
        marks.append(Marks("zero or less from here", np.unique(np.concatenate(zero)), "triangle"))
    return tuple(each for each in marks if len(each.x))


def _beginnings(steps: NDArray[np.int64], where: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The first step of every stretch of values that are of a kind."""
    first: NDArray[np.int64] = steps[where & ~np.append(False, where[:-1])]
    return first


def _mean_of(series: Series) -> int:
    """How many values make a mean; 1 where there is none.

    A line is noisy where one of three values or more lies above both its neighbours or below them;
    of values that have nothing to do with each other two of three do. Means of a smooth one would
    hide where it begins.
    """
    turns = np.diff(np.sign(np.diff(series.values[np.isfinite(series.values)]))) != 0
    noisy = len(turns) > 0 and turns.mean() > 1 / 3
    return round(series.total / MEANS) if noisy and series.total > 2 * MEANS else 1


def _positive(values: NDArray[np.float64], log: bool) -> NDArray[np.float64]:
    """The values that have a place on the axis, NaN in place of others."""
    numbers = np.asarray(values, dtype=np.float64)
    placed = np.isfinite(numbers) & ((numbers > 0) | (not log))
    return np.where(placed, numbers, np.nan)


def _scale(entry: Scalar, values: Sequence[NDArray[np.float64]]) -> Literal["linear", "log"]:
    """Logarithmic where the values differ by more than the table makes likely."""
    numbers = np.concatenate([np.asarray(each, dtype=np.float64) for each in values])
    finite = numbers[np.isfinite(numbers)]
    positive = finite[finite > 0]
    if not len(positive) or (entry.scale == "linear" and len(positive) < len(finite)):
        return "linear"
    return "log" if positive.max() / positive.min() > _FACTORS[entry.scale] else "linear"
