"""How much of a log is held, and how much of it is taken at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from tbgrad.log.tags import Kind
from tbgrad.log.tail import BATCH_RECORDS

FEW_RUNS = 8

NORM_BYTES = 38
"""Of a parameter in one entry of merged norms."""


@dataclass(frozen=True)
class Limits:
    """How many entries a series may be merged into, by what it holds.

    `packed_bytes` and `packed_histogram_bytes` are what the packed series of a run may take at the
    most entries they hold; their least number is 16 and their most 256, as a terminal has no more
    columns. `norms` and `norm_bytes` are the same of the norms of every step; with `extremes` those
    of steps whose batch is full are held apart, of the whole gradient in so many entries. Of more
    than 8 `runs` they share what there is. A series of `histograms` is one of another writer, of
    which a run may have thousands; `places` are those of a trajectory, of
    up to 32 kB each. Where there is no `merging`, every value is kept.
    `batch_records` are parsed at a time.
    """

    merging: bool = True
    scalars: int = 1024
    records: int = 1024
    histograms: int = 32
    places: int = 64
    packed: tuple[int, int] = (16, 256)
    packed_bytes: int = 96 << 20
    packed_histogram_bytes: int = 64 << 20
    extremes: int = 0
    norms: tuple[int, int] = (64, 1024)
    norm_bytes: int = 48 << 20
    runs: int = 1
    batch_records: int = BATCH_RECORDS

    def entries(self, kind: Kind) -> int:
        """Of a series that is not packed."""
        own = {
            Kind.SCALAR: self.scalars,
            Kind.HISTOGRAM: self.histograms,
            Kind.TRAJECTORY: self.places,
        }
        return own.get(kind, self.records)

    def packed_entries(self, kind: Kind, last: NDArray[Any]) -> int:
        """Of packed values like `last` [T, …], of which statistics are held four times each."""
        one = max(1, last.itemsize * math.prod(last.shape[1:]))
        least, most = self.packed
        if kind is Kind.PARAMETERS:
            most = min(most, self.packed_bytes // (8 * one))
        else:
            most = min(most, self.packed_histogram_bytes // (2 * one))
        return max(least, most * FEW_RUNS // max(FEW_RUNS, self.runs))

    def norm_entries(self, rows: int) -> int:
        """Of the norms of so many parameters at every step, of which there may be twice as many."""
        least, most = self.norms
        most = min(most, self.norm_bytes // (2 * NORM_BYTES * max(1, rows)))
        return max(least, most * FEW_RUNS // max(FEW_RUNS, self.runs))


def limits_of(bounded: bool | Limits) -> Limits:
    """The limits that a caller means by yes, by no, or by some of their own."""
    return bounded if isinstance(bounded, Limits) else Limits(merging=bounded)
