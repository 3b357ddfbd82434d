"""The loss over the steps."""

from __future__ import annotations

from rich.style import Style

from tbgrad.log.scalars import scalar_of
from tbgrad.log.tags import LOSS, VALIDATION_LOSS
from tbgrad_tui import facts
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.canvas import Box, Canvas
from tbgrad_tui.chart.line import draw_chart
from tbgrad_tui.chart.text import number
from tbgrad_tui.widgets.chart_panel import ChartPanel, scalar_curve, scalar_headline, write_legend


class LossPanel(ChartPanel):
    """The training loss, and the validation loss where there is one."""

    @property
    def titles(self) -> tuple[str, ...]:
        """Its name, with the kind of axis where there is room."""
        return self.with_axis("Loss")

    def headline(self) -> tuple[str, Style]:
        """The newest loss."""
        return scalar_headline(self.run, LOSS)

    def draw_content(self, canvas: Canvas, box: Box) -> None:
        """One curve, or both with their names."""
        if self.run is None:
            return
        loss = scalar_curve(self.run, LOSS)
        validation = scalar_curve(self.run, VALIDATION_LOSS, colours.SECOND)
        if validation is not None and box.height >= 5:
            newest = number(facts.newest(self.run, VALIDATION_LOSS))
            label = scalar_of(VALIDATION_LOSS).label if box.width >= 32 else "validation"
            names = [(scalar_of(LOSS).label, colours.MAIN), (f"{label} {newest}", colours.SECOND)]
            write_legend(canvas, box, names)
            box = box.inside(0, 1, 0, 0)
        curves = [curve for curve in (validation, loss) if curve is not None]
        draw_chart(canvas, box, curves, log=self.log_axis)
