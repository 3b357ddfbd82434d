"""What the keys and the mouse do with all charts at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tbgrad.reading.directory import Closer
from tbgrad_tui.chart.axis import Clock
from tbgrad_tui.chart.view import View
from tbgrad_tui.widgets.chart_panel import ChartPanel
from tbgrad_tui.widgets.distributions import DistributionsPanel
from tbgrad_tui.widgets.layers import LayersPanel
from tbgrad_tui.widgets.panel import Panel
from tbgrad_tui.widgets.timeline import NO_CLOCK, clock_of, seen_clock

if TYPE_CHECKING:
    from tbgrad_tui.screens.compare import CompareScreen

KINDS = {"step": "steps", "relative": "time since the start", "wall": "time of day"}

MOST = 8
"""So many runs are looked at closer, each of which may take a second to read."""


class ChartKeys:
    """Actions of the app: one cursor, one stretch and one kind of axis for all charts."""

    view = View()
    _asked: tuple[object, ...] = ()

    @cached_property
    def compare_screen(self) -> CompareScreen:
        """Runs beside one another."""
        from tbgrad_tui.screens.compare import CompareScreen

        return CompareScreen()

    @property
    def comparing(self: Any) -> bool:
        """Whether runs beside one another are in front."""
        return bool(self.screen.id == "compare")

    def look(self: Any, view: View) -> None:
        """Show another view in all charts of a run, and of those that are compared."""
        if view.cursor != self.view.cursor:
            self.run_screen.query_one(DistributionsPanel).step = view.cursor
        self.view = view
        self.ask_closer()
        if self.comparing:
            self.screen.look(view)
        for panel in self.run_screen.query(ChartPanel):
            panel.view = view
        for panel in self.run_screen.query(LayersPanel):
            panel.seen = view
        if self.screen is self.run_screen:  # what is below another screen is drawn when it is seen
            with self.batch_update():
                for panel in self.run_screen.query(Panel):
                    panel.redraw()

    def _clock(self: Any) -> Clock:
        run = getattr(self.screen, "timed_run", self.run_shown)
        return seen_clock(run, self.view) if run is not None else NO_CLOCK

    def ask_closer(self: Any) -> None:
        """Ask for every value of the stretch of the runs, once for each that is looked at.

        Of runs that are compared that at the cursor is one, too.
        """
        view, comparing = self.view, self.comparing
        run = self.screen.timed_run if comparing else self.run_shown
        names = self.marks.chosen if comparing else [self.run_name, *self.marks.chosen]
        at = view.cursor if comparing and not view.is_zoomed else None
        asked = (*dict.fromkeys(names), view.first, view.last, at)
        if asked == self._asked:
            return
        self._asked = asked
        self._poller.stretch = None
        if run is not None and (view.is_zoomed or at is not None):
            ends = view.stretch(clock_of(run)) if at is None else (at, at)
            self._poller.stretch = (tuple(dict.fromkeys(names))[:MOST], *ends)

    def take_closer(self: Any, closer: Mapping[str, Closer]) -> None:
        """Show every value of a stretch, which was read again."""
        if closer is not self.view.closer:
            self.look(replace(self.view, closer=closer))

    def action_cursor(self: Any, share: float) -> None:
        """Move the cursor over a share of what is seen, at least to the next record."""
        self.look(self.view.moved(self._clock(), share))

    def cursor_to(self: Any, step: int) -> None:
        """Put the cursor on a step, and go to where it is seen."""
        self.look(replace(self.view, cursor=step).following(self._clock()))

    def action_cursor_off(self: Any) -> None:
        """Without a cursor."""
        self.look(replace(self.view, cursor=None))

    def action_stretch(self: Any, factor: float) -> None:
        """Show a shorter or a longer stretch."""
        self.look(self.view.zoomed(self._clock(), factor))

    def action_pan(self: Any, share: float) -> None:
        """Show what is before or after the stretch."""
        if not self.view.is_zoomed:
            self.notify("All steps are shown: + shows fewer of them", timeout=3)
        self.look(self.view.panned(self._clock(), share))

    def action_whole(self: Any) -> None:
        """Show all steps."""
        self.look(self.view.whole())

    def action_axis(self: Any) -> None:
        """Steps, time since the start or time of day below the charts."""
        self.look(self.view.next_kind())
        self.notify(f"Below the charts: {KINDS[self.view.kind]}", timeout=2)

    def action_log_axis(self: Any) -> None:
        """A logarithmic or a linear axis below the charts."""
        self.look(replace(self.view, log=not self.view.log))
        said = "logarithmic" if self.view.log else "linear"
        self.notify(f"The axis below the charts is {said}", timeout=2)

    def action_smooth(self: Any) -> None:
        """Smooth scalars more, or not any more."""
        self.look(self.view.next_smoothing())

    def on_chart_panel_pointed(self: Any, message: ChartPanel.Pointed) -> None:
        """Put the cursor where the mouse is."""
        self.look(replace(self.view, cursor=message.step))

    def on_chart_panel_turned(self: Any, message: ChartPanel.Turned) -> None:
        """Zoom about what the mouse points at, or pan."""
        clock = self._clock()
        if message.share:
            self.look(self.view.panned(clock, message.share))
        else:
            self.look(self.view.zoomed(clock, message.factor, message.step))
