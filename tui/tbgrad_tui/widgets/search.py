"""A line to type in what is looked for."""

from __future__ import annotations

from textual.widgets import Input


class SearchLine(Input):
    """Hidden until it is opened; `Input.Changed` tells what is typed, `Input.Submitted` the end."""

    DEFAULT_CSS = """
    SearchLine { display: none; }
    SearchLine, SearchLine:focus {
        height: 1; border: none; padding: 0 1; background: $bar; color: $text-on-bar;
    }
    """

    def __init__(self, hint: str) -> None:
        super().__init__(placeholder=hint, id="search")

    def open(self) -> None:
        """Show it, and take the keys."""
        self.display = True
        self.focus()

    def close(self) -> None:
        """Hide it with nothing in it."""
        self.value, self.display = "", False
