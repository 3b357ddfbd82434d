"""What a read run logged, as its writer has shown it to the rules: every step, and the records."""

from __future__ import annotations

from collections.abc import Container, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad.diagnosis.record import RULE_SCALARS, Record, called
from tbgrad.log.steps import Steps
from tbgrad.log.tags import (
    CURVATURE,
    GRADIENT_NORM,
    GRADIENT_NORM_MAX,
    LEARNING_RATE,
    LOSS,
    PARAMETERS,
    STEPS,
    Kind,
)
from tbgrad.reading.run import Run
from tbgrad.reading.series import Norms, Series, one_each

STRETCH = 256
"""So many steps are shown at once, about as many as a writer drains."""

EVERY_STEP = (LOSS, LEARNING_RATE, GRADIENT_NORM)


def scalar(run: Run, tag: str) -> Series | None:
    """The scalar of a run that rules know by `tag`, whatever its writer calls it."""
    name = called(tag, run)
    if name is None or (name == "epoch_loss" and run.name.endswith("validation")):
        return None
    series = run[name]
    return series if series.kind is Kind.SCALAR and len(series) else None


def history(run: Run, after: int = -1) -> Iterator[Steps | Record]:
    """All that rules look at, in order: every step ahead of the record that was logged there.

    Of a run whose steps up to `after` were shown before what is behind them.
    """
    stretches = _Stretches(run, after)
    for record in records(run, after):
        yield from stretches.until(record.step)
        yield record
    yield from stretches.until(None)


def records(run: Run, after: int = -1) -> Iterator[Record]:
    """What a run logged behind a step, step by step."""
    packed = run.get(PARAMETERS)
    curvature = run.get(CURVATURE)
    scalars = {
        tag: dict(zip(*(part.tolist() for part in _behind(series, after)), strict=True))
        for tag in RULE_SCALARS
        if (series := scalar(run, tag)) is not None
    }
    if GRADIENT_NORM in scalars:
        scalars.setdefault(GRADIENT_NORM_MAX, scalars[GRADIENT_NORM])
    rows: dict[int, NDArray[np.float32]] = {}
    if packed is not None and run.manifest is not None:
        known = len(run.manifest.parameters)
        steps, tables = _behind(packed, after)
        rows = dict(zip(steps.tolist(), tables[:, :known], strict=True))
    estimates: dict[int, Any] = {}
    if curvature:
        steps, found_estimates = _behind(curvature, after)
        estimates = dict(zip(steps.tolist(), found_estimates, strict=True))
    covered = _covered(run)
    for step in sorted({*rows, *estimates, *(s for by_step in scalars.values() for s in by_step)}):
        found = {tag: by_step[step] for tag, by_step in scalars.items() if step in by_step}
        if step in covered and step not in rows and step not in estimates:
            found = {tag: value for tag, value in found.items() if tag not in _OF_STEPS}
            if not found:
                continue  # of this step nothing but what every step has
        yield Record(
            step=step,
            scalars=found,
            table=rows.get(step),
            manifest=run.manifest,
            curvature=estimates.get(step),
        )


