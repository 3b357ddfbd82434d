"""Paths of several runs on two axes they share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tbgrad_tui.chart import colours
from tbgrad_tui.chart.braille import DOTS_ACROSS, DOTS_DOWN, cells, polyline
from tbgrad_tui.chart.canvas import Box, Canvas, ink
from tbgrad_tui.chart.scale import Scale, scale_for
from tbgrad_tui.chart.text import number

START_MARK = "○"
END_MARKS = "●■▲◆★✚▼◉"
"""Of the ends of runs, in their order: told apart without colours, too."""


def draw_paths(
    canvas: Canvas, box: Box, paths: Sequence[NDArray[np.float64]], labels: tuple[str, str]
) -> None:
    """Draw paths [T, 2], each in a colour and with an end of its own, and the axes of all."""
    if box.width < 16 or box.height < 5:
        return
    margin = 8
    plot = box.inside(margin, 1, 0, 1)
    scales = [_padded(scale_for([path[:, axis] for path in paths], log=False)) for axis in (0, 1)]
    canvas.write(box.x, box.y, f"↑ {labels[1]}", colours.QUIET, box.width)
    for y in range(plot.height):
        canvas.write(plot.x - 1, plot.y + y, "│", colours.AXIS)
    across, down = plot.width * DOTS_ACROSS, plot.height * DOTS_DOWN
    placed = [
        np.column_stack([scale.place(path[:, axis]) for axis, scale in enumerate(scales)])
        for path in paths
    ]
    for number_of, places in enumerate(placed):
        style = colours.RUNS[number_of % len(colours.RUNS)]
        codes = cells(polyline(places[:, 0], places[:, 1], across, down))
        canvas.paint(plot.x, plot.y, codes, np.full(codes.shape, ink(style), dtype=np.int16))
    for number_of, places in enumerate(placed):
        style = colours.RUNS[number_of % len(colours.RUNS)]
        known = places[np.isfinite(places).all(axis=1)]
        if len(known):
            end = END_MARKS[number_of % len(END_MARKS)]
            for place, mark in ((known[0], START_MARK), (known[-1], end)):
                x = plot.x + round(float(place[0]) * (plot.width - 1))
                y = plot.y + round(float(1 - place[1]) * (plot.height - 1))
                canvas.write(x, y, mark, style)
    for value, y in ((scales[1].high, 0), (scales[1].low, plot.height - 1)):
        text = number(value)
        canvas.write(plot.x - 1 - len(text), plot.y + y, text, colours.QUIET)
    low, high = number(scales[0].low), number(scales[0].high)
    y = plot.y + plot.height
    canvas.write(plot.x, y, low, colours.QUIET)
    canvas.write(box.x + box.width - len(high), y, high, colours.QUIET)
    label = f"{labels[0]} →"
    canvas.write(plot.x + (plot.width - len(label)) // 2, y, label, colours.QUIET)


def _padded(scale: Scale) -> Scale:
    room = 0.03 * (scale.high - scale.low)
    return Scale(scale.low - room, scale.high + room)
