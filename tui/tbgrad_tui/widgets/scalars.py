"""Every scalar and histogram of a run as a small chart: what is shown of one without gradients."""

from __future__ import annotations

import numpy as np

from tbgrad.log.scalars import scalar_of
from tbgrad.log.tags import Kind
from tbgrad.reading.series import Series
from tbgrad_tui import facts
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.canvas import Box, Canvas
from tbgrad_tui.chart.histogram import draw_buckets
from tbgrad_tui.chart.line import Curve, draw_chart
from tbgrad_tui.chart.text import count, number, shorten
from tbgrad_tui.widgets.chart_panel import ChartPanel
from tbgrad_tui.widgets.empty import NO_GRADIENTS


class ScalarsPanel(ChartPanel):
    """A grid of charts, scrolled by whole rows."""

    first = 0

    @property
    def titles(self) -> tuple[str, ...]:
        """How many there are."""
        scalars = len(facts.scalar_tags(self.run)) if self.run else 0
        histograms = len(facts.histogram_tags(self.run)) if self.run else 0
        more = f", {count(histograms, 'histogram')}" if histograms else ""
        return self.with_axis(count(scalars, "scalar") + more)

    def move(self, rows: int) -> None:
        """Scroll."""
        self.first = max(0, self.first + rows)
        self.redraw()

    def draw_content(self, canvas: Canvas, box: Box) -> None:
        """A sentence where gradients are missing, then the charts."""
        if self.run is None:
            return
        if not facts.has_gradients(self.run):
            for row, line in enumerate(NO_GRADIENTS):
                style = colours.WARNING if row == 0 else colours.TEXT
                canvas.write(box.x, box.y + row, line, style, box.width)
            box = box.inside(0, len(NO_GRADIENTS) + 1, 0, 0)
        tags = facts.scalar_tags(self.run) + facts.histogram_tags(self.run)
        if not tags:
            held = {series.kind.value for series in self.run.values() if len(series)}
            words = "It has no scalars and no histograms either."
            if held:
                words = f"It holds no scalars and no histograms, only {' and '.join(sorted(held))}."
            canvas.write(box.x, box.y, words, colours.QUIET, box.width)
            return
        columns = max(1, min(len(tags), box.width // 36))
        lines = -(-len(tags) // columns)
        height = max(6, min(14, box.height // lines))
        visible = max(1, box.height // height)
        self.first = min(self.first, max(0, lines - visible))
        width = box.width // columns
        for index, tag in enumerate(tags[self.first * columns : (self.first + visible) * columns]):
            x, y = box.x + index % columns * width, box.y + index // columns * height
            self._draw(canvas, Box(x, y, width - 2, min(height, box.height)), tag, self.run[tag])

    def _draw(self, canvas: Canvas, box: Box, tag: str, series: Series) -> None:
        """The curve of a scalar, or the newest of a series of histograms."""
        scalar = series.kind is Kind.SCALAR
        newest = number(series.values[-1]) if scalar else f"step {int(series.steps[-1]):,}"
        canvas.write(
            box.x, box.y, shorten(scalar_of(tag).label, box.width - len(newest) - 2), colours.TITLE
        )
        canvas.write(
            box.x + box.width - len(newest), box.y, newest,
            colours.STRONG if scalar else colours.QUIET,
        )  # fmt: skip
        inside = box.inside(0, 1, 0, 1)
        if scalar:
            curve = Curve(series.steps, series.values.astype(np.float64))
            draw_chart(canvas, inside, [curve], log=self.log_axis)
        else:
            draw_buckets(canvas, inside, series.values[-1])
