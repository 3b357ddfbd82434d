"""Words and numbers for people: what a log says is data, never markup or an escape sequence."""

from __future__ import annotations

import math
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tbgrad.log.share import Share


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
    """A number to so many significant digits, "-" for none: "0.0549", "1,234", "5.49e-6"."""
    if value is None:
        return "-"
    if 0 < abs(value) < 1e-3 or 1e6 <= abs(value) < math.inf:
        mantissa, exponent = _scientific(value, digits - 1).split("e")
        return f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}e{exponent}"
    exact = max(digits, 4) if abs(value) >= 1000 else digits
    return f"{float(f'{value:.{exact}g}') + 0.0:,.7g}"  # and no -0


def measured(value: float, error: float) -> str:
    """A value with its error, rounded to two significant digits of that: "10.0156300 ± 5.9e-6"."""
    return " ± ".join(rounded(value, error))


def rounded(value: float, error: float) -> tuple[str, str]:
    """A value and its error, as `measured` writes them."""
    if not math.isfinite(value) or not error > 0 or math.isinf(error):
        return number(value, 6), "unknown" if math.isnan(error) else number(error, 2)
    decimals = 1 - _magnitude(error, 1)
    decimals = min(decimals, 14 - _magnitude(value, 14)) if value else decimals  # no more is held
    size = max(abs(value), error)
    if not 1e-4 <= size < 1e6:
        digits = max(0, _magnitude(value, 14) + decimals) if value else 1
        return _scientific(value, digits), _scientific(error, 1)
    shown = max(0, decimals)
    rounding = round(value, decimals) + 0.0  # and no -0
    bound = f"{round(error, decimals):,.{shown}f}" if shown <= 5 else _scientific(error, 1)
    return f"{rounding:,.{shown}f}", bound


def _magnitude(value: float, digits: int) -> int:
    """The power of ten of the first digit, once rounded to one and so many more."""
    return int(f"{value:.{digits}e}".partition("e")[2])


def _scientific(value: float, digits: int) -> str:
    mantissa, _, exponent = f"{value:.{digits}e}".partition("e")
    return f"{mantissa}e{int(exponent)}"


def percent_between(share: Share) -> str:
    """A share with its interval: "12.3 % (11.0 to 13.6)", or "between 21 and 84 %" if vague."""
    low, high = 100 * share.low, 100 * share.high
    if not share.known:
        return f"between {low:.0f} and {high:.0f} %"
    digits = 1 if high - low < 10 else 0
    return f"{100 * share.value:.{digits}f} % ({low:.{digits}f} to {high:.{digits}f})"


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
