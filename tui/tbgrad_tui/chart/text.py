"""Words and numbers as they are drawn: cleaned, cut to width, short."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from rich.cells import cell_len, set_cell_size

from tbgrad.log.brief import count as count
from tbgrad.log.brief import number as number
from tbgrad.log.brief import percent as percent

_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@lru_cache(maxsize=8192)
def clean(text: str) -> str:
    """`text` without anything a terminal would obey: each such character becomes "�"."""
    if text.isascii() and text.isprintable():
        return text
    shown = []
    for character in unicodedata.normalize("NFC", text):
        if unicodedata.category(character) in _INVISIBLE:
            shown.append("�")
        elif cell_len(character) > 0:
            shown.append(character)
    return "".join(shown)


def shorten(text: str, width: int) -> str:
    """`text` in at most `width` cells: the middle of a longer one is replaced by "…"."""
    text = clean(text)
    if cell_len(text) <= width:
        return text
    if width <= 1:
        return "…"[: max(width, 0)]
    tail = width // 2
    head = width - 1 - tail
    return set_cell_size(text, head).rstrip() + "…" + _last_cells(text, tail)


def cut(text: str, width: int) -> str:
    """The beginning of `text` in at most `width` cells, with "…" where there is more."""
    text = clean(text)
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, max(0, width - 1)).rstrip(" ,;:") + "…"


def pad(text: str, width: int) -> str:
    """`text` shortened or filled with blanks to exactly `width` cells."""
    text = shorten(text, width)
    return text + " " * (width - cell_len(text))


def _last_cells(text: str, width: int) -> str:
    kept = ""
    for character in reversed(text):
        if cell_len(character + kept) > width:
            break
        kept = character + kept
    return kept


def step_label(step: float) -> str:
    """A step on an axis: 500, 1.5k, 20k, 3M."""
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(step) >= size:
            return f"{step / size:.10g}{suffix}"
    return f"{step:.10g}"


def duration(seconds: float) -> str:
    """A length of time in its largest unit: 3 s, 2 min, 5 h, 4 d."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"


def size(amount: int) -> str:
    """An amount of bytes: 812 B, 14 kB, 1.5 MB."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if amount >= unit:
            return f"{number(amount / unit)} {name}"
    return f"{amount} B"
