"""How inks and characters look on a terminal: dark or light, in how many colours, in ASCII.

All is drawn in the colours of `colours`, which suit a dark terminal of all colours, and in Unicode;
an `Appearance` tells what stands for them on another one.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from rich.color import Color
from rich.style import Style

from tbgrad_tui.chart import colours
from tbgrad_tui.chart.oklch import colour_of, oklch_of

Colours: TypeAlias = Literal["all", "256", "standard", "none"]

RAMPS: Mapping[Colours, tuple[int, ...]] = {
    "256": (17, 18, 19, 24, 25, 31, 36, 42, 78, 114, 150, 186, 191, 228),
    "standard": (4, 12, 6, 14, 11),
}
"""The numbers of the colours of a map where there are few: in rising lightness, without red."""

DIVERGING: Mapping[Colours, tuple[int, ...]] = {
    "256": (183, 141, 99, 61, 60, 237, 237, 58, 100, 142, 185, 227),
    "standard": (12, 4, 0, 3, 11),
}
"""The same of what should be near the middle of its scale, which is dark."""


def colours_of(system: str | None) -> Colours:
    """The same in the words of rich."""
    if system == "256":
        return "256"
    if system is None:
        return "none"
    return "all" if system == "truecolor" else "standard"


@dataclass(frozen=True, slots=True)
class Appearance:
    """What a terminal is like.

    Attributes:
        light: whether its background is.
        colours: how many it has, "256" or "standard", where a map needs colours of its own for
            that; "none" where it needs shades.
        ascii: whether it has ASCII alone.
    """

    light: bool = False
    colours: Colours = "all"
    ascii: bool = False

    def look(self, style: Style) -> Style:
        """What stands for a style."""
        ground = _grounds(self.light, self.colours).get(style.bgcolor) if style.bgcolor else None
        if ground is None:
            return _turned(style, self.light)
        if style.color is None:
            return style + Style(bgcolor=ground)
        lines = colours.LINES if style.color in colours.LINES else (style.color,) * 2
        dark = oklch_of(ground.get_truecolor())[0] < 0.6
        return style + Style(color=lines[0] if dark else lines[1], bgcolor=ground)

    def variables(self) -> dict[str, str]:
        """Colours of what is not drawn on a canvas, by the names that Textual's styles use."""
        found = {
            name: _turned_colour(Color.parse(colour)).name if self.light else colour
            for name, colour in colours.SURFACES.items()
        }
        return found | {"page-border": "ascii" if self.ascii else "round"}

    def characters(self, codes: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """What stands for these code points, in as many cells."""
        if not self.ascii:
            return codes
        known = _ascii_table()
        beyond = codes >= len(known)
        return np.where(beyond, ord("?"), known[np.where(beyond, 0, codes)]).astype(np.uint32)


@lru_cache(maxsize=8)
def _grounds(light: bool, system: Colours) -> dict[Color, Color]:
    """What stands for the colours of maps where there are few, or where high is to be dark."""
    found: dict[Color, Color] = {}
    for heat, ramps in ((colours.HEAT, RAMPS), (colours.DIVERGING, DIVERGING)):
        known = [style.bgcolor for style in heat if style.bgcolor is not None]
        shown = known
        if ramp := ramps.get(system):
            shown = [Color.from_ansi(ramp[i * len(ramp) // len(known)]) for i in range(len(known))]
        if light and heat is colours.HEAT:
            shown = shown[::-1]
        if shown is not known:
            found |= dict(zip(known, shown, strict=True))
    return found


def _turned(style: Style, light: bool) -> Style:
    """A style on light ground: what is light there is dark, of the same hue."""
    if not light or not (style.color or style.bgcolor):
        return style
    return style + Style(
        color=_turned_colour(style.color) if style.color else None,
        bgcolor=_turned_colour(style.bgcolor) if style.bgcolor else None,
    )


def _turned_colour(colour: Color) -> Color:
    lightness, chroma, hue = oklch_of(colour.get_truecolor())
    return colour_of(min(1.0, 1.16 - 0.96 * lightness), chroma, hue)


_LETTERS = {
    "─┈╌━—–": "-", "│┃┆╎": "|", "╭╮╰╯└┘┌┐├┤┬┴┼": "+", "░": ".", "▒": ":", "▓": "%", "█": "#",
    "▁": ".", "▂": ":", "▃": "-", "▄": "=", "▅": "+", "▆": "*", "▇": "%", "▀": "'",
    "●": "*", "○": "o", "◆": "!", "▲": "^", "▴": "^", "▾": "v", "▼": "v", "▸": ">", "•": ".",
    "✕": "X", "✓": "v", "·": ".", "…": "~", "×": "x", "÷": "/", "±": "~", "‖": "|", "√": "V",
    "∇": "V", "λ": "L", "η": "n", "σ": "s", "β": "b", "ε": "e", "μµ": "u", "Δ": "D", "→⇒": ">",
    "←": "<", "↓": "v", "↑⇧": "^", "≥": ">", "≤": "<", "≈": "~", "‘’": "'", "“”": '"', "°": "o",
    "⏎": "<",
}  # fmt: skip
"""ASCII for what is drawn, a character a cell."""


@lru_cache(maxsize=1)
def _ascii_table() -> NDArray[np.uint32]:
    table = np.full(0x2900, ord("?"), dtype=np.uint32)
    table[32:127] = np.arange(32, 127)
    for characters, letter in _LETTERS.items():
        table[[ord(character) for character in characters]] = ord(letter)
    for code in range(0xA0, 0x250):  # letters with marks
        plain = unicodedata.normalize("NFKD", chr(code))[0]
        if "!" <= plain <= "~":
            table[code] = ord(plain)
    for dots in range(256):
        upper, lower = bool(dots & 0b00011011), bool(dots & 0b11100100)
        table[0x2800 + dots] = ord((" ", ".", "'", ":")[2 * upper + lower])
    return table
