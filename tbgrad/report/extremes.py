"""At which steps, in which epochs and in which layers the gradient was smallest and largest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.batches import Batches, is_short
from tbgrad.log.tags import GRADIENT_NORM, STEPS, Kind
from tbgrad.reading.run import Run
from tbgrad.reading.series import Series, norms_of_row

LISTED = 3
"""So many steps are named."""


@dataclass(frozen=True, slots=True)
class Extreme:
    """A norm and its step, in which epoch that was (from 1 on; None where it is not known)."""

    step: int
    value: float
    epoch: int | None


@dataclass(frozen=True, slots=True)
class ParameterExtremes:
    """The smallest and the largest finite norm of the gradient of one parameter, None if none."""

    path: str
    layer: str
    smallest: Extreme | None
    largest: Extreme | None


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
        """The one with the smallest norm of all."""
        there = [p for p in self.parameters if p.smallest is not None]
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
    norms = run.full.get(GRADIENT_NORM, whole)
    return Extremes(
        steps=whole.total,
        every_step=every,
        short=bool(is_short(whole.steps, batches).any()),
        within=steps.within if steps is not None else 1,
        smallest=_ends(norms, batches, largest=False),
        largest=_ends(norms, batches, largest=True),
        parameters=tuple(
            _parameter(run, i, batches) for i in range(len(run.names)) if run.manifest is not None
        ),
    )


def epoch_of(step: int, batches: Sequence[Batches]) -> int | None:
    """The epoch of a step, from 1 on over all calls of `fit`; None where it is not known.

    >>> epoch_of(7, [Batches(1, steps_per_epoch=3)])
    3
    """
    done = 0
    for number, stretch in enumerate(batches):
        if step < stretch.first_step or not stretch.steps_per_epoch:
            return None
        last = number + 1 == len(batches)
        if last or step < batches[number + 1].first_step:
            return done + (step - stretch.first_step) // stretch.steps_per_epoch + 1
        length = batches[number + 1].first_step - stretch.first_step
        done += -(-length // stretch.steps_per_epoch)
    return None


def _parameter(run: Run, row: int, batches: Sequence[Batches]) -> ParameterExtremes:
    full = run.full.get(STEPS)
    series = run.norm(run.names[row]) if full is None else norms_of_row(full, row)
    smallest = _ends(series, batches, largest=False, most=1)
    largest = _ends(series, batches, largest=True, most=1)
    return ParameterExtremes(
        path=run.names[row],
        layer=run.parameters[row].layer,
        smallest=smallest[0] if smallest else None,
        largest=largest[0] if largest else None,
    )


def _ends(
    series: Series, batches: Sequence[Batches], *, largest: bool, most: int = LISTED
) -> tuple[Extreme, ...]:
    """The finite points at one end, of steps whose batch is full; of all where there is none."""
    values: NDArray[Any] = series.values.astype(np.float64)
    usable = np.isfinite(values)
    full = usable & ~is_short(series.steps, batches)
    chosen = np.flatnonzero(full if full.any() else usable)
    order = np.argsort(-values[chosen] if largest else values[chosen], kind="stable")[:most]
    steps = series.steps[chosen[order]].tolist()
    return tuple(
        Extreme(step, value, epoch_of(step, batches))
        for step, value in zip(steps, values[chosen[order]].tolist(), strict=True)
    )


def _value(extreme: Extreme | None) -> float:
    return extreme.value if extreme is not None else np.nan
