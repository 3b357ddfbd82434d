"""What text goes through: tables with rules on a terminal, plain aligned columns in a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import IO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPE_COLUMNS = 10_000
"""Wide enough that no line of a piped report is ever wrapped."""


class _Console(Console):
    """A console that leaves it to the command what a reader that went away means."""

    def on_broken_pipe(self) -> None:
        """Exiting with 1, as Rich does, would say that an alert was found."""
        raise BrokenPipeError


class Output:
    """The few shapes a report is made of, on a terminal or in a pipe."""

    def __init__(self, file: IO[str] | None = None) -> None:
        """Write to `file`, standard output unless given."""
        self.console = _Console(file=file, markup=False, highlight=False, emoji=False)
        if not self.console.is_terminal:
            self.console = _Console(
                file=file, markup=False, highlight=False, emoji=False, width=PIPE_COLUMNS,
                no_color=True,
            )  # fmt: skip

    def line(self, text: str, style: str = "") -> None:
        """One line."""
        self.console.print(Text(text, style=style))

    def entry(self, name: str, text: str, style: str = "") -> None:
        """A name and what is said of it, in two columns."""
        self.line(f"{name:<16}{text}", style)

    def heading(self, text: str) -> None:
        """A line in bold, after an empty one."""
        self.console.print()
        self.console.print(Text(text, style="bold"))

    def table(self, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """First column left, the others right; long names fold rather than vanish.

        A line break in the header saves width on a terminal and is a space in a pipe.
        """
        terminal = self.console.is_terminal
        table = Table(box=box.SIMPLE_HEAD if terminal else None, pad_edge=False, show_edge=False)
        for i, title in enumerate(header):
            table.add_column(
                Text(title if terminal else title.replace("/\n", "/").replace("\n", " ")),
                justify="right" if i else "left",
                overflow="fold",
                no_wrap=not terminal,
                min_width=8 if i else 12,
            )
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        self.console.print(table)
