"""The figure "landscape": lines and planes through the weights, and critical points."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np

from tbgrad.figures.drawing import (
    Drawing,
    Heat,
    Line,
    NothingToDrawError,
    Numbers,
    Panel,
    colour_of,
)
from tbgrad.log.analyses import Analysis, CriticalPoints
from tbgrad.log.gradient_check import GradientCheck
from tbgrad.log.landscape import Axis, Landscape
from tbgrad.log.text import printable
from tbgrad.reading.findings import CONTOURS, is_wide, kind_of
from tbgrad.reading.names import unknown
from tbgrad.reading.run import Run

MOST = 12
"""Findings in one figure, where none is named."""

_LOSS, _NORM = "loss", "gradient norm"


def landscape(runs: Sequence[Run], finding: str | None = None) -> Drawing:
    """A panel each: the loss on a line or a plane with the path of the training, critical points.

    Of the gradient norm one more, where it was asked for. Critical points are drawn as loss
    against minimum ratio, with its interval.

    Raises:
        KeyError: no run has such a finding.
        NothingToDrawError: no run has any, they are too many, or they are none that is drawn.
    """
    names = list(dict.fromkeys(name for run in runs for name in run.analyses))
    if not names:
        raise NothingToDrawError(
            "nothing was logged of the surface around the weights: tbgrad.analysis.plane, line and "
            "find_critical_point look there, log_analysis brings it into the log"
        )
    if finding is not None and finding not in names:
        raise unknown("finding", finding, names)
    found = [
        (run, name, one)
        for run in runs
        for name, one in run.analyses.items()
        if finding in (None, name) and kind_of(one) != "gradient check"
    ]
    if not found:
        raise NothingToDrawError(
            "there are checks of the gradient alone, which are no pictures: tbgrad watch and the "
            "tab show them as tables"
        )
    if len(found) > MOST:
        raise NothingToDrawError(
            f"there are {len(found)} findings, and a figure has room for {MOST}: name one with "
            f"finding, or choose runs: {', '.join(names[:MOST])}"
        )
    panels = []
    for run, name, one in found:
        title = printable(name if len(runs) == 1 else f"{run.name}: {name}")
        panels += [*_panels(one, title)]
    note = (
        "path: from ○ to ●" if any(isinstance(f, Landscape) and f.path for *_, f in found) else ""
    )
    return Drawing(tuple(panels), note)


def _panels(found: Analysis, title: str) -> Iterator[Panel]:
    if isinstance(found, Landscape):
        draw: Callable[[Landscape, str, Numbers, str], Panel]
        draw = _line if len(found.axes) == 1 else _plane
        yield draw(found, _LOSS, found.loss, title)
        if found.gradient_norm is not None:
            yield draw(found, _NORM, found.gradient_norm, title)
    elif not isinstance(found, GradientCheck):
        yield _points(found, title)


def _line(found: Landscape, label: str, values: Numbers, title: str) -> Panel:
    (axis,) = found.axes
    scale: Literal["linear", "log"] = "log" if is_wide(values) else "linear"
    colour, _ = colour_of(0)
    shown = np.where(np.isfinite(values), values, np.nan)
    lines = [Line("", axis.coordinates, shown, "line", colour)]
    unsure = ~found.evaluated & np.isfinite(values)
    if unsure.any():
        lines.append(
            Line("interpolated", axis.coordinates[unsure], shown[unsure], "hollow", colour)
        )
    return Panel(label, scale, tuple(lines), title=title, height=2.4, x_label=_named(axis))


def _plane(found: Landscape, label: str, values: Numbers, title: str) -> Panel:
    across, up = found.axes
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if low == high:
        high = low + (abs(low) or 1.0)
    heat = Heat(
        label,
        _edges(across),
        _edges(up),
        values.T,
        low,
        high,
        "log" if is_wide(values) else "linear",
        contours=CONTOURS,
    )
    lines = []
    if found.path:
        places = np.array([point.place for point in found.path], np.float64)
        lines.append(Line("", places[:, 0], places[:, 1], "path", "#FFFFFF"))
    centre = np.zeros(1)
    lines.append(Line("the weights", centre, centre, "scatter", "#D55E00"))
    return Panel(
        label=_named(up),
        lines=tuple(lines),
        heat=heat,
        title=title,
        height=4.0,
        x_label=_named(across),
    )


def _points(found: CriticalPoints, title: str) -> Panel:
    kinds: dict[str, list[tuple[float, float, float]]] = {}
    for point in found:
        ratio = point.minimum_ratio
        if ratio is not None and ratio.known:
            error = max(ratio.value - ratio.low, ratio.high - ratio.value)
            kinds.setdefault(point.kind, []).append((point.loss, ratio.value, error))
    lines = []
    for place, (kind, of_kind) in enumerate(kinds.items()):
        losses, ratios, errors = np.array(of_kind, np.float64).T
        lines.append(Line(kind, losses, ratios, "scatter", colour_of(place)[0], error=errors))
    if not lines:
        raise NothingToDrawError(
            f"of none of the points of {title!r} the minimum ratio is known: the terminal app and "
            "the tab list them"
        )
    return Panel("minimum ratio", lines=tuple(lines), title=title, height=2.8, x_label=_LOSS)


def _named(axis: Axis) -> str:
    return printable(axis.label) or "direction"


def _edges(axis: Axis) -> Numbers:
    """Where the cells around the coordinates begin and end, [m + 1]."""
    places = axis.coordinates
    if len(places) == 1:
        return np.array([places[0] - 0.5, places[0] + 0.5])
    between = (places[:-1] + places[1:]) / 2
    first, last = 2 * places[0] - between[0], 2 * places[-1] - between[-1]
    return np.concatenate([[first], between, [last]])
