"""The gradient's values of one parameter through time, and those at the step under a cursor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rich.style import Style
from textual import events

from tbgrad.log.tags import HISTOGRAMS, Kind
from tbgrad.reading.histogram import having
from tbgrad.reading.run import Run
from tbgrad.reading.series import Series
from tbgrad_tui import facts
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.canvas import Box, Canvas
from tbgrad_tui.chart.heat import draw_legend
from tbgrad_tui.chart.histogram import draw_histogram
from tbgrad_tui.chart.strip import MARGIN, SCALE, draw_strip, shares_of
from tbgrad_tui.chart.text import step_label
from tbgrad_tui.widgets.chart_panel import write_wrapped
from tbgrad_tui.widgets.panel import Panel
from tbgrad_tui.widgets.parameter import histogram_words

BESIDE = 100
"""From so many columns on the histogram stands beside the strip."""

STACKED = 12
"""From so many rows on it stands below."""


class DistributionsPanel(Panel):
    """A heat strip of histograms; `step` is where the cursor is, None at the newest."""

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.run: Run | None = None
        self.row = 0
        self.step: int | None = None
        self.shades = False
        self._plot = Box(0, 0, 0, 0)
        self._entries = np.zeros(0, np.intp)

    def show_row(self, run: Run | None, row: int) -> None:
        """Show parameter number `row` of a run."""
        self.run, self.row = run, row
        self.redraw()

    def turn(self, histograms: int) -> None:
        """Move the cursor to a later or an earlier histogram."""
        series, there = self._series()
        if series is not None:
            at = max(0, min(self._at(series, there) + histograms, len(there) - 1))
            self.step = None if at == len(there) - 1 else int(series.steps[there[at]])
            self.redraw()

    def _series(self) -> tuple[Series | None, NDArray[np.intp]]:
        """The histograms, and which of them have this parameter; None where none has."""
        series = self.run.get(HISTOGRAMS) if self.run is not None else None
        if series is None or series.kind is not Kind.HISTOGRAMS or self.run is None:
            return None, np.zeros(0, np.intp)
        there = having(series, self.row)
        return (series if len(there) and self.run.manifest is not None else None), there

    def _at(self, series: Series, there: NDArray[np.intp]) -> int:
        """The histogram under the cursor: the last one up to its step."""
        if self.step is None:
            return len(there) - 1
        return max(0, int(np.searchsorted(series.steps[there], self.step, side="right")) - 1)

    @property
    def titles(self) -> tuple[str, ...]:
        """Whose values they are."""
        names = self.run.names if self.run is not None else ()
        if self.row >= len(names):
            return ("Distributions",)
        name = names[self.row]
        short = name[len(facts.common_scope(names)) :]
        return f"Distributions: gradient of {name}", f"Distributions: {short}", short

    def headline(self) -> tuple[str, Style]:
        """The step under the cursor."""
        series, there = self._series()
        if series is None:
            return "", colours.TEXT
        at = self._at(series, there)
        return f"step {int(series.steps[there[at]]):,}, {at + 1:,} of {len(there):,}", colours.TEXT

    def draw_content(self, canvas: Canvas, box: Box) -> None:
        """The strip, the histogram under the cursor, its counts in words."""
        series, there = self._series()
        if series is None or self.run is None or self.run.manifest is None:
            text = "no histograms of this parameter in the log (GradientMonitor histograms_every)"
            canvas.write(box.x, box.y, text, colours.QUIET, box.width)
            return
        edges = self.run.manifest.histogram_bins.edges
        at = self._at(series, there)
        beside = box.width >= BESIDE
        above = box.height * 3 // 5 if box.height >= STACKED else box.height
        left, right = box.rows(0, above), box.inside(0, above, 0, 0)
        if beside:
            left = Box(box.x, box.y, box.width * 3 // 5 - 2, box.height)
            right = box.inside(left.width + 2, 0, 0, 0)
        self._draw_strip(canvas, left, series, there, at, edges)
        if not right.height:
            return
        counts = series.values[there[at], self.row]
        draw_histogram(canvas, right.inside(0, 1, 0, 1), counts, edges)
        title = f"gradient values at step {int(series.steps[there[at]]):,}"
        canvas.write(right.x, right.y, title, colours.TITLE, right.width)
        words = histogram_words(counts, edges)
        write_wrapped(canvas, right.inside(0, right.height - 1, 0, 0), words, 1)

    def _draw_strip(
        self,
        canvas: Canvas,
        box: Box,
        series: Series,
        there: NDArray[np.intp],
        at: int,
        edges: tuple[float, ...],
    ) -> None:
        draw_legend(canvas, box.rows(0, 1), SCALE, "")
        body = box.inside(0, 1, 0, 1)
        counts = series.values[there, self.row]
        shares = shares_of(counts, edges, body.width - MARGIN, max(3, body.height))
        plot = draw_strip(canvas, body, shares, at // shares.group, shades=self.shades)
        self._plot, self._entries = plot, there[:: shares.group]
        y, steps = plot.y + plot.height, series.steps[there]
        first, last = step_label(int(steps[0])), step_label(int(steps[-1]))
        canvas.write(plot.x, y, first, colours.QUIET, plot.width)
        canvas.write(plot.x + plot.width - len(last), y, last, colours.QUIET)
        room = plot.width - len(first) - len(last) - 4
        middle = next((words for words in below(shares.group) if len(words) <= room), "")
        canvas.write(plot.x + (plot.width - len(middle)) // 2, y, middle, colours.QUIET)

    def on_click(self, event: events.Click) -> None:
        """Put the cursor under the mouse."""
        series, _ = self._series()
        x, entries = event.x - self._plot.x, len(self._entries)
        if series is not None and 0 <= x < self._plot.width and entries:
            at = x * entries // max(entries, self._plot.width)
            self.step = int(series.steps[self._entries[at]])
            self.redraw()


def below(group: int) -> tuple[str, ...]:
    """What is below the strip, the longest first: what the colours are, and what was merged."""
    if group == 1:
        return "step; colour: share of the values; ← → go", "share of the values"
    return (
        f"step; colour: largest share in {group:,} histograms a column; ← → go",
        f"largest share in {group:,} histograms",
        f"{group:,} a column",
    )
