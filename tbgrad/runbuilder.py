"""Put the runs of one directory together from its event files, and read parts of them again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tbgrad.eventfile import EventFileTail
from tbgrad.framing import FOOTER_BYTES, HEADER_BYTES
from tbgrad.intake import Intake
from tbgrad.packedrows import PackedRows
from tbgrad.records import Manifest
from tbgrad.run import Run
from tbgrad.store import SeriesStore
from tbgrad.tags import group_name


class RunBuilder:
    """Reads the event files of one of so many directories, `bounded` in memory or not.

    `problems` maps unreadable files to why.
    """

    def __init__(self, name: str, bounded: bool = False, runs: int = 1) -> None:
        self.name = name
        self.problems: dict[str, str] = {}
        self._tails: dict[Path, EventFileTail] = {}
        self._store = SeriesStore(bounded, runs)
        self._intake = Intake(self._store)
        self._stretches: list[_Stretch] = []

    def outdated(self, paths: list[Path]) -> bool:
        """Whether a file read earlier was deleted, cut or replaced, so that all is to be reread."""
        return not self._tails.keys() <= set(paths) or any(
            tail.replaced() for tail in self._tails.values()
        )

    def read(self, paths: list[Path], deadline: float) -> bool:
        """Take in what is new in the files until `deadline`; whether there was anything."""
        before = self.bytes_read
        self.problems = {}
        for path in paths:
            tail = self._tails.setdefault(path, EventFileTail(path))
            try:
                if tail.grown():
                    self._store.expected_bytes = max(
                        self._store.expected_bytes, before + path.stat().st_size
                    )
                    if self._read(tail, deadline):
                        return True
            except OSError as error:
                self.problems[str(path)] = error.strerror or str(error)
        return self.bytes_read > before

    def _read(self, tail: EventFileTail, deadline: float) -> bool:
        """Take in what is new in one file; True if there was not the time for all of it."""
        for batch in tail.read():
            manifests = self._store.manifests
            first, last = self._intake.take(batch, tail)
            if self._store.bounded:
                end = batch.offsets[-1] + len(batch.contents[-1]) + HEADER_BYTES + FOOTER_BYTES
                stretch = _Stretch(tail.path, batch.offsets[0], end, first, last, manifests)
                self._stretches.append(stretch)
            if time.monotonic() > deadline:
                return True
        return False

    def reread(self, first_step: int, last_step: int) -> dict[str, Run]:
        """All that was written of the steps between these, both included, and maybe some more.

        Raises:
            OSError: a file cannot be read any more.
        """
        builder = RunBuilder(self.name)
        builder._intake = Intake(builder._store, former=self._intake)
        for stretch in self._stretches:
            if stretch.first_step <= last_step and stretch.last_step >= first_step:
                builder._store.adopt(stretch.manifests)
                tail = EventFileTail(stretch.path)
                for batch in tail.stretch(stretch.start, stretch.end):
                    builder._intake.take(batch, tail)
        builder._store.adopt(self._store.manifests)
        return builder.freeze()

    def freeze(self, last_look: bool = False) -> dict[str, Run]:
        """The run as it is now, by name; with the ends of files that are no records if the last.

        Each group of parameters is a run of its own, named as if it were a directory in this one.
        """
        damage = [d for tail in self._tails.values() for d in tail.damage]
        if last_look:
            ends = (tail.unfinished() for tail in self._tails.values())
            damage += [end for end in ends if end is not None]
        ordered = tuple(sorted(damage, key=lambda d: (d.file, d.offset)))
        groups = self._store.by_group()
        runs: dict[str, Run] = {}
        for group, series in groups.items():
            if series or group or len(groups) == 1:
                rows = self._store.groups.get(group, PackedRows())
                name = group_name(self.name, group)
                runs[name] = Run(
                    name=name,
                    series=series,
                    manifest=rows.manifest,
                    parameters=rows.parameters,
                    names=rows.names,
                    # Of the whole directory: told once, so that sums over runs are right.
                    damage=() if runs else ordered,
                    bytes_read=0 if runs else self.bytes_read,
                )
        return runs

    @property
    def bytes_read(self) -> int:
        """Of all files."""
        return sum(tail.offset for tail in self._tails.values())


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A part of a file: between which steps its events are, and the manifests ahead of them."""

    path: Path
    start: int
    end: int
    first_step: int
    last_step: int
    manifests: Mapping[str, Manifest]
