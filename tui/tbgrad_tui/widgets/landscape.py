"""What was found around the weights, and where trainings went: one finding at a time."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from rich.style import Style
from textual.worker import Worker, WorkerState

from tbgrad.log.analyses import Analysis
from tbgrad.log.gradient_check import GradientCheck
from tbgrad.log.landscape import Landscape
from tbgrad.log.tags import TRAJECTORY
from tbgrad.reading.findings import (
    NOTHING,
    TRAJECTORIES,
    axis_words,
    landscape_headline,
    landscape_words,
    path_words,
    trajectory_words,
)
from tbgrad.reading.run import Run
from tbgrad.reading.trajectories import Trajectories, trajectories
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.canvas import Box, Canvas
from tbgrad_tui.chart.line import Curve, draw_chart
from tbgrad_tui.chart.paths import END_MARKS, draw_paths
from tbgrad_tui.chart.plane import draw_plane
from tbgrad_tui.chart.text import clean, shorten
from tbgrad_tui.widgets.chart_panel import ChartPanel, write_wrapped
from tbgrad_tui.widgets.findings import draw_check, draw_points

LOOKS = {"plain": colours.TEXT, "quiet": colours.QUIET, "warning": colours.WARNING}


class LandscapePanel(ChartPanel):
    """Planes, lines, critical points, checks of the gradient, and the paths of all runs."""

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.shades = False
        self._runs: Mapping[str, Run] = {}
        self._item = self._first = 0
        self._layer = ""
        self._told: tuple[object, Trajectories | str] | None = None

    def show_runs(self, run: Run | None, runs: Mapping[str, Run]) -> None:
        """Show another run, beside the paths of all."""
        self.run, self._runs = run, runs
        self._find_paths()
        self.redraw()

    def on_show(self) -> None:
        """Look for paths only where they are seen."""
        self._find_paths()
        super().on_show()

    @property
    def items(self) -> list[str]:
        """What there is to be seen, by name."""
        found = list(self.run.analyses) if self.run else []
        return found + ([TRAJECTORIES] if self.run and TRAJECTORY in self.run else [])

    @property
    def _shown(self) -> str:
        items = self.items
        return items[min(self._item, len(items) - 1)] if items else ""

    @property
    def titles(self) -> tuple[str, ...]:
        """Which of how many it is."""
        items = self.items
        if not items:
            return ("Landscape",)
        place = f"{min(self._item, len(items) - 1) + 1} of {len(items)}: {self._shown}"
        layer = f" of {self._layer}" if self._layer and self._shown == TRAJECTORIES else ""
        return f"Landscape {place}{layer}", place

    def headline(self) -> tuple[str, Style]:
        """What it says of the whole."""
        found = self._analysis()
        if isinstance(found, Landscape):
            return landscape_headline(found), colours.TEXT
        return "", colours.TEXT

    def move(self, rows: int) -> None:
        """Go to another finding, or by ten at a time through the rows of a table."""
        if abs(rows) == 1:
            self._item = max(0, min(self._item + rows, len(self.items) - 1))
            self._first = 0
        else:
            self._first = max(0, self._first + rows)
        self.redraw()

    def turn(self, layers: int) -> None:
        """Show the paths of another layer, the whole model between the last and the first."""
        told = self._told[1] if self._told is not None else None
        if self._shown == TRAJECTORIES and isinstance(told, Trajectories):
            choices = ("", *told.layers)
            at = choices.index(self._layer) if self._layer in choices else 0
            self._layer = choices[(at + layers) % len(choices)]
            self._find_paths()
            self.redraw()

    def _analysis(self) -> Analysis | None:
        return self.run.analyses.get(self._shown) if self.run and self._shown else None

    def draw_content(self, canvas: Canvas, box: Box) -> None:
        """One finding."""
        if not self.items:
            for row, line in enumerate(NOTHING):
                style = colours.TEXT if row == 0 else colours.QUIET
                canvas.write(box.x, box.y + row, line, style, box.width)
            return
        found = self._analysis()
        if isinstance(found, Landscape):
            self._draw_landscape(canvas, box, found)
        elif isinstance(found, GradientCheck):
            self._first = min(self._first, max(0, len(found.layer_norms) - 1))
            draw_check(canvas, box, found, self._first)
        elif found is not None:
            self._first = min(self._first, len(found) - 1)
            draw_points(canvas, box, found, self._first)
        else:
            self._draw_paths(canvas, box)

    def _draw_landscape(self, canvas: Canvas, box: Box, found: Landscape) -> None:
        words = [(text, LOOKS[look]) for text, look in landscape_words(found)]
        used = write_wrapped(canvas, box, words, 2) if words else 0
        rest = box.inside(0, used, 0, 0)
        if len(found.axes) == 2:
            draw_plane(canvas, rest, found, shades=self.shades)
            return
        x = canvas.write(rest.x, rest.y, "loss", colours.MAIN)
        curves = [Curve(found.axes[0].coordinates, found.loss, colours.MAIN)]
        if found.gradient_norm is not None:
            canvas.write(x + 2, rest.y, "gradient norm", colours.SECOND)
            norms = Curve(found.axes[0].coordinates, found.gradient_norm, colours.SECOND)
            curves.insert(0, norms)
        label = found.axes[0].label
        if rest.width >= len(label) + 30:
            canvas.write(rest.x + rest.width - len(label) - 2, rest.y, f"{label} →", colours.QUIET)
        inside = rest.inside(0, 1, 0, 0)
        draw_chart(canvas, inside, curves, log=self.log_axis, over_steps=False)

    def _draw_paths(self, canvas: Canvas, box: Box) -> None:
        told = self._told[1] if self._told is not None else "looking where the runs went …"
        if isinstance(told, str):
            canvas.write(box.x, box.y, told, colours.QUIET, box.width)
            return
        rows = min(len(told.runs), max(1, box.height // 4))
        for row, name in enumerate(list(told.runs)[:rows]):
            style = colours.RUNS[row % len(colours.RUNS)]
            x = canvas.write(box.x, box.y + row, END_MARKS[row % len(END_MARKS)] + " ", style)
            moved = f"  {path_words(told, row)}"
            x = canvas.write(
                x, box.y + row, shorten(clean(name), box.width - len(moved) - 2), style
            )
            canvas.write(x, box.y + row, moved, colours.TEXT, box.x + box.width - x)
        words = self._words(told, len(told.runs) - rows)
        used = write_wrapped(canvas, box.inside(0, rows, 0, 0), words, 2)
        rest = box.inside(0, rows + used, 0, 0)
        draw_paths(canvas, rest, [path.places for path in told.runs.values()], axis_words(told))

    def _words(self, told: Trajectories, more: int) -> list[tuple[str, Style]]:
        words = [(f"and {more:,} more", colours.QUIET)] if more else []
        words += [(text, LOOKS[look]) for text, look in trajectory_words(told)]
        words.append(("← → another layer", colours.QUIET))
        return words

    # ------------------------------------------------------------------------ the paths of runs

    def _find_paths(self) -> None:
        """Have them computed, aside, where there is anything new."""
        run = self.run
        if not self.display or run is None or TRAJECTORY not in run:
            return
        mine = {name: each for name, each in self._runs.items() if TRAJECTORY in each}
        key = (
            run.name,
            self._layer,
            tuple((name, int(each[TRAJECTORY].steps[-1])) for name, each in mine.items()),
        )
        if self._told is not None and self._told[0] == key:
            return
        if self._told is None:
            self._told = key, "looking where the runs went …"
        work = partial(_found, key, mine, self._layer, run.name)
        self.run_worker(work, thread=True, exclusive=True, exit_on_error=False)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Show what was computed."""
        if event.state is WorkerState.SUCCESS and event.worker.result is not None:
            self._told = event.worker.result
            self.redraw()


def _found(
    key: object, runs: Mapping[str, Run], layer: str, like: str
) -> tuple[object, Trajectories | str]:
    try:
        return key, trajectories(runs, layer, like)
    except ValueError as error:
        return key, str(error)
