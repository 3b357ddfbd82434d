"""Every step as records for the rules: each by itself at first, then a few together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad.diagnosis.record import Record
from tbgrad.log.records import Manifest
from tbgrad.log.steps import Steps
from tbgrad.log.tags import GRADIENT_NORM, GRADIENT_NORM_MAX, LEARNING_RATE, LOSS

SINGLE = 512
"""So many steps of a run are looked at one by one; then as many pieces each time it has doubled."""

MOST = 16
"""Pieces that a stretch is cut into beyond that, and so the rules' share of the time."""

NOTABLE = 64
"""So many steps of a stretch that stand out are pieces of their own."""

JUMP = 3.0
"""A norm so many times as large as that of the step before, or as small, stands out."""

NO_OTHERS = np.zeros(1, np.intp)
"""Where the pieces of a single step begin."""


class Pieces:
    """Cuts the steps of one run into records.

    A step stands for itself where its gradient or its loss ceases to be finite or is so again, and
    where its norm jumps or falls back. Of others that are taken together a record has the mean
    loss, the largest norms and the newest rate, and the loss of each beside.
    """

    def __init__(self) -> None:
        self._before: Steps | None = None

    def of(self, steps: Steps, manifest: Manifest | None) -> Iterator[Record]:
        """The records of these steps, which follow on those before."""
        count = len(steps)
        if not count:
            return
        starts = self._starts(steps) if count > 1 else NO_OTHERS
        self._before = steps
        norms, ahead = steps.norms, steps.first_step
        if len(starts) < count:
            norms = np.fmax.reduceat(norms, starts, axis=0)
        first_steps = [ahead + start for start in starts.tolist()]
        first_steps.append(ahead + count)
        of_tags = _scalars(steps.scalars, starts, count)
        losses = steps.scalars[LOSS].tolist() if LOSS in steps.scalars else []
        for i, first in enumerate(first_steps[:-1]):
            scalars = {tag: values[i] for tag, values in of_tags.items()}
            last = first_steps[i + 1] - 1
            own = losses[first - ahead : last - ahead + 1]
            yield Record(
                last, scalars, manifest=manifest, norms=norms[i], first_step=first, losses=own
            )

    def _starts(self, steps: Steps) -> NDArray[np.intp]:
        """Where pieces begin."""
        count, width = len(steps), 1
        while SINGLE * 2 * width <= steps.first_step:
            width *= 2
        width = min(width, -(-count // MOST))
        starts = np.arange(0, count, width)
        if width > 1:
            notable = self._notable(steps)[:NOTABLE]
            starts = np.union1d(starts, np.concatenate([notable, notable + 1]))
            starts = starts[starts < count]
        return starts

    def _notable(self, steps: Steps) -> NDArray[np.intp]:
        """Where steps stand out."""
        before = None if self._before is None else self._before[len(self._before) - 1 :]
        finite = _finite(steps)
        ahead = np.array([True]) if before is None else _finite(before)
        stands_out = finite != np.concatenate([ahead, finite[:-1]])
        totals = steps.scalars.get(GRADIENT_NORM)
        if totals is not None:
            known = {} if before is None else before.scalars
            last = known.get(GRADIENT_NORM, np.array([np.nan], np.float32))
            ahead = np.concatenate([last, totals[:-1]])
            stands_out |= finite & ((totals > JUMP * ahead) | (JUMP * totals < ahead))
        return np.flatnonzero(stands_out)


def _finite(steps: Steps) -> NDArray[np.bool_]:
    """Of which steps all is finite: [T]."""
    finite = np.array(~np.isinf(steps.norms).any(axis=1))
    losses = steps.scalars.get(LOSS)
    return finite if losses is None else finite & np.isfinite(losses)


def _scalars(
    known: Mapping[str, NDArray[np.float32]], starts: NDArray[np.intp], count: int
) -> dict[str, list[float]]:
    """What pieces have of the numbers of every step."""
    found: dict[str, NDArray[Any]] = {
        tag: known[tag] for tag in (LOSS, LEARNING_RATE, GRADIENT_NORM) if tag in known
    }
    if GRADIENT_NORM in known:
        found[GRADIENT_NORM_MAX] = known[GRADIENT_NORM]
    if len(starts) < count:
        ends = np.append(starts[1:], count)
        for tag, values in found.items():
            if tag == LOSS:
                found[tag] = np.add.reduceat(values, starts, dtype=np.float64) / (ends - starts)
            elif tag == GRADIENT_NORM_MAX:
                found[tag] = np.maximum.reduceat(values, starts)
            else:
                found[tag] = values[ends - 1]
    return {tag: values.tolist() for tag, values in found.items()}
