"""The heat table: a row a parameter or folded block, colour = a measure, over the steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from rich.cells import cell_len
from rich.style import Style
from textual import events
from textual.message import Message

from tbgrad.log.records import SEVERITIES, Alert
from tbgrad.reading.layer_history import LayerHistory, has_every_step
from tbgrad.reading.parameter_tree import Line, abbreviated
from tbgrad.reading.run import Run
from tbgrad_tui import facts
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.canvas import Box, Canvas
from tbgrad_tui.chart.heat import Bins, HeatScale, draw_heat, draw_legend
from tbgrad_tui.chart.text import clean, count, shorten, step_label
from tbgrad_tui.chart.view import View
from tbgrad_tui.widgets.layer_bins import bins_of, folded, newest_of, scale_of, value_words
from tbgrad_tui.widgets.layer_view import ORDERS, LayerView
from tbgrad_tui.widgets.panel import Panel
from tbgrad_tui.widgets.timeline import clock_of, draw_cursor, seen_history

VALUE_WIDTH = 8

COLUMN = 50
"""Lines that do not fit stand in columns of at least this width."""

GAP = 2
"""Between two columns: room for a mark."""


class LayersPanel(Panel):
    """A measure of every parameter over the steps, the newest one as a number."""

    class Chosen(Message):
        """The user selected another line."""

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.view = LayerView()
        self.shades = False
        self.seen = View()
        self.page = 1
        self._first = 0
        self._tall = 1
        self._shown: list[tuple[Box, range]] = []
        self._binned: tuple[object, Bins] | None = None

    @property
    def run(self) -> Run | None:
        """The run that is shown."""
        return self.view.run

    @property
    def history(self) -> LayerHistory | None:
        """The measure in the stretch that all charts show; the newest are those at their cursor."""
        run, history = self.run, self.view.history
        if run is None or history is None:
            return None
        return seen_history(history, self.seen, clock_of(run))

    @property
    def titles(self) -> tuple[str, ...]:
        """What the colours are, and the order."""
        view = self.view
        what = view.measure.label
        if view.measure.name == "norm":
            what = "peak gradient norm"
        title = f"Layers: {what}"
        full = title if view.order == ORDERS[0] else f"{title}, {view.order}"
        return full, title, "Layers: peak norm" if view.measure.name == "norm" else what, "Layers"

    def headline(self) -> tuple[str, Style]:
        """Which of how many is selected, or what was searched for."""
        run, view = self.run, self.view
        amount = len(run.parameters) if run else 0
        if run is None or amount == 0:
            return "", colours.TEXT
        if view.text:
            found = sum(len(node.rows) for node in view.nodes)
            return f"{found:,} of {amount:,} with “{view.text}”", colours.WARNING
        text = f"{view.row + 1:,} of {count(amount, 'parameter')}"
        alerts = facts.alerts_by_name(run)
        named = sum(name in alerts for name in run.names) if alerts else 0
        full = f"{text}, {named:,} with alerts" if named else text
        fits = self.size.width >= len(full) + len(self.titles[-1]) + 9
        return full if fits else text, colours.TEXT

    def table(self) -> list[tuple[object, ...]]:
        """The newest value of every parameter that is shown, in that order."""
        run, history, measure = self.run, self.view.history, self.view.measure
        if run is None or history is None:
            return []
        step = int(history.steps[-1])
        rows = dict.fromkeys(row for line in self.view.lines() for row in line.node.rows)
        return [
            ("run", "parameter", "statistic", "step", "value"),
            *(
                (run.name, run.names[row], measure.name, step, float(history.newest[row]))
                for row in rows
            ),
        ]

    def draw_content(self, canvas: Canvas, box: Box) -> None:
        """Legend, rows, steps."""
        run, view = self.run, self.view
        history = self.history
        if run is None or history is None:
            text = "no gradients of single parameters yet"
            canvas.write(box.x, box.y, text, colours.QUIET, box.width)
            return
        body = box.inside(0, 1, 0, 1)
        view.fit(body.height)
        lines = view.lines()
        if not lines:
            text = f"no layer has “{view.text}” in its name (Esc shows all)"
            canvas.write(body.x, body.y, text, colours.WARNING, body.width)
            return
        columns = max(1, min(body.width // COLUMN, -(-len(lines) // max(1, body.height))))
        rows = min(body.height, -(-len(lines) // columns))
        self.page = rows * columns
        self._tall = max(1, min(3, body.height // rows)) if rows else 1
        self._first = _scrolled(self._first, view.index(lines), self.page, len(lines))
        self._shown = []
        width = (body.width - GAP * (columns - 1)) // columns
        names = _names(lines, width)
        bins = self._bins(run, max(0, width - names - 1 - VALUE_WIDTH))
        scale = scale_of(bins, view.measure, facts.is_rounding(run))
        absent = "no gradient" if view.measure.none_is_worse else ""
        draw_legend(canvas, box.rows(0, 1), scale, absent)
        for column in range(columns):
            first = self._first + column * rows
            place = Box(body.x + column * (width + GAP), body.y, width, box.height - 1)
            shown = range(first, min(first + rows, len(lines)))
            if shown:
                self._draw_lines(canvas, place, names, lines, shown, bins, scale)
                self._shown.append((place, shown))
        self.draw_scroll(canvas, body, self._first, self.page, len(lines))

    def _draw_lines(
        self,
        canvas: Canvas,
        box: Box,
        name_width: int,
        lines: list[Line],
        shown: range,
        bins: Bins,
        scale: HeatScale,
    ) -> None:
        """The lines with the numbers in `shown`: names, heat, newest values, and the steps."""
        view, history, tall, run = self.view, self.history, self._tall, self.run
        assert history is not None
        assert run is not None
        seen = lines[shown.start : shown.stop]
        left, width = box.x + name_width + 1, max(0, box.width - name_width - 1 - VALUE_WIDTH)
        plot = Box(left, box.y, width, len(seen) * tall)
        table = folded(bins, seen, view.measure)
        draw_heat(canvas, plot, table, range(len(seen)), scale, tall=tall, shades=self.shades)
        draw_cursor(canvas, plot, table, self.seen.cursor)
        alerts = facts.alerts_by_name(run)
        newest = newest_of(history, seen, view.measure)
        among = [line.label for line in seen]
        selected = view.index(lines)
        for i, line in enumerate(seen):
            y = box.y + i * tall
            style = colours.SELECTED if shown[i] == selected else colours.TEXT
            if shown[i] == selected:
                canvas.fill(Box(box.x, y, name_width + 1, 1), " ", style)
                canvas.write(box.x, y, "▸", style)
            label = shorten(_label(line, name_width - 1, among), name_width - 1)
            canvas.write(box.x + 1, y, label, style)
            text, style = value_words(newest[i][0], view.measure, lost=newest[i][1])
            canvas.write(box.x + box.width - len(text), y, text, style)
            if (alert := _worst_alert(run, line, alerts)) is not None:
                canvas.write(box.x - 1, y, *colours.SEVERITIES[alert.severity])
        last = int(history.steps[-1])
        _draw_steps(canvas, Box(plot.x, box.y + plot.height, plot.width, 1), bins, last)

    def _bins(self, run: Run, width: int) -> Bins:
        history, measure = self.history, self.view.measure
        assert history is not None
        ends = len(history.steps), int(history.steps[-1])
        stretch = self.seen.first, self.seen.last
        key = run.name, *ends, run.parameters, width, id(run.manifest), measure.name, stretch
        if self._binned is None or self._binned[0] != key:
            every = has_every_step(run)  # its statistics are logged ever more rarely
            self._binned = key, bins_of(history, measure, width, every_step=every)
        return self._binned[1]

    def on_click(self, event: events.Click) -> None:
        """Select the line under the mouse; a click on a selected branch opens or folds it."""
        lines = self.view.lines()
        for place, shown in self._shown:
            row = (event.y - place.y) // self._tall
            inside = place.x - 2 <= event.x < place.x + place.width
            if inside and event.y >= place.y and row < len(shown) and shown[row] < len(lines):
                node = lines[shown[row]].node
                if node.children and node.path == self.view.path:
                    self.view.fold()
                self.view.path = node.path
                self.post_message(self.Chosen())

    def on_mouse_scroll_down(self, _: events.MouseScrollDown) -> None:
        """Select further down."""
        self._scroll(1)

    def on_mouse_scroll_up(self, _: events.MouseScrollUp) -> None:
        """Select further up."""
        self._scroll(-1)

    def _scroll(self, lines: int) -> None:
        self.view.move(lines)
        self.post_message(self.Chosen())


def _names(lines: list[Line], width: int) -> int:
    """The width of the names where there are `width` cells for a line."""
    longest = max(cell_len(_label(line)) for line in lines[:500])
    return max(8, min(longest, width * 2 // 5, 40)) + 1


def _label(line: Line, width: int = 1 << 30, among: Sequence[str] = ()) -> str:
    """What a line is called, in `width` characters that keep its depth and its numbers.

    A block that is open has "▾" for a mark, a folded branch the number of its members where there
    is room.
    """
    name, indent = clean(line.label), "  " * line.depth
    mark = " ▾" if line.is_open else ""
    if line.node.children and not mark:
        mark = f" +{len(line.node.rows):,}"
        if len(indent + name + mark) > width:
            mark = ""
    return indent + abbreviated(name, width - len(indent + mark), among) + mark


def _worst_alert(run: Run, line: Line, alerts: Mapping[str, Alert]) -> Alert | None:
    """The gravest open alert of the members of a line."""
    found = [alerts[run.names[row]] for row in line.node.rows if run.names[row] in alerts]
    return min(found, key=lambda alert: SEVERITIES.index(alert.severity), default=None)


def _draw_steps(canvas: Canvas, box: Box, bins: Bins, last_step: int) -> None:
    first, last = step_label(bins.start), step_label(last_step)
    canvas.write(box.x, box.y, first, colours.QUIET, box.width)
    if len(first) + len(last) + 2 <= box.width:
        canvas.write(box.x + box.width - len(last), box.y, last, colours.QUIET)
    middle = f"step, {count(bins.width, 'step')} a column"
    if len(first) + len(last) + len(middle) + 4 <= box.width:
        x = box.x + (box.width - len(middle)) // 2
        canvas.write(x, box.y, middle, colours.QUIET)


def _scrolled(first: int, row: int, rows: int, amount: int) -> int:
    """The first visible row, moved as little as needed to show `row`."""
    first = min(max(first, row - rows + 1), row)
    return int(np.clip(first, 0, max(0, amount - rows)))
