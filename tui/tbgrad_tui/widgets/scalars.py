"""Every scalar of a run as a small chart: what is shown of a run without gradients."""

from __future__ import annotations

from tbgrad_tui import facts
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.canvas import Box, Canvas
from tbgrad_tui.chart.line import Curve, draw_chart
from tbgrad_tui.chart.text import count, number, shorten
from tbgrad_tui.widgets.charts import ChartPanel

ADVICE = (
    "This run has no gradient series. To get them, train with",
    'model.fit(…, callbacks=[tbgrad.GradientMonitor("LOGDIR/RUN")])',
)


class ScalarsPanel(ChartPanel):
    """A grid of charts, scrolled by whole rows."""

    first = 0

    @property
    def titles(self) -> tuple[str, ...]:
        """How many there are."""
        amount = len(facts.scalar_tags(self.run)) if self.run else 0
        return self.with_axis(count(amount, "scalar"))

    def move(self, rows: int) -> None:
        """Scroll."""
        self.first = max(0, self.first + rows)
        self.redraw()

    def draw_content(self, canvas: Canvas, box: Box) -> None:
        """A sentence where gradients are missing, then the charts."""
        if self.run is None:
            return
        if not facts.has_gradients(self.run):
            for row, line in enumerate(ADVICE):
                style = colours.WARNING if row == 0 else colours.TEXT
                canvas.write(box.x, box.y + row, line, style, box.width)
            box = box.inside(0, len(ADVICE) + 1, 0, 0)
        tags = facts.scalar_tags(self.run)
        if not tags:
            canvas.write(box.x, box.y, "It has no scalars either.", colours.QUIET, box.width)
            return
        columns = max(1, min(len(tags), box.width // 36))
        lines = -(-len(tags) // columns)
        height = max(6, min(14, box.height // lines))
        visible = max(1, box.height // height)
        self.first = min(self.first, max(0, lines - visible))
        width = box.width // columns
        for index, tag in enumerate(tags[self.first * columns : (self.first + visible) * columns]):
            x, y = box.x + index % columns * width, box.y + index // columns * height
            self._draw_scalar(canvas, Box(x, y, width - 2, min(height, box.height)), tag)

    def _draw_scalar(self, canvas: Canvas, box: Box, tag: str) -> None:
        series = facts.scalar(self.run, tag) if self.run else None
        if series is None:
            return
        value = number(float(series.values[-1]))
        canvas.write(box.x, box.y, shorten(tag, box.width - len(value) - 2), colours.TITLE)
        canvas.write(box.x + box.width - len(value), box.y, value, colours.STRONG)
        curve = Curve(series.steps, series.values)
        draw_chart(canvas, box.inside(0, 1, 0, 1), [curve], log=self.log_axis)
