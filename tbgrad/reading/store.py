"""The series of one directory as they are read: columns by tag, and the groups they belong to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from tbgrad.log.records import Manifest
from tbgrad.log.tags import (
    HISTOGRAM_PREFIX,
    HISTOGRAMS,
    MANIFEST,
    PARAMETERS,
    Kind,
    in_group,
    split_group,
)
from tbgrad.reading.columns import Column, PackedColumn, column_for
from tbgrad.reading.rows import PackedRows
from tbgrad.reading.run import LeftOut
from tbgrad.reading.series import Series


class SeriesStore:
    """Columns by tag, `bounded` in memory or not.

    `expected_bytes` is how much there is to be read, from which packed columns guess their length;
    `runs` is how many share the memory. What is kept comes from `file`; `restarts` says of each at
    which step it began a new session.
    """

    def __init__(self, bounded: bool, runs: int = 1) -> None:
        self.bounded = bounded
        self.runs = runs
        self.expected_bytes = 0
        self.columns: dict[str, Column] = {}
        self.groups: dict[str, PackedRows] = {}
        self.file: object = None
        self.restarts: dict[object, int] = {}
        self._manifest_files: dict[str, set[object]] = {}
        self._unread: dict[tuple[str, str], int] = {}

    def keep(self, tag: str, step: int, wall_time: float, kind: Kind, value: Any) -> None:
        """Take in a decoded value.

        Raises:
            FormatError: it does not fit the manifest.
        """
        if kind is Kind.MANIFEST:
            group = split_group(tag)[0]
            self._manifest_files.setdefault(group, set()).add(self.file)
            self._adopt(group, value)
            return
        if kind in (Kind.PARAMETERS, Kind.HISTOGRAMS):
            group = split_group(tag)[0]
            if group not in self.groups:
                rows, width = value.shape
                nameless = Manifest.nameless(rows, width if kind is Kind.PARAMETERS else None)
                self._adopt(group, nameless)
            value = self.groups[group].fit(kind, value)
        column = self.columns.get(tag)
        if column is None:
            column = self.columns[tag] = column_for(kind, self.bounded)
            if isinstance(column, PackedColumn):
                column.expected_bytes, column.runs = self.expected_bytes, self.runs
        if column.kind is kind:
            column.begin_file(self.file, step)
            column.append(step, wall_time, value)
        else:
            reason = f"{kind.value}, in a series that began with {column.kind.value}"
            self.leave_out(tag, f"not read: {reason}")

    def leave_out(self, tag: str, reason: str, count: int = 1) -> None:
        """Count values that are not kept."""
        self._unread[tag, reason] = self._unread.get((tag, reason), 0) + count

    def gives_way(self, tag: str, step: int, later: Collection[object]) -> bool | None:
        """Whether a value was replaced already by those of the files read before it, `later` ones.

        None where it would have to stand before theirs.
        """
        group, own = split_group(tag)
        if own == MANIFEST:
            return None if self._manifest_files.get(group, set()) & set(later) else False
        column = self.columns.get(tag)
        theirs = [] if column is None else [s for f, s in column.begins.items() if f in later]
        starts = [*theirs, *(s for f, s in self.restarts.items() if f in later)]
        if starts and step >= min(starts):
            return True
        return None if theirs else False

    def restart(self, step: int) -> None:
        """Forget everything at or after `step`: a new session begins there."""
        self.restarts[self.file] = min(step, self.restarts.get(self.file, step))
        for column in self.columns.values():
            column.truncate(step)

    @property
    def manifests(self) -> dict[str, Manifest]:
        """The newest of every group."""
        return {name: rows.manifest for name, rows in self.groups.items() if rows.manifest}

    def adopt(self, manifests: Mapping[str, Manifest]) -> None:
        """Take these manifests as the newest of their groups."""
        for group, manifest in manifests.items():
            if self.manifests.get(group) is not manifest:
                self._adopt(group, manifest)

    def is_told_twice(self, tag: str) -> bool:
        """Whether bounded memory is better spent: a histogram of what our packed ones tell."""
        ours = self.bounded and bool(self.groups)
        return ours and self._place(tag)[1].startswith(HISTOGRAM_PREFIX)

    def by_group(self) -> dict[str, dict[str, Series]]:
        """The series of each group by their tags there; "" is the directory itself."""
        found: dict[str, dict[str, Series]] = {"": {}, **{group: {} for group in self.groups}}
        for tag, column in self.columns.items():
            if column.begun:
                group, own = self._place(tag)
                found[group][own] = column.freeze()
        return found

    def left_out(self) -> dict[str, list[LeftOut]]:
        """What was read and is in no series, by group."""
        found: dict[str, list[LeftOut]] = {}
        for (tag, reason), count in self._unread.items():
            group, own = self._place(tag)
            found.setdefault(group, []).append(LeftOut(own, count, reason))
        return found

    def _place(self, tag: str) -> tuple[str, str]:
        """The group that a series belongs to, and its tag there."""
        for group in self.groups:
            if group and tag.startswith(f"{group}/"):
                return group, tag[len(group) + 1 :]
        return "", tag

    def _adopt(self, group: str, manifest: Manifest) -> None:
        tags = (in_group(group, tag) for tag in (PARAMETERS, HISTOGRAMS))
        columns = (self.columns.get(tag) for tag in tags)
        packed = [column for column in columns if isinstance(column, PackedColumn)]
        histograms = self.columns.get(in_group(group, HISTOGRAMS))
        before = histograms.total if histograms is not None else 0
        self.groups.setdefault(group, PackedRows()).adopt(manifest, packed)
        if histograms is not None and before and not histograms.total:
            reason = "left out: their bins are others than those of the newest"
            self.leave_out(in_group(group, HISTOGRAMS), reason, before)
