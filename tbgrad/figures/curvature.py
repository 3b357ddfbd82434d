"""The figure "curvature": the largest eigenvalue with its error against the optimizer's limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from tbgrad.figures.drawing import Drawing, Line, NothingToDrawError, Panel, colour_of
from tbgrad.log.records import CurvatureEstimate
from tbgrad.log.scalars import scalar_of
from tbgrad.log.tags import CURVATURE, LAMBDA_MAX, Kind
from tbgrad.log.text import printable
from tbgrad.reading.run import Run
from tbgrad.reading.series import Series

FACTOR = 30.0
"""The axis is logarithmic where values differ by more."""


def curvature(runs: Sequence[Run]) -> Drawing:
    """λmax, or what of an adaptive optimizer is to be compared with its limit, and the limit.

    Raises:
        NothingToDrawError: no run has an estimate.
    """
    found = [(i, run, series) for i, run in enumerate(runs) if (series := _of(run)) is not None]
    if not found:
        raise NothingToDrawError(
            "no run has estimates of the curvature: log them with "
            "tbgrad.GradientMonitor(…, curvature=tbgrad.Curvature(data=(x, y)))"
        )
    lines: list[Line] = []
    adaptive = [any(e.preconditioned is not None for e in series.values) for *_, series in found]
    name = scalar_of(LAMBDA_MAX).label
    for place, run, series in found:
        lines += _lines(run, series, place, name if len(runs) == 1 else printable(run.name))
    label = f"{name} in the optimizer's coordinates" if all(adaptive) else name
    if any(adaptive) and not all(adaptive):
        label = f"{name}, of adaptive optimizers in their coordinates"
    note = "bars: bounds of the error"
    if len(runs) > 1:
        note += "; dotted: limits of stability"
    if any(line.style == "hollow" for line in lines):
        note += "; hollow: not converged"
    scale = _scale(lines)
    positive = all((line.y[np.isfinite(line.y)] > 0).all() for line in lines)
    low = 0.0 if positive and scale == "linear" else None
    return Drawing((Panel(label, scale, tuple(lines), low=low, height=2.8),), note)


def _of(run: Run) -> Series | None:
    series = run.get(CURVATURE)
    return series if series is not None and series.kind is Kind.CURVATURE and len(series) else None


def _lines(run: Run, series: Series, place: int, name: str) -> list[Line]:
    colour, dash = colour_of(place)
    estimates: list[CurvatureEstimate] = list(series.values)
    compared = [each.preconditioned or each.lambda_max for each in estimates]
    values = np.array([each.value for each in compared], np.float64)
    errors = np.array([each.residual for each in compared], np.float64)
    errors = np.where(np.isfinite(errors), errors, 0.0)
    lines = [Line(name, series.steps, values, "points", colour, dash, errors)]
    unsure = np.array([not each.converged for each in estimates])
    if unsure.any():
        lines.append(Line("", series.steps[unsure], values[unsure], "hollow", colour))
    limit = run.threshold
    if len(limit):
        formula = next(
            (e.threshold_formula for e in reversed(estimates) if e.threshold_formula), ""
        )
        alone = name == scalar_of(LAMBDA_MAX).label
        said = f"limit of stability {printable(formula)}".rstrip() if alone else ""
        colour = "#000000" if alone else colour
        lines.append(Line(said, limit.steps, limit.values, "limit", colour, "dot"))
    return lines


def _scale(lines: Sequence[Line]) -> Literal["linear", "log"]:
    numbers = np.concatenate([line.y[np.isfinite(line.y)] for line in lines])
    if not len(numbers) or not (numbers > 0).all():
        return "linear"
    return "log" if numbers.max() / numbers.min() > FACTOR else "linear"
