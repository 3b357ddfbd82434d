"""A panel with a chart over the steps, and what several of them write beside it."""

from __future__ import annotations

import math

import numpy as np
from rich.style import Style

from tbgrad.reading.run import Run
from tbgrad_tui import facts
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.canvas import Box, Canvas
from tbgrad_tui.chart.line import Curve
from tbgrad_tui.chart.text import number
from tbgrad_tui.widgets.panel import Panel

Words = list[tuple[str, Style]]
"""Phrases with their styles."""


class ChartPanel(Panel):
    """A chart of one run whose axis can be switched between linear and logarithmic."""

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.run: Run | None = None
        self.log_axis = False

    def show(self, run: Run | None) -> None:
        """Show another run, or a newer state of the same."""
        self.run = run
        self.redraw()

    def with_axis(self, name: str) -> tuple[str, ...]:
        """A name with and without the kind of axis."""
        return (f"{name} (log)", name) if self.log_axis else (name,)

    def toggle_log(self) -> None:
        """Switch the axis."""
        self.log_axis = not self.log_axis
        self.redraw()


def scalar_curve(run: Run, tag: str, style: Style = colours.MAIN) -> Curve | None:
    """The curve of a scalar, None where the run does not have it."""
    series = facts.scalar(run, tag)
    if series is None:
        return None
    return Curve(series.steps, series.values.astype(np.float64), style)


def write_legend(canvas: Canvas, box: Box, entries: Words) -> None:
    """Names of the curves in their colours on the first row of `box`."""
    x = box.x
    for name, style in entries:
        if x + len(name) > box.x + box.width:
            break
        x = canvas.write(x, box.y, name, style) + 2


def scalar_headline(run: Run | None, tag: str) -> tuple[str, Style]:
    """The newest value of a scalar, in the alert colour when it is not finite."""
    if run is None or facts.scalar(run, tag) is None:
        return "", colours.TEXT
    value = facts.newest(run, tag)
    return number(value), colours.STRONG if math.isfinite(value) else colours.NONFINITE


def write_wrapped(canvas: Canvas, box: Box, words: Words, most: int, between: str = "  ") -> int:
    """Write phrases over at most `most` rows; the rows used."""
    row, x = 0, box.x
    for text, style in words:
        separator = between if x > box.x else ""
        if x + len(separator) + len(text) > box.x + box.width and x > box.x:
            row, x, separator = row + 1, box.x, ""
        if row >= most:
            return most
        x = canvas.write(x, box.y + row, separator, colours.QUIET)
        x = canvas.write(x, box.y + row, text, style, box.x + box.width - x)
    return row + 1
