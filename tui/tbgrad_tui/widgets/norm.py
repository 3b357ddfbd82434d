"""The gradient norm over the steps."""

from __future__ import annotations

from rich.style import Style

from tbgrad.log.tags import GRADIENT_NORM, GRADIENT_NORM_MAX
from tbgrad.reading.layer_history import has_every_step
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.canvas import Box, Canvas
from tbgrad_tui.widgets.chart_panel import (
    ChartPanel,
    scalar_curve,
    scalar_headline,
    smooth_curves,
    write_legend,
)


class NormPanel(ChartPanel):
    """The global gradient norm; where not every step is logged, its peaks in between behind it."""

    def natural_log(self) -> bool:
        """Norms of one run differ by much."""
        return True

    def tags(self) -> tuple[str, ...]:
        """The norm and its peaks."""
        return GRADIENT_NORM, GRADIENT_NORM_MAX

    @property
    def titles(self) -> tuple[str, ...]:
        """Its name, with the kind of axis where there is room."""
        return (*self.with_axis("Gradient norm"), "Grad norm")

    def headline(self) -> tuple[str, Style]:
        """The newest norm, or that at the cursor."""
        return scalar_headline(self.run, GRADIENT_NORM, self.view, self.headline_room())

    def draw_content(self, canvas: Canvas, box: Box) -> None:
        """The norm in front of its peaks."""
        if self.run is None:
            return
        every = has_every_step(self.run)
        peaks = (
            None if every else scalar_curve(self.run, GRADIENT_NORM_MAX, self.view, colours.BEHIND)
        )
        norm = scalar_curve(self.run, GRADIENT_NORM, self.view)
        if box.height >= 9 and peaks:
            peak = "peak since the record before" if box.width >= 40 else "peak in between"
            names = [("L2 norm", colours.MAIN), (peak, colours.PEAK_NAME)]
            write_legend(canvas, box, names)
            box = box.inside(0, 1, 0, 0)
        curves = smooth_curves(norm, self.view.smoothing) if norm is not None else []
        self.chart(canvas, box, [*([peaks] if peaks else []), *curves], log=self.log_axis)
