"""Numbers: merged ones keep their extremes at their own steps."""

# ruff: noqa: D102 - what the methods do is said once, in Column
from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad.reading.columns.column import Arrays, Column
from tbgrad.reading.series import Buckets, Series

_NEVER = np.int64(2**62)


class ScalarColumn(Column):
    """Numbers; merged ones keep where the smallest, the largest and a NaN stood.

    They are held as float64. Whole numbers that these do not hold are kept beside them.
    """

    def forget(self) -> None:
        super().forget()
        self._whole: dict[int, int] = {}

    def append(self, step: int, wall_time: float, value: Any) -> None:
        super().append(step, wall_time, float(value))
        if isinstance(value, int):
            self._whole[step] = value

    def extend(
        self, steps: NDArray[np.int64], wall_times: NDArray[np.float64], values: NDArray[Any]
    ) -> None:
        """Add many values at once."""
        last = self._arrays["steps"][self.count - 1] if self.count else -_NEVER
        if steps[0] <= last or self._former is not None or (np.diff(steps) <= 0).any():
            for entry in zip(steps.tolist(), wall_times.tolist(), values.tolist(), strict=True):
                self.append(*entry)
            return
        for entries, part in self._places(len(steps), 0.0):
            self._arrays["steps"][entries] = steps[part]
            self._arrays["wall_times"][entries] = wall_times[part]
            self._arrays["last"][entries] = values[part]
            if self.merged:
                self._describe(entries)

    def _frozen(self) -> Series:
        if not self.merged or not self.count:
            plain = super()._frozen()
            return replace(plain, points=self._in_full(plain.steps, plain.values))
        self._shared = self.count
        arrays = {name: self._view(name) for name in self._arrays}
        steps, values = _points(arrays)
        values = self._in_full(steps, values)
        wall_times = np.interp(steps, arrays["steps"], arrays["wall_times"])
        finite = np.maximum(arrays["finite"], 1)
        buckets = Buckets(
            first_steps=arrays["first_steps"],
            last_steps=arrays["steps"],
            wall_times=arrays["wall_times"],
            minimum=arrays["minimum"],
            maximum=arrays["maximum"],
            mean=np.where(arrays["finite"] > 0, arrays["total"] / finite, np.nan),
            last=arrays["last"],
            counts=arrays["counts"],
            nonfinite=arrays["counts"] - arrays["finite"],
        )
        return Series(self.kind, steps, wall_times, values, buckets)

    def _in_full(self, steps: NDArray[np.int64], values: NDArray[Any]) -> NDArray[Any]:
        """The values as integers, where they all are and one of them is none of float64."""
        if not self._whole or not (np.isfinite(values) & (values == np.rint(values))).all():
            return values
        whole = [int(value) for value in values.tolist()]
        for i, (step, value) in enumerate(zip(steps.tolist(), values.tolist(), strict=True)):
            known = self._whole.get(step)
            if known is not None and float(known) == value:
                whole[i] = known
        for dtype in (np.int64, np.uint64):
            limits = np.iinfo(dtype)
            if limits.min <= min(whole) and max(whole) <= limits.max:
                digits = np.array(whole, dtype)
                digits.flags.writeable = False
                return digits
        return values

    def _blank(self, value: Any, room: int) -> NDArray[Any]:  # noqa: ARG002
        return np.zeros(room)

    def _add_arrays(self) -> None:
        for name in ("first", "minimum", "maximum", "total"):
            self._arrays[name] = np.zeros(self.count)
        for name in ("minimum_steps", "maximum_steps", "nan_steps", "finite"):
            self._arrays[name] = np.zeros(self.count, np.int64)

    def _describe(self, entries: slice) -> None:
        super()._describe(entries)
        arrays = self._arrays
        steps, values = arrays["steps"][entries], arrays["last"][entries]
        finite = np.isfinite(values)
        for name in ("first", "minimum", "maximum"):
            arrays[name][entries] = values
        arrays["minimum_steps"][entries] = arrays["maximum_steps"][entries] = steps
        arrays["nan_steps"][entries] = np.where(np.isnan(values), steps, _NEVER)
        arrays["total"][entries] = np.where(finite, values, 0.0)
        arrays["finite"][entries] = finite

    def _reduced(self, former: Arrays, starts: NDArray[np.intp], ends: NDArray[np.intp]) -> Arrays:
        reduced = super()._reduced(former, starts, ends)
        lengths = ends - starts + 1
        for name in ("minimum", "maximum"):
            here = former[name] == np.repeat(reduced[name], lengths)
            where = np.where(here, former[f"{name}_steps"], _NEVER)
            reduced[f"{name}_steps"] = np.minimum.reduceat(where, starts)
        reduced["nan_steps"] = np.minimum.reduceat(former["nan_steps"], starts)
        if self._whole:  # of those that no bucket shows nothing is kept
            shown = ("steps", "first_steps", "minimum_steps", "maximum_steps")
            steps = {int(step) for name in shown for step in reduced[name]}
            self._whole = {step: value for step, value in self._whole.items() if step in steps}
        return reduced

    def _cut(self, step: int, reaching: Arrays) -> None:
        """Keep its points from before."""
        wall_time = float(reaching["wall_times"][0])
        steps, values = _points(reaching)
        before = steps < step
        for at, value in zip(steps[before].tolist(), values[before].tolist(), strict=True):
            self.append(at, wall_time, value)


def _points(arrays: Arrays) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The smallest, the largest, the newest and a NaN of each bucket, and the first of them all.

    These are true points; their steps rise.
    """
    count = len(arrays["steps"])
    usable = ~np.isnan(arrays["minimum"])
    points = [
        (arrays["first_steps"], arrays["first"], np.arange(count) == 0),
        (arrays["minimum_steps"], arrays["minimum"], usable),
        (arrays["maximum_steps"], arrays["maximum"], usable),
        (arrays["nan_steps"], np.full(count, np.nan), arrays["nan_steps"] < _NEVER),
        (arrays["steps"], arrays["last"], np.ones(count, np.bool_)),
    ]
    steps = np.concatenate([steps[there] for steps, _, there in points])
    values = np.concatenate([values[there] for _, values, there in points])
    rising, first = np.unique(steps, return_index=True)
    return rising, values[first]
