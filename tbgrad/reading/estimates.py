"""Estimates of the curvature as numbers: their threshold as a series, one estimate as a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tbgrad.log.records import CurvatureEstimate
from tbgrad.log.share import Share
from tbgrad.log.tags import CURVATURE, Kind
from tbgrad.reading.series import Series

if TYPE_CHECKING:
    from tbgrad.reading.run import Run


def threshold_of(run: Run) -> Series:
    """The limit of stability at every estimate that has one, as `Run.threshold` says."""
    series = run.series.get(CURVATURE)
    if series is None or series.kind is not Kind.CURVATURE:
        return Series(Kind.SCALAR, np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
    known = [i for i, each in enumerate(series.values) if each.stability_threshold is not None]
    values = np.array([series.values[i].stability_threshold for i in known], np.float64)
    return Series(Kind.SCALAR, series.steps[known], series.wall_times[known], values)


def numbers_of(estimate: CurvatureEstimate) -> dict[str, object]:
    """An estimate in one row; NaN for what it does not have."""
    row: dict[str, object] = {}
    extremes = {"lambda_max": estimate.lambda_max, "lambda_min": estimate.lambda_min}
    for name, eigenvalue in (extremes | {"preconditioned": estimate.preconditioned}).items():
        row[name] = np.nan if eigenvalue is None else eigenvalue.value
        row[f"{name}_error"] = np.nan if eigenvalue is None else eigenvalue.residual
    row |= {"trace": estimate.trace, "trace_error": estimate.trace_error}
    threshold = estimate.stability_threshold
    row["stability_threshold"] = np.nan if threshold is None else threshold
    row["stability"] = estimate.stability
    for name in ("minimum_ratio", "negative_fraction", "zero_fraction"):
        share: Share | None = getattr(estimate, name)
        row[name] = np.nan if share is None else share.value
        row[f"{name}_low"] = np.nan if share is None else share.low
        row[f"{name}_high"] = np.nan if share is None else share.high
    for name in ("loss", "samples", "hvps", "seconds", "converged", "method", "threshold_formula"):
        row[name] = getattr(estimate, name)
    return row
