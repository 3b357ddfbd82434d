"""Put the runs of one directory together from its event files, and read parts of them again."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tbgrad.log.framing import FOOTER_BYTES, HEADER_BYTES
from tbgrad.log.records import Damage, Manifest
from tbgrad.log.tags import group_name
from tbgrad.log.tail import EventFileTail
from tbgrad.reading.columns import Limits
from tbgrad.reading.parse import EventParser
from tbgrad.reading.run import Run
from tbgrad.reading.store import SeriesStore


class RunBuilder:
    """Reads the event files of one directory, within `limits`.

    `problems` maps unreadable files to why. `complete` is that the last look reached their ends.

    Whenever one looks, it is as if the files were read one after the other in their order: where an
    earlier one grows, its values give way to those of later ones that were read already.
    """

    def __init__(self, name: str, limits: Limits) -> None:
        self.name = name
        self.problems: dict[str, str] = {}
        self.complete = False
        self._disordered = False
        self._tails: dict[Any, EventFileTail] = {}
        self._store = SeriesStore(limits)
        self._parser = EventParser(self._store)
        self._stretches: list[_Stretch] = []

    @property
    def stale(self) -> bool:
        """Whether the last look showed that all is to be read anew."""
        return self._disordered or any(tail.stale for tail in self._tails.values())

    def outdated(self, paths: Sequence[Any]) -> bool:
        """Whether a file read earlier was deleted, cut or replaced, so that all is to be reread."""
        for path in paths:
            if path in self._tails and not isinstance(path, Path):
                self._tails[path].path = path  # what was listed last
        return (
            self._disordered
            or not self._tails.keys() <= set(paths)
            or any(tail.replaced() for tail in self._tails.values())
        )

    def read(self, paths: list[Path], deadline: float) -> bool:
        """Read what is new in the files until `deadline`; whether there was anything."""
        before = self.bytes_read
        self.problems, self.complete = {}, True
        for i, path in enumerate(paths):
            tail = self._tails.get(path)
            if tail is None:
                tail = self._tails[path] = EventFileTail(path, self._store.limits.batch_records)
            try:
                if tail.grown():
                    self._store.expected_bytes = max(
                        self._store.expected_bytes, before + path.stat().st_size
                    )
                    if self._read(tail, paths[i + 1 :], deadline):
                        self.complete = False
                        return True
            except OSError as error:
                self.problems[str(path)] = error.strerror or str(error)
        return self.bytes_read > before

    def _read(self, tail: EventFileTail, behind: list[Path], deadline: float) -> bool:
        """Read what is new in one file; True if there was not the time for all of it."""
        tails = self._tails
        later = {tails[path] for path in behind if path in tails and tails[path].offset}
        self._store.file = tail
        for batch in tail.read():
            manifests = self._store.manifests
            if later:
                if not self._parser.parse_late(batch, tail, later):
                    self._disordered = True
                    return False
                first, last = -(2**63), 2**63
            else:
                first, last = self._parser.parse(batch, tail)
            if self._store.limits.merging:
                end = batch.offsets[-1] + len(batch.contents[-1]) + HEADER_BYTES + FOOTER_BYTES
                stretch = _Stretch(tail, batch.offsets[0], end, first, last, manifests)
                self._stretches.append(stretch)
            if time.monotonic() > deadline:
                return True
        return False

    def reread(self, first_step: int, last_step: int) -> dict[str, Run]:
        """All that was written of the steps between these, both included, and maybe some more.

        Raises:
            OSError: a file cannot be read any more.
        """
        builder = RunBuilder(self.name, Limits(merging=False))
        builder._parser = EventParser(builder._store, former=self._parser)
        for stretch in sorted(self._stretches, key=lambda part: (part.tail.path, part.start)):
            if stretch.first_step <= last_step and stretch.last_step >= first_step:
                builder._store.change_manifests(stretch.manifests)
                tail = EventFileTail(stretch.tail.path)
                builder._store.file = stretch.tail
                for batch in tail.stretch(stretch.start, stretch.end):
                    builder._parser.parse(batch, tail)
        builder._store.change_manifests(self._store.manifests)
        return builder.freeze()

    def bytes_between(self, first_step: int, last_step: int) -> int:
        """How many bytes `reread` of these steps would read."""
        return sum(
            part.end - part.start
            for part in self._stretches
            if part.first_step <= last_step and part.last_step >= first_step
        )

    def freeze(self, last_look: bool = False) -> dict[str, Run]:
        """The run as it is now, by name; with the ends of files that are no records if the last.

        Each group of parameters is a run of its own, named as if it were a directory in this one.
        """
        damage = [d for tail in self._tails.values() for d in tail.damage]
        if last_look:
            ends = (tail.unfinished() for tail in self._tails.values())
            damage += [end for end in ends if end is not None]
            damage += [Damage(path, 0, f"not read: {why}") for path, why in self.problems.items()]
        ordered = tuple(sorted(damage, key=lambda d: (d.file, d.offset)))
        groups = list(self._store.runs())
        runs: dict[str, Run] = {}
        for group, run in groups:
            if run or group or len(groups) == 1:
                name = group_name(self.name, group)
                # Of the whole directory: told once, so that sums over runs are right.
                bytes_read = 0 if runs else self.bytes_read
                runs[name] = replace(run, name=name, damage=ordered, bytes_read=bytes_read)
        return runs

    @property
    def bytes_read(self) -> int:
        """Of all files."""
        return sum(tail.offset for tail in self._tails.values())


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A part of a file: between which steps its events are, and the manifests ahead of them."""

    tail: EventFileTail
    start: int
    end: int
    first_step: int
    last_step: int
    manifests: Mapping[str, Manifest]
