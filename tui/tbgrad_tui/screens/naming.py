"""Asks under which name a file is saved."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.widgets import Input

from tbgrad_tui.chart import colours
from tbgrad_tui.chart.canvas import Canvas
from tbgrad_tui.chart.text import shorten
from tbgrad_tui.widgets.panel import Drawing

SHOWN = 8
"""So many directories to choose from are named."""


class NamingPage(ModalScreen[Path | None]):
    """A line with a proposed path, which may be changed. It ends with the path, None if cancelled.

    Tab completes directories. A file that is there is replaced only by a second Enter.
    """

    DEFAULT_CSS = """
    NamingPage { align: center middle; background: $page; }
    NamingPage > Input {
        width: 90%; max-width: 110; height: 3; border: $page-border $accent-line; padding: 0 1;
        background: $page; color: $text-on-bar; border-title-color: $accent-line;
        &:focus { border: $page-border $accent-line; }
    }
    NamingPage > Words { width: 90%; max-width: 110; height: 2; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", show=False),
        Binding("tab", "complete", show=False),
    ]

    def __init__(self, what: str, proposed: Path) -> None:
        super().__init__()
        self._what, self._proposed = what, proposed
        self._warned = ""

    def compose(self) -> ComposeResult:
        """The line, and what there is to say."""
        line = Input(str(self._proposed), select_on_focus=False)
        line.border_title = f"Save {self._what} as"
        yield line
        yield Words("naming-words")

    def on_mount(self) -> None:
        """Say how it goes."""
        self._say("")

    def _say(self, words: str) -> None:
        self.query_one(Words).say(words)

    def action_cancel(self) -> None:
        """Save nothing."""
        self.dismiss(None)

    def action_complete(self) -> None:
        """Complete the directory ahead of the cursor."""
        line = self.query_one(Input)
        before, behind = line.value[: line.cursor_position], line.value[line.cursor_position :]
        completed, choices = complete(before)
        with line.prevent(Input.Changed):  # which would take the words away
            line.value = completed + behind
        self._warned = ""
        line.cursor_position = len(completed)
        more = f" and {len(choices) - SHOWN:,} more" if len(choices) > SHOWN else ""
        none = "" if completed != before else "no directory begins so"
        self._say("  ".join(choices[:SHOWN]) + more if choices else none)

    def on_input_changed(self) -> None:
        """Another name is another question."""
        self._warned = ""
        self._say("")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take the name, or say what speaks against it."""
        event.stop()
        path = Path(os.path.expanduser(event.value.strip() or str(self._proposed)))
        if path.is_dir():
            path /= self._proposed.name
        if not path.parent.is_dir():
            self._say(f"there is no directory {path.parent}")
        elif path.exists() and self._warned != str(path):
            self._warned = str(path)
            self._say(f"{path} is there already: Enter again replaces it")
        else:
            self.dismiss(path)


class Words(Drawing):
    """A sentence, and below it the keys."""

    KEYS = "Enter saves · Tab completes a directory · Esc cancels"
    words = ""

    def say(self, words: str) -> None:
        """Show another sentence."""
        self.words = words
        self.redraw()

    def draw(self, canvas: Canvas) -> None:
        """Both."""
        canvas.write(1, 0, shorten(self.words, canvas.width - 2), colours.WARNING)
        canvas.write(1, 1, shorten(self.KEYS, canvas.width - 2), colours.QUIET)


def complete(text: str) -> tuple[str, list[str]]:
    """`text` as far as it can mean one directory only, and those that it can mean where several.

    >>> complete("fig")
    ('figures/', [])
    """
    above, slash, begun = text.rpartition("/")
    try:
        entries = sorted(os.scandir(os.path.expanduser(above + slash) or "."), key=lambda e: e.name)
    except OSError:
        return text, []
    names = [
        entry.name
        for entry in entries
        if entry.name.startswith(begun) and (begun or entry.name[0] != ".") and _is_directory(entry)
    ]
    if not names:
        return text, []
    if len(names) == 1:
        return f"{above}{slash}{names[0]}/", []
    return above + slash + _shared(names), names


def _shared(names: list[str]) -> str:
    """What all of these, which are sorted, begin with."""
    first, last = names[0], names[-1]
    differs = (i for i, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1])
    return first[: next(differs, min(len(first), len(last)))]


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
