"""Small blocks of single steps, joined into large ones for a server that keeps few of them."""

from __future__ import annotations

import numpy as np

from tbgrad.log.step_blocks import StepBlock

SMALL = 64
"""A block of fewer steps is one of many: of a slow training, or of short epochs."""

ENOUGH = 256
"""Steps of a block that is joined of them, at least."""


class GatheredSteps:
    """Gathers the blocks of single steps as they are written, where these are `SMALL`."""

    def __init__(self) -> None:
        self._waiting: list[StepBlock] = []

    def add(self, block: StepBlock) -> list[StepBlock]:
        """The next block; what is full with it, or complete as it does not go on."""
        ended = [] if self._waiting and _follows(self._waiting[-1], block) else self.finish()
        if block.count >= SMALL or block.norm_width != 1 or block.scalar_width != 1:
            return ended + self.finish()
        self._waiting.append(block)
        full = sum(one.count for one in self._waiting) >= ENOUGH
        return ended + (self.finish() if full else [])

    def finish(self) -> list[StepBlock]:
        """What is left, if it is of several; what comes next does not go on with it."""
        blocks, self._waiting = self._waiting, []
        if len(blocks) < 2:
            return []
        first, last = blocks[0], blocks[-1]
        scalars = {
            tag: np.concatenate([block.scalars[tag] for block in blocks]) for tag in first.scalars
        }
        norms = np.concatenate([block.norms for block in blocks])
        count = last.last_step + 1 - first.first_step
        return [StepBlock(first.first_step, count, first.start, last.end, 1, scalars, 1, norms)]


def _follows(before: StepBlock, block: StepBlock) -> bool:
    return (
        block.first_step == before.last_step + 1
        and block.scalars.keys() == before.scalars.keys()
        and block.rows == before.rows
    )
