"""A share of all eigenvalues that is known to within an interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import SupportsFloat

VAGUE = 0.3
"""A share whose interval is wider than this is no number to be shown."""


@dataclass(frozen=True, slots=True)
class Share:
    """A share of all eigenvalues: between `low` and `high`, `value` in the middle.

    The interval holds the truth in 95 of 100 cases or more: it contains what a quadrature leaves
    open, what random vectors do, and the rounding of the products at the level that it is cut at.
    """

    value: float
    low: float
    high: float

    @classmethod
    def between(cls, low: SupportsFloat, high: SupportsFloat) -> Share:
        """The share of an interval, cut to what a share can be."""
        least, most = max(0.0, float(low)), min(1.0, float(high))
        return cls((least + most) / 2, least, most)

    @property
    def known(self) -> bool:
        """Whether the interval is narrow enough for the value to mean something."""
        return self.high - self.low <= VAGUE

    def __str__(self) -> str:
        if self.known:
            return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"
        return f"between {self.low:.2f} and {self.high:.2f}"


def rest_of(first: Share, second: Share) -> Share:
    """What is neither of two shares."""
    return Share.between(1 - first.high - second.high, 1 - first.low - second.low)
