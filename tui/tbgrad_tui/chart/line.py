"""A line chart with axes: curves over steps or numbers, error bars, a level, lost values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from rich.style import Style

from tbgrad_tui.chart import colours
from tbgrad_tui.chart.axis import Axis, axis_over
from tbgrad_tui.chart.axis import draw as draw_axis
from tbgrad_tui.chart.braille import DOTS_ACROSS, DOTS_DOWN, cells, spans, trace
from tbgrad_tui.chart.canvas import Box, Canvas, ink
from tbgrad_tui.chart.scale import Scale, robust_scale, scale_for

NONFINITE_MARK = "✕"
POINT_MARK = "•"
DOUBTFUL_MARK = "○"
ZERO_MARK = "0"
BELOW_MARK = "▾"
ABOVE_MARK = "▴"
LETTER = Style(bold=True)
LETTER_EVERY = 24
"""So many cells lie between two letters of a curve."""
ALERT_ROWS = 7
"""From so many rows on alerts have a row of their own."""


@dataclass(frozen=True)
class Curve:
    """Values over rising steps, or other rising numbers.

    `errors` are half-widths; `doubtful` points get a mark of their own. A `letter` on the line
    tells a curve from others where colours do not, or not to all. A `smooth` one hides what is
    behind it in its cells, which would make it as thick as that.
    """

    steps: NDArray[np.int64] | NDArray[np.float64]
    values: NDArray[np.float64]
    style: Style = colours.MAIN
    errors: NDArray[np.float64] | None = None
    doubtful: NDArray[np.bool_] | None = None
    show_points: bool = False
    letter: str = ""
    smooth: bool = False

    def over(self, x: NDArray[np.float64], low: float, high: float) -> Curve:
        """The points whose place `x` [T] on a horizontal axis is from `low` to `high`."""
        inside = (x >= low) & (x <= high)
        errors, doubtful = self.errors, self.doubtful
        return replace(
            self,
            steps=x[inside],
            values=self.values[inside],
            errors=errors[inside] if errors is not None else None,
            doubtful=doubtful[inside] if doubtful is not None else None,
        )


def draw_chart(
    canvas: Canvas,
    box: Box,
    curves: Sequence[Curve],
    *,
    log: bool = False,
    level: float | None = None,
    band: tuple[float, float] | None = None,
    over_steps: bool = True,
    axis: Axis | None = None,
) -> Box | None:
    """Draw `curves`, the last one in front, with axes into `box`; where they are, without the axes.

    A `level` is a horizontal line; it widens the axis only where the curves stay readable. A `band`
    is a tint between two values, of what of it is on the axis. What is
    not `over_steps` has numbers of any kind on its horizontal axis. Of values over steps the few
    that would flatten the others are marked at the edge. An `axis` is one that others share.
    """
    there = [curve for curve in curves if len(curve.steps)]
    if box.height < 2 or box.width < 8:
        return None
    if not there:
        words = "no values in this stretch" if axis is not None and curves else "no values yet"
        _write_centred(canvas, box, words)
        return None
    if axis is None:
        first = min(curve.steps[0].item() for curve in there)
        last = max(curve.steps[-1].item() for curve in there)
        axis = axis_over(first, last, kind="step" if over_steps else "number")
    with np.errstate(over="ignore", invalid="ignore"):
        return _draw(canvas, box, there, log, level, band, axis)


def _draw(
    canvas: Canvas,
    box: Box,
    curves: Sequence[Curve],
    log: bool,
    level: float | None,
    band: tuple[float, float] | None,
    axis: Axis,
) -> Box:
    vertical = _vertical_scale(curves, log, level, clipped=axis.kind != "number")
    below = 2 if axis.alerts and box.height >= ALERT_ROWS else 1
    labels = vertical.ticks(max(2, min(6, (box.height - below) // 3 + 1)))
    margin = min(max(len(label) for _, label in labels) + 1 if labels else 1, box.width // 2)
    plot = box.inside(margin, 0, 0, below)
    _draw_vertical_axis(canvas, plot, labels, vertical, margin)
    draw_axis(canvas, box, plot, axis)
    if level is not None:
        _draw_level(canvas, plot, vertical, level)
    for curve in curves:
        _draw_curve(canvas, plot, curve, axis.scale, vertical)
    for at, curve in enumerate(curves):
        _draw_marks(canvas, plot, curve, axis.scale, vertical)
        if curve.letter:
            shift = at * LETTER_EVERY // len(curves)
            _draw_letters(canvas, plot, curve, axis.scale, vertical, shift)
    if band is not None:
        _draw_band(canvas, plot, vertical, band)
    return plot


def _vertical_scale(
    curves: Sequence[Curve], log: bool, level: float | None, *, clipped: bool
) -> Scale:
    arrays = [curve.values for curve in curves]
    for curve in curves:
        if curve.errors is not None:
            arrays += [curve.values - curve.errors, curve.values + curve.errors]
    newest = [float(curve.values[-1]) for curve in curves]
    scale = robust_scale(arrays, newest, log=log) if clipped else scale_for(arrays, log=log)
    if level is None:
        return scale
    reach = max(abs(scale.low), abs(scale.high)) * (1e4 if log else 8)
    if level <= reach:
        ends = np.array([scale.low, scale.high, level])
        scale = scale_for([ends], log=log)
    return scale


def _draw_vertical_axis(
    canvas: Canvas, plot: Box, labels: list[tuple[float, str]], scale: Scale, margin: int
) -> None:
    for y in range(plot.height):
        canvas.write(plot.x - 1, plot.y + y, "│", colours.AXIS)
    taken: set[int] = set()
    for value, label in labels:
        y = _row(scale, value, plot.height)
        if y in taken or not 0 <= y < plot.height:
            continue
        taken.add(y)
        canvas.fill(Box(plot.x, plot.y + y, plot.width, 1), "┈", colours.GRID)
        canvas.write(
            plot.x - margin, plot.y + y, label.rjust(margin - 1), colours.QUIET, margin - 1
        )
        canvas.write(plot.x - 1, plot.y + y, "┤", colours.AXIS)


def _draw_band(canvas: Canvas, plot: Box, scale: Scale, band: tuple[float, float]) -> None:
    low, high = max(band[0], scale.low), min(band[1], scale.high)
    if low <= high:
        top, bottom = _row(scale, high, plot.height), _row(scale, low, plot.height)
        canvas.tint(Box(plot.x, plot.y + top, plot.width, bottom - top + 1), colours.BAND)


def _draw_level(canvas: Canvas, plot: Box, scale: Scale, level: float) -> None:
    y = _row(scale, level, plot.height)
    if 0 <= y < plot.height:
        canvas.fill(Box(plot.x, plot.y + y, plot.width, 1), "╌", colours.THRESHOLD)


def _draw_curve(
    canvas: Canvas, plot: Box, curve: Curve, horizontal: Scale, vertical: Scale
) -> None:
    across, down = plot.width * DOTS_ACROSS, plot.height * DOTS_DOWN
    x = horizontal.place(curve.steps.astype(np.float64))
    if curve.errors is not None:
        low = vertical.place(np.maximum(curve.values - curve.errors, _floor(vertical)))
        high = vertical.place(curve.values + curve.errors)
        _paint(canvas, plot, spans(x, low, high, across, down), colours.ERROR_BAR)
    _paint(
        canvas, plot, trace(x, vertical.place(curve.values), across, down), curve.style,
        alone=curve.smooth,
    )  # fmt: skip


def _floor(scale: Scale) -> float:
    return scale.low if scale.log else -np.inf


def _paint(
    canvas: Canvas, plot: Box, dots: NDArray[np.bool_], style: Style, *, alone: bool = False
) -> None:
    codes = cells(dots)
    under = canvas.codes[plot.y : plot.y + plot.height, plot.x : plot.x + plot.width]
    both = (codes > 0) & (under >= 0x2800) & (under < 0x2900) & (not alone)
    codes[both] |= under[both]
    canvas.paint(plot.x, plot.y, codes, np.full(codes.shape, ink(style), dtype=np.int16))


def _draw_marks(
    canvas: Canvas, plot: Box, curve: Curve, horizontal: Scale, vertical: Scale
) -> None:
    """Points of their own where a curve cannot speak: single, doubtful, zero, not finite."""
    columns = np.rint(horizontal.place(curve.steps.astype(np.float64)) * (plot.width - 1))
    columns = plot.x + columns.astype(np.intp)
    places = vertical.place(curve.values)
    drawn = np.isfinite(places)
    inside = drawn & (places >= 0) & (places <= 1)
    rows = np.where(drawn, plot.y + _rows(places, plot.height), -1)
    alone = drawn & ~np.concatenate([[False], drawn[:-1]]) & ~np.concatenate([drawn[1:], [False]])
    points = drawn if curve.show_points and len(curve.steps) * 3 <= plot.width else alone
    points = points & inside
    canvas.mark(columns[points], rows[points], POINT_MARK, curve.style)
    if curve.doubtful is not None:
        shown = drawn & curve.doubtful
        canvas.mark(columns[shown], rows[shown], DOUBTFUL_MARK, colours.WARNING)
    for shown, row, character in (
        (drawn & (places > 1), plot.y, ABOVE_MARK),
        (drawn & (places < 0), plot.y + plot.height - 1, BELOW_MARK),
    ):
        canvas.mark(columns[shown], np.full(int(shown.sum()), row), character, colours.WARNING)
    lost = ~np.isfinite(curve.values)
    for shown, character in ((curve.values == 0, ZERO_MARK), (curve.values < 0, BELOW_MARK)):
        shown = shown & ~drawn & ~lost
        bottom = np.full(int(shown.sum()), plot.y + plot.height - 1)
        canvas.mark(columns[shown], bottom, character, colours.WARNING)
    canvas.mark(columns[lost], np.full(int(lost.sum()), plot.y), NONFINITE_MARK, colours.NONFINITE)


def _draw_letters(
    canvas: Canvas, plot: Box, curve: Curve, horizontal: Scale, vertical: Scale, shift: int
) -> None:
    """The letter of a curve on its line, at other columns than those of the other curves."""
    x, y = horizontal.place(curve.steps.astype(np.float64)), vertical.place(curve.values)
    there = np.isfinite(x) & np.isfinite(y)
    if not there.any():
        return
    x, y = x[there], np.clip(y[there], 0, 1)
    wanted = np.arange(shift, plot.width, LETTER_EVERY)
    ends = x[0] * (plot.width - 1), x[-1] * (plot.width - 1)
    wanted = wanted[(wanted >= ends[0]) & (wanted <= ends[1])]
    if not len(wanted):
        wanted = np.array([round(ends[1])])
    heights = np.interp(wanted / max(1, plot.width - 1), x, y)
    rows = plot.y + _rows(heights, plot.height)
    canvas.mark(plot.x + wanted.astype(np.intp), rows, curve.letter, curve.style + LETTER)


def _rows(places: NDArray[np.float64], height: int) -> NDArray[np.intp]:
    """The rows of cells in which `trace` puts these places."""
    dots = height * DOTS_DOWN
    rows: NDArray[np.intp] = (
        np.rint((1 - np.nan_to_num(places)) * (dots - 1)).astype(np.intp) // DOTS_DOWN
    )
    return rows


def _row(scale: Scale, value: float, height: int) -> int:
    """The row of cells of one value, -1 where it has no place."""
    place = scale.place(np.array([value]))
    return int(_rows(place, height)[0]) if np.isfinite(place[0]) else -1


def _write_centred(canvas: Canvas, box: Box, text: str) -> None:
    x = box.x + max(0, (box.width - len(text)) // 2)
    canvas.write(x, box.y + box.height // 2, text, colours.QUIET, box.width)
