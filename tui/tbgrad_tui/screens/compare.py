"""Marked runs beside one another."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Container
from textual.screen import Screen

from tbgrad.log.tags import GRADIENT_NORM, LOSS
from tbgrad.reading.run import Run
from tbgrad_tui.chart.view import View
from tbgrad_tui.keys import COMPARE_BINDINGS, COMPARE_FOOTER
from tbgrad_tui.widgets.comparison import Compared, ComparisonPanel, OverlayPanel
from tbgrad_tui.widgets.marks import Looked
from tbgrad_tui.widgets.summary import Footer

NARROW = 60
"""With fewer columns the charts stand one above the other."""


class CompareScreen(Screen[None]):
    """Losses and gradient norms of several runs in one chart each, and what differs."""

    DEFAULT_CSS = """
    CompareScreen { background: $ground; layout: vertical; }
    CompareScreen > Container { height: 1fr; layout: horizontal; }
    CompareScreen OverlayPanel { width: 1fr; height: 1fr; }
    CompareScreen ComparisonPanel { height: 8; }
    CompareScreen > Footer { height: 1; background: $bar; }
    """
    BINDINGS = COMPARE_BINDINGS
    HELP = "In the comparison of runs"

    def __init__(self) -> None:
        super().__init__(id="compare")
        self._runs: Sequence[Looked] = ()
        self._reference = ""
        self._view = View()

    def compose(self) -> ComposeResult:
        """Two charts, the table, the keys."""
        with Container():
            yield OverlayPanel("loss-overlay", LOSS, "Loss")
            yield OverlayPanel("norm-overlay", GRADIENT_NORM, "Gradient norm")
        yield ComparisonPanel("comparison")
        yield Footer("compare-footer", COMPARE_FOOTER)

    @property
    def timed_run(self) -> Run | None:
        """The run by whose records the cursor goes."""
        return self._runs[0][0] if self._runs else None

    def show(self, runs: Sequence[Looked], pinned: str, view: View) -> None:
        """Show these runs; the reference is the pinned one, or else the first."""
        names = [run.name for run, _ in runs]
        self._runs, self._view = runs, view
        self._reference = pinned if pinned in names else names[0] if names else ""
        if self.is_mounted:
            self.look(view)
            self._lay_out()

    def on_mount(self) -> None:
        """Show what was to be shown."""
        self.look(self._view)
        self._lay_out()

    def look(self, view: View) -> None:
        """Show what all charts show, and the values at the cursor."""
        self._view = view
        compared = Compared(self._runs, self._reference, view)
        for panel in self.query(OverlayPanel):
            panel.view = view
            panel.compare(compared)
        self.query_one(ComparisonPanel).compare(compared)

    def _lay_out(self) -> None:
        table = self.query_one(ComparisonPanel)
        table.styles.height = max(4, min(table.rows, self.size.height // 2 - 1))
        narrow = self.size.width < NARROW
        charts = self.query_one(Container)
        charts.styles.layout = "vertical" if narrow else "horizontal"
        charts.display = self.size.height >= 10
        if not charts.display:
            table.styles.height = "1fr"

    def on_resize(self) -> None:
        """Another size may have room for more."""
        self._lay_out()

    def action_move(self, rows: int) -> None:
        """Scroll the table."""
        self.query_one(ComparisonPanel).move(rows)

    def action_turn(self, columns: int) -> None:
        """Show other columns."""
        self.query_one(ComparisonPanel).turn(columns)

    def action_log(self) -> None:
        """Switch the axes of both charts."""
        panels = list(self.query(OverlayPanel))
        log = not all(panel.log_axis for panel in panels)
        for panel in panels:
            panel.log_axis = log
            panel.redraw()

    async def action_close(self) -> None:
        """Back to where the user came from; first without the cursor."""
        if self._view.cursor is not None:
            await self.run_action("app.cursor_off")
        else:
            self.dismiss()
