"""Which parameter a row of the packed series is, as manifests come and change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.norm_codes import ABSENT, Codes
from tbgrad.log.records import Manifest, Parameter, distinct
from tbgrad.log.step_blocks import StepBlock
from tbgrad.log.tags import FormatError, Kind
from tbgrad.reading.columns import NormsColumn, PackedColumn


@dataclass
class Rows:
    """The rows of the packed series of one group: those of its newest manifest, then others."""

    manifest: Manifest | None = None
    parameters: tuple[Parameter, ...] = ()
    names: tuple[str, ...] = ()

    def arranged(self, kind: Kind, value: NDArray[Any]) -> NDArray[Any]:
        """A value [P, …] in the order of `names`, which may be more than its manifest has.

        Raises:
            FormatError: it does not fit the manifest.
        """
        manifest = self.manifest
        assert manifest is not None
        width = (
            len(manifest.statistics) if kind is Kind.PARAMETERS else manifest.histogram_bins.columns
        )
        if value.shape != (len(manifest.parameters), width):
            raise FormatError(
                f"{kind.value} of shape {value.shape} do not fit the manifest, which has "
                f"{len(manifest.parameters)} parameters and {width} columns"
            )
        missing = len(self.parameters) - len(value)
        if missing == 0:
            return value
        return np.concatenate([value, np.full((missing, width), _BLANKS[kind], value.dtype)])

    def norms(self, block: StepBlock) -> Codes:
        """The norms of a block, [T, P] or [3, W, P], in the order of `names`.

        Raises:
            FormatError: they do not fit the manifest.
        """
        assert self.manifest is not None
        known = len(self.manifest.parameters)
        if block.rows != known:
            raise FormatError(
                f"steps with norms of {block.rows} parameters do not fit the manifest, which has "
                f"{known}"
            )
        missing = len(self.parameters) - block.rows
        if missing == 0:
            return block.norms
        width = [(0, 0)] * (block.norms.ndim - 1) + [(0, missing)]
        return np.pad(block.norms, width, constant_values=ABSENT)

    def change(self, manifest: Manifest, columns: Iterable[PackedColumn | NormsColumn]) -> None:
        """Bring what was read so far into the order of rows and columns of a new manifest."""
        former, former_names = self.manifest, self.names
        current = set(manifest.names)
        vanished = [i for i, name in enumerate(former_names) if name not in current]
        self.parameters = manifest.parameters + tuple(self.parameters[i] for i in vanished)
        self.names = manifest.names + tuple(former_names[i] for i in vanished)
        self.manifest = manifest
        if former is None:
            return
        rows = _positions(self.names, former_names)
        order = _positions(distinct(manifest.statistics), distinct(former.statistics))
        for column in columns:
            if isinstance(column, NormsColumn):
                column.rearrange(rows)
            elif column.kind is Kind.PARAMETERS:
                column.rearrange(rows, order, _BLANKS[column.kind])
            elif (
                column.kind is Kind.HISTOGRAMS and manifest.histogram_bins != former.histogram_bins
            ):
                column.forget()
            elif column.kind is Kind.HISTOGRAMS:
                column.rearrange(rows, None, _BLANKS[column.kind])


_BLANKS = {Kind.PARAMETERS: np.nan, Kind.HISTOGRAMS: 0}


def _positions(wanted: Sequence[str], present: Sequence[str]) -> NDArray[np.intp]:
    """Index in `present` of every name in `wanted`, -1 for those that are missing."""
    where = {name: i for i, name in enumerate(present)}
    return np.array([where.get(name, -1) for name in wanted], dtype=np.intp)
