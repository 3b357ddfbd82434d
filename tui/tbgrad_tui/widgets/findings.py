"""What was found of critical points and of the gradient of all data, as tables."""

from __future__ import annotations

import math

import numpy as np

from tbgrad.log.analyses import CriticalPoints
from tbgrad.log.critical_point import CriticalPoint
from tbgrad.log.gradient_check import GradientCheck
from tbgrad.reading.findings import (
    COLUMNS,
    check_words,
    layers_by_norm,
    point_cells,
    spectrum_title,
)
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.canvas import Box, Canvas
from tbgrad_tui.chart.line import Curve, draw_chart
from tbgrad_tui.chart.text import number, shorten

KINDS = {
    "minimum": colours.GOOD,
    "saddle": colours.WARNING,
    "maximum": colours.WARNING,
    "degenerate": colours.NEWS,
    "not critical": colours.QUIET,
}

WIDTHS = 4, 13, 7, 9, 8, 11, 8, 9, 14, 12
"""Of the columns of the table of critical points."""


def draw_points(canvas: Canvas, box: Box, points: CriticalPoints, first: int) -> None:
    """A table of critical points from row `first` on, and the spectrum of that one."""
    spectrum = box.height >= 14 and len(points[first].eigenvalues) > 1
    rows = min(len(points) + 1, box.height // 2) if spectrum else box.height
    table = box.rows(0, rows)
    x = box.x
    for column, (title, width) in enumerate(zip(COLUMNS, WIDTHS, strict=True)):
        if x + width > box.x + box.width:
            break
        canvas.write(x, table.y, title, colours.TITLE, width - 1)
        for row, number_of in enumerate(range(first, min(len(points), first + table.height - 1))):
            text = point_cells(number_of, points[number_of])[column]
            style = KINDS[points[number_of].kind] if column == 1 else colours.TEXT
            canvas.write(x, table.y + 1 + row, text, style, width - 1)
        x += width
    if spectrum:
        _draw_spectrum(canvas, box.inside(0, table.height, 0, 0), points[first], first)


def _draw_spectrum(canvas: Canvas, box: Box, point: CriticalPoint, number_of: int) -> None:
    """The magnitudes of the eigenvalues, those below zero in a colour of their own."""
    values = point.eigenvalues
    title = shorten(spectrum_title(number_of, point), box.width)
    x = canvas.write(box.x, box.y + 1, title, colours.TITLE)
    if x + 24 < box.x + box.width:
        x = canvas.write(x + 2, box.y + 1, "above zero", colours.MAIN)
        canvas.write(x + 2, box.y + 1, "below", colours.THRESHOLD)
    rank = np.linspace(0, 100, len(values))
    curves = [
        Curve(rank[sign], np.abs(values[sign]), style, show_points=True)
        for sign, style in ((values > 0, colours.MAIN), (values < 0, colours.THRESHOLD))
    ]
    draw_chart(canvas, box.inside(0, 2, 0, 0), curves, log=True, over_steps=False)


def draw_check(canvas: Canvas, box: Box, check: GradientCheck, first: int) -> None:
    """The gradient of all data beside its noise, layer by layer from row `first` on."""
    head = check_words(check)
    for row, line in enumerate(head):
        canvas.write(box.x, box.y + row, line, colours.TEXT, box.width)
    layers = layers_by_norm(check)
    body = box.inside(0, len(head) + 1, 0, 0)
    longest = min(max((len(name) for name, *_ in layers), default=0), box.width // 2)
    largest = max((norm for _, norm, _ in layers), default=0.0)
    room = max(0, body.width - longest - 12)
    for row, (name, norm, _) in enumerate(layers[first : first + body.height]):
        y = body.y + row
        canvas.write(body.x, y, shorten(name, longest), colours.TEXT)
        canvas.write(body.x + longest + 1, y, number(norm).rjust(9), colours.TEXT)
        share = norm / largest if largest > 0 and math.isfinite(norm) else 0.0
        bar = "█" * round(share * room)
        canvas.write(body.x + longest + 11, y, bar, colours.MAIN)
