"""The series of one directory as they are read, and the groups they belong to: the only door."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.records import Manifest
from tbgrad.log.step_blocks import StepBlock
from tbgrad.log.tags import (
    GATHERED_STEPS,
    HEARTBEAT,
    HISTOGRAM_PREFIX,
    HISTOGRAMS,
    HPARAMS_PREFIX,
    MANIFEST,
    NEWEST_WINDOWS,
    PARAMETERS,
    STATE,
    STEP_LEVELS,
    STEPS,
    Kind,
    in_group,
    split_group,
    within,
)
from tbgrad.reading.columns import (
    Column,
    EveryScalar,
    FullBatches,
    Limits,
    NormsColumn,
    PackedColumn,
    ScalarColumn,
    column_for,
)
from tbgrad.reading.every_step import together
from tbgrad.reading.left_out import REPLACED, LeftOut
from tbgrad.reading.rows import Rows
from tbgrad.reading.run import Run
from tbgrad.reading.series import Series
from tbgrad.reading.state import Heard, heard


class SeriesStore:
    """Takes decoded values in and hands out runs; within `limits`.

    `expected_bytes` is how much there is to be read, from which packed columns guess their length.
    What is added comes from `file`.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.expected_bytes = 0
        self.file: object = None
        self._columns: dict[str, Column] = {}
        self._every: dict[str, EveryScalar] = {}
        self._full: dict[str, FullBatches] = {}
        self._groups: dict[str, Rows] = {}
        self._restarts: dict[object, int] = {}
        self._states: dict[str, dict[object, Heard]] = {}
        self._manifest_files: dict[str, set[object]] = {}
        self._unread: dict[tuple[str, str], int] = {}

    # ------------------------------------------------------------------------ what comes in

    def add(self, tag: str, step: int, wall_time: float, kind: Kind, value: Any) -> None:
        """Add a decoded value.

        Raises:
            FormatError: it does not fit the manifest.
        """
        if kind is Kind.MANIFEST:
            group = split_group(tag)[0]
            self._manifest_files.setdefault(group, set()).add(self.file)
            self._change_manifest(group, value)
            return
        if kind is Kind.STEPS:
            self._add_block(tag, value)
            return
        if kind in (Kind.STATE, Kind.HEARTBEAT):
            states = self._states.setdefault(split_group(tag)[0], {})
            states[self.file] = heard(states.get(self.file), kind, value, wall_time)
            return
        if kind in (Kind.PARAMETERS, Kind.HISTOGRAMS):
            group = split_group(tag)[0]
            if group not in self._groups:
                rows, width = value.shape
                nameless = Manifest.nameless(rows, width if kind is Kind.PARAMETERS else None)
                self._change_manifest(group, nameless)
            value = self._groups[group].arranged(kind, value)
        column = self._columns.get(tag)
        if column is None:
            column = self._columns[tag] = column_for(kind, self.limits)
            if isinstance(column, PackedColumn):
                column.expected_bytes = self.expected_bytes
        if column.kind is kind:
            column.begin_file(self.file, step)
            column.append(step, wall_time, value)
        else:
            reason = f"{kind.value}, in a series that began with {column.kind.value}"
            self.leave_out(tag, f"not read: {reason}")

    def extend(
        self,
        tag: str,
        steps: NDArray[np.int64],
        wall_times: NDArray[np.float64],
        values: NDArray[np.float64],
    ) -> None:
        """Add many values [T] of a scalar series that has begun."""
        column = self._columns[tag]
        assert isinstance(column, ScalarColumn)
        column.begin_file(self.file, int(steps[0]))
        column.extend(steps, wall_times, values)

    def _add_block(self, tag: str, block: StepBlock) -> None:
        """Add a block of steps: its scalars and its norms."""
        group = split_group(tag)[0]
        if group not in self._groups:
            self._change_manifest(group, Manifest.nameless(block.rows))
        norms = self._groups[group].norms(block)
        column = self._columns.get(tag)
        if column is None:
            column = self._columns[tag] = column_for(Kind.STEPS, self.limits)
        assert isinstance(column, NormsColumn)
        for name in block.scalars:
            own = in_group(group, name)
            if own not in self._every:
                self._every[own] = EveryScalar(Kind.SCALAR, self.limits)
            self._every[own].begin_file(self.file, block.first_step)
            self._every[own].add_block(block, name)
        column.begin_file(self.file, block.first_step)
        column.add_block(block, norms)
        if self.limits.extremes:
            rows = self._groups[group]
            full = self._full.setdefault(group, FullBatches(self.limits))
            full.add_block(self.file, block, norms, rows.manifest.batches if rows.manifest else ())

    def restart(self, step: int) -> None:
        """Forget everything at or after `step`: a new session begins there."""
        self._restarts[self.file] = min(step, self._restarts.get(self.file, step))
        full = [column for one in self._full.values() for column in one.columns]
        for column in (*self._columns.values(), *self._every.values(), *full):
            column.truncate(step)

    def change_manifests(self, manifests: Mapping[str, Manifest]) -> None:
        """Make these the newest of their groups."""
        for group, manifest in manifests.items():
            if self.manifests.get(group) is not manifest:
                self._change_manifest(group, manifest)

    def leave_out(self, tag: str, reason: str, count: int = 1) -> None:
        """Count values that are not added."""
        self._unread[tag, reason] = self._unread.get((tag, reason), 0) + count

    # ------------------------------------------------------------------------ what is known

    @property
    def manifests(self) -> dict[str, Manifest]:
        """The newest of every group."""
        return {name: rows.manifest for name, rows in self._groups.items() if rows.manifest}

    def kind(self, tag: str) -> Kind | None:
        """What the values of a series are, None where it has not begun."""
        column = self._columns.get(tag)
        return None if column is None else column.kind

    def is_redundant(self, tag: str) -> bool:
        """Whether it tells what others of ours do: hyperparameters, the coarser levels of what is
        there step by step, and where memory is bounded a histogram.
        """
        if split_group(tag)[1] in (GATHERED_STEPS, NEWEST_WINDOWS, *STEP_LEVELS):
            return True
        if tag.startswith(HPARAMS_PREFIX) and self._states:
            return True
        if not (self.limits.merging and self._groups):
            return False
        return within(self._groups, tag)[1].startswith(HISTOGRAM_PREFIX)

    def replaced_by(
        self, later: Collection[object], tag: str, step: int, first_step: int | None = None
    ) -> bool | None:
        """Whether values of `later` files, which were read already, replaced one that comes now.

        None where it would have to stand before theirs. A block of steps begins at `first_step`.
        """
        group, own = split_group(tag)
        if own in (STATE, HEARTBEAT):
            return False  # of each file the newest counts
        if own == MANIFEST:
            return None if self._manifest_files.get(group, set()) & set(later) else False
        column = self._columns.get(tag)
        theirs = [] if column is None else [s for f, s in column.begins.items() if f in later]
        starts = [*theirs, *(s for f, s in self._restarts.items() if f in later)]
        if starts and step >= min(starts):
            return None if first_step is not None and first_step < min(starts) else True
        return None if theirs else False

    # ------------------------------------------------------------------------ what comes out

    def runs(self) -> Iterator[tuple[str, Run]]:
        """Each group and its run as it is now, without a name; "" is the directory itself."""
        series: dict[str, dict[str, Series]] = {"": {}, **{group: {} for group in self._groups}}
        for tag, one in self._frozen():
            group, own = within(self._groups, tag)
            series[group][own] = one
        unread: dict[str, dict[tuple[str, str], int]] = {}
        for (tag, reason), count in self._unread.items():
            group, own = within(self._groups, tag)
            unread.setdefault(group, {})[own, reason] = count
        for group, own_series in series.items():
            rows = self._groups.get(group, Rows())
            newest = max(self._states.get(group, {}).values(), default=Heard(0.0, None), key=_when)
            yield (
                group,
                Run(
                    "",
                    own_series,
                    rows.manifest,
                    rows.parameters,
                    rows.names,
                    left_out=_left_out(own_series, unread.get(group, {})),
                    state=newest.state,
                    heard=newest.wall_time,
                    full=self._full[group].freeze() if group in self._full else {},
                ),
            )

    def _frozen(self) -> Iterator[tuple[str, Series]]:
        """Every series; what is there of every step stands in those of the scalars."""
        for tag, column in self._columns.items():
            if column.begun and tag not in self._every:
                yield tag, column.freeze()
        for tag, every in self._every.items():
            native = self._columns.get(tag)
            known = native.freeze() if native is not None and native.begun else None
            yield tag, together(known, every.freeze())

    def _change_manifest(self, group: str, manifest: Manifest) -> None:
        tags = (in_group(group, tag) for tag in (PARAMETERS, HISTOGRAMS, STEPS))
        columns = (self._columns.get(tag) for tag in tags)
        packed = [column for column in columns if isinstance(column, PackedColumn | NormsColumn)]
        if group in self._full:
            packed.append(self._full[group].norms)
        histograms = self._columns.get(in_group(group, HISTOGRAMS))
        before = histograms.total if histograms is not None else 0
        self._groups.setdefault(group, Rows()).change(manifest, packed)
        if histograms is not None and before and not histograms.total:
            reason = "left out: their bins are others than those of the newest"
            self.leave_out(in_group(group, HISTOGRAMS), reason, before)


def _when(heard: Heard) -> float:
    return heard.wall_time


def _left_out(
    series: Mapping[str, Series], unread: Mapping[tuple[str, str], int]
) -> tuple[LeftOut, ...]:
    """What is in no series, one entry a tag and reason."""
    counts = dict(unread)
    for tag, one in series.items():
        if one.replaced:
            counts[tag, REPLACED] = counts.get((tag, REPLACED), 0) + one.replaced
    return tuple(LeftOut(tag, count, reason) for (tag, reason), count in sorted(counts.items()))
