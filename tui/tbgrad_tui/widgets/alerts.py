"""The list of alerts: the selected one in full, the others in two lines each."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.style import Style
from textual import events
from textual.geometry import Size
from textual.message import Message

from tbgrad.judgement.story import by_cause, story_of
from tbgrad.log.records import STATISTICS, Alert
from tbgrad.log.tags import (
    CLIP_FACTOR,
    GRADIENT_NORM,
    GRADIENT_NORM_MAX,
    LAMBDA_MIN,
    LOSS,
    STABILITY,
    VALIDATION_LOSS,
)
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.canvas import Box, Canvas
from tbgrad_tui.chart.text import cut, shorten
from tbgrad_tui.chart.wrapping import Line
from tbgrad_tui.keys import ALERT_KEYS, short
from tbgrad_tui.widgets.alert_words import alert_headline, details, parts_of
from tbgrad_tui.widgets.panel import Panel

SHORT = 2
"""Rows of an alert that is not selected: its headline and its evidence."""

EFFECT = " ╰"
"""Ahead of what another alert brought about."""

SPARE = ("app.help", "copy")
"""Keys that give way where what Enter goes to needs the room."""

_PANELS = {
    LOSS: "loss",
    VALIDATION_LOSS: "loss",
    GRADIENT_NORM: "norm",
    GRADIENT_NORM_MAX: "norm",
    CLIP_FACTOR: "norm",
    STABILITY: "curvature",
    LAMBDA_MIN: "curvature",
}


def panel_of(rule: str) -> str:
    """The panel in which a rule says that it shows, "run" for one that is not known."""
    from tbgrad.diagnosis.rules import SHOWS  # which load after the first picture

    shows = SHOWS.get(rule, "")
    return "layers" if shows in STATISTICS else _PANELS.get(shows, "scalars" if shows else "run")


class AlertsPanel(Panel):
    """Alerts, each fault ahead of what it brought about. One of them is selected."""

    DEFAULT_CSS = """
    AlertsPanel { width: 90%; max-width: 110; height: auto; max-height: 90%; background: $page; }
    """

    class Opened(Message):
        """The user clicked on the selected alert."""

    def __init__(self, id: str, alerts: Sequence[Alert], selected: Alert | None) -> None:
        super().__init__(id)
        self.alerts: tuple[Alert, ...] = ()
        self._arrange(alerts)
        self._index = self.alerts.index(selected) if selected in self.alerts else 0
        self._top = 0

    @property
    def selected(self) -> Alert | None:
        """The selected alert, None where there are none."""
        return self.alerts[self._index] if self.alerts else None

    def show(self, alerts: Sequence[Alert]) -> None:
        """Show a newer state; the selected alert stays selected, and where it is on the screen."""
        former, row = self.selected, self._row_of(self._index) - self._top
        if tuple(alerts) == self._given:
            return
        self._arrange(alerts)
        self._index = _again(self.alerts, former, self._index)
        self._top = self._row_of(self._index) - row
        self.refresh(layout=True)
        self.redraw()

    def _arrange(self, alerts: Sequence[Alert]) -> None:
        """Group them by their cause."""
        self._given = tuple(alerts)
        story = story_of(alerts)
        arranged = by_cause(story)
        self.alerts = tuple(alert for alert, _ in arranged)
        self._effects = {alert.key for alert, effect in arranged if effect}
        self._parts = parts_of(story)

    def move(self, alerts: int) -> None:
        """Select another alert, but first scroll to where a long one ends or begins."""
        room = max(1, self.size.height - 2)
        start = self._row_of(self._index)
        end = start + self._height(self._index) - room
        if alerts == 1 and self._top < end:
            self._top = min(end, self._top + max(1, room - 1))
        elif alerts == -1 and start < self._top <= end:
            self._top = max(start, self._top - max(1, room - 1))
        else:
            self._select(self._index + alerts)
        self.redraw()

    def _select(self, index: int) -> None:
        index = min(max(0, index), max(0, len(self.alerts) - 1))
        if index != self._index:
            self._index = index
            if self._height(index) > self.size.height - 2:
                self._top = self._row_of(index)

    # ------------------------------------------------------------------------ which rows

    def _height(self, index: int) -> int:
        if index != self._index or not self.alerts:
            return SHORT
        return len(self._lines(index, self.size.width - 4))

    def _row_of(self, index: int) -> int:
        """The first row of an alert, counted from the top of the whole list."""
        longer = self._height(self._index) - SHORT if index > self._index else 0
        return index * SHORT + longer

    def _at(self, row: int) -> int:
        """The alert that has a row of the whole list."""
        below = row - self._row_of(self._index) - self._height(self._index)
        return min(row // SHORT, self._index) if below < 0 else self._index + 1 + below // SHORT

    def get_content_height(self, container: Size, _viewport: Size, width: int) -> int:
        """Rows for the longest alert in full: nothing jumps when another one is selected."""
        height = SHORT * len(self.alerts) + 2
        if height >= container.height:
            return height
        lengths = (len(self._details(alert, width - 4)) for alert in self.alerts)
        longest = max(lengths, default=0)
        return max(3, height + longest)

    # ------------------------------------------------------------------------ what is drawn

    @property
    def titles(self) -> tuple[str, ...]:
        """How many there are."""
        opened = sum(alert.state == "open" for alert in self.alerts)
        amounts = f"{opened:,} open, {len(self.alerts) - opened:,} closed"
        return (f"Alerts: {amounts}", "Alerts") if self.alerts else ("Alerts",)

    def headline(self) -> tuple[str, Style]:
        """Which of how many is selected."""
        amount = len(self.alerts)
        return (f"{self._index + 1:,} of {amount:,}" if amount else ""), colours.TEXT

    def draw_content(self, canvas: Canvas, box: Box) -> None:
        """The rows that are in sight, and the keys in the frame below."""
        self._draw_keys(canvas, box)
        if not self.alerts:
            canvas.write(box.x, box.y, "No alerts in this run.", colours.GOOD, box.width)
            return
        start = self._row_of(self._index)
        end = start + self._height(self._index) - box.height
        rows = SHORT * (len(self.alerts) - 1) + self._height(self._index)
        self._top = max(min(start, end), min(self._top, max(start, end)))
        self._top = max(0, min(self._top, rows - box.height))
        index = self._at(self._top)
        while index < len(self.alerts) and (y := self._row_of(index) - self._top) < box.height:
            for row, line in enumerate(self._lines(index, box.width), y):
                x = box.x
                for text, style in line if 0 <= row < box.height else ():
                    x = canvas.write(x, box.y + row, text, style, box.x + box.width - x)
            index += 1
        self.draw_scroll(canvas, box, self._top, box.height, rows)

    def _lines(self, index: int, width: int) -> list[Line]:
        """All rows of an alert."""
        alert, chosen = self.alerts[index], index == self._index
        indent = EFFECT if alert.key in self._effects else ""
        first = alert_headline(alert, width - len(indent), chosen=chosen)
        first.insert(0, (indent, colours.FRAME_FOCUSED if chosen else colours.QUIET))
        if not chosen:
            indent = " " * (len(indent) + 3)
            text = cut(alert.headline or alert.evidence, width - len(indent))
            return [first, [(indent, colours.PLAIN), (text, colours.QUIET)]]
        last = index == len(self.alerts) - 1
        return [first, *self._details(alert, width), *([] if last else [[]])]

    def _details(self, alert: Alert, width: int) -> list[Line]:
        return details(alert, width, self._parts.get(alert.key, ("", "")))

    def _draw_keys(self, canvas: Canvas, box: Box) -> None:
        """The keys that have a word, and what Enter goes to."""
        keys = [key for key in ALERT_KEYS if key.footer and (self.alerts or key.action == "close")]
        alert = self.selected
        place = ""
        if alert is not None:
            place = " " + [*alert.parameters[:1], f"the {panel_of(alert.rule)}"][0]

        def room() -> int:
            return box.width - sum(cell_len(short(key) + key.footer) + 4 for key in keys)

        for spare in [key for key in reversed(keys) if key.action in SPARE]:
            if room() < cell_len(place):
                keys.remove(spare)
        words = {key: key.footer for key in keys}
        for key in keys:
            if key.action == "go":
                words[key] = key.footer + shorten(place, max(0, room()))
        x, y = box.x, canvas.height - 1
        for key, word in words.items():
            x = canvas.write(x, y, f" {short(key)} ", colours.KEY, box.x + box.width - x)
            x = canvas.write(x, y, f" {word} ", colours.TEXT, box.x + box.width - x)

    # ------------------------------------------------------------------------ what the mouse does

    def on_click(self, event: events.Click) -> None:
        """Select the alert under the mouse; go to what it names if it is selected."""
        index = self._at(self._top + event.y - 1)
        if 0 < event.y < self.size.height - 1 and index < len(self.alerts):
            if index == self._index:
                self.post_message(self.Opened())
            self._select(index)
            self.redraw()

    def on_mouse_scroll_down(self, _: events.MouseScrollDown) -> None:
        """Further down."""
        self.move(1)

    def on_mouse_scroll_up(self, _: events.MouseScrollUp) -> None:
        """Further up."""
        self.move(-1)


def _again(alerts: Sequence[Alert], former: Alert | None, index: int) -> int:
    """Where the alert `former` is now; one in its place where it is gone."""
    if former is None:
        return 0
    alike = [i for i, alert in enumerate(alerts) if alert.rule == former.rule]
    if alike:
        return min(alike, key=lambda i: abs(alerts[i].first_step - former.first_step))
    return max(0, min(index, len(alerts) - 1))
