"""All runs at a glance: the first screen where there are several."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Input

from tbgrad.judgement.overview import Overview
from tbgrad.reading.run import Run
from tbgrad_tui import facts
from tbgrad_tui.keys import OVERVIEW_BINDINGS, OVERVIEW_KEYS
from tbgrad_tui.poller import Snapshot
from tbgrad_tui.widgets.machine import machine_words
from tbgrad_tui.widgets.marks import Marks
from tbgrad_tui.widgets.overview import OverviewPanel
from tbgrad_tui.widgets.summary import Footer


class OverviewScreen(Screen[None]):
    """The table of runs, a line to type a filter in, and the keys."""

    DEFAULT_CSS = """
    OverviewScreen { background: $ground; layout: vertical; }
    OverviewPanel { height: 1fr; }
    OverviewScreen > Footer { height: 1; background: $bar; }
    OverviewScreen > Input {
        height: 1; border: none; padding: 0 1; background: $bar; color: $text-on-bar; display: none;
        &:focus { border: none; }
    }
    """
    BINDINGS = OVERVIEW_BINDINGS
    HELP = "In the overview of all runs"

    def __init__(self, marks: Marks) -> None:
        super().__init__(id="overview")
        self.panel = OverviewPanel("runs-overview", marks)
        self._rows: dict[str, tuple[Run, Overview]] = {}

    def compose(self) -> ComposeResult:
        """The panel, the filter, the keys."""
        yield self.panel
        yield Input(
            placeholder="part of a name  !not  a|b  glob*  /regex/  lr>=1e-3  state=failed",
            id="filter",
        )
        yield Footer("overview-footer", OVERVIEW_KEYS)

    def show(self, snapshot: Snapshot, now: float) -> None:
        """Show the runs of a snapshot."""
        self._rows = {
            name: (run, facts.overview(run, self._rows.get(name), snapshot.pulses, now))
            for name, run in snapshot.runs.items()
        }
        rows = self._rows.values()
        alive = [run for run, row in rows if row.condition is not None and row.condition.alive]
        shown, machines = [row for _, row in rows], machine_words(alive, now)
        self.panel.show(shown, snapshot.runs, machines, snapshot.loading)

    def on_mount(self) -> None:
        """Keys go to the table; a filter that was kept is seen to be on."""
        line = self.query_one(Input)
        line.value, line.display = self.panel.filter, bool(self.panel.filter)
        self.set_focus(self.panel)

    def action_move(self, rows: int) -> None:
        """Choose another run."""
        self.panel.move(rows)

    def action_sort(self) -> None:
        """Sort by what comes next."""
        self.panel.sort()

    def action_mark(self) -> None:
        """Mark the chosen run, or no longer, and go to the next."""
        self.panel.mark()

    def action_pin(self) -> None:
        """Make the chosen run the reference, or no longer."""
        self.panel.pin()

    def action_unmark(self) -> None:
        """Mark none and pin none."""
        self.panel.unmark()

    def action_find(self) -> None:
        """Type a filter."""
        line = self.query_one(Input)
        line.display = True
        self.set_focus(line)

    def action_open(self) -> None:
        """Show the chosen run."""
        if self.panel.selected:
            self.panel.post_message(OverviewPanel.Opened(self.panel.selected))

    def action_all(self) -> None:
        """Show all runs again."""
        line = self.query_one(Input)
        line.value, line.display = "", False
        self.panel.narrow("")
        self.set_focus(self.panel)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Choose while it is typed."""
        self.panel.narrow(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the filter, and go back to the table."""
        event.input.display = bool(event.value)
        self.set_focus(self.panel)
