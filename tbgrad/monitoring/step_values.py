"""What a logged step is in the log: its native scalars, its packed tables, its histograms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tbgrad.keras.ring import LoggedStep
from tbgrad.log import encode
from tbgrad.log.records import STATISTICS, Manifest
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


def scalars_of(logged: LoggedStep) -> dict[str, float]:
    """The native scalars that the training step shows, by tag."""
    numbers = logged.numbers
    scalars = {
        LOSS: numbers.get("loss"),
        LEARNING_RATE: numbers.get("learning_rate"),
        GRADIENT_NORM: numbers["norm"],
        GRADIENT_NORM_MAX: numbers["norm_max"],
        CLIP_FACTOR: _ratio(numbers.get("applied_norm"), numbers["norm"]),
        UPDATE_RATIO: _update_ratio(logged.table),
        LOSS_SCALE: numbers.get("loss_scale"),
        SKIPPED_UPDATES: numbers.get("skipped"),
    }
    return {tag: value for tag, value in scalars.items() if value is not None}


def values_of(manifest: Manifest, logged: LoggedStep, counts: Any) -> list[Any]:
    """All values of one logged step, with its histograms where it has them."""
    values = [encode.scalar(tag, x) for tag, x in scalars_of(logged).items()]
    values.append(encode.parameters(logged.table))
    if counts is None:
        return values
    largest = logged.table[:, STATISTICS.index("abs_max")]
    values.append(encode.histograms(counts))
    for row, parameter in enumerate(manifest.parameters):
        buckets = encode.native_buckets(counts[row], manifest.histogram_bins, float(largest[row]))
        if len(buckets):
            tag = HISTOGRAM_PREFIX + parameter.path
            values.append(encode.histogram(tag, buckets))
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
