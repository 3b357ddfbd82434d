"""Runs beside one another: what is drawn over the steps, and what differs between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from rich.cells import cell_len
from rich.style import Style

from tbgrad.diagnosis.record import called
from tbgrad.judgement import history
from tbgrad.log.short_names import short_names
from tbgrad.log.tags import GRADIENT_NORM, LOSS
from tbgrad.reading.hparams import differing_hparams, hparams_of
from tbgrad.reading.run import Run
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.canvas import Box, Canvas
from tbgrad_tui.chart.line import Curve
from tbgrad_tui.chart.scale import reaches_far
from tbgrad_tui.chart.text import clean, number, shorten
from tbgrad_tui.chart.view import View
from tbgrad_tui.widgets.chart_panel import ChartPanel, smooth_curves
from tbgrad_tui.widgets.marks import REFERENCE, Looked
from tbgrad_tui.widgets.panel import Panel
from tbgrad_tui.widgets.timeline import Scalar, seen_clock, seen_scalar

NONE = "–"

ABOUT = "~"
"""Ahead of what is not of the very step that is asked for, but of the last one before it."""


@dataclass(frozen=True)
class Compared:
    """What is compared: runs with their looks, the first one or the pinned one is the reference.

    The step at which is that of the cursor of `view`; without one the newest of each.
    """

    runs: Sequence[Looked] = ()
    reference: str = ""
    view: View = field(default_factory=View)

    def names(self) -> dict[str, str]:
        """The letter of each run, and its name without what all share."""
        short = short_names([run.name for run, _ in self.runs])
        return {
            run.name: f"{look.letter}{REFERENCE if run.name == self.reference else ''} "
            f"{clean(short[run.name])}"
            for run, look in self.runs
        }


class OverlayPanel(ChartPanel):
    """One scalar of all compared runs."""

    def __init__(self, id: str, tag: str, title: str) -> None:
        super().__init__(id)
        self._tag, self._title = tag, title
        self._compared = Compared()

    def compare(self, compared: Compared) -> None:
        """Show these runs."""
        self._compared = compared
        self.redraw()

    @property
    def titles(self) -> tuple[str, ...]:
        """What it is."""
        return self.with_axis(self._title)

    def natural_log(self) -> bool:
        """Where the values of all runs are far apart."""
        found = [history.scalar(run, self._tag) for run, _ in self._compared.runs]
        return reaches_far([np.asarray(one.values) for one in found if one is not None])

    def draw_content(self, canvas: Canvas, box: Box) -> None:
        """The names of the runs, then their curves, the reference in front."""
        curves = []
        for run, look in reversed(self._compared.runs):
            found = seen(run, self._tag, self.view)
            if found is not None:
                curve = Curve(*found, look.style, letter=look.letter)
                smooth = smooth_curves(curve, self.view.smoothing, look.behind)
                curves += [(seen_clock(run, self.view), one) for one in smooth]
        if not curves:
            words = f"none of these runs has a {self._title.lower()}"
            canvas.write(box.x, box.y, words, colours.QUIET, box.width)
            return
        if box.height >= 6:
            used = _write_names(canvas, box, self._compared)
            box = box.inside(0, used, 0, 0)
        self.timed(canvas, box, curves, log=self.log_axis)


def _write_names(canvas: Canvas, box: Box, compared: Compared) -> int:
    """The runs in their colours, in a row where they have room: the rows used."""
    names, x = compared.names(), box.x
    room = max(6, box.width // max(1, len(names)) - 2)
    for run, look in compared.runs:
        name = shorten(names[run.name], room)
        if x + cell_len(name) > box.x + box.width:
            break
        x = canvas.write(x, box.y, name, look.style) + 2
    return 1


Cell = tuple[str, Style]


class ComparisonPanel(Panel):
    """A row a run: its newest loss and norm, their ratios to the reference, what else differs."""

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self._compared = Compared()
        self.first = 0
        self.column = 0

    def compare(self, compared: Compared) -> None:
        """Show these runs."""
        self._compared = compared
        self.redraw()

    @property
    def rows(self) -> int:
        """The rows that all of it takes, the frame among them."""
        return len(self._compared.runs) + 4

    @property
    def titles(self) -> tuple[str, ...]:
        """To which run the others are compared, and at which step."""
        cursor = self._compared.view.cursor
        at = f" at step {cursor:,}" if cursor is not None else ", newest values"
        name = self._compared.names().get(self._compared.reference, "")
        return f"Compared to {name}{at}", f"Compared to {name}", "Compared"

    def headline(self) -> Cell:
        """How many runs."""
        return f"{len(self._compared.runs)} runs", colours.TEXT

    def move(self, rows: int) -> None:
        """Scroll."""
        self.first = max(0, self.first + rows)
        self.redraw()

    def turn(self, columns: int) -> None:
        """Show other columns."""
        self.column = max(0, self.column + columns)
        self.redraw()

    def draw_content(self, canvas: Canvas, box: Box) -> None:
        """The table, and below it what is the same."""
        runs = [run for run, _ in self._compared.runs]
        if not runs:
            return
        differing = differing_hparams(runs)
        told = self._told(differing)
        self.column = min(self.column, len(told) - 1)
        table = box.inside(0, 0, 0, 1 if box.height > 3 else 0)
        visible = max(1, table.height - 1)
        self.first = max(0, min(self.first, len(runs) - visible))
        names = self._compared.names()
        room = min(max(map(cell_len, names.values())) + 2, max(10, box.width * 2 // 5))
        canvas.write(box.x, box.y, "run", colours.TITLE)
        shown = self._compared.runs[self.first : self.first + visible]
        for y, (run, look) in enumerate(shown, start=1):
            name = shorten(names[run.name], room - 1)
            canvas.write(box.x, box.y + y, name, look.style + Style(bold=True))
        x, drawn = box.x + room, 0
        for heading, cells in told[self.column :]:
            width = max(cell_len(heading), *(cell_len(text) for text, _ in cells)) + 2
            if x + width > box.x + box.width:
                break
            canvas.write(x, box.y, heading.rjust(width - 1), colours.TITLE)
            for y, (text, style) in enumerate(cells[self.first : self.first + visible], start=1):
                canvas.write(x + width - 1 - cell_len(text), box.y + y, text, style)
            x, drawn = x + width, drawn + 1
        if table.height < box.height:
            hidden = len(told) - self.column - drawn
            about = any(text.startswith(ABOUT) for _, cells in told for text, _ in cells)
            words = _below(runs, differing, hidden, about)
            canvas.write(box.x, box.y + box.height - 1, words, colours.QUIET, box.width)
        self.draw_scroll(canvas, table, self.first, visible, len(runs))

    def _told(self, differing: Sequence[str]) -> list[tuple[str, list[Cell]]]:
        """The columns: a heading, and what each run has."""
        runs = [run for run, _ in self._compared.runs]
        view = self._compared.view
        reference, letter = next(
            ((run, look.letter) for run, look in self._compared.runs
             if run.name == self._compared.reference)
        )  # fmt: skip
        columns: list[tuple[str, list[Cell]]] = [
            ("step", [(f"{run.last_step:,}", colours.TEXT) for run in runs])
        ]
        for heading, tag in (("loss", LOSS), ("norm", GRADIENT_NORM)):
            values = [value_at(run, tag, view) for run in runs]
            ratios = [ratio_at(run, reference, tag, view) for run in runs]
            columns.append((heading, [_value(value) for value in values]))
            columns.append((f"÷{letter}", [ratio_words(ratio) for ratio in ratios]))
        for name in differing:
            cells = [_hparam(run, name) for run in runs]
            columns.append((shorten(name, 14), cells))
        return columns


class At(NamedTuple):
    """A value, and whether it is that of the very step that was asked for."""

    value: float
    exact: bool


def seen(run: Run, tag: str, view: View) -> Scalar | None:
    """A scalar, whatever its writer calls it, with every value of the stretch that is seen."""
    name = called(tag, run) if history.scalar(run, tag) is not None else None
    return seen_scalar(run, name, view) if name is not None else None


def value_at(run: Run, tag: str, view: View) -> At | None:
    """The value of a scalar at the cursor, the newest without one; see `at_step`."""
    found = seen(run, tag, view)
    if found is None:
        return None
    return at_step(found, int(found.steps[-1]) if view.cursor is None else view.cursor)


def at_step(found: Scalar, step: int) -> At | None:
    """The value at a step; where there is none, that of the last step before. None outside."""
    if not found.steps[0] <= step <= found.steps[-1]:
        return None
    place = int(np.searchsorted(found.steps, step, side="right")) - 1
    return At(float(found.values[place]), bool(found.steps[place] == step))


def ratio_at(run: Run, reference: Run, tag: str, view: View) -> At | None:
    """How many times the reference a scalar is, at the cursor or the last step that both have."""
    mine, base = seen(run, tag, view), seen(reference, tag, view)
    if mine is None or base is None:
        return None
    step = view.cursor
    if step is None:
        step = min(int(mine.steps[-1]), int(base.steps[-1]))
    above, below = at_step(mine, step), at_step(base, step)
    if above is None or below is None or below.value == 0:
        return None
    return At(above.value / below.value, above.exact and below.exact)


def ratio_words(at: At | None) -> Cell:
    """A ratio, with "~" where it is not of one and the same step."""
    if at is None or not math.isfinite(at.value):
        return NONE, colours.ABSENT
    style = colours.TEXT if 0.5 <= at.value <= 2 else colours.STRONG
    return f"{'' if at.exact else ABOUT}×{number(at.value, 3)}", style


def _value(at: At | None) -> Cell:
    if at is None:
        return NONE, colours.ABSENT
    text = f"{'' if at.exact else ABOUT}{number(at.value)}"
    return text, colours.TEXT if math.isfinite(at.value) else colours.NONFINITE


def _hparam(run: Run, name: str) -> Cell:
    value = hparams_of(run).get(name)
    if value is None:
        return NONE, colours.ABSENT
    text = number(value) if isinstance(value, float) else str(value)
    return shorten(clean(text), 18), colours.TEXT


def _below(runs: Sequence[Run], differing: Sequence[str], hidden: int, about: bool) -> str:
    """What the table leaves out, and what is not of the very step."""
    near = f"{ABOUT} the last step before that; " if about else ""
    return near + _left_out(runs, differing, hidden)


def _left_out(runs: Sequence[Run], differing: Sequence[str], hidden: int) -> str:
    same = len({name for run in runs for name in hparams_of(run)}) - len(differing)
    if hidden > 0:
        return f"{hidden:,} more to the right: → ←"
    if not differing:
        return "no known hyperparameter differs" if same else "the logs tell no hyperparameters"
    return f"{same:,} hyperparameters are the same" if same else ""
