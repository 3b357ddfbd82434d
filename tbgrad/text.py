"""Words and numbers for people: what a log says is data, never markup or an escape sequence."""

from __future__ import annotations

import math
import unicodedata


def printable(text: str, limit: int = 200) -> str:
    """`text` on one line without control, format or broken characters, at most `limit` long.

    They appear as Python would write them (`\\x1b`), so that a name with an escape sequence can
    neither move the cursor nor pose as another name.
    """
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(
        c if c == " " or unicodedata.category(c)[0] not in "CZ" else ascii(c)[1:-1] for c in cut
    )


def number(value: float | None, digits: int = 4) -> str:
    """A number to `digits` significant digits; "-" where there is none."""
    return "-" if value is None else f"{value + 0.0:.{digits}g}"  # and no -0


def duration(seconds: float) -> str:
    """Seconds as people say them: "12.3 s", "4 min 05 s", "2 h 04 min"."""
    if not math.isfinite(seconds):
        return "-"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"
