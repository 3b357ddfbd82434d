"""At which steps, in which epochs and in which layers the gradient was smallest and largest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tbgrad.log.batches import is_short
from tbgrad.log.tags import GRADIENT_NORM, STEPS, Kind
from tbgrad.reading.extremes import Extreme, ends, ends_of
from tbgrad.reading.rounding import is_rounding
from tbgrad.reading.run import Run
from tbgrad.reading.series import norms_of_row

LISTED = 3
"""So many steps are named."""


@dataclass(frozen=True, slots=True)
class ParameterExtremes:
    """The smallest and the largest finite norm of the gradient of one parameter, None if none.

    `is_rounding` says that it is zero but for rounding, as that of the bias of attention's keys.
    """

    path: str
    layer: str
    smallest: Extreme | None
    largest: Extreme | None
    is_rounding: bool = False


@dataclass(frozen=True)
class Extremes:
    """The smallest and the largest norms of the whole gradient, and of every parameter's.

    `steps` are those looked at, all of the run where it says `every_step`; the first of each end is
    exact then. `short` says that some were left out because the batch of an epoch's last step had
    fewer samples than the others. Steps of parameters are known to `within` so many steps, and the
    short ones count among them, where the log has windows in place of steps.
    """

    steps: int
    every_step: bool
    short: bool
    within: int
    smallest: tuple[Extreme, ...]
    largest: tuple[Extreme, ...]
    parameters: tuple[ParameterExtremes, ...]

    @property
    def smallest_parameter(self) -> ParameterExtremes | None:
        """The one with the smallest norm of all that are more than rounding."""
        there = [p for p in self.parameters if p.smallest is not None and not p.is_rounding]
        return min(there, key=lambda p: _value(p.smallest), default=None)

    @property
    def largest_parameter(self) -> ParameterExtremes | None:
        """The one with the largest norm of all."""
        there = [p for p in self.parameters if p.largest is not None]
        return max(there, key=lambda p: _value(p.largest), default=None)


def extremes_of(run: Run) -> Extremes | None:
    """Those of a run; None where it has no gradient norms."""
    whole = run.get(GRADIENT_NORM)
    if whole is None or whole.kind is not Kind.SCALAR or not len(whole):
        return None
    batches = run.manifest.batches if run.manifest is not None else ()
    steps = run.get(STEPS)
    every = steps is not None and steps.kind is Kind.STEPS and len(steps) > 0
    rounding = is_rounding(run) if run.manifest is not None else ()
    return Extremes(
        steps=whole.total,
        every_step=every,
        short=bool(is_short(whole.steps, batches).any()),
        within=steps.within if steps is not None else 1,
        smallest=tuple(ends_of(run, GRADIENT_NORM, LISTED, largest=False)),
        largest=tuple(ends_of(run, GRADIENT_NORM, LISTED, largest=True)),
        parameters=tuple(_parameter(run, row, bool(blank)) for row, blank in enumerate(rounding)),
    )


def _parameter(run: Run, row: int, rounding: bool) -> ParameterExtremes:
    full = run.full.get(STEPS)
    series = run.norm(run.names[row]) if full is None else norms_of_row(full, row)
    smallest = ends(run, series, 1, largest=False)
    largest = ends(run, series, 1, largest=True)
    return ParameterExtremes(
        path=run.names[row],
        layer=run.parameters[row].layer,
        smallest=smallest[0] if smallest else None,
        largest=largest[0] if largest else None,
        is_rounding=rounding,
    )


def _value(extreme: Extreme | None) -> float:
    return extreme.value if extreme is not None else np.nan
