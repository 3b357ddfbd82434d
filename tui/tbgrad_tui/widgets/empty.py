"""What is shown where there is nothing to draw: no run yet, or one without gradients."""

from __future__ import annotations

from pathlib import Path

from rich.cells import cell_len
from rich.style import Style

from tbgrad.reading.places import near
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.canvas import Canvas
from tbgrad_tui.chart.text import shorten
from tbgrad_tui.poller import Snapshot
from tbgrad_tui.widgets.panel import Drawing

NO_GRADIENTS = (
    "This run has no gradient series. To get them, train with",
    'model.fit(…, callbacks=[tbgrad.GradientMonitor("LOGDIR/RUN")])',
)

NAMED = 4
"""Runs that are told by their names."""


class Waiting(Drawing):
    """Says what is being waited for."""

    logdir: Path | str = Path()
    snapshot = Snapshot()

    def show(self, logdir: Path | str, snapshot: Snapshot) -> None:
        """Show the newest state."""
        self.logdir, self.snapshot = logdir, snapshot
        self.redraw()

    def words(self) -> list[tuple[str, Style]]:
        """The sentences."""
        problem = self.snapshot.problems.get(str(self.logdir))
        path = str(self.logdir)
        if problem:
            return [
                ("This directory cannot be read:", colours.ALERT),
                (path, colours.STRONG),
                (f"{problem}. Check its permissions or the user you run as.", colours.TEXT),
                ("It will appear here as soon as it can be read.", colours.QUIET),
            ]
        if not self.snapshot.exists:
            nearest = near(self.logdir) if isinstance(self.logdir, Path) else None
            return [
                ("Waiting for runs:", colours.TITLE_FOCUSED),
                (path, colours.STRONG),
                ("does not exist yet. It will appear here", colours.TEXT),
                ("as soon as training starts writing.", colours.TEXT),
                *([(f"Did you mean {nearest}?", colours.WARNING)] if nearest else []),
            ]
        if self.snapshot.others:
            there = sorted(self.snapshot.others)
            more = f", and {len(there) - NAMED:,} more" if len(there) > NAMED else ""
            return [
                ("Waiting for runs:", colours.TITLE_FOCUSED),
                (path, colours.STRONG),
                ("holds none whose name matches yet. There are:", colours.TEXT),
                (", ".join(there[:NAMED]) + more, colours.QUIET),
            ]
        return [
            ("Waiting for runs:", colours.TITLE_FOCUSED),
            (path, colours.STRONG),
            ("holds no event files yet. They will appear here", colours.TEXT),
            ("as soon as training starts writing.", colours.TEXT),
        ]

    def draw(self, canvas: Canvas) -> None:
        """The sentences in the middle of the screen."""
        words = self.words()
        y = max(0, (canvas.height - len(words)) // 2)
        for row, (text, style) in enumerate(words):
            text = shorten(text, canvas.width - 4)
            canvas.write(max(2, (canvas.width - cell_len(text)) // 2), y + row, text, style)
