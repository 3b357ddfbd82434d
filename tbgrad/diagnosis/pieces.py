"""Every step as records for the rules: each by itself at first, then a few together."""

from __future__ import annotations

from collections.abc import Iterator

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
"""A norm so many times as large as that of the step before stands out."""


class Pieces:
    """Cuts the steps of one run into records.

    A step stands for itself where its gradient or its loss ceases to be finite or is so again, and
    where its norm jumps. Of others that are taken together a record has the mean loss, the largest
    norms and the newest rate.
    """

    def __init__(self) -> None:
        self._norm = np.nan
        self._finite = True

    def of(self, steps: Steps, manifest: Manifest | None) -> Iterator[Record]:
        """The records of these steps, which follow on those before."""
        for start, end in self._bounds(steps):
            part = steps[start:end]
            losses = part.scalars.get(LOSS)
            scalars = {}
            if losses is not None:
                scalars[LOSS] = float(np.mean(losses, dtype=np.float64))
            if LEARNING_RATE in part.scalars:
                scalars[LEARNING_RATE] = float(part.scalars[LEARNING_RATE][-1])
            if GRADIENT_NORM in part.scalars:
                totals = part.scalars[GRADIENT_NORM]
                scalars[GRADIENT_NORM] = float(totals[-1])
                scalars[GRADIENT_NORM_MAX] = float(totals.max())
            norms = part.norms[0] if end == start + 1 else np.fmax.reduce(part.norms, axis=0)
            yield Record(
                part.last_step, scalars, manifest=manifest, norms=norms, first_step=part.first_step
            )

    def _bounds(self, steps: Steps) -> list[tuple[int, int]]:
        count = len(steps)
        if not count:
            return []
        width = 1
        while SINGLE * 2 * width <= steps.first_step:
            width *= 2
        width = min(width, -(-count // MOST))
        starts = set(range(0, count, width))
        if width > 1:
            for at in self._notable(steps)[:NOTABLE].tolist():
                starts |= {at, at + 1}
        totals = steps.scalars.get(GRADIENT_NORM)
        if totals is not None:
            self._norm = float(totals[-1])
        self._finite = bool(_finite(steps)[-1])
        ordered = sorted(start for start in starts if start < count)
        return list(zip(ordered, [*ordered[1:], count], strict=True))

    def _notable(self, steps: Steps) -> NDArray[np.intp]:
        """Where steps stand out."""
        finite = _finite(steps)
        stands_out = finite != np.concatenate([[self._finite], finite[:-1]])
        totals = steps.scalars.get(GRADIENT_NORM)
        if totals is not None:
            before = np.concatenate([[self._norm], totals[:-1]])
            stands_out |= finite & (totals > JUMP * before)
        return np.flatnonzero(stands_out)


def _finite(steps: Steps) -> NDArray[np.bool_]:
    """Of which steps all is finite: [T]."""
    finite = np.array(~np.isinf(steps.norms).any(axis=1))
    losses = steps.scalars.get(LOSS)
    return finite if losses is None else finite & np.isfinite(losses)
