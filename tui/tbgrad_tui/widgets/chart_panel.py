"""A panel with charts over the steps, and what several of them write beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from rich.cells import cell_len
from rich.style import Style
from textual import events
from textual.message import Message

from tbgrad.reading.run import Run
from tbgrad.reading.smoothing import smoothed
from tbgrad_tui import facts
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.canvas import Box, Canvas
from tbgrad_tui.chart.line import Curve
from tbgrad_tui.chart.text import number
from tbgrad_tui.chart.view import View
from tbgrad_tui.widgets.panel import Panel
from tbgrad_tui.widgets.timeline import (
    Plotted,
    Timed,
    alert_steps,
    draw_timed,
    seen_clock,
    seen_scalar,
    value_at,
)

Words = list[tuple[str, Style]]
"""Phrases with their styles."""

WHEEL = 0.8
"""By so much a notch of the wheel makes the stretch shorter."""

NOTCH = 0.1
"""By so much of the stretch a notch of the wheel moves it where Shift is held."""


class ChartPanel(Panel):
    """A chart of one run whose axis can be switched between linear and logarithmic."""

    class Pointed(Message):
        """The mouse chose a step of the charts that all share."""

        def __init__(self, step: int) -> None:
            super().__init__()
            self.step = step

    class Turned(Message):
        """The wheel asks for a stretch of another length about a step, or for one further on."""

        def __init__(self, factor: float, step: int, share: float = 0.0) -> None:
            super().__init__()
            self.factor, self.step, self.share = factor, step, share

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.run: Run | None = None
        self.view = View()
        self.log_choice: bool | None = None
        self._plots: list[Plotted] = []

    def show(self, run: Run | None) -> None:
        """Show another run, or a newer state of the same."""
        self.run = run
        self.redraw()

    @property
    def log_axis(self) -> bool:
        """Whether the axis is logarithmic: as it was chosen, else as suits what is shown."""
        return self.natural_log() if self.log_choice is None else self.log_choice

    @log_axis.setter
    def log_axis(self, log: bool) -> None:
        self.log_choice = log

    def natural_log(self) -> bool:
        """Whether a logarithmic axis suits what is shown."""
        return False

    def with_axis(self, name: str) -> tuple[str, ...]:
        """A name with and without the kind of axis and the smoothing."""
        said = ["log"] if self.log_axis else []
        if self.view.smoothing:
            said.append(f"smoothed {self.view.smoothing:g}")
        return (f"{name} ({', '.join(said)})", name) if said else (name,)

    def headline_room(self) -> int:
        """The cells beside the longest title."""
        return self.size.width - 9 - cell_len(self.titles[0])

    def toggle_log(self) -> None:
        """Switch the axis."""
        self.log_axis = not self.log_axis
        self.redraw()

    def table(self) -> list[tuple[object, ...]]:
        """All that is held of the scalars that it is about."""
        run = self.run
        if run is None:
            return []
        rows: list[tuple[object, ...]] = [("run", "tag", "step", "wall_time", "value")]
        for tag in self.tags():
            if (series := facts.scalar(run, tag)) is not None:
                columns = (series.steps, series.wall_times, series.values)
                values = zip(*(column.tolist() for column in columns), strict=True)
                rows += [(run.name, tag, *row) for row in values]
        return rows if len(rows) > 1 else []

    def tags(self) -> Sequence[str]:
        """The scalars that it is about."""
        return ()

    def draw(self, canvas: Canvas) -> None:
        """Draw, and know where the charts are."""
        self._plots = []
        super().draw(canvas)

    def chart(
        self,
        canvas: Canvas,
        box: Box,
        curves: Sequence[Curve],
        *,
        log: bool = False,
        level: float | None = None,
        band: tuple[float, float] | None = None,
    ) -> None:
        """Draw curves of the run over the axis that all charts share."""
        run = self.run
        assert run is not None
        self.timed(
            canvas, box, [(seen_clock(run, self.view), curve) for curve in curves],
            log=log, level=level, band=band, alerts=alert_steps(run),
        )  # fmt: skip

    def timed(self, canvas: Canvas, box: Box, curves: Sequence[Timed], **how: Any) -> None:
        """The same of several runs, with what `draw_timed` wants to know."""
        plotted = draw_timed(canvas, box, curves, self.view, **how)
        if plotted is not None:
            self._plots.append(plotted)

    def _step_under(self, event: events.MouseEvent) -> int | None:
        """The step that the mouse points at; None beside the charts."""
        for plotted in self._plots:
            box = plotted.box
            if 0 <= event.x - box.x < box.width and 0 <= event.y - box.y <= box.height:
                return plotted.step(event.x)
        return None

    def on_click(self, event: events.Click) -> None:
        """Put the cursor where the mouse is."""
        step = self._step_under(event)
        if step is not None and event.chain == 1:
            self.post_message(self.Pointed(step))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Closer, about the step under the mouse; with Shift further back."""
        self._turn(event, WHEEL, -NOTCH)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Further away; with Shift further on."""
        self._turn(event, 1 / WHEEL, NOTCH)

    def _turn(self, event: events.MouseEvent, factor: float, share: float) -> None:
        step = self._step_under(event)
        if step is not None:
            moved = event.shift or event.ctrl
            self.post_message(self.Turned(1.0, step, share) if moved else self.Turned(factor, step))


def scalar_curve(run: Run, tag: str, view: View, style: Style = colours.MAIN) -> Curve | None:
    """The curve of a scalar, None where the run does not have it."""
    found = seen_scalar(run, tag, view)
    return Curve(*found, style) if found is not None else None


def smooth_curves(curve: Curve, weight: float, behind: Style = colours.BEHIND) -> list[Curve]:
    """A curve; where a weight asks for it the smooth one, in front of its values in `behind`."""
    if weight == 0:
        return [curve]
    pale = replace(curve, style=behind, letter="")
    return [pale, replace(curve, values=smoothed(curve.values, weight), smooth=True)]


def write_legend(canvas: Canvas, box: Box, entries: Words) -> None:
    """Names of the curves in their colours on the first row of `box`."""
    x = box.x
    for name, style in entries:
        if x + len(name) > box.x + box.width:
            break
        x = canvas.write(x, box.y, name, style) + 2


def scalar_headline(run: Run | None, tag: str, view: View, room: int) -> tuple[str, Style]:
    """A value of a scalar, in the alert colour when it is not finite: the newest, or the cursor's.

    With the step of that where there is room for it.
    """
    found = value_at(run, tag, view)
    if found is None:
        return "", colours.TEXT
    step, value = found
    style = colours.STRONG if math.isfinite(value) else colours.NONFINITE
    said = number(value)
    if view.cursor is None:
        return said, style
    words = (f"{said} at step {step:,}", f"{said} @{step:,}", said)
    return next((one for one in words if len(one) <= room), said), style


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
