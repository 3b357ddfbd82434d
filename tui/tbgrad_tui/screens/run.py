"""The screen of one run: what its panels show, and what keys do there."""

from __future__ import annotations

from textual.message import Message
from textual.widgets import Input

from tbgrad.judgement.overview import Overview
from tbgrad.log.records import Alert
from tbgrad.reading.run import Run
from tbgrad_tui import facts
from tbgrad_tui.keys import BINDINGS
from tbgrad_tui.poller import Snapshot
from tbgrad_tui.screens.panels import PanelScreen
from tbgrad_tui.widgets.chart_panel import ChartPanel
from tbgrad_tui.widgets.distributions import DistributionsPanel
from tbgrad_tui.widgets.landscape import LandscapePanel
from tbgrad_tui.widgets.layers import LayersPanel
from tbgrad_tui.widgets.marks import Marks
from tbgrad_tui.widgets.parameter import ParameterPanel
from tbgrad_tui.widgets.runs import RunsPanel
from tbgrad_tui.widgets.scalars import ScalarsPanel
from tbgrad_tui.widgets.search import SearchLine
from tbgrad_tui.widgets.summary import Summary
from tbgrad_tui.widgets.verdict import Verdict


class RunScreen(PanelScreen):
    """One run, with the layer that the user selected."""

    class Left(Message):
        """The user wants to see all runs."""

    class Resumed(Message):
        """The screen is in front again."""

    BINDINGS = BINDINGS
    HELP = "Move"

    def __init__(self, marks: Marks) -> None:
        super().__init__("run")
        self.marks = marks
        self.run: Run | None = None
        self.snapshot = Snapshot()
        self._line: tuple[Run, Overview] | None = None

    def shade(self, shades: bool) -> None:
        """Draw maps in shades, where there are no colours."""
        self.table.shades = shades
        self.query_one(DistributionsPanel).shades = shades
        self.query_one(LandscapePanel).shades = shades

    # ------------------------------------------------------------------------ what is shown

    def show(self, run: Run | None, snapshot: Snapshot) -> None:
        """Bring every panel up to date with a run of the log."""
        self.run, self.snapshot = run, snapshot
        waiting = not snapshot.runs
        with_gradients = run is None or facts.has_gradients(run)
        if (waiting, with_gradients) != (self.waiting, self.with_gradients):
            self.waiting, self.with_gradients = waiting, with_gradients
            if self.front not in self.reachable():
                self.front = "layers" if with_gradients else "scalars"
            self.lay_out()
        for panel in self.query(ChartPanel):
            if isinstance(panel, LandscapePanel):
                panel.show_runs(run, snapshot.runs)
            elif isinstance(panel, ScalarsPanel):
                panel.show_beside(run, self.marks.runs(snapshot.runs))
            elif not isinstance(panel, ParameterPanel):
                panel.show(run)
        self.table.view.run = run
        self.on_layers_panel_chosen()

    def show_time(self, position: str, now: float, silent_since: float | None) -> None:
        """Bring up to date what depends on the time of day. `position` is the run's among all."""
        run, snapshot = self.run, self.snapshot
        summary = self.query_one(Summary)
        summary.silent_since = silent_since
        summary.show(run, position, snapshot, now)
        self.query_one(RunsPanel).show(snapshot, run.name if run else "", now)
        line = None
        if run is not None:
            known = self._line if self._line and self._line[0].name == run.name else None
            line = facts.overview(run, known, snapshot.pulses, now)
            self._line = run, line
        scope = facts.common_scope(run.names) if run is not None else ""
        self.query_one(Verdict).show(line, scope)

    @property
    def table(self) -> LayersPanel:
        """The panel of layers, which knows the selected one."""
        return self.query_one(LayersPanel)

    @property
    def row(self) -> int:
        """The number of the chosen parameter: of a folded block its worst."""
        return self.table.view.row

    @property
    def parameter(self) -> str:
        """Its name, "" as long as nobody chose any."""
        return self.table.view.parameter

    def on_layers_panel_chosen(self) -> None:
        """Show the layer that is selected now."""
        self.table.redraw()
        self.query_one(ParameterPanel).show_row(self.run, self.row)
        self.query_one(DistributionsPanel).show_row(self.run, self.row)

    def go_to(self, alert: Alert) -> None:
        """Show what an alert is about."""
        rows = {path: row for row, path in enumerate(self.run.names if self.run else ())}
        row = next((rows[path] for path in alert.parameters if path in rows), None)
        from tbgrad_tui.widgets.alerts import panel_of

        panel = panel_of(alert.rule)
        self.query_one(DistributionsPanel).step = alert.first_step
        if row is not None:
            self.go_to_layer(row)
        elif panel != "run":  # where it is
            self.front = panel if panel in self.together() else "scalars"
            self.zoom(self.front not in self.together())

    def go_to_layer(self, row: int) -> None:
        """Select parameter number `row`, where layers are seen or in all panels."""
        self.table.view.reveal(row)
        self.on_layers_panel_chosen()
        if not (self.zoomed and self.front in ("layers", "parameter", "distributions")):
            self.front = "layers"
            self.zoom("layers" not in self.together())

    def go_to_scalar(self, tag: str) -> None:
        """Show the page of all scalars that has this one."""
        self.query_one(ScalarsPanel).reveal(tag)
        self.action_show("scalars")

    def on_screen_resume(self) -> None:
        """What was not drawn below another screen is now."""
        self.post_message(self.Resumed())

    # ------------------------------------------------------------------------ what keys do

    def action_move(self, rows: int) -> None:
        """Go to another run in the run list, to another layer elsewhere."""
        front = self.panel(self.front)
        if isinstance(front, RunsPanel):
            front.move(rows)
        elif isinstance(front, ScalarsPanel | LandscapePanel):
            front.move(max(-10, min(10, rows)))
        else:
            self.table.view.move(rows)
            self.on_layers_panel_chosen()

    def action_page(self, pages: int) -> None:
        """As many further as are seen."""
        of_layers = self.front in ("layers", "parameter") and self.table.display
        self.action_move(pages * (self.table.page if of_layers else 10))

    def action_layers(self, what: str, by: int = 1) -> None:
        """Change what is seen of the layers, which come to the front where they are hidden."""
        if self._to_layers():
            if not self.table.view.change(what, by):
                self.notify("No layer of this run has an open alert", timeout=3)
            self.on_layers_panel_chosen()

    def action_search(self) -> None:
        """Type what the names of layers have in them."""
        if self._to_layers():
            self.query_one(SearchLine).open()

    def _to_layers(self) -> bool:
        """Bring the layers to the front where they are hidden; False where there are none."""
        if not self.with_gradients:
            self.notify("This run has no layers: only scalars are in its log", timeout=3)
        elif not self.table.display:
            self.bring("layers")
        return self.with_gradients

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search while it is typed."""
        self.table.view.search(event.value)
        self.on_layers_panel_chosen()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Back to the layers that were found."""
        event.input.display = False
        self.bring("layers")

    def action_turn(self, by: int) -> None:
        """Show a later histogram; of landscapes the trajectories of another layer."""
        distributions = self.query_one(DistributionsPanel)
        panel = distributions if distributions.display else self.query_one(LandscapePanel)
        panel.turn(by)

    async def action_show_all(self) -> None:
        """End a search; no cursor; show all panels; where they are, all runs."""
        line = self.query_one(SearchLine)
        if line.display or self.table.view.text:
            line.close()
            self.table.view.search("")
            self.on_layers_panel_chosen()
            self.lay_out()
        elif self.table.seen.cursor is not None:
            await self.run_action("app.cursor_off")
        elif not self.zoomed and len(self.snapshot.runs) > 1:
            self.post_message(self.Left())
        else:
            self.zoom(False)

    def action_log(self) -> None:
        """Switch the axis of the chart in front."""
        front = self.panel(self.front)
        if isinstance(front, ChartPanel):
            front.toggle_log()
        else:
            self.notify("Tab to a chart first: this panel has no axis to switch", timeout=3)
