"""A series under construction: arrays that grow, and that merge neighbours where they are bounded.

Unbounded, a column keeps every value. Bounded, it has room for twice as many entries as it may have
buckets; when that is full, neighbours are merged into buckets of about as many values each. What
was handed out by `freeze` is never written again.
"""

from __future__ import annotations

from collections.abc import Callable

from tbgrad.log.tags import Kind
from tbgrad.reading.columns.column import AlertColumn, Column, PlacesColumn
from tbgrad.reading.columns.full_batches import FullBatches
from tbgrad.reading.columns.limits import Limits, limits_of
from tbgrad.reading.columns.packed import PackedColumn
from tbgrad.reading.columns.scalars import ScalarColumn
from tbgrad.reading.columns.steps import EveryScalar, NormsColumn

__all__ = [
    "Column",
    "EveryScalar",
    "FullBatches",
    "Limits",
    "NormsColumn",
    "PackedColumn",
    "ScalarColumn",
    "column_for",
    "limits_of",
]


def column_for(kind: Kind, limits: Limits) -> Column:
    """An empty column for values of a kind."""
    make: dict[Kind, Callable[[Kind, Limits], Column]] = {
        Kind.SCALAR: ScalarColumn,
        Kind.PARAMETERS: PackedColumn,
        Kind.HISTOGRAMS: PackedColumn,
        Kind.ALERTS: AlertColumn,
        Kind.STEPS: NormsColumn,
        Kind.TRAJECTORY: PlacesColumn,
    }
    return make.get(kind, Column)(kind, limits)
