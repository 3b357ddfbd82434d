"""One array a step for all parameters: merged ones keep their range, mean and newest."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.tags import Kind
from tbgrad.reading.columns.column import Arrays, Column
from tbgrad.reading.columns.limits import Limits
from tbgrad.reading.series import Buckets, Series

ROOM_BYTES = 1 << 30
"""More than this is not asked for ahead: a system may refuse what it does not have."""


class PackedColumn(Column):
    """Arrays [P, S]; of merged statistics the smallest, largest, mean and newest, of others that.

    Of a bucket that reaches over the step of a new session nothing is kept. `expected_bytes` is the
    size of the files, of which the values are at most all: room for so many costs no memory until
    it is used, and saves to copy them again and again as they grow.
    """

    keeps_strays = False
    expected_bytes = 0

    def append(self, step: int, wall_time: float, value: Any) -> None:
        """Add a value; the one before it goes into the bucket ahead of it, if that has room."""
        newest, bucket = self.count - 1, self.count - 2
        if self.merged and bucket >= self._shared and step > self._arrays["steps"][newest]:
            counts = self._arrays["counts"]
            if counts[bucket] + counts[newest] <= self._width:
                self._fold(bucket, newest)
                self.count -= 1
        super().append(step, wall_time, value)

    def _fold(self, bucket: int, newest: int) -> None:
        """Take the next entry into a bucket."""
        arrays = self._arrays
        counts = arrays["counts"]
        counts[bucket] += counts[newest]
        for name in ("steps", "wall_times", "last"):
            arrays[name][bucket] = arrays[name][newest]
        if self.kind is Kind.PARAMETERS:
            for name, extreme in (("minimum", np.fmin), ("maximum", np.fmax)):
                extreme(arrays[name][bucket], arrays[name][newest], out=arrays[name][bucket])
            mean = arrays["mean"]
            share = mean.dtype.type(counts[newest] / counts[bucket])
            with np.errstate(invalid="ignore", over="ignore"):  # +∞ and −∞ have no mean
                mean[bucket] *= 1 - share
                mean[bucket] += share * mean[newest]

    def _frozen(self) -> Series:
        plain = super()._frozen()
        if not self.merged or self.kind is not Kind.PARAMETERS:
            return plain
        buckets = Buckets(
            first_steps=self._view("first_steps"),
            last_steps=plain.steps,
            wall_times=plain.wall_times,
            minimum=self._view("minimum"),
            maximum=self._view("maximum"),
            mean=self._view("mean"),
            last=plain.values,
            counts=self._view("counts"),
            nonfinite=np.zeros(self.count, np.int64),
        )
        return Series(self.kind, plain.steps, plain.wall_times, buckets.largest, buckets)

    def rearrange(
        self, rows: NDArray[np.intp], columns: NDArray[np.intp] | None, blank: float
    ) -> None:
        """Bring the values into another order of rows and columns; -1 makes a blank one."""
        if not self.begun:
            return
        for name in self._arrays:
            values = self._arrays[name][: self.count]  # the room after that has no memory yet
            if name in ("last", "minimum", "maximum", "mean"):
                values = values[:, rows]
                values[:, rows < 0] = blank
                if columns is not None:
                    values = values[:, :, columns]
                    values[:, :, columns < 0] = blank
            self._arrays[name] = values

    def _blank(self, value: Any, room: int) -> NDArray[Any]:
        return np.zeros((room, *value.shape), dtype=value.dtype)

    def _first_room(self, value: Any) -> int:
        expected = min(self.expected_bytes, ROOM_BYTES) // max(1, value.nbytes)
        first = super()._first_room(value)
        return first if self.limits.merging else max(first, expected)

    def _buckets(self, limits: Limits) -> int:
        return limits.packed_entries(self.kind, self._arrays["last"])

    def _add_arrays(self) -> None:
        if self.kind is Kind.PARAMETERS:
            for name in ("minimum", "maximum", "mean"):
                self._arrays[name] = np.empty_like(self._arrays["last"])

    def _describe(self, entries: slice) -> None:
        super()._describe(entries)
        if self.kind is Kind.PARAMETERS:
            for name in ("minimum", "maximum", "mean"):
                self._arrays[name][entries] = self._arrays["last"][entries]

    def _reduced(self, former: Arrays, starts: NDArray[np.intp], ends: NDArray[np.intp]) -> Arrays:
        plain = {name: array for name, array in former.items() if name != "mean"}
        reduced = super()._reduced(plain, starts, ends)
        if self.kind is Kind.PARAMETERS:
            counts = former["counts"]
            mean = np.empty_like(reduced["minimum"])
            for i, (a, b) in enumerate(zip(starts.tolist(), (ends + 1).tolist(), strict=True)):
                weights = counts[a:b].astype(mean.dtype) / reduced["counts"][i]
                mean[i] = np.einsum("i,ijk->jk", weights, former["mean"][a:b])
            reduced["mean"] = mean
        return reduced
