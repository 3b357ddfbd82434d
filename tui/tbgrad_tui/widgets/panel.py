"""A widget that is a canvas: it repaints only the cells that changed."""

from __future__ import annotations

from collections import deque
from typing import Any, ClassVar

from rich.cells import cell_len
from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

from tbgrad_tui.chart import colours
from tbgrad_tui.chart.canvas import Box, Canvas, appearance
from tbgrad_tui.chart.text import shorten
from tbgrad_tui.chart.wrapping import wrapped


class Drawing(Widget):
    """Subclasses implement `draw`; whoever changes what it shows calls `redraw`.

    `faults` are errors in what any of them has drawn, which showed there.
    """

    faults: ClassVar[deque[Exception]] = deque(maxlen=10)

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self.canvas = Canvas(0, 0)
        self._appearance = appearance()
        self._strips: list[Strip] = []
        self._missed = True

    def draw(self, canvas: Canvas) -> None:
        """Draw everything."""
        raise NotImplementedError

    def redraw(self) -> None:
        """Draw again and repaint what is different."""
        width, height = self.size
        self._missed = not (width and height and self.display)
        if self._missed:
            return
        canvas = self._drawn(width, height)
        former, self.canvas = self.canvas, canvas
        ground = self.rich_style  # Textual puts no background under the line API
        anew = (former.width, former.height) != (width, height)
        if anew or self._appearance is not appearance():
            self._appearance = appearance()
            self._strips = [canvas.strip(y).apply_style(ground) for y in range(height)]
            self.refresh()
            return
        boxes = canvas.changes(former)
        for box in boxes:
            self._strips[box.y] = canvas.strip(box.y).apply_style(ground)
        if boxes:
            self.refresh(*(Region(box.x, box.y, box.width, 1) for box in boxes))

    def _drawn(self, width: int, height: int) -> Canvas:
        canvas = Canvas(width, height)
        try:
            self.draw(canvas)
        except Exception as error:  # noqa: BLE001 - what is wrong in one panel stays there
            Drawing.faults.append(error)
            canvas = Canvas(width, height)
            words = f"A bug in tbgrad, please report it: {type(error).__name__}: {error}"
            for y, line in enumerate(wrapped([[(words, colours.ALERT)]], max(1, width - 2))):
                canvas.write(1, y, "".join(text for text, _ in line), colours.ALERT)
        return canvas

    def lines(self) -> list[str]:
        """What is drawn, as text."""
        return self.canvas.text()

    def render_line(self, y: int) -> Strip:
        """One line, for Textual."""
        return (
            self._strips[y]
            if y < len(self._strips)
            else Strip.blank(self.size.width, self.rich_style)
        )

    def on_resize(self) -> None:
        """Draw at the new size."""
        self.redraw()

    def on_show(self) -> None:
        """Draw what changed while hidden."""
        if self._missed:
            self.redraw()


def frame(screen: Screen[Any]) -> Canvas:
    """What the drawings of a screen show, each in its place."""
    whole = Canvas(*screen.size)
    for drawing in screen.query(Drawing):
        if drawing.region and all(above.display for above in drawing.ancestors_with_self):
            whole.place(drawing.canvas, drawing.region.x, drawing.region.y)
    return whole


class Panel(Drawing, can_focus=True):
    """A drawing in a frame with a title; the frame of the focused one is bright."""

    @property
    def titles(self) -> tuple[str, ...]:
        """What may stand at the left of the frame, the longest first: one that fits is taken."""
        return ("",)

    def on_focus(self, _: events.Focus) -> None:
        """Brighten the frame."""
        self.redraw()

    def on_blur(self, _: events.Blur) -> None:
        """Dim the frame."""
        self.redraw()

    def draw(self, canvas: Canvas) -> None:
        """Draw the frame, then the content inside."""
        frame = colours.FRAME_FOCUSED if self.has_focus else colours.FRAME
        width, height = canvas.width, canvas.height
        if width < 4 or height < 3:
            return
        for y, (left, right) in ((0, "╭╮"), (height - 1, "╰╯")):
            canvas.fill(Box(1, y, width - 2, 1), "─", frame)
            canvas.write(0, y, left, frame)
            canvas.write(width - 1, y, right, frame)
        canvas.fill(Box(0, 1, 1, height - 2), "│", frame)
        canvas.fill(Box(width - 1, 1, 1, height - 2), "│", frame)
        self.draw_content(canvas, canvas.box.inside(2, 1, 2, 1))
        style = colours.TITLE_FOCUSED if self.has_focus else colours.TITLE
        self._write_title(canvas, style)

    def _write_title(self, canvas: Canvas, style: Style) -> None:
        value, value_style = self.headline()
        room = canvas.width - 6 - (cell_len(value) + 3 if value else 0)
        titles = self.titles
        title = next((title for title in titles if cell_len(title) <= room), titles[-1])
        title = shorten(title, max(room, min(12, canvas.width - 6)))
        end = canvas.write(2, 0, f" {title} ", style)
        if value and end + cell_len(value) + 4 <= canvas.width:
            canvas.write(canvas.width - 4 - cell_len(value), 0, f" {value} ", value_style)

    def table(self) -> list[tuple[object, ...]]:
        """What it shows as rows, the first of which are the names; empty where that is no table."""
        return []

    def draw_scroll(self, canvas: Canvas, body: Box, first: int, rows: int, amount: int) -> None:
        """A mark in the frame for where in a long list the rows from `first` on are."""
        if rows >= amount or rows < 2:
            return
        size = max(1, rows * rows // amount)
        start = round((rows - size) * first / (amount - rows))
        canvas.fill(Box(body.x + body.width + 1, body.y + start, 1, size), "┃", colours.QUIET)

    def headline(self) -> tuple[str, Style]:
        """What stands at the right of the title: the newest value."""
        return "", colours.TEXT

    def draw_content(self, canvas: Canvas, box: Box) -> None:
        """Draw what the panel is for."""
        raise NotImplementedError
