"""The heat table: one row a parameter, colour = gradient norm, over the steps."""

from __future__ import annotations

import math

import numpy as np
from rich.cells import cell_len
from rich.style import Style
from textual import events
from textual.message import Message

from tbgrad.reading.run import Run
from tbgrad_tui import facts
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.canvas import Box, Canvas
from tbgrad_tui.chart.heat import Bins, bin_maxima, draw_heat, draw_legend
from tbgrad_tui.chart.text import clean, count, number, shorten, step_label
from tbgrad_tui.chart.view import View
from tbgrad_tui.widgets.panel import Panel
from tbgrad_tui.widgets.timeline import clock_of, draw_cursor, seen_norms

VALUE_WIDTH = 8


class LayersPanel(Panel):
    """Peak gradient norm of every parameter over the steps, the newest norm as a number."""

    class Chosen(Message):
        """The user clicked on a parameter."""

        def __init__(self, row: int) -> None:
            super().__init__()
            self.row = row

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.run: Run | None = None
        self.row = 0
        self.shades = False
        self.seen = View()
        self._first = 0
        self._tall = 1
        self._binned: tuple[object, Bins] | None = None

    def show(self, run: Run | None, row: int) -> None:
        """Show a run with parameter number `row` selected."""
        self.run, self.row = run, row
        self.redraw()

    @property
    def titles(self) -> tuple[str, ...]:
        """What the colours are."""
        return "Layers: peak gradient norm", "Layers: peak norm", "Layers"

    def headline(self) -> tuple[str, Style]:
        """Which of how many is selected."""
        amount = len(self.run.parameters) if self.run else 0
        if amount == 0:
            return "", colours.TEXT
        text = f"{self.row + 1:,} of {count(amount, 'parameter')}"
        alerts = facts.alerts_by_name(self.run) if self.run else {}
        named = sum(name in alerts for name in self.run.names) if self.run and alerts else 0
        full = f"{text}, {named:,} with alerts" if named else text
        fits = self.size.width >= len(full) + len(self.titles[-1]) + 9
        return full if fits else text, colours.TEXT

    def draw_content(self, canvas: Canvas, box: Box) -> None:
        """Legend, rows, steps."""
        run = self.run
        history = facts.norm_history(run) if run is not None else None
        if run is not None and history is not None:
            history = seen_norms(history, self.seen, clock_of(run))
        if run is None or history is None:
            text = "no gradients of single parameters yet"
            canvas.write(box.x, box.y, text, colours.QUIET, box.width)
            return
        body = box.inside(0, 1, 0, 1)
        amount = len(run.parameters)
        self._tall = tall = max(1, min(3, body.height // amount))
        rows = min(body.height, amount)
        self._first = _scrolled(self._first, self.row, rows, amount)
        shown = range(self._first, self._first + rows)
        scope = len(facts.common_scope(run.names))
        names = [name[scope:] for name in run.names[shown.start : shown.stop]]
        longest = max((cell_len(clean(name[scope:])) for name in run.names[:2000]), default=0)
        name_width = max(8, min(longest, box.width * 2 // 5, 40)) + 1
        plot = Box(
            body.x + name_width + 1,
            body.y,
            max(0, body.width - name_width - 1 - VALUE_WIDTH),
            rows * tall,
        )
        bins = self._bins(run, history, plot.width)
        exponents = bins.range()
        draw_legend(canvas, box.rows(0, 1), exponents)
        draw_heat(canvas, plot, bins, shown, exponents, tall=tall, shades=self.shades)
        draw_cursor(canvas, plot, bins, self.seen.cursor)
        alerts = facts.alerts_by_name(run)
        for index, name in zip(shown, names, strict=True):
            y = (index - self._first) * tall
            self._draw_name(canvas, body, y, index, name, name_width)
            self._draw_value(
                canvas, body, y, float(history.newest[index]), bool(history.lost[index])
            )
            if (alert := alerts.get(run.names[index])) is not None:
                canvas.write(body.x - 1, body.y + y, *colours.SEVERITIES[alert.severity])
        last = int(history.steps[-1])
        self._draw_steps(canvas, Box(plot.x, body.y + rows * tall, plot.width, 1), bins, last)
        self.draw_scroll(canvas, body, self._first, rows, amount)

    def _bins(self, run: Run, history: facts.NormHistory, width: int) -> Bins:
        key = (
            run.name,
            len(history.steps),
            int(history.steps[-1]),
            run.parameters,
            width,
            id(run.manifest),
            self.seen.first,
        )
        if self._binned is None or self._binned[0] != key:
            first_steps = history.first_steps if facts.has_every_step(run) else None
            bins = bin_maxima(history.steps, history.peaks, history.nonfinite, width, first_steps)
            self._binned = (key, bins)
        return self._binned[1]

    def _draw_name(
        self, canvas: Canvas, body: Box, y: int, index: int, name: str, width: int
    ) -> None:
        chosen = index == self.row
        style = colours.SELECTED if chosen else colours.TEXT
        if chosen:
            canvas.fill(Box(body.x, body.y + y, width + 1, 1), " ", style)
            canvas.write(body.x, body.y + y, "▸", style)
        canvas.write(body.x + 1, body.y + y, shorten(name, width - 1), style)

    def _draw_value(self, canvas: Canvas, body: Box, y: int, norm: float, nonfinite: bool) -> None:
        text, style = number(norm), colours.TEXT
        if nonfinite:
            text, style = "inf" if math.isinf(norm) else "NaN", colours.ALERT
        elif math.isnan(norm):
            text, style = "none", colours.ABSENT
        canvas.write(body.x + body.width - len(text), body.y + y, text, style)

    def _draw_steps(self, canvas: Canvas, box: Box, bins: Bins, last_step: int) -> None:
        first, last = step_label(bins.start), step_label(last_step)
        canvas.write(box.x, box.y, first, colours.QUIET, box.width)
        if len(first) + len(last) + 2 <= box.width:
            canvas.write(box.x + box.width - len(last), box.y, last, colours.QUIET)
        middle = f"step, {count(bins.width, 'step')} a column"
        if len(first) + len(last) + len(middle) + 4 <= box.width:
            x = box.x + (box.width - len(middle)) // 2
            canvas.write(x, box.y, middle, colours.QUIET)

    def on_click(self, event: events.Click) -> None:
        """Select the parameter under the mouse."""
        row = self._first + (event.y - 2) // self._tall
        amount = len(self.run.parameters) if self.run else 0
        if event.y >= 2 and event.y < self.size.height - 2 and 0 <= row < amount:
            self.post_message(self.Chosen(row))

    def on_mouse_scroll_down(self, _: events.MouseScrollDown) -> None:
        """Select further down."""
        self._choose(self.row + 1)

    def on_mouse_scroll_up(self, _: events.MouseScrollUp) -> None:
        """Select further up."""
        self._choose(self.row - 1)

    def _choose(self, row: int) -> None:
        if self.run and 0 <= row < len(self.run.parameters):
            self.post_message(self.Chosen(row))


def _scrolled(first: int, row: int, rows: int, amount: int) -> int:
    """The first visible row, moved as little as needed to show `row`."""
    first = min(max(first, row - rows + 1), row)
    return int(np.clip(first, 0, max(0, amount - rows)))
