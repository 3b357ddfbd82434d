"""The last quarter of a series against the third, in bounded memory and with an error."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from tbgrad.log.median import median

BLOCKS = 64
"""A series is kept as the means of so many stretches of equal length at least, once it has them."""


class Quarters:
    """The course of a number of every step, in `BLOCKS` to 2 · `BLOCKS` means."""

    def __init__(self) -> None:
        self._blocks: list[float] = []
        self._block = 0.0
        self._in_block = self._count = 0
        self._block_size = 1
        self._late: tuple[float, float] | None = None

    def add(self, value: float, steps: int) -> None:
        """Take in what so many steps had on average."""
        self._count += steps
        self._block += steps * value
        self._in_block += steps
        if self._in_block >= self._block_size:
            self._blocks.append(self._block / self._in_block)
            self._block, self._in_block = 0.0, 0
            self._late = None
        if len(self._blocks) == 2 * BLOCKS:
            pairs = zip(self._blocks[::2], self._blocks[1::2], strict=True)
            self._blocks = [(a + b) / 2 for a, b in pairs]
            self._block_size *= 2

    def fall(self) -> tuple[float, float]:
        """How far it fell from the third quarter of all steps so far to the last; standard error.

        Raises:
            ValueError: there are not yet 64 steps.
        """
        if len(self._blocks) < BLOCKS // 2 or self._count < BLOCKS:
            raise ValueError("too few steps to tell the third quarter from the last")
        if self._late is None:
            quarter = len(self._blocks) // 4
            self._late = fall(self._blocks[-2 * quarter : -quarter], self._blocks[-quarter:])
        return self._late


def fall(before: Sequence[float], after: Sequence[float]) -> tuple[float, float]:
    """The difference of two medians, and its standard error."""
    (middle_before, error_before), (middle_after, error_after) = map(middle_of, (before, after))
    return middle_before - middle_after, math.hypot(error_before, error_after)


def middle_of(values: Collection[float]) -> tuple[float, float]:
    """The median and its standard error, if all but a few values are normally distributed."""
    middle = median(values)
    deviation = 1.4826 * median([abs(value - middle) for value in values])
    return middle, 1.2533 * deviation / math.sqrt(len(values))
