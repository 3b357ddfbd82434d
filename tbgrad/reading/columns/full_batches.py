"""The gradient norms of the steps whose batch was full, for the extremes of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tbgrad.log.batches import Batches, is_short
from tbgrad.log.norm_codes import ABSENT, Codes
from tbgrad.log.step_blocks import StepBlock
from tbgrad.log.tags import GRADIENT_NORM, STEPS, Kind
from tbgrad.reading.columns.column import Column
from tbgrad.reading.columns.limits import Limits
from tbgrad.reading.columns.steps import EveryScalar, NormsColumn
from tbgrad.reading.series import Series


class FullBatches:
    """The norm of the whole gradient, NaN where the batch was short, and those of all parameters,
    absent there. What its writer has kept in windows is taken as it is.
    """

    def __init__(self, limits: Limits) -> None:
        self.whole = EveryScalar(Kind.SCALAR, replace(limits, scalars=limits.extremes))
        self.norms = NormsColumn(Kind.STEPS, limits)

    @property
    def columns(self) -> tuple[Column, Column]:
        """Both."""
        return self.whole, self.norms

    def add_block(
        self, file: object, block: StepBlock, norms: Codes, batches: Sequence[Batches]
    ) -> None:
        """Add what a block of a file has of them, its norms in the order of the rows."""
        short = is_short(block.ends(1), batches)
        if short.any() and block.norm_width == 1:
            norms = np.where(short[:, None], np.uint16(ABSENT), norms)
        if short.any() and block.scalar_width == 1 and GRADIENT_NORM in block.scalars:
            whole = np.where(short, np.float32(np.nan), block.scalars[GRADIENT_NORM])
            block = replace(block, scalars={GRADIENT_NORM: whole})
        self.norms.begin_file(file, block.first_step)
        self.norms.add_block(block, norms)
        if GRADIENT_NORM in block.scalars:
            self.whole.begin_file(file, block.first_step)
            self.whole.add_block(block, GRADIENT_NORM)

    def freeze(self) -> dict[str, Series]:
        """What there is now, by tag."""
        there = {GRADIENT_NORM: self.whole, STEPS: self.norms}
        return {tag: column.freeze() for tag, column in there.items() if column.begun}