def _behind(series: Series, step: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Steps and values behind a step."""
    first = int(np.searchsorted(series.steps, step, side="right"))
    return series.steps[first:], series.values[first:]


_OF_STEPS = (*EVERY_STEP, GRADIENT_NORM_MAX)


def _covered(run: Run) -> Container[int]:
    """The steps of which every-step series tell the loss and the norms."""
    series = run.get(STEPS)
    if series is None or series.kind is not Kind.STEPS or not len(series):
        return ()
    whole = series.buckets
    if whole is None:
        return frozenset(series.steps.tolist())
    return range(int(whole.first_steps[0]), int(whole.last_steps[-1]) + 1)


class _Stretches:
    """Every step of a run, handed out up to a step at a time.

    Of a long run that was read in bounded memory, or that its writer has kept in windows, these are
    records of the steps of a bucket.
    """

    def __init__(self, run: Run, after: int = -1) -> None:
        series = run.get(STEPS)
        self._run = run
        self._at = 0
        self._series = series if series is not None and series.kind is Kind.STEPS else None
        self._scalars = {
            tag: found for tag in EVERY_STEP if (found := scalar(run, tag)) is not None
        }
        self._known = len(run.manifest.parameters) if run.manifest is not None else None
        self._firsts = np.zeros(0, np.int64)
        self._buckets: list[Record] | None = None
        if self._series is None:
            return
        self._firsts = self._series.steps
        if any(each.buckets is not None for each in (self._series, *self._scalars.values())):
            self._buckets = _bucket_records(run, self._series, self._scalars)
            self._firsts = np.array([record.first_step for record in self._buckets], np.int64)
        self._at = int(np.searchsorted(self._firsts, after, side="right"))

    def until(self, step: int | None) -> Iterator[Steps | Record]:
        """Those up to this step that were not handed out yet; of None all."""
        count = len(self._firsts)
        end = count if step is None else int(np.searchsorted(self._firsts, step, side="right"))
        if self._buckets is not None:
            yield from self._buckets[self._at : end]
        else:
            gaps = np.flatnonzero(np.diff(self._firsts[self._at : end]) != 1) + self._at + 1
            edges = [self._at, *gaps.tolist(), end]
            for start, stop in pairwise(edges):
                for begin in range(start, stop, STRETCH):
                    yield self._steps(slice(begin, min(stop, begin + STRETCH)))
        self._at = max(self._at, end)

    def _steps(self, part: slice) -> Steps:
        assert self._series is not None
        points = self._series.points
        norms = points.part(part) if isinstance(points, Norms) else self._series.values[part]
        steps = self._firsts[part]
        scalars = {}
        for tag, series in self._scalars.items():
            at = np.searchsorted(series.steps, steps)
            at = np.minimum(at, len(series) - 1)
            if (series.steps[at] == steps).all():
                scalars[tag] = series.values[at].astype(np.float32)
        return Steps(int(steps[0]), scalars, norms[:, : self._known])


def _bucket_records(run: Run, series: Series, scalars: dict[str, Series]) -> list[Record]:
    """A record for each bucket of norms: the largest of them, the mean loss, the newest rate."""
    whole = series.buckets or one_each(series)
    known = len(run.manifest.parameters) if run.manifest is not None else None
    columns: dict[str, NDArray[Any]] = {}
    for tag, scalar_series in scalars.items():
        columns |= _per_bucket(tag, scalar_series, whole.last_steps)
    return [
        Record(
            step=int(whole.last_steps[i]),
            scalars={tag: float(found[i]) for tag, found in columns.items() if found[i] != _NONE},
            manifest=run.manifest,
            norms=whole.maximum[i, :known],
            first_step=int(whole.first_steps[i]),
        )
        for i in range(len(whole))
    ]


_NONE = -np.inf
"""Stands for a bucket that has no value of a scalar."""


def _per_bucket(tag: str, series: Series, ends: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """What each bucket, which ends at one of these steps, has of a scalar."""
    whole = series.buckets or one_each(series)
    inside = whole.last_steps <= ends[-1]
    place = np.searchsorted(ends, whole.last_steps[inside])
    count = len(ends)
    finite = (whole.counts - whole.nonfinite)[inside]
    lost = np.bincount(place, whole.nonfinite[inside], count) > 0
    newest = np.full(count, _NONE)
    newest[place] = whole.last[inside]
    if tag == LEARNING_RATE:
        return {tag: newest}
    if tag == GRADIENT_NORM:
        largest = np.full(count, _NONE)
        np.maximum.at(largest, place, np.nan_to_num(whole.maximum[inside], nan=_NONE))
        return {tag: newest, GRADIENT_NORM_MAX: np.where(lost, np.nan, largest)}
    total = np.bincount(place, np.nan_to_num(whole.mean[inside]) * finite, count)
    weight = np.bincount(place, finite, count)
    mean = np.divide(total, weight, out=np.full(count, _NONE), where=weight > 0)
    return {tag: np.where(lost, np.nan, mean)}
