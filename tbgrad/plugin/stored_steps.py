"""Every step of a run, as far as TensorBoard has kept it: whole from a coarser level where not.

TensorBoard keeps a random sample of the blocks of a series. The levels are read from the coarsest
on until one is as fine as a screen can show. What it does not reach yet comes from finer ones.
"""

from __future__ import annotations

from collections.abc import Iterable
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
from tbgrad.plugin.source import Extent, Place, Snapshot
from tbgrad.plugin.stored_run import Stored, decoded, manifests, put_together
from tbgrad.reading.columns import Limits
from tbgrad.reading.run import Run

ENOUGH_WINDOWS = 280
"""As many as a heat map has columns; scalars are finer by four. TensorBoard keeps enough for all of
a level until there are four times as many."""

BLOCK_BYTES = {STEPS: 512, **dict.fromkeys(STEP_LEVELS, 24)}
"""Of one parameter in a block."""


def read_steps(snapshot: Snapshot, name: str) -> Run | None:
    """A run with the series of every step, in windows where it is long; None where it has none.

    Raises:
        UnknownNameError: TensorBoard knows no such run.
    """
    place = snapshot.place(name)
    tags = tags_of(snapshot, place)
    if not tags:
        return None
    revision = " ".join(_extents(snapshot, place, tag)[tag].revision for tag in tags)

    def read() -> Run:
        told = list(decoded({MANIFEST: manifests(snapshot, place)}, []))
        rows = max((len(manifest.parameters) for *_, manifest in told), default=1)
        blocks = _chosen(snapshot, place, tags, rows)
        values: list[Stored] = [(b.first_step, b.end, STEPS, Kind.STEPS, b) for b in blocks]
        limits = Limits(merging=False)
        return put_together(name, [*told, *values], [], {}, limits, tell_misfits=False).run

    return snapshot.kept(place, ("steps",), revision, read)


def tags_of(snapshot: Snapshot, place: Place) -> list[str]:
    """The levels that a run has, the coarsest first."""
    return [tag for tag in (*reversed(STEP_LEVELS), STEPS) if tag in _extents(snapshot, place, tag)]


def _extents(snapshot: Snapshot, place: Place, tag: str) -> dict[str, Extent]:
    return snapshot.extents(_plugin(tag), place)


def _plugin(tag: str) -> str:
    return STEPS_PLUGIN_NAME if tag == STEPS else STEP_LEVELS_PLUGIN_NAME


def _chosen(snapshot: Snapshot, place: Place, tags: list[str], rows: int) -> list[StepBlock]:
    """The blocks of the finest level that is whole and needed, then what finer ones have later."""
    chosen: list[StepBlock] = []
    finer: list[StepBlock] = []
    for tag in tags:
        finer = _blocks(snapshot, place, tag, rows)
        if not _whole(finer, chosen):
            break
        windows = sum(windows_in(block.count, block.norm_width) for block in chosen)
        if windows >= ENOUGH_WINDOWS:
            break
        chosen = finer
    fine = finer if finer is chosen or tag == STEPS else _blocks(snapshot, place, STEPS, rows)
    return _with_tail(chosen, finer, fine)


def _blocks(snapshot: Snapshot, place: Place, tag: str, rows: int) -> list[StepBlock]:
    """The stored blocks of a level by their steps; where some overlap, what was written last."""
    size = rows * BLOCK_BYTES[tag]
    samples = snapshot.tensors(place, _plugin(tag), [tag], size)
    read = [value for *_, kind, value in decoded(samples, []) if kind is Kind.STEPS]
    kept: list[StepBlock] = []
    for block in sorted(read, key=attrgetter("end")):
        while kept and kept[-1].first_step >= block.first_step:
            kept.pop()  # a session began anew before it
        kept.append(block)
    return kept


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
