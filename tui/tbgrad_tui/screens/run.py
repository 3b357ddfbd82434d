"""The screen of one run: which panels are visible and where, and what keys do there."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input

from tbgrad.diagnosis.overview import Overview
from tbgrad.log.records import Alert
from tbgrad.reading.run import Run
from tbgrad_tui import facts
from tbgrad_tui.keys import BINDINGS
from tbgrad_tui.poller import Snapshot
from tbgrad_tui.widgets.alerts import panel_of
from tbgrad_tui.widgets.chart_panel import ChartPanel
from tbgrad_tui.widgets.curvature import CurvaturePanel
from tbgrad_tui.widgets.empty import Waiting
from tbgrad_tui.widgets.landscape import LandscapePanel
from tbgrad_tui.widgets.layers import LayersPanel
from tbgrad_tui.widgets.loss import LossPanel
from tbgrad_tui.widgets.norm import NormPanel
from tbgrad_tui.widgets.panel import Panel
from tbgrad_tui.widgets.parameter import ParameterPanel
from tbgrad_tui.widgets.runs import RunsPanel
from tbgrad_tui.widgets.scalars import ScalarsPanel
from tbgrad_tui.widgets.search import SearchLine
from tbgrad_tui.widgets.summary import Footer, Summary
from tbgrad_tui.widgets.verdict import Verdict

ALL_PANELS = ("runs", "loss", "norm", "curvature", "layers", "parameter", "landscape", "scalars")
TOP = ("runs", "loss", "norm", "curvature")
GRADIENT_PANELS = ("loss", "norm", "curvature", "layers", "parameter")

SMALL_HINT = "small terminal: one panel at a time"


class RunScreen(Screen[None]):
    """Panels in two rows; alone when zoomed or where the terminal is small."""

    class Left(Message):
        """The user wants to see all runs."""

    DEFAULT_CSS = """
    RunScreen { background: #0e1216; layout: vertical; }
    Summary { height: 1; background: #161c23; }
    Verdict { height: 1; }
    Footer { height: 1; background: #161c23; }
    Waiting { height: 1fr; }
    #body { height: 1fr; }
    #top { height: 2fr; }
    #bottom { height: 3fr; }
    RunsPanel { width: 24; }
    ChartPanel { width: 1fr; }
    #layers { width: 3fr; }
    #parameter { width: 2fr; }
    """

    BINDINGS = BINDINGS

    def __init__(self) -> None:
        super().__init__(id="run")
        self.zoomed = False
        self.front = "layers"
        self.with_gradients = True
        self.waiting = True
        self.run: Run | None = None
        self.snapshot = Snapshot()
        self._line: Overview | None = None

    def compose(self) -> ComposeResult:
        """All widgets; `lay_out` says which of them are shown."""
        yield Summary("summary")
        yield Verdict("verdict")
        yield Waiting("waiting")
        with Vertical(id="body"):
            with Horizontal(id="top"):
                yield RunsPanel("runs")
                yield LossPanel("loss")
                yield NormPanel("norm")
                yield CurvaturePanel("curvature")
            with Horizontal(id="bottom"):
                yield LayersPanel("layers")
                yield ParameterPanel("parameter")
                yield LandscapePanel("landscape")
                yield ScalarsPanel("scalars")
        yield SearchLine("part of the names of layers")
        yield Footer("footer")

    def panel(self, name: str) -> Panel:
        """A panel by its name."""
        return self.query_one(f"#{name}", Panel)

    @property
    def small(self) -> bool:
        """Whether there is room for one panel only."""
        return self.size.width < 78 or self.size.height < 20

    def reachable(self) -> tuple[str, ...]:
        """The panels that Tab goes through."""
        if self.with_gradients:
            return ALL_PANELS[:-1] if self.small or self.zoomed else self.together()
        return ("runs", "scalars")

    def together(self) -> tuple[str, ...]:
        """The panels shown together."""
        wide = self.size.width >= 100
        if not self.with_gradients:
            return ("runs", "scalars") if self.size.height >= 30 else ("scalars",)
        return (("runs",) if wide else ()) + GRADIENT_PANELS

    def lay_out(self) -> None:
        """Show what belongs on the screen now."""
        if not self.is_mounted:
            return
        shown = (self.front,) if self.zoomed or self.small else self.together()
        with self.app.batch_update():
            self.query_one("#waiting").display = self.waiting
            self.query_one("#body").display = not self.waiting
            for name in ALL_PANELS:
                self.panel(name).display = name in shown
            top = self.query_one("#top")
            top.display = any(name in TOP for name in shown)
            self.query_one("#bottom").display = any(name not in TOP for name in shown)
            wide = self.size.width >= 140 or shown == ("runs",)
            self.panel("runs").styles.width = "1fr" if wide or not self.with_gradients else 24
            top.styles.height = "10" if not self.with_gradients and len(shown) > 1 else "2fr"
        if not self.waiting and self.front in shown:
            self.set_focus(self.panel(self.front), scroll_visible=False)
        footer = self.query_one(Footer)
        footer.hint = SMALL_HINT if self.small and not self.waiting else ""
        footer.redraw()

    def bring(self, name: str) -> None:
        """Make a panel the one that keys act on."""
        self.front = name
        self.lay_out()

    def on_resize(self) -> None:
        """Another size may have room for more panels, or fewer."""
        self.query_one(Verdict).fit()
        self.lay_out()

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
        self.table.show(run)
        for panel in self.query(ChartPanel):
            if isinstance(panel, ParameterPanel):
                panel.show_row(run, self.row)
            elif isinstance(panel, LandscapePanel):
                panel.show_runs(run, snapshot.runs)
            else:
                panel.show(run)

    def show_time(self, position: str, now: float, silent_since: float | None) -> None:
        """Bring up to date what depends on the time of day. `position` is the run's among all."""
        run, snapshot = self.run, self.snapshot
        summary = self.query_one(Summary)
        summary.silent_since = silent_since
        summary.show(run, position, snapshot, now)
        self.query_one(RunsPanel).show(snapshot, run.name if run else "", now)
        former, self._line = self._line, None
        if run is not None:
            known = former if former is not None and former.name == run.name else None
            self._line = facts.overview(run, known, snapshot.pulses, now)
        self.query_one(Verdict).show(self._line)

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

    def go_to(self, alert: Alert) -> None:
        """Show what an alert is about."""
        rows = {path: row for row, path in enumerate(self.run.names if self.run else ())}
        row = next((rows[path] for path in alert.parameters if path in rows), None)
        panel = panel_of(alert.rule)
        if row is not None:
            panel = "layers"
            self.table.view.reveal(row)
            self.on_layers_panel_chosen()
            if self.zoomed and self.front in (panel, "parameter"):
                return
        if panel != "run":  # where it is
            self.front = panel if panel in self.together() else "scalars"
            self._zoom(self.front not in self.together())

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
        if not self.table.display:
            self.bring("layers")
        if not self.table.view.change(what, by):
            self.notify("No layer of this run has an open alert", timeout=3)
        self.on_layers_panel_chosen()

    def action_search(self) -> None:
        """Type what the names of layers have in them."""
        if not self.table.display:
            self.bring("layers")
        self.query_one(SearchLine).open()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search while it is typed."""
        self.table.view.search(event.value)
        self.on_layers_panel_chosen()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Back to the layers that were found."""
        event.input.display = False
        self.bring("layers")

    def action_turn(self, layers: int) -> None:
        """Show the trajectories of another layer."""
        self.query_one(LandscapePanel).turn(layers)

    def action_panel(self, panels: int) -> None:
        """Go to the next or the previous panel."""
        reachable = self.reachable()
        index = reachable.index(self.front) + panels if self.front in reachable else 0
        self.bring(reachable[index % len(reachable)])

    def action_zoom(self) -> None:
        """Show the panel in front alone, or all again."""
        self._zoom(not self.zoomed)

    def action_show_all(self) -> None:
        """End a search; show all panels; where they are, all runs."""
        line = self.query_one(SearchLine)
        if line.display or self.table.view.text:
            line.close()
            self.table.view.search("")
            self.on_layers_panel_chosen()
            self.lay_out()
        elif not self.zoomed and len(self.snapshot.runs) > 1:
            self.post_message(self.Left())
        else:
            self._zoom(False)

    def action_show(self, name: str) -> None:
        """Show one panel alone."""
        self.front = name
        self._zoom(True)

    def _zoom(self, zoomed: bool) -> None:
        self.zoomed = zoomed
        if not zoomed and self.front not in self.together():
            self.front = self.together()[-1]
        self.lay_out()

    def action_log(self) -> None:
        """Switch the axis of the chart in front."""
        front = self.panel(self.front)
        if isinstance(front, ChartPanel):
            front.toggle_log()
        else:
            self.notify("Tab to a chart first: this panel has no axis to switch", timeout=3)

    # ------------------------------------------------------------------------ what the mouse does

    def on_click(self, event: events.Click) -> None:
        """A click brings a panel to the front, a double click zooms it."""
        panel = event.widget
        if isinstance(panel, Panel) and panel.id in ALL_PANELS:
            self.front = panel.id
            if event.chain == 2:
                self.action_zoom()
