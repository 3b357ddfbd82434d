"""A page of text over another screen: help, notes, damage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.geometry import Size
from textual.screen import ModalScreen

from tbgrad.log.records import Damage
from tbgrad.reading.run import Run, left_out_lines
from tbgrad_tui import facts
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.canvas import Canvas
from tbgrad_tui.chart.text import count, pad
from tbgrad_tui.chart.wrapping import Line, wrapped
from tbgrad_tui.keys import HELP
from tbgrad_tui.poller import Snapshot
from tbgrad_tui.widgets.panel import Drawing


class Page(ModalScreen[None]):
    """A title and lines that scroll. Escape, Enter or q closes it, ? tells the keys."""

    DEFAULT_CSS = """
    Page { align: center middle; background: $page; }
    Page > VerticalScroll {
        width: 90%; max-width: 110; height: auto; max-height: 90%;
        background: $page; border: $page-border $accent-line; padding: 0 1;
        border-title-color: $accent-line; border-title-style: bold;
        scrollbar-size-vertical: 1; scrollbar-color: $quiet-line; scrollbar-background: $page;
        scrollbar-color-hover: $accent-line; scrollbar-background-hover: $page;
        scrollbar-color-active: $accent-line; scrollbar-background-active: $page;
    }
    PageText { height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "dismiss", "close", show=False),
        Binding("question_mark,h", "help", "all keys", show=False),
        Binding("j", "scroll(1)", show=False),
        Binding("k", "scroll(-1)", show=False),
    ]

    def __init__(self, title: str, lines: Sequence[Line]) -> None:
        super().__init__()
        self._title = title
        self._lines = lines

    def compose(self) -> ComposeResult:
        """The lines in a frame."""
        scroll = VerticalScroll(PageText(self._lines))
        scroll.border_title = f"{self._title} (Esc closes)"
        yield scroll

    def action_help(self) -> None:
        """All keys, over what is read; on the page of keys it closes that."""
        if isinstance(self, HelpPage):
            self.dismiss()
        else:
            self.app.push_screen(HelpPage())

    def action_scroll(self, lines: int) -> None:
        """Scroll by lines."""
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)


class HelpPage(Page):
    """All keys, and what the marks mean."""

    def __init__(self) -> None:
        super().__init__("Keys", help_lines())


class PageText(Drawing):
    """Lines of words, wrapped at the width."""

    def __init__(self, lines: Sequence[Line]) -> None:
        super().__init__("page-text")
        self._lines = lines
        self._wrapped: dict[int, list[Line]] = {}

    def _at(self, width: int) -> list[Line]:
        """The lines at a width, which is asked for again and again."""
        if width not in self._wrapped:
            self._wrapped[width] = wrapped(self._lines, width)
        return self._wrapped[width]

    def get_content_height(self, _container: Size, _viewport: Size, width: int) -> int:
        """As many rows as the wrapped lines take."""
        return max(1, len(self._at(width)))

    def draw(self, canvas: Canvas) -> None:
        """The wrapped lines."""
        for y, line in enumerate(self._at(canvas.width)):
            x = 0
            for text, style in line:
                x = canvas.write(x, y, text, style)


def help_lines() -> list[Line]:
    """All keys, and what the marks mean."""
    lines: list[Line] = []
    for section, keys in HELP:
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
