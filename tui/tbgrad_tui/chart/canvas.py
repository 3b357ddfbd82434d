"""A grid of cells to draw on, and its lines as strips of merged segments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.cells import get_character_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tbgrad_tui.chart.appearance import Appearance
from tbgrad_tui.chart.colours import PLAIN
from tbgrad_tui.chart.text import clean

_BLANK = ord(" ")

_styles: list[Style] = [PLAIN]
_looks: list[Style] = [PLAIN]
_ink_of: dict[Style, int] = {PLAIN: 0}
_appearance = Appearance()


def ink(style: Style) -> int:
    """The number that stands for `style` in every canvas."""
    if style not in _ink_of:
        _ink_of[style] = len(_styles)
        _styles.append(style)
        _looks.append(_appearance.look(style))
    return _ink_of[style]


def set_appearance(appearance: Appearance) -> None:
    """Say what the terminal is like. Whatever was drawn before has to be drawn again."""
    global _appearance
    _appearance = appearance
    _looks[:] = [appearance.look(style) for style in _styles]


def appearance() -> Appearance:
    """What the terminal is said to be like."""
    return _appearance


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of cells."""

    x: int
    y: int
    width: int
    height: int

    def inside(self, left: int, top: int, right: int, bottom: int) -> Box:
        """The rectangle that remains when margins are cut off; never of negative size."""
        return Box(
            self.x + left,
            self.y + top,
            max(0, self.width - left - right),
            max(0, self.height - top - bottom),
        )

    def rows(self, first: int, height: int) -> Box:
        """`height` rows from row `first` on."""
        return Box(self.x, self.y + first, self.width, max(0, min(height, self.height - first)))


class Canvas:
    """Cells of a character and an ink each. Whatever lies outside is not drawn.

    `codes` [height, width] holds code points, 0 in the right half of a wide character.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width = max(0, width)
        self.height = max(0, height)
        self.codes = np.full((self.height, self.width), _BLANK, dtype="<u4")
        self.inks = np.zeros((self.height, self.width), dtype=np.int16)

    @property
    def box(self) -> Box:
        """The whole canvas."""
        return Box(0, 0, self.width, self.height)

    def write(self, x: int, y: int, text: str, style: Style = PLAIN, width: int = 1 << 30) -> int:
        """Write `text`, cleaned, in at most `width` cells from (x, y); the column after it."""
        limit = min(self.width, x + width)
        if not 0 <= y < self.height:
            return x
        number = ink(style)
        for character in clean(text):
            size = get_character_cell_size(character)
            if x + size > limit:
                break
            if x >= 0 and size:
                self.codes[y, x] = ord(character)
                self.codes[y, x + 1 : x + size] = 0
                self.inks[y, x : x + size] = number
            x += size
        return x

    def fill(self, box: Box, character: str, style: Style) -> None:
        """Set every cell of `box`."""
        place = np.s_[max(0, box.y) : box.y + box.height, max(0, box.x) : box.x + box.width]
        self.codes[place] = ord(character)
        self.inks[place] = ink(style)

    def tint(self, box: Box, style: Style) -> None:
        """Put a background behind every cell of `box` that has none."""
        place = np.s_[max(0, box.y) : box.y + box.height, max(0, box.x) : box.x + box.width]
        for number in sorted(set(self.inks[place].ravel().tolist())):
            self.inks[place][self.inks[place] == number] = ink(style + _styles[number])

    def paint(self, x: int, y: int, codes: NDArray[np.uint32], inks: NDArray[np.int16]) -> None:
        """Copy a block of cells whose code is not 0 to (x, y)."""
        height = max(0, min(codes.shape[0], self.height - y))
        width = max(0, min(codes.shape[1], self.width - x))
        drawn = codes[:height, :width] != 0
        self.codes[y : y + height, x : x + width][drawn] = codes[:height, :width][drawn]
        self.inks[y : y + height, x : x + width][drawn] = inks[:height, :width][drawn]

    def place(self, other: Canvas, x: int, y: int) -> None:
        """Copy another canvas to (x, y), what is blank there too."""
        height = max(0, min(other.height, self.height - y))
        width = max(0, min(other.width, self.width - x))
        self.codes[y : y + height, x : x + width] = other.codes[:height, :width]
        self.inks[y : y + height, x : x + width] = other.inks[:height, :width]

    def mark(self, x: NDArray[np.intp], y: NDArray[np.intp], character: str, style: Style) -> None:
        """Put one narrow character at many places."""
        inside = (x >= 0) & (x < self.width) & (y >= 0) & (y < self.height)
        self.codes[y[inside], x[inside]] = ord(character)
        self.inks[y[inside], x[inside]] = ink(style)

    def line(self, x: int, y: int, height: int, character: str, style: Style) -> None:
        """A vertical line that leaves the colours behind it as they are."""
        for row in range(max(0, y), min(self.height, y + height)):
            if 0 <= x < self.width:
                behind = _styles[self.inks[row, x]].bgcolor
                self.codes[row, x] = ord(character)
                self.inks[row, x] = ink(style + Style(bgcolor=behind))

    def strip(self, y: int) -> Strip:
        """One line: neighbours of the same ink are one segment."""
        codes, inks = _appearance.characters(self.codes[y]), self.inks[y]
        ends = [*(np.flatnonzero(np.diff(inks)) + 1).tolist(), self.width]
        segments = []
        start = 0
        for end in ends:
            part = codes[start:end]
            text = part[part != 0].tobytes().decode("utf-32-le")
            segments.append(Segment(text, _looks[inks[start]]))
            start = end
        return Strip(segments if self.width else [], self.width)

    def text(self) -> list[str]:
        """The lines without their styles, in Unicode."""
        return [row[row != 0].tobytes().decode("utf-32-le") for row in self.codes]

    def changes(self, former: Canvas) -> list[Box]:
        """One box a line that differs from `former`, a canvas of the same size."""
        differs = (self.codes != former.codes) | (self.inks != former.inks)
        boxes = []
        for y in np.flatnonzero(differs.any(axis=1)).tolist():
            if (self.codes[y] == 0).any() or (former.codes[y] == 0).any():
                boxes.append(Box(0, y, self.width, 1))  # never cut a wide character
            else:
                columns = np.flatnonzero(differs[y])
                first, last = int(columns[0]), int(columns[-1])
                boxes.append(Box(first, y, last + 1 - first, 1))
        return boxes
