"""Sends over a network only the cells of the screen that are not as they were.

What Textual writes begins each changed line at its left edge, with the whole style before each
piece; over SSH nine tenths of the bytes are such styles. `Difference` keeps what is on the screen
and passes on what is new, in as few bytes as that takes.
"""

from __future__ import annotations

import re

from rich.cells import get_character_cell_size

from tbgrad_tui.answers import PatientDriver

_PIECES = re.compile(
    r"\x1b\[(?P<row>\d+);(?P<column>\d+)H|\x1b\[(?P<style>[\d;]*)m|(?P<line>\r?\n)"
    r"|(?P<text>[^\x00-\x1f\x7f]+)"
    r"|(?P<other>\x1b\[[\x30-\x3f]*[\x20-\x2f]*[\x40-\x7e]|\x1b[\]P^_].*?(?:\x07|\x1b\\)|\x1b?.)",
    re.DOTALL,
)

_KEEPS = re.compile(r"\x1b\[\?(?:2026|25)[hl]|\x1b\[\?\d+\$p|\x1b\].*|\x07", re.DOTALL)
"""What leaves the cells as they are: synchronised output, the cursor, questions, titles, bells."""

Style = tuple[frozenset[str], str, str]
"""Bold and the like, the colour of letters, that behind them; each as the codes that set it."""

PLAIN: Style = (frozenset(), "", "")
_UNDERLINE, _REVERSE, _STRUCK = "4", "7", "9"
_SEEN_ON_BLANKS = {_UNDERLINE, "21", _REVERSE, _STRUCK}


class Difference:
    """The screen as it was written to last.

    >>> difference = Difference()
    >>> difference.of("\\x1b[1;1Hab"), difference.of("\\x1b[1;1Hax")
    ('\\x1b[1;1Hab', '\\x1b[1;2Hx')
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Nothing is known of the screen, as after its size has changed."""
        self._cells: dict[tuple[int, int], tuple[str, Style]] = {}
        self._sent: Style | None = None
        self._cursor: tuple[int, int] | None = None

    def of(self, written: str) -> str:
        """What to send for what is written."""
        out: list[str] = []
        row, column, style = -1, -1, PLAIN
        for piece in _PIECES.finditer(written):
            kind = piece.lastgroup
            if kind == "text" and row >= 0:
                column = self._put(out, row, column, piece["text"], style)
            elif kind == "column":
                row, column = int(piece["row"]), int(piece["column"])
            elif kind == "style":
                style = _styled(style, piece["style"])
            elif kind == "line" and row >= 0:
                row, column = row + 1, 1
            else:
                if not _KEEPS.fullmatch(piece[0]):  # it may act where, and in what style, that is
                    out.append(f"\x1b[{row};{column}H" if row >= 0 else "")
                    out.append(_change(None, style))
                    self.forget()
                out.append(piece[0])
        return "".join(out)

    def _put(self, out: list[str], row: int, column: int, text: str, style: Style) -> int:
        for character in text:
            width = get_character_cell_size(character)
            if not width:  # it belongs to the one before
                column -= 1
                before = self._cells.get((row, column), (" ", style))[0]
                self._send(out, row, column, before + character, style)
                column += 1
                continue
            cell = (character, _seen(character, style))
            if self._cells.get((row, column)) != cell:
                self._send(out, row, column, character, style)
                if width > 1:
                    self._cells[row, column + 1] = ("", style)
                    self._cursor = None
            column += width
        return column

    def _send(self, out: list[str], row: int, column: int, text: str, style: Style) -> None:
        seen = _seen(text, style)
        if self._cells.get((row, column), (" ", style))[0] == "":  # the other half goes, too
            self._cells.pop((row, column - 1), None)
        if self._cells.get((row, column + 1), (" ", style))[0] == "":
            self._cells.pop((row, column + 1))
        self._cells[row, column] = (text, seen)
        if self._cursor != (row, column):
            out.append(f"\x1b[{row};{column}H")
        if self._sent is None or _seen(text, self._sent) != seen:
            out.append(_change(self._sent, style))
            self._sent = style
        out.append(text)
        self._cursor = (row, column + 1)


def _styled(style: Style, codes: str) -> Style:
    """A style with the codes of one more sequence."""
    flags, ink, ground = style
    parts = codes.split(";") if codes else ["0"]
    at = 0
    while at < len(parts):
        code = parts[at] or "0"
        length = 1
        if code in ("38", "48"):
            length = {"5": 3, "2": 5}.get(parts[at + 1] if at + 1 < len(parts) else "", 1)
        whole = ";".join(parts[at : at + length])
        number = int(code)
        if number == 0:
            flags, ink, ground = PLAIN
        elif number == 39:
            ink = ""
        elif number == 49:
            ground = ""
        elif number == 38 or 30 <= number <= 37 or 90 <= number <= 97:
            ink = whole
        elif number == 48 or 40 <= number <= 47 or 100 <= number <= 107:
            ground = whole
        else:
            flags |= {whole}
        at += length
    return flags, ink, ground


def _seen(text: str, style: Style) -> Style:
    """What of a style is to be seen: of a blank its ground, and lines."""
    if text != " ":
        return style
    flags = style[0] & _SEEN_ON_BLANKS
    return flags, style[1] if flags else "", style[2]


def _change(before: Style | None, after: Style) -> str:
    """The shortest sequence from one style to another."""
    flags, ink, ground = after
    if before is None or before[0] - flags or (before[1] and not ink) or (before[2] and not ground):
        codes = ["0", *sorted(flags), ink, ground]
    else:
        codes = [*sorted(flags - before[0])]
        codes += [now for was, now in zip(before[1:], after[1:], strict=True) if now != was]
    return f"\x1b[{';'.join(code for code in codes if code)}m"


class NetworkDriver(PatientDriver):
    """Writes to a terminal at the other end of a network."""

    _difference: Difference | None = None

    def write(self, data: str) -> None:
        """Send what differs."""
        if self._difference is None:
            self._difference = Difference()
        super().write(self._difference.of(data))

    def forget(self) -> None:
        """What a terminal keeps of its cells when its size changes is not known."""
        if self._difference is not None:
            self._difference.forget()
