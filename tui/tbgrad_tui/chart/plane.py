"""A plane through the weights: the loss as colour, contour lines, and the path of a training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.style import Style

from tbgrad.log.landscape import Landscape
from tbgrad.reading.findings import CONTOURS, is_wide
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.braille import DOTS_ACROSS, DOTS_DOWN, cells, polyline
from tbgrad_tui.chart.canvas import Box, Canvas, ink
from tbgrad_tui.chart.heat import ABSENT_MARK, NONFINITE_MARK
from tbgrad_tui.chart.scale import Scale
from tbgrad_tui.chart.text import cut, number

CENTRE_MARK, START_MARK, LOWEST_MARK = "●", "○", "▼"


@dataclass(frozen=True)
class Shading:
    """From losses to places between 0 and 1 on the colour scale."""

    scale: Scale

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Shading:
        """The scale that shows these best."""
        finite = values[np.isfinite(values)]
        if not finite.size:
            return cls(Scale(0.0, 1.0))
        low, high = float(finite.min()), float(finite.max())
        log = is_wide(values)
        if not high > low:
            low, high = low - abs(low) - 1.0, high + abs(high) + 1.0
        return cls(Scale(low, high, log))

    def levels(self, values: NDArray[np.float64], count: int) -> NDArray[np.intp]:
        """Which of `count` equal parts of the scale they are in; 0 for what has no place."""
        place = np.nan_to_num(self.scale.place(values))
        return np.clip(place * count, 0, count - 1).astype(np.intp)


def draw_plane(canvas: Canvas, box: Box, plane: Landscape, *, shades: bool = False) -> None:
    """Draw a landscape of two axes with its legend, axes and path into `box`.

    With `shades`, blocks of rising density stand for the colours, without contour lines.
    """
    if box.width < 16 or box.height < 5:
        return
    first, second = plane.axes
    margin = 8
    plot = box.inside(margin, 2, 0, 1)
    shading = Shading.of(plane.loss)
    _draw_legend(canvas, box, shading, shades)
    canvas.write(box.x, box.y + 1, cut(f"↑ {second.label}", box.width), colours.QUIET)
    grid = _resampled(plane, plot.width, plot.height)
    levels = shading.levels(grid, colours.LEVELS)
    inks = np.array([ink(style) for style in colours.HEAT], dtype=np.int16)[levels]
    codes = np.full(grid.shape, ord(" "), dtype=np.uint32)
    if shades:
        codes = np.array([ord(c) for c in " ░▒▓█"], np.uint32)[levels * 5 // colours.LEVELS]
    else:
        lines = cells(_contours(plane, shading, plot))
        codes = np.where(lines > 0, lines, codes)
        contour = np.array([ink(style) for style in colours.CONTOURS], dtype=np.int16)[levels]
        inks = np.where(lines > 0, contour, inks)
    for lost, mark, style in (
        (np.isnan(grid), ABSENT_MARK, colours.ABSENT),
        (np.isinf(grid), NONFINITE_MARK, colours.NONFINITE),
    ):
        codes[lost], inks[lost] = ord(mark), ink(style)
    canvas.paint(plot.x, plot.y, codes, inks)
    _draw_path(canvas, plot, plane, levels)
    _draw_marks(canvas, plot, plane, levels)
    _draw_axes(canvas, box, plot, plane)
    label = cut(f"{first.label} →", max(0, plot.width - 18))
    canvas.write(
        plot.x + (plot.width - len(label)) // 2, plot.y + plot.height, label, colours.QUIET
    )


def _resampled(plane: Landscape, width: int, height: int) -> NDArray[np.float64]:
    """The loss [height, width] at the middles of cells: the second axis upwards."""
    values = plane.loss
    across = np.linspace(0, values.shape[0] - 1, 2 * width + 1)[1::2]
    down = np.linspace(0, values.shape[1] - 1, 2 * height + 1)[1::2]
    low_x, low_y = np.floor(across).astype(int), np.floor(down).astype(int)
    high_x = np.minimum(low_x + 1, values.shape[0] - 1)
    high_y = np.minimum(low_y + 1, values.shape[1] - 1)
    x, y = (across - low_x)[:, np.newaxis], down - low_y
    with np.errstate(invalid="ignore"):
        near = values[low_x][:, low_y] * (1 - y) + values[low_x][:, high_y] * y
        far = values[high_x][:, low_y] * (1 - y) + values[high_x][:, high_y] * y
        mixed = near * (1 - x) + far * x
    nearest = values[np.rint(across).astype(int)][:, np.rint(down).astype(int)]
    grid: NDArray[np.float64] = np.where(np.isfinite(mixed), mixed, nearest)[:, ::-1].T
    return grid


def _contours(plane: Landscape, shading: Shading, plot: Box) -> NDArray[np.bool_]:
    """Dots where the loss goes from one of ten equal parts of the scale into another."""
    fine = _resampled(plane, plot.width * DOTS_ACROSS, plot.height * DOTS_DOWN)
    bands = shading.levels(fine, CONTOURS)
    known = np.isfinite(fine)
    dots = np.zeros(fine.shape, dtype=np.bool_)
    dots[:, :-1] |= (bands[:, :-1] != bands[:, 1:]) & known[:, :-1] & known[:, 1:]
    dots[:-1] |= (bands[:-1] != bands[1:]) & known[:-1] & known[1:]
    return dots


def _places(plane: Landscape, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points [K, 2] on the axes as places between 0 and 1."""
    low = np.array([axis.coordinates[0] for axis in plane.axes])
    high = np.array([axis.coordinates[-1] for axis in plane.axes])
    places: NDArray[np.float64] = (points - low) / (high - low)
    return places


