"""What stands above the scalars of a run, or in place of them."""

from __future__ import annotations

from collections.abc import Sequence

from tbgrad.log.short_names import short_names
from tbgrad.reading.run import Run
from tbgrad_tui import facts
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.canvas import Box, Canvas
from tbgrad_tui.widgets.chart_panel import write_legend
from tbgrad_tui.widgets.empty import NO_GRADIENTS
from tbgrad_tui.widgets.marks import Looked
from tbgrad_tui.widgets.scalar_grid import ROWS


def draw_head(canvas: Canvas, box: Box, runs: Sequence[Looked], *, moved: bool) -> Box:
    """Which runs there are, the one in front first; or, until the user has `moved`, how to get
    gradients. What room is left."""
    if len(runs) > 1 or runs[0][1].letter:
        short = short_names([run.name for run, _ in runs])
        words = [(f"{look.letter} {short[run.name]}".strip(), look.style) for run, look in runs]
        write_legend(canvas, box, words)
        return box.inside(0, 1, 0, 0)
    if facts.has_gradients(runs[0][0]) or moved:
        return box
    first = NO_GRADIENTS[0].partition(".")[0] + "."
    lines = NO_GRADIENTS if box.height >= 3 * ROWS else (first,)
    for row, line in enumerate(lines):
        style = colours.WARNING if row == 0 else colours.TEXT
        canvas.write(box.x, box.y + row, line, style, box.width)
    return box.inside(0, len(lines), 0, 0)


def why_none(run: Run, filtered: str) -> str:
    """Why there is no chart."""
    if filtered:
        return f"no scalar is chosen by {filtered!r} (Esc shows all)"
    held = {series.kind.value for series in run.values() if len(series)}
    if held:
        return f"It holds no scalars and no histograms, only {' and '.join(sorted(held))}."
    return "It has no scalars and no histograms either."
