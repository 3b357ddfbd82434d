"""A scalar of every step, together with what its native series has of other steps."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.tags import Kind
from tbgrad.reading.series import Buckets, Series, one_each


def together(native: Series | None, every: Series) -> Series:
    """One series of both; of steps that both have the value is that of `every`.

    Where one of them is in buckets, of the native one only what lies before and behind is taken.
    """
    if native is None or native.kind is not Kind.SCALAR or not len(native):
        return every
    replaced = max(native.replaced, every.replaced)
    if not len(every):
        return replace(native, replaced=replaced)
    if native.buckets is None and every.buckets is None:
        outside = ~np.isin(native.steps, every.steps, assume_unique=True)
        joined = _joined(native, outside, every, None)
    else:
        first, last = _reach(every)
        outside = (native.steps < first) | (native.steps > last)
        joined = _joined(native, outside, every, _buckets(native, every, first, last))
    return replace(joined, replaced=replaced)


def _reach(series: Series) -> tuple[int, int]:
    first = series.steps if series.buckets is None else series.buckets.first_steps
    return int(first[0]), int(series.steps[-1])


def _joined(
    native: Series, outside: NDArray[np.bool_], every: Series, buckets: Buckets | None
) -> Series:
    if not outside.any():
        return every if buckets is None else replace(every, buckets=buckets)
    steps = np.concatenate([native.steps[outside], every.steps])
    wall_times = np.concatenate([native.wall_times[outside], every.wall_times])
    values = np.concatenate([native.values[outside].astype(np.float64), every.values])
    order = np.argsort(steps, kind="stable")
    return Series(Kind.SCALAR, steps[order], wall_times[order], values[order], buckets)


def _buckets(native: Series, every: Series, first: int, last: int) -> Buckets:
    """The buckets of `every`, and those of the native series before and behind it."""
    theirs = native.buckets or one_each(native)
    whole = every.buckets or one_each(every)
    before, behind = theirs.first_steps < first, theirs.last_steps > last
    joined = {}
    for field in fields(Buckets):
        ends = getattr(theirs, field.name)
        if field.name == "last_steps":
            ends = np.where(before, np.minimum(ends, first - 1), ends)
        elif field.name == "first_steps":
            ends = np.where(behind & ~before, np.maximum(ends, last + 1), ends)
        parts = [ends[before], getattr(whole, field.name), ends[behind & ~before]]
        joined[field.name] = np.concatenate(parts)
    return Buckets(**joined)
