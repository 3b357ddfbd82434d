"""Steps in windows: the smallest, the mean and the largest of what lies in each.

A window of scalars says too at which of its steps these were. Nothing here loops over steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.norm_codes import NOT_FINITE, ZERO, Codes, encoded

NEVER = 2**32 - 1
"""At which step of a window there was a NaN, where there was none."""

SCALAR_WINDOW = np.dtype(
    [
        ("first", "<f4"), ("last", "<f4"), ("minimum", "<f4"), ("mean", "<f4"), ("maximum", "<f4"),
        ("minimum_at", "<u4"), ("maximum_at", "<u4"), ("nan_at", "<u4"), ("nonfinite", "<u4"),
    ]
)  # fmt: skip
"""A window of a scalar. `minimum` and `maximum` pass over NaN, the mean is of the finite ones and
NaN where there is none; what ends in `_at` are steps after the first one of the block."""


@dataclass(frozen=True)
class NormWindows:
    """Norms [W, P] of every parameter: codes of the extremes, sum and number of the finite ones.

    The smallest is held less one, around zero: so a parameter that was absent, whose code is the
    lowest, is passed over there as it is in the largest.
    """

    lowest: Codes
    maximum: Codes
    total: NDArray[np.float64]
    finite: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.lowest)

    @classmethod
    def of(cls, norms: NDArray[np.float32], starts: NDArray[np.intp]) -> NormWindows:
        """Windows of norms [T, P] that begin at `starts`."""
        codes = encoded(norms)
        usual = (codes >= ZERO) & (codes != NOT_FINITE)
        sizes = norms if usual.all() else np.where(usual, norms, np.float32(0))
        return cls(
            lowest=np.minimum.reduceat(codes - np.uint16(1), starts),
            maximum=np.maximum.reduceat(codes, starts),
            total=np.add.reduceat(sizes, starts, dtype=np.float64),
            finite=np.add.reduceat(usual, starts, dtype=np.int64),
        )

    @classmethod
    def joined(cls, parts: list[NormWindows]) -> NormWindows:
        """One after the other."""
        return cls(
            *(
                np.concatenate([getattr(part, name) for part in parts])
                for name in ("lowest", "maximum", "total", "finite")
            )
        )

    def part(self, start: int, end: int) -> NormWindows:
        """Some of them."""
        return NormWindows(
            self.lowest[start:end], self.maximum[start:end], self.total[start:end],
            self.finite[start:end],
        )  # fmt: skip

    def merged(self, starts: NDArray[np.intp]) -> NormWindows:
        """One in place of those from each of `starts` to the next."""
        return NormWindows(
            np.minimum.reduceat(self.lowest, starts),
            np.maximum.reduceat(self.maximum, starts),
            np.add.reduceat(self.total, starts),
            np.add.reduceat(self.finite, starts),
        )

    def codes(self) -> Codes:
        """Codes of smallest, mean and largest: [3, W, P]."""
        mean = np.full(self.total.shape, np.nan)
        np.divide(self.total, self.finite, out=mean, where=self.finite > 0)
        no_number = (self.finite == 0) & (self.maximum == NOT_FINITE)
        mean[no_number] = np.inf
        return np.stack([self.lowest + np.uint16(1), encoded(mean), self.maximum])


def scalar_windows(values: NDArray[np.float32], starts: NDArray[np.intp]) -> NDArray[np.void]:
    """Windows [W] of numbers [T] that begin at `starts`; steps are those of `values`."""
    windows = np.zeros(len(starts), SCALAR_WINDOW)
    ends = np.append(starts[1:], len(values)) - 1
    finite = np.isfinite(values)
    counts = np.add.reduceat(finite, starts, dtype=np.int64)
    total = np.add.reduceat(np.where(finite, values, 0), starts, dtype=np.float64)
    windows["first"], windows["last"] = values[starts], values[ends]
    windows["minimum"] = np.fmin.reduceat(values, starts)
    windows["maximum"] = np.fmax.reduceat(values, starts)
    windows["mean"] = _mean(total, counts)
    steps = np.arange(len(values), dtype=np.uint32)
    for name in ("minimum", "maximum"):
        windows[f"{name}_at"] = _where(values, windows[name], steps, starts)
    windows["nan_at"] = np.minimum.reduceat(np.where(np.isnan(values), steps, NEVER), starts)
    windows["nonfinite"] = (ends - starts + 1) - counts
    return windows


def merged_scalars(
    windows: NDArray[np.void], starts: NDArray[np.intp], lengths: NDArray[np.int64]
) -> NDArray[np.void]:
    """One window in place of those from each of `starts` to the next; `lengths` are their steps."""
    merged = np.zeros(len(starts), SCALAR_WINDOW)
    ends = np.append(starts[1:], len(windows)) - 1
    merged["first"], merged["last"] = windows["first"][starts], windows["last"][ends]
    merged["minimum"] = np.fmin.reduceat(windows["minimum"], starts)
    merged["maximum"] = np.fmax.reduceat(windows["maximum"], starts)
    for name in ("minimum", "maximum"):
        merged[f"{name}_at"] = _where(windows[name], merged[name], windows[f"{name}_at"], starts)
    merged["nan_at"] = np.minimum.reduceat(windows["nan_at"], starts)
    merged["nonfinite"] = np.add.reduceat(windows["nonfinite"], starts)
    finite = lengths - windows["nonfinite"].astype(np.int64)
    total = np.where(finite > 0, windows["mean"].astype(np.float64) * finite, 0.0)
    merged["mean"] = _mean(np.add.reduceat(total, starts), np.add.reduceat(finite, starts))
    return merged


def moved(windows: NDArray[np.void], steps: int) -> NDArray[np.void]:
    """The same windows in a block that begins so many steps earlier."""
    later = windows.copy()
    for name in ("minimum_at", "maximum_at", "nan_at"):
        there = later[name] != NEVER
        later[name][there] = (later[name][there].astype(np.int64) + steps).astype(np.uint32)
    return later


def _mean(total: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    mean = np.full(len(total), np.nan)
    np.divide(total, counts, out=mean, where=counts > 0)
    return mean


def _where(
    values: NDArray[np.float32],
    extremes: NDArray[np.float32],
    steps: NDArray[np.uint32],
    starts: NDArray[np.intp],
) -> NDArray[np.uint32]:
    """The first step of each window at which its extreme stands; the first one if it has none."""
    lengths = np.diff(np.append(starts, len(values)))
    here = values == np.repeat(extremes, lengths)
    found = np.minimum.reduceat(np.where(here, steps, np.uint32(NEVER)), starts)
    return np.where(found == NEVER, steps[starts], found)
