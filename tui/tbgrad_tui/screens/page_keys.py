"""What keys show over a screen: help, alerts, notes, damage."""

from __future__ import annotations

from functools import partial
from typing import Any

from tbgrad.log.records import Alert
from tbgrad_tui import facts
from tbgrad_tui.chart.wrapping import wrapped
from tbgrad_tui.screens.page import HelpPage, Page, note_lines, unread_lines


class PageKeys:
    """Actions of the app: pages about the run that is shown."""

    def action_command_palette(self: Any) -> None:
        """Keys and places, by what is typed."""
        from textual.command import CommandPalette

        if not CommandPalette.is_open(self):
            hint = "part of the name of a run, layer, scalar, alert, view, or of what a key does"
            self.push_screen(CommandPalette(placeholder=hint))

    def action_help(self: Any) -> None:
        """All keys."""
        focused = getattr(self.focused, "HELP", "")
        self.push_screen(HelpPage(focused or getattr(self.screen, "HELP", "")))

    def action_alerts(self: Any) -> None:
        """Alerts of this run, from that of the layer the user went to or else what began it."""
        if run := self.run_shown:
            name, alerts = self.run_name, facts.alerts(run)
            story = facts.story(run)
            root = story.root if story is not None else None
            first = facts.alerts_by_name(run).get(self.run_screen.parameter, root)
            from tbgrad_tui.screens.alerts import AlertsPage

            page = AlertsPage(name, alerts, first)
            self.push_screen(page, lambda alert: self.go_to(name, alert))

    def update_page(self: Any) -> None:
        """Bring a list of alerts up to date that is in front."""
        name = getattr(self.screen, "run_name", "")
        if name in self.snapshot.runs:
            self.screen.panel.show(facts.alerts(self.snapshot.runs[name]))

    def go_to(self: Any, name: str, alert: Alert | None) -> None:
        """Show what an alert of the run called `name` is about."""
        if alert is None or name not in self.snapshot.runs:
            return
        if name != self.run_name or self.screen is not self.run_screen:
            self.bring_run(name)
        self.run_screen.go_to(alert)
        self.cursor_to(alert.first_step)

    def action_notes(self: Any) -> None:
        """Notes of the monitor of this run."""
        if self.run_shown:
            self.push_screen(
                Page("Notes of the monitor", partial(wrapped, note_lines(self.run_shown)))
            )

    def action_damage(self: Any) -> None:
        """What could not be read, in all runs."""
        lines = unread_lines(self.snapshot, self.run_shown)
        self.push_screen(Page("What could not be read", partial(wrapped, lines)))
