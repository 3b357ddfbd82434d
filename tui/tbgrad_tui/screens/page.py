"""A page of text over another screen: help, notes, damage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.screen import ModalScreen

from tbgrad.log.records import Damage
from tbgrad.reading.left_out import left_out_lines
from tbgrad.reading.run import Run
from tbgrad_tui import facts
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.canvas import Box, Canvas
from tbgrad_tui.chart.text import count, pad
from tbgrad_tui.chart.wrapping import Line, wrapped
from tbgrad_tui.keys import HELP
from tbgrad_tui.poller import Snapshot
from tbgrad_tui.widgets.panel import Panel


class Page(ModalScreen[None]):
    """A title and lines that scroll. Escape, Enter or q closes it, ? tells the keys."""

    DEFAULT_CSS = "Page { align: center middle; background: $page; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "dismiss", "close", show=False),
        Binding("question_mark,h", "help", "all keys", show=False),
        Binding("down,j", "scroll(1)", show=False),
        Binding("up,k", "scroll(-1)", show=False),
        Binding("pagedown,ctrl+d,space", "page(1)", show=False),
        Binding("pageup,ctrl+u", "page(-1)", show=False),
        Binding("home,g", "scroll(-1000000)", show=False),
        Binding("end,G", "scroll(1000000)", show=False),
    ]

    def __init__(self, title: str, at: Callable[[int], list[Line]]) -> None:
        super().__init__()
        self.panel = PagePanel(title, at)

    def compose(self) -> ComposeResult:
        """The lines in a frame."""
        yield self.panel

    def action_help(self) -> None:
        """All keys, over what is read; on the page of keys it closes that."""
        if isinstance(self, HelpPage):
            self.dismiss()
        else:
            self.app.push_screen(HelpPage())

    def action_scroll(self, lines: int) -> None:
        """Scroll by lines."""
        self.panel.scroll(lines)

    def action_page(self, pages: int) -> None:
        """Scroll by what is seen."""
        self.panel.scroll(pages * max(1, self.panel.size.height - 2))


class HelpPage(Page):
    """All keys, those of the section called `first` ahead, and what the marks mean."""

    def __init__(self, first: str = "") -> None:
        super().__init__("Keys", partial(help_at, first))


class PagePanel(Panel):
    """Lines as `at` wraps them at a width, in a frame; those in sight are drawn."""

    DEFAULT_CSS = """
    PagePanel { width: 90%; max-width: 110; height: auto; max-height: 90%; background: $page; }
    """

    def __init__(self, title: str, at: Callable[[int], list[Line]]) -> None:
        super().__init__("page-text")
        self._title, self._at = title, lru_cache(maxsize=4)(at)
        self._first = 0

    @property
    def titles(self) -> tuple[str, ...]:
        """What it is about, and how to leave."""
        return f"{self._title} (Esc closes)", self._title

    def get_content_height(self, _container: Size, _viewport: Size, width: int) -> int:
        """As many rows as the wrapped lines take, and the frame."""
        return max(1, len(self._at(width - 4))) + 2

    def scroll(self, lines: int) -> None:
        """Show what is further down."""
        self._first += lines
        self.redraw()

    def draw_content(self, canvas: Canvas, box: Box) -> None:
        """The lines that are in sight."""
        lines = self._at(box.width)
        self._first = max(0, min(self._first, len(lines) - box.height))
        for y, line in enumerate(lines[self._first : self._first + box.height]):
            x = box.x
            for text, style in line:
                x = canvas.write(x, box.y + y, text, style, box.x + box.width - x)
        self.draw_scroll(canvas, box, self._first, box.height, len(lines))

    def on_mouse_scroll_down(self, _: events.MouseScrollDown) -> None:
        """Further down."""
        self.scroll(3)

    def on_mouse_scroll_up(self, _: events.MouseScrollUp) -> None:
        """Further up."""
        self.scroll(-3)


@lru_cache(maxsize=8)
def help_at(first: str, width: int) -> list[Line]:
    """The page of keys at a width: it is the same at each look."""
    return wrapped(help_lines(first), width)


def help_lines(first: str) -> list[Line]:
    """All keys, those of a section ahead, and what the marks mean."""
    lines: list[Line] = []
    for section, keys in sorted(HELP, key=lambda each: each[0] != first):
        lines.append([(section, colours.TITLE_FOCUSED)])
        lines += [
            [(f"  {pad(key.shown, 8)}", colours.STRONG), (key.help, colours.TEXT)] for key in keys
        ]
    lines.append([("Marks", colours.TITLE_FOCUSED)])
    for mark, style, meaning in (
        ("✕", colours.NONFINITE, "value is NaN or infinite, at the top edge of a chart"),
        ("!", colours.NONFINITE, "gradient held NaN or infinity (layers)"),
        ("·", colours.ABSENT, "no gradient reached this parameter (layers)"),
        ("0", colours.ZERO, "gradient was exactly zero"),
        ("○", colours.WARNING, "eigenvalue estimate that did not converge"),
        ("╌", colours.THRESHOLD, "curvature above which the optimizer is unstable"),
        ("▴ ▾", colours.WARNING, "value beyond the axis, or negative on a logarithmic one"),
        *(
            (*mark, f"alert of severity {name}, and where it began below charts")
            for name, mark in colours.SEVERITIES.items()
        ),
    ):
        lines.append(
            [
                ("  ", colours.PLAIN),
                (mark, style),
                (f"{pad('', 8 - len(mark))}{meaning}", colours.TEXT),
            ]
        )
    lines.append(
        [
            ("  ", colours.PLAIN),
            (
                "The mouse selects runs, layers and steps of charts; there the wheel zooms.",
                colours.QUIET,
            ),
        ]
    )
    return lines


def note_lines(run: Run) -> list[Line]:
    """What the monitor said about itself."""
    return [
        [(f"step {step:>9,}  ", colours.QUIET), (text, colours.TEXT)]
        for step, text in reversed(run.notes)
    ] or [[("The monitor has nothing to say about itself.", colours.GOOD)]]


def damage_lines(
    damage: Sequence[Damage], problems: dict[str, str], left_out: Sequence[tuple[str, str]] = ()
) -> list[Line]:
    """What could not be read: which file, where, why; and what of the runs is in no series."""
    lines: list[Line] = [
        [("cannot read ", colours.ALERT), (f"{path}: {reason}", colours.TEXT)]
        for path, reason in problems.items()
    ]
    if damage:
        text = f"{count(len(damage), 'damaged place')}; everything before and after is shown."
        lines.append([(text, colours.WARNING)])
    lines += [[("  ", colours.PLAIN), (str(place), colours.TEXT)] for place in damage[:500]]
    if left_out:
        lines.append([("Left out, run by run:", colours.WARNING)])
    for run, values in left_out[:500]:
        lines.append([(f"  {run}  ", colours.QUIET), (values, colours.TEXT)])
    return lines or [[("Everything could be read.", colours.GOOD)]]


def unread_lines(snapshot: Snapshot, shown: Run | None) -> list[Line]:
    """What could not be read of all runs, and what of the shown one was not judged."""
    runs = snapshot.runs.items()
    left_out = [(name, line) for name, run in runs for line in left_out_lines(run.left_out)]
    if shown is not None:
        said = facts.judgement(shown).not_judged
        left_out += [(shown.name, f"not judged: {sentence}") for sentence in said]
    return damage_lines(facts.damage(snapshot.runs), dict(snapshot.problems), left_out)
