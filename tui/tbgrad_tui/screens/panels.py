"""Where the panels of a run are: two rows of them, or one alone."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import Screen

from tbgrad_tui.keys import footer_of
from tbgrad_tui.widgets.curvature import CurvaturePanel
from tbgrad_tui.widgets.distributions import DistributionsPanel
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

TOP = ("runs", "loss", "norm", "curvature")
BOTTOM = ("layers", "parameter", "distributions", "landscape", "scalars")
ALL_PANELS = (*TOP, *BOTTOM)
GRADIENT_PANELS = ("loss", "norm", "curvature", "layers", "parameter")

SMALL_HINT = "small terminal: one panel at a time"


class PanelScreen(Screen[None]):
    """Panels in two rows; alone when zoomed or where the terminal is small.

    `front` is the panel that keys act on.
    """

    DEFAULT_CSS = """
    PanelScreen { background: $ground; layout: vertical; }
    Summary { height: 1; background: $bar; }
    Verdict { height: 1; }
    Footer { height: 1; background: $bar; }
    Waiting { height: 1fr; }
    #body { height: 1fr; }
    #top { height: 2fr; }
    #bottom { height: 3fr; }
    RunsPanel { width: 24; }
    ChartPanel { width: 1fr; }
    #layers { width: 3fr; }
    #parameter { width: 2fr; }
    """

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self.zoomed = False
        self.front = "layers"
        self.with_gradients = True
        self.waiting = True

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
                yield DistributionsPanel("distributions")
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
        footer.keys = footer_of(self.front)
        footer.redraw()

    def bring(self, name: str) -> None:
        """Make a panel the one that keys act on."""
        self.front = name
        self.lay_out()

    def zoom(self, zoomed: bool) -> None:
        """Show the panel in front alone, or all of them."""
        self.zoomed = zoomed
        if not zoomed and self.front not in self.together():
            self.front = self.together()[-1]
        self.lay_out()

    def action_panel(self, panels: int) -> None:
        """Go to the next or the previous panel."""
        reachable = self.reachable()
        index = reachable.index(self.front) + panels if self.front in reachable else 0
        self.bring(reachable[index % len(reachable)])

    def action_zoom(self) -> None:
        """Show the panel in front alone, or all again."""
        self.zoom(not self.zoomed)

    def action_show(self, name: str) -> None:
        """Show one panel alone."""
        self.front = name
        self.zoom(True)

    def on_resize(self) -> None:
        """Another size may have room for more panels, or fewer."""
        self.query_one(Verdict).fit()
        self.lay_out()

    # ------------------------------------------------------------------------ what the mouse does

    def on_click(self, event: events.Click) -> None:
        """A click brings a panel to the front, a double click zooms it."""
        panel = event.widget
        if isinstance(panel, Panel) and panel.id in ALL_PANELS:
            self.front = panel.id
            if event.chain == 2:
                self.action_zoom()
