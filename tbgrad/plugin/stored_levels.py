"""The blocks of steps that TensorBoard has kept of a run, by the level that they are of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from operator import attrgetter
from typing import NamedTuple

from tbgrad.log.step_blocks import StepBlock
from tbgrad.log.tags import (
    GATHERED_STEPS,
    MANIFEST,
    NEWEST_WINDOWS,
    PLUGIN_NAME,
    STEP_LEVELS,
    STEP_LEVELS_PLUGIN_NAME,
    STEPS,
    STEPS_PLUGIN_NAME,
    Kind,
)
from tbgrad.plugin.samples import MAX_REPLY, NOTHING, Place, Samples
from tbgrad.plugin.source import Snapshot
from tbgrad.plugin.stored_run import Stored, decoded

SINGLE = (STEPS, GATHERED_STEPS)
"""The series of single steps: what was gathered takes the place of what it was made of."""

FINEST = (*SINGLE, NEWEST_WINDOWS)
"""What is read together with these."""

BLOCK_BYTES = {**dict.fromkeys(SINGLE, 512), **dict.fromkeys((NEWEST_WINDOWS, *STEP_LEVELS), 24)}
"""Of one parameter in a block."""

BLOCK_STEPS = 256
"""Of a block of the finest level, as long as its steps are single."""

BLOCK_WINDOWS = 4
"""Of norms, in a block of a coarser level."""

TOGETHER_BYTES = 32 * 2**20
"""Coarser levels are read in one call as far as they take no more."""

COARSEST = next(reversed(STEP_LEVELS))
"""One of those that are read together."""


class _Level(NamedTuple):
    """The blocks of a level by their steps, and how many records there are of it."""

    blocks: list[StepBlock]
    stored: int


class Levels:
    """The stored blocks of the levels of a run, of which `told` are the manifests.

    A session begins with a manifest: it took the place of what had been written of its steps until
    then, also where a level of it holds nothing yet.
    """

    def __init__(self, snapshot: Snapshot, place: Place, told: list[Stored]) -> None:
        self.place = place
        self._snapshot = snapshot
        self._begins, self._rows = begins_of(told), rows_of_manifests(told)

    def blocks(self, tag: str) -> list[StepBlock]:
        """Those of a level by their steps; where some overlap, what was written last."""

        return self._level(tag).blocks

    @property
    def has_all(self) -> bool:
        """Whether every block of the finest level is there, as of a short run."""
        source, known = self._snapshot.source, self._snapshot.extents(STEPS_PLUGIN_NAME, self.place)
        if known[STEPS].last_step > source.bytes_of(STEPS_PLUGIN_NAME, BLOCK_STEPS):
            return False
        return not source.sampled(STEPS_PLUGIN_NAME, self._level(STEPS).stored)

    # ------------------------------------------------------------------------ how it is read

    def asks(self, tag: str) -> tuple[str, tuple[str, ...], int]:
        """The plugin, the tags that are read with this one, and the size of a record of them."""
        size = self._rows * BLOCK_BYTES[tag]
        if tag in FINEST:
            return STEPS_PLUGIN_NAME, FINEST, size
        coarse = self._coarse
        return STEP_LEVELS_PLUGIN_NAME, coarse if tag in coarse else (tag,), size

    def bytes_of(self, tag: str) -> float:
        """How large a level may be: of as many blocks as its steps fill, or as are kept."""
        plugin, _, size = self.asks(tag)
        return min(self._snapshot.source.bytes_of(plugin, size), self._blocks_of(tag) * size)

    @cached_property
    def _coarse(self) -> tuple[str, ...]:
        """The coarsest levels, as many as are read in one call."""
        size, room = self._rows * BLOCK_BYTES[COARSEST], float(TOGETHER_BYTES)
        coarse: list[str] = []
        kept = self._snapshot.source.bytes_of(STEP_LEVELS_PLUGIN_NAME, size)
        for tag in reversed(STEP_LEVELS):
            room -= min(kept, self._blocks_of(tag) * size)
            if room < 0 and coarse:
                break
            coarse.append(tag)
        return tuple(coarse)

    def _blocks_of(self, tag: str) -> int:
        """How many blocks of a level the steps of the run fill."""
        last = self._snapshot.extents(STEPS_PLUGIN_NAME, self.place)[STEPS].last_step
        each = BLOCK_STEPS if tag in FINEST else BLOCK_WINDOWS * STEP_LEVELS[tag]
        return last // each + 2

    def is_kept(self, tag: str) -> bool:
        """Whether the blocks are at hand, so that asking for them takes no time."""
        what = ("blocks", *self.asks(tag)[1])
        revision = revision_of_steps(self._snapshot, self.place)
        return self._snapshot.is_kept(self.place, what, revision)

    def take(self, tag: str, found: dict[str, Samples]) -> None:
        """Keep what was read of a level, and of those that are read with it."""
        self._kept(tag, lambda: self._sorted(self.asks(tag)[1], found))

    def _level(self, tag: str) -> _Level:
        def read() -> dict[str, _Level]:
            plugin, tags, size = self.asks(tag)
            return self._sorted(tags, self._snapshot.tensors(self.place, plugin, tags, size))

        return self._kept(tag, read)[tag]

    def _kept(self, tag: str, read: Callable[[], dict[str, _Level]]) -> dict[str, _Level]:
        what = ("blocks", *self.asks(tag)[1])
        revision = revision_of_steps(self._snapshot, self.place)
        return self._snapshot.kept(self.place, what, revision, read)

    def _sorted(self, tags: Sequence[str], found: dict[str, Samples]) -> dict[str, _Level]:
        levels = {}
        for tag in tags:
            if tag == GATHERED_STEPS:
                continue
            parts = SINGLE if tag == STEPS else (tag,)
            samples = {part: found.get(part, NOTHING) for part in parts}
            levels[tag] = _Level(in_order(samples, self._begins), len(samples[tag]))
        return levels


def read_ahead(snapshot: Snapshot, levels: Sequence[Levels]) -> None:
    """Read blocks of several runs in two calls, as many as a reply has room for."""
    _read_together(snapshot, levels, STEPS)
    _read_together(snapshot, [each for each in levels if not each.has_all], COARSEST)


def _read_together(snapshot: Snapshot, levels: Sequence[Levels], tag: str) -> None:
    room, together = float(MAX_REPLY), []
    for each in levels:
        room -= sum(map(each.bytes_of, each.asks(tag)[1]))
        if room >= 0 and not each.is_kept(tag):
            together.append(each)
    if len(together) < 2:
        return
    plugin, tags, _ = together[0].asks(tag)
    alike = [each for each in together if each.asks(tag)[1] == tags]
    for each, found in zip(
        alike, snapshot.read([each.place for each in alike], plugin, tags), strict=True
    ):
        each.take(tag, found)


def revision_of_steps(snapshot: Snapshot, place: Place) -> str:
    """Changes whenever there are more steps of a run, or it is described anew."""
    described = snapshot.extents(PLUGIN_NAME, place).get(MANIFEST)
    newest = snapshot.extents(STEPS_PLUGIN_NAME, place)[STEPS]
    return f"{newest.revision} {described.revision if described else ''}"


def begins_of(told: list[Stored]) -> list[tuple[int, float]]:
    """After which steps, and when, the sessions began that these manifests are of.

    Within a session one is written again where something has changed, then with an older first
    step.
    """
    return [(step, wall_time) for step, wall_time, *_, found in told if found.first_step > step]


def rows_of_manifests(told: list[Stored]) -> int:
    """Of how many parameters a block has norms, at most."""
    return max((len(manifest.parameters) for *_, manifest in told), default=1)


def in_order(samples: dict[str, Samples], begins: list[tuple[int, float]]) -> list[StepBlock]:
    """The blocks of a level by their steps; where some overlap, what was written last."""
    read = [value for *_, kind, value in decoded(samples, []) if kind is Kind.STEPS]
    kept: list[StepBlock] = []
    for block in sorted(read, key=attrgetter("end")):
        if any(block.end < at and step < block.last_step for step, at in begins):
            continue
        while kept and kept[-1].first_step >= block.first_step:
            kept.pop()
        kept.append(block)
    return kept
