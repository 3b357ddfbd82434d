"""Every step of a run, as far as TensorBoard has kept it: whole from a coarser level where not.

TensorBoard keeps a random sample of the blocks of a series. The levels are read from the coarsest
on until one is as fine as a screen can show. What it does not reach yet comes from finer ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter

from tbgrad.log.step_blocks import StepBlock, after, windows_in
from tbgrad.log.tags import (
    MANIFEST,
    STEP_LEVELS,
    STEP_LEVELS_PLUGIN_NAME,
    STEPS,
    STEPS_PLUGIN_NAME,
    Kind,
)
from tbgrad.plugin.source import MAX_REPLY, NOTHING, Place, Samples, Snapshot
from tbgrad.plugin.stored_run import Stored, decoded, manifests, put_together
from tbgrad.reading.columns import Limits
from tbgrad.reading.run import Run

ENOUGH_WINDOWS = 280
"""As many as a heat map has columns; scalars are finer by four. TensorBoard keeps enough for all of
a level until there are four times as many."""

BLOCK_BYTES = {STEPS: 512, **dict.fromkeys(STEP_LEVELS, 24)}
"""Of one parameter in a block."""

TOGETHER_BYTES = 32 * 2**20
"""All levels are read in one call where they take no more: those of some 650 parameters."""


def read_steps(snapshot: Snapshot, name: str) -> Run | None:
    """A run with the series of every step, in windows where it is long; None where it has none.

    Raises:
        UnknownNameError: TensorBoard knows no such run.
    """
    place = snapshot.place(name)
    extents = snapshot.extents(STEPS_PLUGIN_NAME, place)
    if STEPS not in extents:
        return None

    def read() -> Run:
        told = list(decoded({MANIFEST: manifests(snapshot, place)}, []))
        values = step_values(snapshot, place, told, ENOUGH_WINDOWS)
        limits = Limits(merging=False)
        return put_together(name, [*told, *values], [], {}, limits, tell_misfits=False).run

    return snapshot.kept(place, ("steps",), extents[STEPS].revision, read)


def step_values(
    snapshot: Snapshot, place: Place, told: list[Stored], enough: int | None = None
) -> list[Stored]:
    """Every step of a run whose manifests are `told`, as blocks of the coarsest level that has
    `enough` windows, without that of the finest that is whole."""
    if STEPS not in snapshot.extents(STEPS_PLUGIN_NAME, place):
        return []
    return _as_values(_chosen(_Levels(snapshot, place, told), enough))


def newest_steps(
    snapshot: Snapshot, places: Sequence[Place], manifests: Sequence[list[Stored]]
) -> list[list[Stored]]:
    """The finest blocks of several runs, in one call: all of short ones, the newest of long."""
    there = [STEPS in snapshot.extents(STEPS_PLUGIN_NAME, place) for place in places]
    if not any(there):
        return [[] for _ in places]
    size = sum(_rows(told) * BLOCK_BYTES[STEPS] for told in manifests)
    read = snapshot.together(places, STEPS_PLUGIN_NAME, STEPS, max(1, MAX_REPLY // size))
    return [
        _as_values(_in_order({STEPS: samples}, _begins(told)))
        for samples, told in zip(read, manifests, strict=True)
    ]


def _as_values(blocks: Iterable[StepBlock]) -> list[Stored]:
    return [(block.first_step, block.end, STEPS, Kind.STEPS, block) for block in blocks]


def _begins(told: list[Stored]) -> list[tuple[int, float]]:
    return [(step, wall_time) for step, wall_time, *_ in told]


def _rows(told: list[Stored]) -> int:
    return max((len(manifest.parameters) for *_, manifest in told), default=1)


def _in_order(samples: dict[str, Samples], begins: list[tuple[int, float]]) -> list[StepBlock]:
    """The blocks of a level by their steps; where some overlap, what was written last."""
    read = [value for *_, kind, value in decoded(samples, []) if kind is Kind.STEPS]
    kept: list[StepBlock] = []
    for block in sorted(read, key=attrgetter("end")):
        if any(block.end < at and step <= block.last_step for step, at in begins):
            continue
        while kept and kept[-1].first_step >= block.first_step:
            kept.pop()
        kept.append(block)
    return kept


class _Levels:
    """The stored blocks of the levels of a run, of which `told` are the manifests.

    A session begins with a manifest: it took the place of what had been written of its steps until
    then, also where a level of it holds nothing yet.
    """

    def __init__(self, snapshot: Snapshot, place: Place, told: list[Stored]) -> None:
        self._snapshot, self._place = snapshot, place
        self._begins, self._rows = _begins(told), _rows(told)
        self._read: dict[str, Samples] = {}

    def blocks(self, tag: str) -> list[StepBlock]:
        """Those of a level by their steps; where some overlap, what was written last."""
        return _in_order({tag: self._samples(tag)}, self._begins)

    def _samples(self, tag: str) -> Samples:
        """The records of a level, read with those of all others where they take little."""
        if tag not in self._read:
            plugin = STEPS_PLUGIN_NAME if tag == STEPS else STEP_LEVELS_PLUGIN_NAME
            size = self._rows * BLOCK_BYTES[tag]
            tags = [tag]
            most = len(STEP_LEVELS) * self._snapshot.source.bytes_of(plugin, size)
            if tag != STEPS and most <= TOGETHER_BYTES:
                tags = list(STEP_LEVELS)
            read = self._snapshot.tensors(self._place, plugin, tags, size)
            self._read |= {tag: read.get(tag, NOTHING) for tag in tags}
        return self._read[tag]


def _chosen(levels: _Levels, enough: int | None) -> list[StepBlock]:
    """The blocks of the finest level that is whole and needed, then what finer ones have later."""
    chosen: list[StepBlock] = []
    finer: list[StepBlock] = []
    for tag in (*reversed(STEP_LEVELS), STEPS):
        finer = levels.blocks(tag)
        if not finer:
            continue  # it is not written, or what a former session wrote is gone
        if not _whole(finer, chosen):
            break
        windows = sum(windows_in(block.count, block.norm_width) for block in chosen)
        if enough is not None and windows >= enough:
            break
        chosen = finer
    fine = finer if finer is chosen or tag == STEPS else levels.blocks(STEPS)
    return _with_tail(chosen, finer, fine)


def _whole(blocks: list[StepBlock], coarser: list[StepBlock]) -> bool:
    """Whether none of its blocks is missing between those of the coarser level."""
    if not blocks or not coarser:
        return bool(blocks)
    covered = sum(block.count for block in blocks if block.last_step <= coarser[-1].last_step)
    reaching = sum(block.count for block in coarser)
    return covered >= reaching - 2 * max(block.count for block in blocks)


def _with_tail(blocks: list[StepBlock], *finer: Iterable[StepBlock]) -> list[StepBlock]:
    """With what the finer levels have behind the last step."""
    chosen = list(blocks)
    for level in finer:
        for block in level:
            rest = after(block, chosen[-1].last_step) if chosen else block
            if rest is not None:
                chosen.append(rest)
    return chosen
