"""The coarser levels of a log of steps: windows of windows, each level a series of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.step_blocks import StepBlock, windows_in
from tbgrad.log.step_windows import NormWindows, merged_scalars, moved, scalar_windows

FACTOR = 4
"""Windows of the norms in a block, windows of the scalars in one of the norms, and windows of a
level in one of the next."""


@dataclass(frozen=True)
class Stretch:
    """Consecutive steps: norms in windows of `width`, scalars in windows of `scalar_width`.

    Scalars are float32 [T] where that is 1, and windows otherwise; only the last may be shorter.
    """

    first_step: int
    count: int
    start: float
    end: float
    width: int
    norms: NormWindows
    scalar_width: int
    scalars: Mapping[str, NDArray[Any]]

    def joined(self, later: Stretch) -> Stretch:
        """With what comes right after it."""
        scalars = {}
        for tag, values in later.scalars.items():
            more = values if self.scalar_width == 1 else moved(values, self.count)
            scalars[tag] = np.concatenate([self.scalars[tag], more])
        norms = NormWindows.joined([self.norms, later.norms])
        count = self.count + later.count
        return Stretch(
            self.first_step, count, self.start, later.end, self.width, norms, self.scalar_width,
            scalars,
        )  # fmt: skip

    def part(self, start: int, end: int) -> Stretch:
        """The steps from one number on to another, which are multiples of the width, or its end."""
        scalars = {
            tag: values[start // self.scalar_width : windows_in(end, self.scalar_width)]
            for tag, values in self.scalars.items()
        }
        if self.scalar_width > 1:
            scalars = {tag: moved(windows, -start) for tag, windows in scalars.items()}
        pace = (self.end - self.start) / max(1, self.count - 1)
        return Stretch(
            self.first_step + start,
            end - start,
            self.start + pace * start,
            self.start + pace * (end - 1) if end < self.count else self.end,
            self.width,
            self.norms.part(start // self.width, windows_in(end, self.width)),
            self.scalar_width,
            scalars,
        )

    def coarser(self) -> Stretch:
        """The same in windows that are wider by `FACTOR`; the scalars as the norms are here."""
        wider = np.arange(0, len(self.norms), FACTOR)
        starts = np.arange(
            0, windows_in(self.count, self.scalar_width), self.width // self.scalar_width
        )
        lengths = np.full(windows_in(self.count, self.scalar_width), self.scalar_width, np.int64)
        lengths[-1] = self.count - self.scalar_width * (len(lengths) - 1)
        scalars = {
            tag: scalar_windows(values, starts)
            if self.scalar_width == 1
            else merged_scalars(values, starts, lengths)
            for tag, values in self.scalars.items()
        }
        return Stretch(
            self.first_step, self.count, self.start, self.end, FACTOR * self.width,
            self.norms.merged(wider), self.width, scalars,
        )  # fmt: skip

    def block(self) -> StepBlock:
        """As the log has it."""
        return StepBlock(
            self.first_step, self.count, self.start, self.end, self.scalar_width, self.scalars,
            self.width, self.norms.codes(),
        )  # fmt: skip


class StepLevel:
    """One level: gathers what the finer one gives until there is a block of it."""

    def __init__(self, tag: str, width: int) -> None:
        self.tag = tag
        self.width = width
        self._waiting: Stretch | None = None
        self._begun = False

    def add(self, stretch: Stretch) -> tuple[list[StepBlock], Stretch | None]:
        """The blocks that are full now, and what they hold for the next level."""
        if self._waiting is not None:
            stretch = self._waiting.joined(stretch)
        whole = FACTOR * self.width
        full = stretch.count // whole * whole
        self._waiting = stretch.part(full, stretch.count) if full < stretch.count else None
        if not full:
            return [], None
        self._begun = True
        blocks = [stretch.part(at, at + whole).block() for at in range(0, full, whole)]
        return blocks, stretch.part(0, full).coarser()

    def newest(self) -> StepBlock | None:
        """What is no block yet, of a level that has blocks."""
        left = self._waiting
        return left.block() if left is not None and self._begun else None

    def finish(self) -> tuple[list[StepBlock], Stretch | None]:
        """What is left, if there is more than it; the next steps do not follow on it."""
        left, begun = self._waiting, self._begun
        self._waiting, self._begun = None, False
        if left is None:
            return [], None
        return [left.block()] if begun else [], left.coarser()
