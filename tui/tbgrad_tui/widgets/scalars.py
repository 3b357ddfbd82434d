"""Every scalar and histogram of a run as a small chart, in pages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich.cells import cell_len
from rich.style import Style
from textual import events
from textual.actions import SkipAction
from textual.app import ComposeResult
from textual.widgets import Input

from tbgrad.log.scalars import scalar_of
from tbgrad.log.tags import Kind
from tbgrad.reading.run import Run
from tbgrad_tui import facts
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.canvas import Box, Canvas
from tbgrad_tui.chart.histogram import draw_buckets
from tbgrad_tui.chart.line import Curve
from tbgrad_tui.chart.scale import reaches_far
from tbgrad_tui.chart.text import clean, count, shorten
from tbgrad_tui.keys import SCALARS_BINDINGS
from tbgrad_tui.widgets.chart_panel import ChartPanel, scalar_headline, smooth_curves
from tbgrad_tui.widgets.marks import UNMARKED, Look, Looked
from tbgrad_tui.widgets.scalar_grid import (
    ROWS,
    Row,
    boxes,
    columns_for,
    fitting,
    furthest,
    heading_above,
    row_with,
    rows_of,
)
from tbgrad_tui.widgets.scalar_groups import LOSS_LIKE, Group, chosen_groups, tags_of
from tbgrad_tui.widgets.scalar_head import draw_head, why_none
from tbgrad_tui.widgets.timeline import alert_steps, seen_clock, seen_scalar

PLAIN = Look("", colours.MAIN, colours.BEHIND)
"""Of the only run."""


class ScalarsPanel(ChartPanel):
    """A grid of charts that fills the height; the values of marked runs are in it, too."""

    DEFAULT_CSS = """
    ScalarsPanel > Input {
        dock: bottom; height: 1; margin: 0 2 1 2; border: none; padding: 0;
        background: $bar; color: $text-on-bar; display: none;
        &:focus { border: none; }
    }
    """
    BINDINGS = SCALARS_BINDINGS
    HELP = "In the scalars"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.first = 0
        self.filter = ""
        self._beside: Sequence[Looked] = ()
        self._rows: list[Row] = []
        self._seen = self._amount = 0
        self._page = 1
        self._problem = self._wanted = ""

    def compose(self) -> ComposeResult:
        """The line to type a filter in."""
        yield Input(placeholder="part of a name  !not  a|b  glob*  /regex/", id="scalars-filter")

    def show_beside(self, run: Run | None, marked: Sequence[Looked]) -> None:
        """Show a run, and others in the same charts."""
        self._beside = marked
        self.show(run)

    def choose(self, text: str) -> None:
        """Show what a filter chooses, with the line in which it stands."""
        self._line.value, self._line.display = text, bool(text)
        self.filter, self.first = text, 0
        self.redraw()

    def reveal(self, tag: str) -> None:
        """Show the page with this scalar; without a filter that leaves it out."""
        if tag not in self.shown_tags():
            self.choose("")
        self._wanted = tag
        self.redraw()

    def shown_tags(self) -> list[str]:
        """Those that the filter chooses, as they are shown."""
        groups = self._groups() if self.run is not None else []
        return [tag for group in groups for tag, _ in group.entries]

    # ------------------------------------------------------------------------ what is shown

    def tags(self) -> Sequence[str]:
        """All scalars."""
        return facts.scalar_tags(self.run) if self.run is not None else ()

    @property
    def titles(self) -> tuple[str, ...]:
        """How many there are, of all where a filter leaves some out."""
        scalars, histograms = map(len, tags_of(self.run)) if self.run else (0, 0)
        more = f", {count(histograms, 'histogram')}" if histograms else ""
        name = count(scalars, "scalar") + more
        if self.filter:
            name = f"{self._amount:,} of {name}"
        return self.with_axis(name)

    def with_axis(self, name: str) -> tuple[str, ...]:
        """A name, with the kind of axis where it was chosen for all."""
        if self.log_choice is False:
            return f"{name} (linear)", name
        return super().with_axis(name)

    def headline(self) -> tuple[str, Style]:
        """Which of the charts are seen."""
        above = sum(len(row) for row in self._rows[: self.first] if not isinstance(row, str))
        if self._seen >= self._amount:
            return "", colours.TEXT
        return f"{above + 1:,}–{above + self._seen:,} of {self._amount:,}", colours.TEXT

    def toggle_log(self) -> None:
        """All axes logarithmic, all linear, or each as suits it."""
        self.log_choice = {None: True, True: False, False: None}[self.log_choice]
        self.redraw()

    def _shown_runs(self) -> list[Looked]:
        """The run in front, behind it the marked ones."""
        run = self.run
        assert run is not None
        others = [(other, look) for other, look in self._beside if other.name != run.name]
        own = next((look for other, look in self._beside if other.name == run.name), None)
        return [(run, own or (UNMARKED if others else PLAIN)), *others]

    def _groups(self) -> list[Group]:
        """The tags of all runs that the filter chooses."""
        scalars, histograms = tags_of(self._shown_runs()[0][0])
        others = [tag for run, _ in self._beside for tag in tags_of(run)[0]]
        every = tuple(dict.fromkeys([*scalars, *others]))
        self._problem = ""
        try:
            return chosen_groups(every, histograms, self.filter)
        except ValueError as error:
            self._problem = str(error)
            return chosen_groups(every, histograms, "")

    # ------------------------------------------------------------------------ how it is drawn

    def draw_content(self, canvas: Canvas, box: Box) -> None:
        """A sentence where gradients are missing, then the charts."""
        if self.run is None:
            return
        if self._line.display:
            box = box.inside(0, 0, 0, 1)
        box = draw_head(canvas, box, self._shown_runs(), moved=bool(self.first or self.filter))
        groups = self._groups()
        self._amount = sum(len(group.entries) for group in groups)
        if self._problem or not self._amount:
            words = self._problem or why_none(self.run, self.filter)
            canvas.write(box.x, box.y, clean(words), colours.WARNING, box.width)
            return
        columns = columns_for(self._amount, box.width, box.height)
        self._rows = rows_of(groups, columns)
        if self._wanted:
            self.first = row_with(self._rows, self._wanted)
            self._wanted = ""
        all_fit = fitting(self._rows, 0, box.height) == len(self._rows)
        last = 0 if all_fit else furthest(self._rows, box.height - 1)
        self.first = max(0, min(self.first, last))
        if (heading := heading_above(self._rows, self.first)) is not None:
            self._draw_heading(canvas, box.rows(0, 1), heading)
            box = box.inside(0, 1, 0, 0)
        self._page = fitting(self._rows, self.first, box.height)
        rows = self._rows[self.first : self.first + self._page]
        self._seen = sum(len(row) for row in rows if not isinstance(row, str))
        width = (box.width + 2) // columns
        for row, place in zip(rows, boxes(rows, box), strict=True):
            if isinstance(row, str):
                self._draw_heading(canvas, place, row)
                continue
            for column, (tag, name) in enumerate(row):
                x = box.x + column * width
                self._draw(canvas, Box(x, place.y, width - 2, place.height), tag, name)
        self.draw_scroll(canvas, box, self.first, len(rows), len(self._rows))

    def _draw_heading(self, canvas: Canvas, box: Box, heading: str) -> None:
        canvas.fill(box, "─", colours.GRID)
        canvas.write(box.x, box.y, f"{shorten(heading, box.width - 3)} ", colours.QUIET, box.width)

    def _draw(self, canvas: Canvas, box: Box, tag: str, name: str) -> None:
        """A chart below its name and its newest value."""
        run = self.run
        assert run is not None
        series = run.get(tag)
        if series is not None and series.kind is Kind.HISTOGRAM:
            newest, style = f"step {int(series.steps[-1]):,}", colours.QUIET
        else:
            newest, style = scalar_headline(run, tag, self.view, box.width // 2)
        title = shorten(name, box.width - cell_len(newest) - 2)
        canvas.write(box.x, box.y, title, colours.TITLE)
        canvas.write(box.x + box.width - cell_len(newest), box.y, newest, style)
        inside = box.inside(0, 1, 0, 1 if box.height > ROWS + 2 else 0)
        if series is not None and series.kind is Kind.HISTOGRAM:
            draw_buckets(canvas, inside, series.values[-1])
            return
        curves, values = [], []
        for other, look in reversed(self._shown_runs()):
            found = seen_scalar(other, tag, self.view)
            if found is not None:
                values.append(found.values)
                curve = Curve(*found, look.style, letter=look.letter)
                smooth = smooth_curves(curve, self.view.smoothing, look.behind)
                curves += [(seen_clock(other, self.view), one) for one in smooth]
        log = self._is_log(tag, values) if self.log_choice is None else self.log_choice
        self.timed(canvas, inside, curves, log=log, alerts=alert_steps(run), own=True)

    def _is_log(self, tag: str, values: Sequence[np.ndarray]) -> bool:
        """Where the table says so, or of what is like a loss, and the values are far apart."""
        suited = scalar_of(tag).scale == "log" or LOSS_LIKE.search(tag) is not None
        return suited and reaches_far(values)

    # ------------------------------------------------------------------------ what keys do

    @property
    def _line(self) -> Input:
        return self.query_one(Input)

    def move(self, rows: int) -> None:
        """Scroll by rows of charts."""
        self.first = max(0, self.first + rows)
        if rows < 0:
            while self.first and isinstance(self._rows[self.first - 1], str):
                self.first -= 1
        self.redraw()

    def action_move(self, rows: int) -> None:
        """Scroll by rows of charts."""
        self.move(rows)

    def action_page(self, pages: int) -> None:
        """Scroll by what is seen."""
        self.move(pages * self._page)

    def action_find(self) -> None:
        """Type a filter."""
        self._line.display = True
        self._line.focus()
        self.redraw()

    def action_all(self) -> None:
        """All scalars again; where they are shown, what Escape does elsewhere."""
        if not (self.filter or self._line.display):
            raise SkipAction
        self.choose("")
        self.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Choose while it is typed."""
        event.stop()
        self.filter, self.first = event.value, 0
        self.redraw()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the filter, and go back to the charts."""
        event.stop()
        event.input.display = bool(event.value)
        self.focus()
        self.redraw()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Back; with Ctrl closer, as in other charts."""
        if event.ctrl or event.shift:
            super().on_mouse_scroll_up(event)
        else:
            self.move(-1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Further."""
        if event.ctrl or event.shift:
            super().on_mouse_scroll_down(event)
        else:
            self.move(1)
