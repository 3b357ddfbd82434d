"""The list of alerts over the run."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.screen import ModalScreen

from tbgrad.log.records import Alert
from tbgrad_tui.chart.text import clean
from tbgrad_tui.keys import ALERT_BINDINGS
from tbgrad_tui.widgets.alerts import AlertsPanel


class AlertsPage(ModalScreen[Alert | None]):
    """The alerts of the run called `name`. It ends with the one to go to, None if only closed."""

    DEFAULT_CSS = "AlertsPage { align: center middle; background: $page; }"
    BINDINGS = ALERT_BINDINGS
    HELP = "In the list of alerts"

    def __init__(self, name: str, alerts: Sequence[Alert], selected: Alert | None) -> None:
        super().__init__()
        self.run_name = name
        self.panel = AlertsPanel("alerts", alerts, selected)

    def compose(self) -> ComposeResult:
        """One panel."""
        yield self.panel

    def action_move(self, alerts: int) -> None:
        """Select another alert."""
        self.panel.move(alerts)

    def action_go(self) -> None:
        """Close, and go to what the selected alert names."""
        self.dismiss(self.panel.selected)

    def action_copy(self) -> None:
        """Put the advice of the selected alert on the clipboard of the terminal (OSC 52)."""
        alert = self.panel.selected
        if alert is not None:
            self.app.copy_to_clipboard(alert.advice)
            self.notify(f"copied: {clean(alert.advice)}", timeout=4, markup=False)

    def action_close(self) -> None:
        """Close."""
        self.dismiss(None)

    def on_alerts_panel_opened(self) -> None:
        """The same with the mouse."""
        self.action_go()
