"""Where a series was smallest and largest: at which steps, in which epochs, at which loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.batches import epoch_of, is_short
from tbgrad.log.tags import GRADIENT_NORM, LOSS, Kind
from tbgrad.reading.series import Series

if TYPE_CHECKING:
    from tbgrad.reading.run import Run

_OF_A_BATCH = (LOSS, GRADIENT_NORM)
"""Scalars that are smaller or larger where the batch is short, for that reason alone."""


@dataclass(frozen=True, slots=True)
class Extreme:
    """A value and its step, the epoch of that (from 1 on) and the loss there.

    `epoch` is None where the log does not say how long an epoch is, as in a loop of one's own, and
    `loss` where it has none of this very step.
    """

    step: int
    value: float
    epoch: int | None = None
    loss: float | None = None


def ends_of(run: Run, tag: str, count: int, *, largest: bool) -> list[Extreme]:
    """At most so many values at one end of a scalar, as `Run.smallest` says."""
    series = run.series[tag]
    if series.kind is not Kind.SCALAR:
        raise ValueError(f"only numbers have extremes; {tag!r} holds {series.kind.value}")
    if count < 1:
        raise ValueError(f"count is at least 1, not {count}")
    if tag not in _OF_A_BATCH:
        return ends(run, series, count, largest=largest, full_batches=False)
    return ends(run, run.full.get(tag, series), count, largest=largest)


def ends(
    run: Run, series: Series, count: int, *, largest: bool, full_batches: bool = True
) -> list[Extreme]:
    """At most so many finite values of a series at one end of it, the outermost first.

    Args:
        run: whose epochs and losses are told.
        series: single numbers, of equal ones the earliest comes first.
        count: how many.
        largest: the upper end.
        full_batches: steps with a short batch are left out, unless there are no others.
    """
    batches = run.manifest.batches if run.manifest is not None else ()
    values: NDArray[Any] = series.values
    usable = np.isfinite(values)
    full = usable & ~is_short(series.steps, batches) if full_batches else usable
    chosen = np.flatnonzero(full if full.any() else usable)
    if largest:
        chosen = chosen[::-1]
    order = np.argsort(values[chosen], kind="stable")
    found = chosen[order[::-1] if largest else order][:count]
    losses = run.series.get(LOSS)
    return [
        Extreme(step, value, epoch_of(step, batches), _at(losses, step))
        for step, value in zip(series.steps[found].tolist(), values[found].tolist(), strict=True)
    ]


def _at(series: Series | None, step: int) -> float | None:
    """The value of a scalar at a step; None where there is none."""
    if series is None or series.kind is not Kind.SCALAR:
        return None
    place = int(np.searchsorted(series.steps, step))
    there = place < len(series) and series.steps[place] == step
    return float(series.values[place]) if there else None
