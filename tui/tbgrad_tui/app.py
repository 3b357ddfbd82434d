"""The app: passes snapshots of the log to the panels and keys to the panel in front."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from textual.app import App
from textual.binding import Binding, BindingType
from textual.command import Provider

from tbgrad.reading.places import Logdir
from tbgrad.reading.run import Run
from tbgrad_tui import facts
from tbgrad_tui.alarms import Alarms
from tbgrad_tui.chart.appearance import Appearance
from tbgrad_tui.chart.canvas import set_appearance
from tbgrad_tui.commands import KeyCommands, PlaceCommands
from tbgrad_tui.memory import keep, recall
from tbgrad_tui.pace import Pace
from tbgrad_tui.poller import (
    HANGING_SECONDS,
    POLL_SECONDS,
    Poller,
    Snapshot,
    SnapshotRead,
    name_of,
)
from tbgrad_tui.screens.charts import ChartKeys
from tbgrad_tui.screens.looks import Looks
from tbgrad_tui.screens.overview import OverviewScreen
from tbgrad_tui.screens.page_keys import PageKeys
from tbgrad_tui.screens.run import RunScreen
from tbgrad_tui.start import loaded
from tbgrad_tui.terminal import (
    NETWORK_SECONDS,
    driver_for,
    forget_cells,
    is_gone,
    is_remote,
    quit_on_signals,
)
from tbgrad_tui.widgets.empty import Waiting
from tbgrad_tui.widgets.marks import Marks
from tbgrad_tui.widgets.overview import OverviewPanel
from tbgrad_tui.widgets.runs import RunsPanel


class WatchApp(ChartKeys, PageKeys, Looks, App[None]):
    """Shows the runs below a directory, or several, while they are written.

    Only runs whose name matches `pattern` are shown. `clock` tells the time in seconds since the
    epoch; tests and screenshots set it. A log that does not answer for `hanging_seconds` is said to
    be silent. `appearance` says what the terminal is like. With `bell` the terminal tells of errors
    that are new. How runs are looked at is kept in the file `memory`, where one is given.
    `unanswered` is what has come of an answer of the terminal that may yet come. Where it is looked
    at `once`, the first picture waits for what the rules say.
    """

    TITLE = "tbgrad"
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {
        KeyCommands, PlaceCommands
    }  # fmt: skip
    COMMAND_PALETTE_BINDING = "colon"
    ALLOW_SELECT = False
    # Textual answers Ctrl-C with a hint; here it quits at once, on every page.
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c", "quit", show=False, priority=True)]

    def __init__(
        self,
        logdir: Logdir,
        clock: Callable[[], float] = time.time,
        hanging_seconds: float = HANGING_SECONDS,
        pattern: str = "*",
        appearance: Appearance | None = None,
        bell: bool = False,
        memory: Path | None = None,
        unanswered: str | None = None,
        once: bool = False,
    ) -> None:
        self.appearance: Appearance = appearance or Appearance()  # the styles ask for it at once
        set_appearance(self.appearance)
        super().__init__(driver_for(remote=is_remote(), unanswered=unanswered is not None))
        self.shades = self.no_color or self.appearance.colours in ("none", "standard")
        self.logdir = logdir if isinstance(logdir, Path) else name_of(logdir)
        self.clock = clock
        self.snapshot = Snapshot()
        self.run_name = ""
        self.marks = Marks()
        self._chosen = self._greeted = self._is_ready = False
        self._early: SnapshotRead | None = None
        self.run_screen = RunScreen(self.marks)
        self.overview_screen = OverviewScreen(self.marks)
        self._alarms, self._bell, self._memory = Alarms(), bell, memory
        self.unanswered = unanswered
        self.take_theme()
        self._pace = Pace(self.show_everything, self.set_timer)
        self._poller = Poller(
            logdir, lambda read: self.post_message(SnapshotRead(read)), hanging_seconds, clock,
            pattern, NETWORK_SECONDS if is_remote() else POLL_SECONDS, judged=once,
        )  # fmt: skip

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Colours of what is not drawn on a canvas, by the names that the styles use."""
        return self.appearance.variables()

    def get_default_screen(self) -> RunScreen:
        """A run is the only screen below the pages."""
        return self.run_screen

    def on_load(self) -> None:
        """Start to read the log."""
        self._poller.start()

    def on_ready(self) -> None:
        """Show what has been read meanwhile, and begin to tell the time."""
        self.run_screen.shade(self.shades)
        self.run_screen.query_one(RunsPanel).logdir = self.logdir
        recall(self, self._memory)
        self._is_ready = True
        if self._early is not None:
            self.on_snapshot_read(self._early)
        self.set_timer(1.0, loaded)
        self.set_interval(1.0, self._each_second)
        quit_on_signals(self.exit)

    def on_resize(self) -> None:
        """A terminal of another size is another terminal."""
        forget_cells(self._driver)

    def _each_second(self) -> None:
        if not self.is_headless and is_gone():
            self.exit()
        self.show_time()

    def exit(self, *arguments: Any, **options: Any) -> None:
        """Stop reading, and keep how the runs were looked at."""
        self._poller.stop()
        keep(self, self._memory)
        super().exit(*arguments, **options)

    # ------------------------------------------------------------------------ what is shown

    @property
    def run_shown(self) -> Run | None:
        """The chosen run."""
        return self.snapshot.runs.get(self.run_name)

    def on_snapshot_read(self, message: SnapshotRead) -> None:
        """Take in what the poller read."""
        if not self._is_ready:
            self._early = message
            return
        former, self.snapshot = self.snapshot, message.snapshot
        self.take_closer(message.snapshot.closer)
        self._choose_run(former)
        if not self._greeted and self.snapshot.runs:
            # A second run that begins later does not take anybody away from the first.
            several = len(self.snapshot.runs) > 1
            self._greeted = several or self.snapshot.loading is None
            if several and self.screen is self.run_screen and not self._chosen:
                self.push_screen(self.overview_screen)
        self._pace.ask()
        self.call_after_refresh(self._poller.drawn.set)
        self._tell_of_errors()

    def _tell_of_errors(self) -> None:
        shown = self.snapshot
        for alarm in self._alarms.news(shown.runs, loading=shown.loading is not None):
            if self._bell and self._driver is not None:
                self._driver.write(alarm.sequences())
            if alarm.run != self.run_name or self.screen is not self.run_screen:
                self.notify(alarm.text, title="new error", severity="error", markup=False)

    def on_run_screen_resumed(self) -> None:
        """Show the run again."""
        self.show_everything()

    def _choose_run(self, former: Snapshot) -> None:
        """Keep the user's choice; otherwise follow a run that begins to write values."""
        runs = self.snapshot.runs
        self._chosen = self._chosen and self.run_name in runs
        if not self._chosen:
            self.run_name = facts.followed(runs, former.runs, self.run_name)

    def show_everything(self) -> None:
        """Bring every panel up to date."""
        if not self.is_running:
            return
        self._poller.watched = self.run_name
        self.ask_closer()
        if self.overview_screen in self.screen_stack:
            # What is drawn below another screen has all of that sent anew.
            self.show_time()
            return
        with self.batch_update():
            self.run_screen.show(self.run_shown, self.snapshot)
            self.run_screen.query_one(Waiting).show(self.logdir, self.snapshot)
            self.show_time()
            self.update_page()

    def show_time(self) -> None:
        """Bring up to date what depends on the time of day."""
        if not self.is_running:  # the clock ticks on while the panels are taken down
            return
        now = self.clock()
        if self.comparing:
            self._show_compared()
            return
        if self.overview_screen in self.screen_stack:
            self.overview_screen.show(self.snapshot, now)
            return
        names = list(self.snapshot.runs)
        among = len(names) > 1 and self.run_name in names
        position = f"{names.index(self.run_name) + 1}/{len(names)}" if among else ""
        self.run_screen.show_time(position, now, self._poller.silent_since(time.time()))

    # ------------------------------------------------------------------------ what keys do

    def action_run(self, rows: int) -> None:
        """Go to the next or the previous run."""
        names = list(self.snapshot.runs)
        if self.run_name in names:
            self.show_run(names[(names.index(self.run_name) + rows) % len(names)])

    def show_run(self, name: str) -> None:
        """Show a run."""
        self.run_name = name
        self._chosen = True
        self.show_everything()

    @property
    def run_in_front(self) -> str:
        """The name of the run that is shown, or chosen among all."""
        overview = self.overview_screen
        return overview.panel.selected if self.screen is overview else self.run_name

    def bring_run(self, name: str) -> RunScreen:
        """Show a run, whatever is in front of it; its screen."""
        while self.screen is not self.run_screen:
            self.pop_screen()
        self.show_run(name)
        return self.run_screen

    def on_runs_panel_chosen(self, message: RunsPanel.Chosen) -> None:
        """Show a run of the list beside the charts."""
        self.show_run(message.name)

    def action_overview(self) -> None:
        """Show all runs, the worst first."""
        self.push_screen(self.overview_screen)
        self.overview_screen.panel.choose(self.run_name)
        self.show_time()

    on_run_screen_left = action_overview

    def on_overview_panel_opened(self, message: OverviewPanel.Opened) -> None:
        """Show a run that was chosen among all."""
        self.pop_screen()
        self.show_run(message.name)

    def action_compare(self) -> None:
        """Show the marked runs beside one another; where these are few, also that in front."""
        overview = self.overview_screen.panel
        names = [row.name for row in overview.rows] or [*self.snapshot.runs]
        if self.comparing:
            return
        if len(self.marks.compared(self.run_in_front, names)) < 2:
            self.notify("There is only one run: nothing to compare it to", timeout=3)
            return
        self.push_screen(self.compare_screen)
        self.ask_closer()
        self._show_compared()

    def _show_compared(self) -> None:
        marked = self.marks.runs(self.snapshot.runs)
        self.compare_screen.show(marked, self.marks.pinned, self.view)

    def action_overview_alerts(self) -> None:
        """Alerts of the run that is chosen in the overview."""
        name = self.overview_screen.panel.selected
        if name in self.snapshot.runs:
            self.bring_run(name)
            self.action_alerts()

    def action_save(self, ending: str) -> None:
        """Save the screen as a picture or as text, or the panel in front as a table."""
        name = self.run_name if self.screen is self.run_screen else str(self.screen.id or "page")
        from tbgrad_tui.saving import ask_and_save

        ask_and_save(self, ending, name, self.clock())
