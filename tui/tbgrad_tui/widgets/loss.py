"""The loss over the steps."""

from __future__ import annotations

import numpy as np
from rich.style import Style

from tbgrad.log.scalars import scalar_of
from tbgrad.log.tags import LOSS, VALIDATION_LOSS
from tbgrad_tui import facts
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.canvas import Box, Canvas
from tbgrad_tui.chart.scale import reaches_far
from tbgrad_tui.chart.text import number
from tbgrad_tui.widgets.chart_panel import (
    ChartPanel,
    scalar_curve,
    scalar_headline,
    smooth_curves,
    write_legend,
)
from tbgrad_tui.widgets.timeline import value_at

SHOWN = (
    (LOSS, colours.MAIN, colours.BEHIND),
    (VALIDATION_LOSS, colours.SECOND, colours.SECOND_BEHIND),
)
"""The curves in their colours and those of values behind a smooth line. The last is in front: a
value an epoch is lost behind one a step."""


class LossPanel(ChartPanel):
    """The training loss, and the validation loss where there is one."""

    def natural_log(self) -> bool:
        """Where the losses differ by much."""
        found = [facts.scalar(self.run, tag) for tag, *_ in SHOWN] if self.run is not None else []
        return reaches_far([np.asarray(series.values) for series in found if series is not None])

    def tags(self) -> tuple[str, ...]:
        """Both losses."""
        return LOSS, VALIDATION_LOSS

    @property
    def titles(self) -> tuple[str, ...]:
        """Its name, with the kind of axis where there is room."""
        return self.with_axis("Loss")

    def headline(self) -> tuple[str, Style]:
        """The newest loss, or that at the cursor."""
        return scalar_headline(self.run, LOSS, self.view, self.headline_room())

    def draw_content(self, canvas: Canvas, box: Box) -> None:
        """One curve, or both with their names."""
        if self.run is None:
            return
        curves = []
        for tag, style, behind in SHOWN:
            if (curve := scalar_curve(self.run, tag, self.view, style)) is not None:
                curves += smooth_curves(curve, self.view.smoothing, behind)
        if facts.scalar(self.run, VALIDATION_LOSS) is not None and box.height >= 5:
            found = value_at(self.run, VALIDATION_LOSS, self.view)
            label = scalar_of(VALIDATION_LOSS).label if box.width >= 32 else "validation"
            told = f"{label} {number(found[1])}" if found is not None else label
            names = [(scalar_of(LOSS).label, colours.MAIN), (told, colours.SECOND)]
            write_legend(canvas, box, names)
            box = box.inside(0, 1, 0, 0)
        self.chart(canvas, box, curves, log=self.log_axis)
