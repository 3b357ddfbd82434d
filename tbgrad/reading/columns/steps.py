"""Every step, as blocks of them come: the scalars, and the norms of all parameters.

A block is added whole, and nothing here loops over its steps. Where it begins at or before the last
step, a session began there anew: what was there gives way to it. A block that its writer has kept
in windows makes entries that are merged already, whatever the limits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.norm_codes import NOT_FINITE, ZERO, Codes, decoded
from tbgrad.log.step_blocks import StepBlock
from tbgrad.log.step_windows import NEVER
from tbgrad.reading.columns.column import Arrays, Column
from tbgrad.reading.columns.limits import Limits
from tbgrad.reading.columns.scalars import ScalarColumn
from tbgrad.reading.series import Buckets, Norms, Peaks, Series

_NOWHERE = np.int64(2**62)
_LATEST = ("steps", "wall_times", "last")


class EveryScalar(ScalarColumn):
    """A scalar of every step."""

    keeps_strays = False

    def add_block(self, block: StepBlock, tag: str) -> None:
        """Add what a block has of a scalar."""
        values = block.scalars[tag]
        steps = block.ends(block.scalar_width)
        wall_times = block.wall_times(steps)
        self._give_way(block.first_step)
        if block.scalar_width == 1:
            self.extend(steps, wall_times, values)
            return
        self._begin_merging()
        new = _windows(block, values, steps, wall_times)
        for entries, part in self._places(len(steps), 0.0):
            for name, array in new.items():
                self._arrays[name][entries] = array[part]


def _windows(
    block: StepBlock, windows: NDArray[Any], steps: NDArray[np.int64], wall_times: NDArray[Any]
) -> Arrays:
    """Windows of a scalar as entries of its column."""
    first_steps = np.arange(block.first_step, block.last_step + 1, block.scalar_width)
    counts = steps - first_steps + 1
    finite = counts - windows["nonfinite"]
    mean = np.nan_to_num(windows["mean"].astype(np.float64), nan=0.0)
    nan_at = windows["nan_at"].astype(np.int64)
    return {
        "steps": steps,
        "wall_times": wall_times,
        "first_steps": first_steps,
        "counts": counts,
        "finite": finite,
        "total": mean * finite,
        "nan_steps": np.where(nan_at == NEVER, _NOWHERE, block.first_step + nan_at),
        **{name: windows[name] for name in ("first", "last", "minimum", "maximum")},
        **{
            f"{name}_steps": block.first_step + windows[f"{name}_at"].astype(np.int64)
            for name in ("minimum", "maximum")
        },
    }


class NormsColumn(Column):
    """Codes of norms [P] of every step; merged ones have those of their extremes, and the mean.

    The smallest is held less one, around zero, so that it passes over what is absent.
    """

    keeps_strays = False
    within = 1

    def add_block(self, block: StepBlock, norms: Codes) -> None:
        """Add the norms of a block, in the order of the rows of this column."""
        self._give_way(block.first_step)
        self.within = max(self.within, block.norm_width)
        steps = block.ends(block.norm_width)
        new: Arrays = {"steps": steps, "wall_times": block.wall_times(steps)}
        if block.norm_width > 1:
            self._begin_merging(norms[0])
            new |= _norm_windows(block, norms, steps)
        elif self.merged:
            new |= _single(norms, steps)
            if self._width > 1:  # they would be merged soon
                starts = np.unique(np.append(np.arange(0, len(steps), self._width), len(steps) - 1))
                new = self._reduced(new, starts, np.append(starts[1:], len(steps)) - 1)
        else:
            new["last"] = norms
        for entries, part in self._places(len(new["steps"]), new["last"]):
            if self.merged and "counts" not in new:
                new |= _single(norms, steps)
            for name, array in new.items():
                self._arrays[name][entries] = array[part]

    def rearrange(self, rows: NDArray[np.intp]) -> None:
        """Bring the norms into another order of rows; -1 makes one that is absent."""
        if not self.begun:
            return
        for name, array in self._arrays.items():
            values = array[: self.count]
            if values.ndim == 2:
                values = values[:, rows]
                values[:, rows < 0] = _BLANKS.get(name, 0)
            self._arrays[name] = values

    def _frozen(self) -> Series:
        self._shared = self.count
        view = self._view
        codes = view("last")
        if not self.merged:
            return Series(self.kind, view("steps"), view("wall_times"), Norms(codes))
        mean = np.full(codes.shape, np.nan, np.float32)
        finite = view("finite")
        np.divide(view("total"), finite, out=mean, where=finite > 0, casting="unsafe")
        minimum, maximum = decoded(view("lowest") + np.uint16(1)), decoded(view("maximum"))
        buckets = Buckets(
            first_steps=view("first_steps"),
            last_steps=view("steps"),
            wall_times=view("wall_times"),
            minimum=minimum,
            maximum=maximum,
            mean=mean,
            last=decoded(codes),
            counts=view("counts"),
            nonfinite=np.zeros(self.count, np.int64),
        )
        peaks = Peaks(view("lowest_steps"), view("maximum_steps"))
        steps, wall_times = view("steps"), view("wall_times")
        return Series(
            self.kind, steps, wall_times, maximum, buckets, peaks=peaks, within=self.within
        )

    def _blank(self, value: Any, room: int) -> NDArray[Any]:
        return np.zeros((room, value.shape[-1]), np.uint16)

    def _buckets(self, limits: Limits) -> int:
        return limits.norm_entries(int(self._arrays["last"].shape[1]))

    def _add_arrays(self) -> None:
        shape = self._arrays["last"].shape
        types = {"lowest": np.uint16, "maximum": np.uint16, "total": np.float64}
        types |= {"finite": np.int64, "lowest_steps": np.int64, "maximum_steps": np.int64}
        self._arrays |= {name: np.zeros(shape, dtype) for name, dtype in types.items()}

    def _describe(self, entries: slice) -> None:
        super()._describe(entries)
        arrays = self._arrays
        described = _single(arrays["last"][entries], arrays["steps"][entries])
        for name, array in described.items():
            arrays[name][entries] = array

    def _reduced(self, former: Arrays, starts: NDArray[np.intp], ends: NDArray[np.intp]) -> Arrays:
        reduced = {name: former[name][ends] for name in _LATEST}
        reduced["first_steps"] = former["first_steps"][starts]
        lengths = ends - starts + 1
        for name, dtype in (("counts", np.int64), ("total", np.float64), ("finite", np.int64)):
            reduced[name] = np.add.reduceat(former[name], starts, dtype=dtype)
        for name, extreme in (("lowest", np.minimum), ("maximum", np.maximum)):
            reduced[name] = extreme.reduceat(former[name], starts)
            here = former[name] == np.repeat(reduced[name], lengths, axis=0)
            where = np.where(here, former[f"{name}_steps"], _NOWHERE)
            reduced[f"{name}_steps"] = np.minimum.reduceat(where, starts)
        return reduced


_BLANKS = {"lowest": 65_535}
"""Of rows that are absent; 0 of all else."""


def _single(codes: Codes, steps: NDArray[np.int64]) -> Arrays:
    """What merged entries need, of entries of one step each."""
    finite = (codes >= ZERO) & (codes != NOT_FINITE)
    at = np.broadcast_to(steps[:, None], codes.shape)
    return {
        "last": codes,
        "first_steps": steps,
        "counts": np.ones(len(steps), np.int64),
        "lowest": codes - np.uint16(1),
        "maximum": codes,
        "finite": finite,
        "total": np.where(finite, decoded(codes), np.float32(0)),
        "lowest_steps": at,
        "maximum_steps": at,
    }


def _norm_windows(block: StepBlock, norms: Codes, steps: NDArray[np.int64]) -> Arrays:
    """Windows of norms [3, W, P] as entries of their column."""
    lowest, mean, maximum = norms
    first_steps = np.arange(block.first_step, block.last_step + 1, block.norm_width)
    counts = steps - first_steps + 1
    finite = np.where((mean >= ZERO) & (mean != NOT_FINITE), counts[:, None], 0)
    at = np.repeat(first_steps[:, None], norms.shape[2], axis=1)
    return {
        "last": mean,
        "first_steps": first_steps,
        "counts": counts,
        "lowest": lowest - np.uint16(1),
        "maximum": maximum,
        "finite": finite,
        "total": np.where(finite > 0, decoded(mean), 0).astype(np.float64) * finite,
        "lowest_steps": at,
        "maximum_steps": at,
    }
