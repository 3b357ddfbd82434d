"""Words with their styles, broken into lines that fit."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.style import Style

from tbgrad_tui.chart import colours
from tbgrad_tui.chart.text import clean

Line = list[tuple[str, Style]]
"""Words of one line with their styles."""


def wrapped(lines: Sequence[Line], width: int) -> list[Line]:
    """Lines broken at blanks so that each fits `width`; a continuation is indented like its line's
    first words."""
    result: list[Line] = []
    for line in lines:
        indent = cell_len(line[0][0]) if len(line) > 1 else 0
        indent = indent if indent < width // 2 else 2
        current: Line = []
        used = 0
        for text, style in line:
            for word in _words(clean(text), max(4, width - indent)):
                size = cell_len(word)
                if used + cell_len(word.rstrip()) > width and used > indent:
                    result.append(current)
                    current, used = [(" " * indent, colours.PLAIN)], indent
                    word = word.lstrip()
                    size = cell_len(word)
                current.append((word, style))
                used += size
        result.append(current)
    return result


def _words(text: str, width: int) -> list[str]:
    """`text` cut after its blanks, and inside what is wider than `width`."""
    pieces: list[str] = [""]
    for character in text:
        if cell_len(pieces[-1]) >= width or (pieces[-1].endswith(" ") and character != " "):
            pieces.append("")
        pieces[-1] += character
    return pieces
