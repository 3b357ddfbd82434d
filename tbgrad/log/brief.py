"""Numbers in few characters, as screens show them."""

from __future__ import annotations

import math


def number(value: float, digits: int = 3) -> str:
    """A number of about `digits` significant digits in few characters: 0.0549, 12.3, 1.2e-5."""
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e5:
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"
    mantissa, exponent = f"{value:.{max(digits - 2, 0)}e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def percent(fraction: float) -> str:
    """A share in percent: 10 %, 0.3 %, <0.01 %."""
    if not math.isfinite(fraction):
        return "–"
    if 0 < fraction < 1e-4:
        return "<0.01 %"
    return f"{number(100 * fraction, 2 if fraction < 0.995 else 3)} %"


def count(amount: int, noun: str) -> str:
    """An amount with its noun: 1 run, 3 runs."""
    return f"{amount:,} {noun}" if amount == 1 else f"{amount:,} {noun}s"
