"""Estimates of the curvature as numbers: their threshold, one as a row, how old the newest is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tbgrad.log.records import CurvatureEstimate
from tbgrad.log.share import Share
from tbgrad.log.tags import CURVATURE, GRADIENT_NORM, LOSS, Kind
from tbgrad.reading.series import Series
from tbgrad.reading.thinning import usual_interval

if TYPE_CHECKING:
    from tbgrad.reading.run import Run

OVERDUE = 1.5
"""An estimate is stale after so many of the intervals at which they come."""


class EstimateAge(NamedTuple):
    """How many `steps` ago the curvature was estimated last, and whether that says nothing of now.

    It is `stale` where the next estimate is overdue, or the loss or the gradient was lost since.
    """

    steps: int
    stale: bool


def age_of_estimate(run: Run, last_step: int | None = None) -> EstimateAge | None:
    """How old the newest estimate of the curvature is; None of a run without any.

    `last_step` is that of the run where not all of its series are at hand.

    >>> age_of_estimate(runs["a"])
    EstimateAge(steps=200, stale=False)
    """
    series = run.series.get(CURVATURE)
    if series is None or series.kind is not Kind.CURVATURE or not len(series):
        return None
    last_step = run.last_step if last_step is None else last_step
    age = last_step - int(series.steps[-1])
    planned = run.manifest.cadences.get("curvature_every", 0) if run.manifest is not None else 0
    interval = max(planned, usual_interval(series.steps))
    overdue = age > OVERDUE * interval if interval > 1 else age > max(50, last_step // 5)
    lost = any(
        not np.isfinite(of.values[-1])
        for tag in (LOSS, GRADIENT_NORM)
        if (of := run.series.get(tag)) is not None and of.kind is Kind.SCALAR and len(of)
    )
    return EstimateAge(age, age > 0 and (overdue or lost))


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
