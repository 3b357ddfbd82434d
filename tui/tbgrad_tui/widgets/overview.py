"""All runs, the worst first, what is wrong with the chosen one, and its curves."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

from rich.cells import cell_len
from rich.style import Style
from textual import events
from textual.message import Message

from tbgrad.judgement.overview import Overview
from tbgrad.log.short_names import natural, short_names
from tbgrad.reading.run import Run
from tbgrad.reading.run_filter import run_filter
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.canvas import Box, Canvas
from tbgrad_tui.chart.text import clean, count, percent, shorten
from tbgrad_tui.chart.wrapping import Line, wrapped
from tbgrad_tui.terminal import is_remote
from tbgrad_tui.widgets.marks import REFERENCE, Marks
from tbgrad_tui.widgets.overview_charts import draw_charts
from tbgrad_tui.widgets.overview_columns import (
    WORDS,
    Column,
    columns_for,
    hparams_words,
    mark_of,
    stands,
)
from tbgrad_tui.widgets.panel import Panel
from tbgrad_tui.widgets.verdict import verdict_lines

SORTS: dict[str, Callable[[Overview], tuple[object, ...]]] = {
    "worst first": lambda row: (*row.badness, natural(row.name)),
    "name": lambda row: (natural(row.name),),
    "newest first": lambda row: (-row.last_sign, natural(row.name)),
    "lowest loss first": lambda row: (math.isnan(row.loss), row.loss, natural(row.name)),
}
"""What runs may be sorted by, in the order of the key."""


HOLD = 5.0
"""So many seconds pass between two pictures of the same curves, over a network."""


class OverviewPanel(Panel):
    """A row a run; below them the verdict of the chosen one and its curves, as there is room."""

    class Opened(Message):
        """The user wants to see a run."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, id: str, marks: Marks) -> None:
        super().__init__(id)
        self.marks = marks
        self.rows: list[Overview] = []
        self.selected = ""
        self.filter = ""
        self.problem = ""
        self.machines = ""
        self.read_share: float | None = None
        self.order = next(iter(SORTS))
        self._all: list[Overview] = []
        self._runs: Mapping[str, Run] = {}
        self._moved = False
        self._charted: tuple[Run | None, float] = None, 0.0
        self._first = 0
        self._shown = range(0)

    def table(self) -> list[tuple[object, ...]]:
        """The runs as they are sorted and chosen, with all that is known of them in a line."""
        head = (
            "run", "state", "step", "steps", "loss", "norm", "update_ratio", "stability", "health",
            "since", "headline", "advice",
        )  # fmt: skip
        told = [
            (row.story.headline, row.story.advice) if row.story else ("", "") for row in self.rows
        ]
        return [head, *(
            (row.name, row.condition.status if row.condition else "", row.step, row.steps, row.loss,
             row.norm, row.update_ratio, row.stability, row.health, row.since, *words)
            for row, words in zip(self.rows, told, strict=True)
        )]  # fmt: skip

    def show(
        self,
        rows: list[Overview],
        runs: Mapping[str, Run],
        machines: str = "",
        loading: float | None = None,
    ) -> None:
        """Show the newest state of all runs, what the machines do that they are on, and the share
        that was read while the log still loads."""
        self._all, self._runs, self.machines, self.read_share = rows, runs, machines, loading
        self._choose()
        self.redraw()

    def sort(self) -> None:
        """By what comes next."""
        orders = list(SORTS)
        self.order = orders[(orders.index(self.order) + 1) % len(orders)]
        self._choose()
        self.redraw()

    def narrow(self, text: str) -> None:
        """Show those that a filter chooses; one that is none says why, and all are shown."""
        self.filter = text
        self._choose()
        self.redraw()

    def move(self, rows: int) -> None:
        """Choose another run."""
        names = [row.name for row in self.rows]
        if names:
            at = names.index(self.selected) if self.selected in names else 0
            self.choose(names[max(0, min(at + rows, len(names) - 1))])

    def choose(self, name: str) -> None:
        """Choose a run by its name."""
        self.selected, self._moved = name, True
        self.redraw()

    def mark(self) -> None:
        """Mark the chosen run for comparison, or no longer, and go to the next."""
        if self.selected:
            self.marks.toggle(self.selected)
            self.move(1)
            self.redraw()

    def pin(self) -> None:
        """Make the chosen run the reference, or no longer; it is on top."""
        if self.selected:
            self.marks.pin(self.selected)
            self._choose()
            self.redraw()

    def unmark(self) -> None:
        """Mark none and pin none."""
        self.marks.clear()
        self._choose()
        self.redraw()

    def _choose(self) -> None:
        """Filter and sort, the reference on top; the chosen run stays chosen wherever it goes.

        Until somebody has chosen one it is that on top.
        """
        self.problem = ""
        rows = self._all
        try:
            chosen = run_filter(self.filter)
            rows = [row for row in rows if chosen(row.name, {**stands(row), **row.hparams})]
        except ValueError as error:
            self.problem = str(error)
        self.rows = sorted(rows, key=SORTS[self.order])
        pinned = [row for row in self._all if row.name == self.marks.pinned]
        self.rows = pinned + [row for row in self.rows if row not in pinned]
        if not self._moved or self.selected not in [row.name for row in self.rows]:
            self.selected = self.rows[0].name if self.rows else ""

    @property
    def titles(self) -> tuple[str, ...]:
        """How many there are, of all where a filter leaves some out, and how they are sorted."""
        amount = count(len(self.rows), "run")
        if len(self.rows) < len(self._all):
            amount = f"{len(self.rows):,} of {count(len(self._all), 'run')}"
        if self.filter:
            amount += f" with “{shorten(self.filter, 24)}”"
        return f"Overview: {amount}, {self.order}", f"Overview: {amount}", "Overview"

    def headline(self) -> tuple[str, Style]:
        """How many are ill; while the log loads, how much of it was read."""
        ill = sum(row.severity == "error" for row in self._all)
        warned = sum(row.severity == "warning" for row in self._all)
        if self.read_share is not None:
            return f"reading {percent(self.read_share)}", colours.WARNING
        if ill:
            return f"{colours.SEVERITIES['error'][0]} {ill:,} with errors", colours.ALERT
        if warned:
            return f"{colours.SEVERITIES['warning'][0]} {warned:,} with warnings", colours.WARNING
        unknown = sum(not row.health and row.step > 0 for row in self._all)
        if unknown:
            return f"{unknown:,} not judged yet", colours.QUIET
        return ("all healthy", colours.GOOD) if self._all else ("", colours.TEXT)

    def draw(self, canvas: Canvas) -> None:
        """The same with what the machines do in the frame below."""
        super().draw(canvas)
        if self.machines and canvas.height >= 3:
            said = shorten(self.machines, max(0, canvas.width - 8))
            canvas.write(2, canvas.height - 1, f" {said} ", colours.QUIET, canvas.width - 4)

    def draw_content(self, canvas: Canvas, box: Box) -> None:
        """The table, a line, the verdict, curves."""
        if self.problem or not self.rows:
            text = self.problem or f"no run is chosen by {self.filter!r} (Esc shows all)"
            canvas.write(box.x, box.y, clean(text), colours.WARNING, box.width)
            return
        verdict = self._verdict(box.width)
        room = max(3, box.height - 2 - min(len(verdict), max(3, box.height // 3)))
        rows = min(len(self.rows), room)
        self._draw_table(canvas, box.rows(0, rows + 1), rows)
        below = box.inside(0, rows + 1, 0, 0)
        if below.height >= 2:
            canvas.fill(below.rows(0, 1), "─", colours.FRAME)
            for y, line in enumerate(verdict[: below.height - 1]):
                x = below.x
                for word, style in line:
                    x = canvas.write(x, below.y + 1 + y, word, style)
            if self.selected in self._runs:
                draw_charts(canvas, below.inside(0, len(verdict) + 2, 0, 0), self.charted())

    def charted(self) -> Run:
        """The chosen run as its curves show it: over a network they stay as they are for a while.

        Of all that is drawn anew they are most of what has to be sent.
        """
        run, now = self._runs[self.selected], time.monotonic()
        held, since = self._charted
        if held is not None and held.name == run.name and is_remote() and now < since + HOLD:
            return held
        self._charted = run, now
        return run

    def _draw_table(self, canvas: Canvas, box: Box, rows: int) -> None:
        names = [row.name for row in self.rows]
        at = names.index(self.selected)
        self._first = max(0, min(max(self._first, at - rows + 1), at, len(names) - rows))
        self._shown = range(self._first, self._first + rows)
        short = short_names(names)
        longest = max(cell_len(clean(each)) for each in short.values())
        letters = 3 if self.marks.chosen else 0
        columns = columns_for(box.width - letters, longest, self.rows)
        rest = sum(width for _, width, *_ in columns) + 2 + letters
        room = letters + max(8, min(box.width - rest, longest + 2))
        canvas.write(box.x + 2 + letters, box.y, "run", colours.TITLE, room)
        x = box.x + 2 + room
        for title, width, *_ in columns:
            heading = title if title in WORDS else title.rjust(width - 2)
            canvas.write(x + 1, box.y, heading, colours.TITLE)
            x += width
        for y, number_of in enumerate(self._shown, start=1):
            row, line = self.rows[number_of], Box(box.x, box.y + y, box.width, 1)
            self._draw_row(canvas, line, row, short[row.name], room, columns)
        body = Box(box.x, box.y + 1, box.width, rows)
        self.draw_scroll(canvas, body, self._first, rows, len(names))

    def _draw_row(
        self, canvas: Canvas, box: Box, row: Overview, name: str, room: int, columns: list[Column]
    ) -> None:
        chosen = row.name == self.selected
        back = Style(bgcolor=colours.SELECTED.bgcolor) if chosen else colours.PLAIN
        if chosen:
            canvas.fill(box, " ", colours.SELECTED)
        mark, style = colours.SEVERITIES.get(row.severity, mark_of(row))
        canvas.write(box.x, box.y, mark, style + back)
        name_style, room_left = colours.SELECTED if chosen else colours.TEXT, room
        at = box.x + 2
        if self.marks.chosen:
            look, pinned = self.marks.look(row.name), row.name == self.marks.pinned
            said = look.letter + (REFERENCE if pinned else "")
            canvas.write(at, box.y, said, look.style + Style(bold=True) + back)
            at, room_left = at + 3, room - 3
        canvas.write(at, box.y, shorten(clean(name), room_left - 1), name_style)
        x = box.x + 2 + room
        for title, width, _, shown in columns:
            text, style = shown(row)
            text = shorten(text, width - 2)
            left = x + 1 if title in WORDS else x + width - 1 - cell_len(text)
            canvas.write(left, box.y, text, style + back)
            x += width

    def _verdict(self, width: int) -> list[Line]:
        """What began it, what followed, what to change; or that nothing is wrong."""
        row = next(row for row in self.rows if row.name == self.selected)
        lines: list[Line] = [[(clean(row.name), colours.STRONG), *hparams_words(row)]]
        lines += verdict_lines(row)
        if row.condition is not None:
            style = colours.STATES[row.condition.status]
            lines.append([("state: ", colours.QUIET), (row.condition.words, style)])
        return wrapped(lines, width)

    def on_click(self, event: events.Click) -> None:
        """Choose the run under the mouse; a double click opens it."""
        row = event.y - 2
        if 0 <= row < len(self._shown):
            self.choose(self.rows[self._shown[row]].name)
            if event.chain == 2:
                self.post_message(self.Opened(self.selected))
