"""The chosen run in curves, where the table of all runs leaves room."""

from __future__ import annotations

import numpy as np

from tbgrad.log.scalars import scalar_of
from tbgrad.log.tags import GRADIENT_NORM, LOSS, UPDATE_RATIO, VALIDATION_LOSS
from tbgrad.reading.run import Run
from tbgrad_tui import facts
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.canvas import Box, Canvas
from tbgrad_tui.chart.scale import reaches_far
from tbgrad_tui.chart.view import View
from tbgrad_tui.widgets.chart_panel import scalar_curve
from tbgrad_tui.widgets.timeline import alert_steps, clock_of, draw_timed

CELLS, ROWS = 50, 7
"""A chart has so many cells across and rows at least, its name among them."""

SHOWN = ((LOSS, VALIDATION_LOSS), (GRADIENT_NORM,), (UPDATE_RATIO,))
"""What is shown, in the order of what is left out last; the last of each is in front."""


def draw_charts(canvas: Canvas, box: Box, run: Run) -> None:
    """As many charts beside one another as have room; none in a box that is too low."""
    there = [tags for tags in SHOWN if facts.scalar(run, tags[0]) is not None]
    columns = min(len(there), box.width // CELLS)
    if box.height < ROWS or not columns:
        return
    width = (box.width + 2) // columns
    height = min(box.height, max(ROWS, width // 2))
    for at, tags in enumerate(there[:columns]):
        _draw_chart(canvas, Box(box.x + at * width, box.y, width - 2, height), run, tags)


def _draw_chart(canvas: Canvas, box: Box, run: Run, tags: tuple[str, ...]) -> None:
    styles = colours.MAIN, colours.SECOND
    x, curves = box.x, []
    for tag, style in zip(tags, styles, strict=False):
        curve = scalar_curve(run, tag, View(), style)
        if curve is not None:
            x = canvas.write(x, box.y, scalar_of(tag).label, style) + 2
            curves.append(curve)
    log = reaches_far([np.asarray(curve.values) for curve in curves])
    if log:
        canvas.write(x, box.y, "(log)", colours.QUIET)
    clock = clock_of(run)
    draw_timed(
        canvas, box.inside(0, 1, 0, 0), [(clock, curve) for curve in curves], View(),
        log=log, alerts=alert_steps(run),
    )  # fmt: skip
