"""The line of state above the panels, and the line of keys below them."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from rich.cells import cell_len
from rich.style import Style
from textual import events

from tbgrad.log.state import RUNNING
from tbgrad.log.tags import GRADIENT_NORM, LEARNING_RATE, LOSS, VALIDATION_LOSS
from tbgrad.reading.estimates import age_of_estimate
from tbgrad.reading.run import Run
from tbgrad_tui import facts
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.canvas import Canvas
from tbgrad_tui.chart.text import count, duration, number, percent, shorten
from tbgrad_tui.keys import FOOTER, Key, short
from tbgrad_tui.poller import Snapshot
from tbgrad_tui.widgets.panel import Drawing

Piece = tuple[int, str, str, Style]
"""Rank (a higher one is left out first), label, value, style of the value."""


NUMBERS = (
    (2, LOSS, "loss"),
    (6, VALIDATION_LOSS, "val loss"),
    (4, GRADIENT_NORM, "norm"),
    (3, LEARNING_RATE, "lr"),
)
"""The scalars of the line: rank, tag, and a name that is short, for each cell counts."""

LIVE, SILENT = "●", "○"


class Summary(Drawing):
    """One line: run, step, loss, norm, speed, age; a second one when something is wrong."""

    run: Run | None = None
    position = ""
    snapshot = Snapshot()
    now = 0.0
    silent_since: float | None = None

    def show(self, run: Run | None, position: str, snapshot: Snapshot, now: float) -> None:
        """Show the newest state."""
        self.run, self.position, self.snapshot, self.now = run, position, snapshot, now
        height = 2 if self.troubles() else 1
        if self.styles.height is None or self.styles.height.value != height:
            self.styles.height = height
        self.redraw()

    def draw(self, canvas: Canvas) -> None:
        """Pieces in order; those of the highest rank go first when there is no room."""
        pieces = self.pieces()
        while pieces and sum(_width(piece) for piece in pieces) > canvas.width - 1:
            if len(pieces) == 1:
                break
            pieces.remove(max(pieces, key=lambda piece: piece[0]))
        x = 1
        for _, label, value, style in pieces:
            if label:
                style_of_label = colours.GOOD if label == LIVE else colours.QUIET
                x = canvas.write(x, 0, label + " ", style_of_label)
            x = canvas.write(x, 0, value, style) + 3
        x = 1
        for text, style in self.troubles():
            x = canvas.write(x, 1, text, style) + 3

    def pieces(self) -> list[Piece]:
        """What the line says."""
        run = self.run
        if run is None:
            return [(0, "", "tbgrad", colours.TITLE_FOCUSED)]
        age = facts.age(run, self.now)
        condition = facts.condition(run, self.snapshot.pulses, self.now)
        live = facts.is_live(run, self.now, self.snapshot.pulses)
        name = shorten("top directory" if run.name == "." else run.name, 36)
        pieces: list[Piece] = [
            (0, LIVE if live else SILENT, name, colours.STRONG),
        ]
        if self.position:
            pieces.append((9, "run", self.position, colours.TEXT))
        if self.snapshot.loading is not None:
            pieces.append((1, "loading", percent(self.snapshot.loading), colours.WARNING))
        if facts.has_begun(run):
            pieces.append((1, "step", f"{run.last_step:,}", colours.STRONG))
        for rank, tag, label in NUMBERS:
            if facts.scalar(run, tag) is not None:
                value = facts.newest(run, tag)
                style = colours.TEXT if math.isfinite(value) else colours.NONFINITE
                pieces.append((rank, label, number(value), style))
        pieces += _stability(run)
        speed = facts.steps_per_second(run)
        if live and math.isfinite(speed):
            pieces.append((8, "", f"{number(speed)} steps/s", colours.TEXT))
        if condition is not None:
            rank = 5 if condition.status == RUNNING else 1
            words = facts.state_words(run, condition, self.now)
            pieces.append((rank, "", words, colours.STATES[condition.status]))
        if run.state is not None and live and run.state.epochs:
            epoch = f"{run.state.epoch:,}/{run.state.epochs:,}"
            pieces.append((8, "epoch", epoch, colours.TEXT))
        if math.isfinite(age) and (condition is None or condition.alive):
            pieces.append((4, "", *_age_words(age)))
        return pieces

    def troubles(self) -> list[tuple[str, Style]]:
        """What is wrong, with the key that tells more."""
        words = []
        if self.silent_since is not None:
            clock = time.strftime("%H:%M:%S", time.localtime(self.silent_since))
            words.append((f"the log is not answering since {clock}", colours.ALERT))
        damage = facts.damage(self.snapshot.runs)
        if damage:
            words.append((f"{count(len(damage), 'damaged record')} (d)", colours.WARNING))
        if self.snapshot.problems:
            path, reason = next(iter(self.snapshot.problems.items()))
            more = len(self.snapshot.problems) - 1
            text = f"cannot read {shorten(path, 50)}: {reason}"
            words.append((text + (f", and {more} more (d)" if more else " (d)"), colours.ALERT))
        if self.run is not None and (notes := self.run.notes):
            words.append((f"{count(len(notes), 'note')} of the monitor (o)", colours.QUIET))
        return words


def _stability(run: Run) -> list[Piece]:
    """λ over its limit; grey, with its age, where it tells nothing of now."""
    _, estimates = facts.curvature_estimates(run)
    age = age_of_estimate(run)
    if age is None or not math.isfinite(estimates[-1].stability):
        return []
    value = number(estimates[-1].stability, 2)
    if age.stale:
        return [(7, "λ/limit", f"{value}, {count(age.steps, 'step')} ago", colours.QUIET)]
    place, _ = facts.stability_words(estimates[-1])
    return [(7, "λ/limit", value, colours.STANDINGS[place] if place != "below" else colours.TEXT)]


def _age_words(age: float) -> tuple[str, Style]:
    if age < -facts.AHEAD_SECONDS:
        return f"dated {duration(-age)} ahead of this clock", colours.WARNING
    if age > facts.STALE_SECONDS:
        return f"no new data for {duration(age)}", colours.WARNING
    return f"updated {duration(age)} ago", colours.GOOD


def _width(piece: Piece) -> int:
    _, label, value, _ = piece
    return cell_len(value) + 3 + (cell_len(label) + 1 if label else 0)


class Footer(Drawing):
    """The most useful keys; a click on one is as good as the key."""

    hint = ""

    def __init__(self, id: str, keys: Sequence[Key] = FOOTER) -> None:
        super().__init__(id)
        self.keys = tuple(key for key in keys if key.footer)
        self._places: list[tuple[int, int, Key]] = []

    def draw(self, canvas: Canvas) -> None:
        """Keys with their words: help and quit always, of the others as many as fit."""
        x = canvas.write(1, 0, self.hint, colours.WARNING) + 1 if self.hint else 0
        room = canvas.width - x
        chosen = set()
        for key in (*self.keys[-2:], *self.keys[:-2]):
            room -= cell_len(short(key)) + cell_len(key.footer) + 5
            if room < 0:
                break
            chosen.add(key)
        self._places = []
        for key in self.keys:
            if key in chosen:
                first = x + 1
                x = canvas.write(first, 0, f" {short(key)} ", colours.KEY)
                x = canvas.write(x + 1, 0, key.footer, colours.TEXT) + 1
                self._places.append((first, x - 1, key))

    async def on_click(self, event: events.Click) -> None:
        """Do what the key does that was clicked."""
        for first, end, key in self._places:
            if first <= event.x < end:
                await self.app.run_action(key.binding().action, self.screen)
