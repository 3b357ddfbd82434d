"""What a tap hands to the log: logged steps, and what else gathered since it was last asked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tbgrad.diagnosis.record import Record
from tbgrad.log import encode
from tbgrad.log.records import STATISTICS, Manifest
from tbgrad.log.steps import Steps
from tbgrad.log.tags import (
    CLIP_FACTOR,
    GRADIENT_NORM,
    GRADIENT_NORM_MAX,
    HISTOGRAM_PREFIX,
    LEARNING_RATE,
    LOSS,
    LOSS_SCALE,
    SKIPPED_UPDATES,
    UPDATE_RATIO,
)

_TAGS = {
    "loss": LOSS,
    "learning_rate": LEARNING_RATE,
    "norm": GRADIENT_NORM,
    "norm_max": GRADIENT_NORM_MAX,
    "applied_norm": CLIP_FACTOR,
    "loss_scale": LOSS_SCALE,
    "skipped": SKIPPED_UPDATES,
}


@dataclass(frozen=True)
class LoggedStep:
    """One step with its statistics.

    `table` is float32 [P, S] with the columns of `records.STATISTICS`. `numbers` holds what is
    known of `applied_norm` (the global norm of the gradient after clipping), `loss_scale` and
    `skipped` (the updates left out since the logged step before, because the scaled loss
    overflowed); and once it is joined with the steps before it, of `loss`, `learning_rate`, `norm`
    (that of the true gradient) and `norm_max` (its largest value since the logged step before).
    """

    step: int
    numbers: Mapping[str, float]
    table: NDArray[np.float32]

    @property
    def tags(self) -> frozenset[str]:
        """The tags of what is known of it, but the update ratio."""
        return frozenset(_TAGS[name] for name in self.numbers)

    @property
    def scalars(self) -> dict[str, float]:
        """The native scalars that are known of it, by tag."""
        numbers = self.numbers
        derived = {
            CLIP_FACTOR: _ratio(numbers.get("applied_norm"), numbers["norm"]),
            UPDATE_RATIO: _update_ratio(self.table),
        }
        scalars = {_TAGS[name]: value for name, value in numbers.items()} | derived
        return {tag: value for tag, value in scalars.items() if value is not None}

    def record(self, manifest: Manifest) -> Record:
        """What the rules see of it."""
        return Record(self.step, self.scalars, self.table, manifest)


Histograms: TypeAlias = tuple[tuple[int, NDArray[np.int32]], ...]
"""Counts [P, B] by their steps."""


@dataclass(frozen=True)
class Drained:
    """What gathered since the last drain; `lost` steps were overwritten ahead of it, and the
    statistics of `unlogged` ones.

    `every` step is there, in stretches of neighbours; those that are logged have their `steps`, in
    which the columns `norm_max` and `nonfinite` are still to be filled, and some `histograms`.
    `skipped` are the updates left out since the newest logged step.
    """

    every: tuple[Steps, ...] = ()
    steps: tuple[LoggedStep, ...] = ()
    histograms: Histograms = ()
    lost: int = 0
    unlogged: int = 0
    skipped: int = 0


def encoded(record: Record, manifest: Manifest, counts: Any = None) -> list[Any]:
    """All values of one logged step, with its histograms [P, B] where it has them."""
    assert record.table is not None
    values = [encode.scalar(tag, x) for tag, x in record.scalars.items()]
    values.append(encode.parameters(record.table))
    if counts is None:
        return values
    largest = record.table[:, STATISTICS.index("abs_max")]
    values.append(encode.histograms(counts))
    for row, parameter in enumerate(manifest.parameters):
        buckets = encode.native_buckets(counts[row], manifest.histogram_bins, float(largest[row]))
        if len(buckets):
            values.append(encode.histogram(HISTOGRAM_PREFIX + parameter.path, buckets))
    return values


def _ratio(part: float | None, whole: float) -> float | None:
    if part is None:
        return None
    return part / whole if whole else 1.0


def _update_ratio(table: Any) -> float | None:
    updates = table[:, STATISTICS.index("update_norm")].astype(np.float64)
    if np.isnan(updates).all():
        return None
    weights = table[:, STATISTICS.index("weight_norm")].astype(np.float64)
    size = math.sqrt(float(np.sum(weights**2)))
    return math.sqrt(float(np.nansum(updates**2))) / size if size else None