def _on(levels: NDArray[np.intp], y: int, x: int, colour: str) -> Style:
    """A colour on that of the map there."""
    style: Style = colours.HEAT[levels[y, x]] + Style(color=colour, bold=True)
    return style


def _draw_path(canvas: Canvas, plot: Box, plane: Landscape, levels: NDArray[np.intp]) -> None:
    if not plane.path:
        return
    places = _places(plane, np.array([point.place for point in plane.path]))
    across, down = plot.width * DOTS_ACROSS, plot.height * DOTS_DOWN
    codes = cells(polyline(places[:, 0], places[:, 1], across, down))
    for y, x in np.argwhere(codes > 0).tolist():
        style = _on(levels, y, x, colours.PATH)
        canvas.write(plot.x + x, plot.y + y, chr(int(codes[y, x])), style)
    _mark(canvas, plot, places[0], START_MARK, levels, colours.PATH)


def _draw_marks(canvas: Canvas, plot: Box, plane: Landscape, levels: NDArray[np.intp]) -> None:
    if plane.evaluated.any():
        lowest = np.array(plane.lowest[1])
        _mark(canvas, plot, _places(plane, lowest), LOWEST_MARK, levels, "#ffffff")
    _mark(canvas, plot, _places(plane, np.zeros(2)), CENTRE_MARK, levels, "#ffffff")


def _mark(
    canvas: Canvas, plot: Box, place: NDArray[np.float64], mark: str, levels: NDArray[np.intp],
    colour: str,
) -> None:  # fmt: skip
    if not ((place >= 0) & (place <= 1)).all():
        return
    x = round(float(place[0]) * (plot.width - 1))
    y = round(float(1 - place[1]) * (plot.height - 1))
    canvas.write(plot.x + x, plot.y + y, mark, _on(levels, y, x, colour))


def _draw_axes(canvas: Canvas, box: Box, plot: Box, plane: Landscape) -> None:
    first, second = (axis.coordinates for axis in plane.axes)
    for value, y in ((second[-1], 0), (second[0], plot.height - 1)):
        text = number(float(value))
        canvas.write(plot.x - 1 - len(text), plot.y + y, text, colours.QUIET)
    low, high = number(float(first[0])), number(float(first[-1]))
    y = plot.y + plot.height
    canvas.write(plot.x, y, low, colours.QUIET)
    canvas.write(box.x + box.width - len(high), y, high, colours.QUIET)


def _draw_legend(canvas: Canvas, box: Box, shading: Shading, shades: bool) -> None:
    low, high = number(shading.scale.low), number(shading.scale.high)
    x = canvas.write(box.x, box.y, f"loss {low} ", colours.QUIET, box.width)
    ramp = max(5, min(colours.LEVELS, box.width // 4))
    for column in range(ramp):
        level = column * colours.LEVELS // ramp
        character = " ░▒▓█"[column * 5 // ramp] if shades else " "
        x = canvas.write(x, box.y, character, colours.HEAT[level])
    scale = " (log)" if shading.scale.log else ""
    x = canvas.write(x, box.y, f" {high}{scale}", colours.QUIET)
    for mark, meaning in ((CENTRE_MARK, "weights"), (LOWEST_MARK, "lowest")):
        if x + 4 + len(meaning) > box.x + box.width:
            break
        x = canvas.write(x + 2, box.y, mark, colours.STRONG)
        x = canvas.write(x, box.y, f" {meaning}", colours.QUIET)
