"""The list of runs, and what is known of the chosen one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from rich.cells import cell_len
from rich.style import Style
from textual import events
from textual.message import Message

from tbgrad.log.state import Hyperparameter, RunState
from tbgrad.reading.run import Run
from tbgrad.reading.state import Pulse
from tbgrad_tui import facts
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.canvas import Box, Canvas
from tbgrad_tui.chart.text import count, duration, number, pad, shorten, size
from tbgrad_tui.poller import Snapshot
from tbgrad_tui.widgets.panel import Panel

HPARAMS = 6
"""So many hyperparameters are shown."""


class RunsPanel(Panel):
    """One row a run: whether it is live, its name, its last step, its age."""

    class Chosen(Message):
        """The user clicked on a run."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.runs: Mapping[str, Run] = {}
        self._pulses: Mapping[str, Pulse] = {}
        self.selected = ""
        self.now = 0.0
        self.logdir: Path | str = Path()
        self._first = 0

    def show(self, snapshot: Snapshot, selected: str, now: float) -> None:
        """Show the runs of a snapshot."""
        self.runs, self._pulses = snapshot.runs, snapshot.pulses
        self.selected, self.now = selected, now
        self.redraw()

    @property
    def titles(self) -> tuple[str, ...]:
        """How many there are."""
        return (count(len(self.runs), "run"),)

    def draw_content(self, canvas: Canvas, box: Box) -> None:
        """The list; facts about the chosen run below it where there is room."""
        names = list(self.runs)
        known = _facts(self.runs[self.selected], box.width) if self.selected in self.runs else []
        room = box.height - len(known) - 1
        rows = box.height if room < min(len(names), 3) else room
        position = names.index(self.selected) if self.selected in names else 0
        self._first = max(0, min(position - rows // 2, len(names) - rows))
        for row, name in enumerate(names[self._first : self._first + rows]):
            self._draw_run(canvas, box.rows(row, 1), name)
        room_of_labels = 10 if box.width < 34 else 16
        if rows == room:
            start = box.y + box.height - len(known)
            for row, (label, value, style) in enumerate(known):
                x = canvas.write(
                    box.x, start + row, pad(label, room_of_labels) + " ", colours.QUIET
                )
                canvas.write(x, start + row, shorten(value, box.x + box.width - x), style)

    def _draw_run(self, canvas: Canvas, box: Box, name: str) -> None:
        run = self.runs[name]
        chosen = name == self.selected
        style = colours.SELECTED if chosen else colours.TEXT
        condition = facts.condition(run, self._pulses, self.now)
        live = facts.is_live(run, self.now, self._pulses)
        if chosen:
            canvas.fill(box, " ", style)
        mark_style = colours.STATES.get(condition.status if condition else "", colours.QUIET)
        mark_style = colours.GOOD if live and condition is None else mark_style
        canvas.write(box.x, box.y, "●" if live else "○", style + Style(color=mark_style.color))
        age = facts.age(run, self.now)
        begun = facts.has_begun(run)
        shown_age = _age_words(age) if begun else "empty"
        right = f"{run.last_step:,}  {shown_age:>6}" if begun else shown_age
        if box.width < 34:
            right = f"{run.last_step:,}" if begun else "–"
        room = box.width - 3 - cell_len(right)
        canvas.write(box.x + 2, box.y, shorten(name, room), style)
        canvas.write(box.x + box.width - cell_len(right), box.y, right, style)

    def move(self, rows: int) -> None:
        """Choose another run, further down or up."""
        names = list(self.runs)
        if self.selected in names:
            at = max(0, min(names.index(self.selected) + rows, len(names) - 1))
            self.post_message(self.Chosen(names[at]))

    def on_click(self, event: events.Click) -> None:
        """Choose the run under the mouse."""
        row = self._first + event.y - 1
        names = list(self.runs)
        if 0 < event.y < self.size.height - 1 and 0 <= row < len(names):
            self.post_message(self.Chosen(names[row]))


def _age_words(age: float) -> str:
    """How long ago, "ahead" of this clock, or "–" where the log does not tell."""
    if not math.isfinite(age):
        return "–"
    return "ahead" if age < -facts.AHEAD_SECONDS else duration(age)


def _facts(run: Run, width: int) -> list[tuple[str, str, Style]]:
    """Label, value and style of what the manifest and the files say."""
    rows = []
    manifest = run.manifest
    if manifest is not None:
        settings = dict(manifest.optimizer)
        name = str(settings.pop("name", "")) or "–"
        rows.append(("optimizer", name, colours.TEXT))
        for key in (
            "momentum",
            "beta_1",
            "weight_decay",
            "clipnorm",
            "global_clipnorm",
            "clipvalue",
        ):
            value = settings.get(key)
            if isinstance(value, int | float) and value:
                rows.append((key.replace("_", " "), number(float(value)), colours.TEXT))
        rows.append(("parameters", f"{len(run.parameters):,}", colours.TEXT))
        weights = sum(parameter.size for parameter in manifest.parameters)
        rows.append(("weights", f"{weights:,}", colours.TEXT))
        every = manifest.cadences.get("every")
        if every:
            rows.append(("all stats", f"every {every:,}", colours.TEXT))
    rows += _state_facts(run.state) if run.state is not None else []
    rows.append(("log read", size(run.bytes_read), colours.TEXT))
    return rows if width >= 20 else []


def _state_facts(state: RunState) -> list[tuple[str, str, Style]]:
    """What the writer says of itself, of its plan and of its hyperparameters."""
    rows = [("host", shorten(state.host, 24), colours.TEXT)] if state.host else []
    if state.epochs:
        rows.append(("epoch", f"{state.epoch:,} of {state.epochs:,}", colours.TEXT))
    if state.steps:
        rows.append(("steps", f"{state.steps:,}", colours.TEXT))
    for name, value in list(state.hparams.items())[:HPARAMS]:
        rows.append((shorten(name, 14), shorten(_plain(value), 14), colours.TEXT))
    return rows


def _plain(value: Hyperparameter) -> str:
    return number(value) if isinstance(value, float) else str(value)
