"""What is wrong with a run and what to do, or by what it is well: in a few lines."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size

from tbgrad.judgement.overview import Overview
from tbgrad.judgement.verdict import is_ill, verdict_of
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.canvas import Canvas
from tbgrad_tui.chart.text import count
from tbgrad_tui.chart.wrapping import Line, wrapped
from tbgrad_tui.widgets.panel import Drawing


def verdict_lines(row: Overview, scope: str = "") -> list[Line]:
    """What began it and what followed, what to change first and then; or that nothing is wrong.

    `scope` is what the names of all layers begin with: it is left out.
    """
    lines: list[Line] = []
    for told in verdict_of(row):
        if told.label:
            style = colours.GOOD if told.look == "good" else colours.QUIET
            lines.append([(told.label, style), (_without(told.text, scope), colours.TEXT)])
        elif told.look in colours.SEVERITIES:
            mark, style = colours.SEVERITIES[told.look]
            why = " (o: why)" if row.monitoring_ended is not None and not lines else ""
            lines.append([(f"{mark} ", style), (_without(told.text, scope) + why, style)])
        else:
            lines.append([(told.text, colours.QUIET)])
    return lines


def _without(text: str, scope: str) -> str:
    return text.replace(scope, "") if scope else text


class Verdict(Drawing):
    """The verdict of the run that is shown, over as many rows as the screen can give."""

    row: Overview | None = None
    scope = ""
    rows = 3

    def show(self, row: Overview | None, scope: str) -> None:
        """Show the newest state; `scope` as of `verdict_lines`."""
        self.row, self.scope = row, scope
        self.fit()

    def fit(self) -> None:
        """Take the rows that are needed, up to those that the screen can give."""
        tall = self.screen.size.height
        self.rows = 0 if tall < 8 else 1 if tall < 16 else 3 if tall < 30 else 5
        height = len(self._lines(self.screen.size.width - 2))
        self.display = height > 0
        if self.styles.height is None or self.styles.height.value != height:
            self.styles.height = height
        self.redraw()

    def draw(self, canvas: Canvas) -> None:
        """The lines."""
        for y, line in enumerate(self._lines(canvas.width - 2)):
            x = 1
            for text, style in line:
                x = canvas.write(x, y, text, style)

    def _lines(self, width: int) -> list[Line]:
        if self.row is None or not self.rows:
            return []
        lines = verdict_lines(self.row, self.scope)
        alerts = self.row.story.every if self.row.story is not None else ()
        opened = sum(alert.state == "open" for alert in alerts)
        first = 1 if self.row.monitoring_ended is not None else 0
        if opened and is_ill(self.row):
            mark, headline = lines[first]
            lines[first] = [mark, (f"{count(opened, 'alert')} (a): ", mark[1]), headline]
        elif alerts and first < len(lines):
            told = count(opened, "hint") if opened else f"{count(len(alerts), 'alert')}, all over"
            lines[first].append((f"; {told} (a)", colours.QUIET))
        return fitted(lines, width, self.rows)


def fitted(lines: list[Line], width: int, rows: int) -> list[Line]:
    """Lines wrapped at `width` in at most `rows`, "…" where there is more.

    All but the first two give way first, then the second.
    """
    parts = [wrapped([line], width) for line in lines[:rows]]
    while len(parts) > 2 and sum(map(len, parts)) > rows:
        parts.pop()
    while sum(map(len, parts)) > rows:
        longest = max(i for i, part in enumerate(parts) if len(part) > 1)
        *kept, last, rest = parts[longest]
        parts[longest] = [*kept, _cut([*last, *rest[1:]], width)]  # without its indent
    return [line for part in parts for line in part]


def _cut(line: Line, width: int) -> Line:
    """What of a line fits, with "…" for what does not."""
    kept: Line = []
    room = width - 1
    for text, style in line:
        part = text if cell_len(text) <= room else set_cell_size(text, room).rstrip(" ,;:")
        kept.append((part, style))
        room -= cell_len(text)
        if room <= 0:
            break
    return [*kept, ("…", kept[-1][1])]
