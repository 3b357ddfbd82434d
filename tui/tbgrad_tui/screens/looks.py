"""The app in the colours that suit the terminal, also where that tells of them late."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tbgrad_tui.chart.canvas import set_appearance
from tbgrad_tui.widgets.panel import Drawing

if TYPE_CHECKING:
    from tbgrad_tui.answers import Background


class Looks:
    """What the app does about its `appearance`."""

    def take_theme(self: Any) -> None:
        """Have Textual's own parts suit it."""
        self.theme = "textual-light" if self.appearance.light else "textual-dark"

    def on_background(self: Any, message: Background) -> None:
        """Take the colours for what the terminal has told late of its background."""
        if message.light != self.appearance.light:
            self.appearance = replace(self.appearance, light=message.light)
            set_appearance(self.appearance)
            self.take_theme()
            for screen in self.screen_stack:
                for drawing in screen.query(Drawing):
                    self.call_after_refresh(drawing.redraw)
