"""Every step of a run, as far as TensorBoard has kept it: whole from a coarser level where not.

TensorBoard keeps a random sample of the blocks of a series. The levels are read from the coarsest
on until one is as fine as a screen can show. What it does not reach yet comes from finer ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tbgrad.log.step_blocks import StepBlock, after, windows_in
from tbgrad.log.tags import (
    MANIFEST,
    STEP_LEVELS,
    STEPS,
    STEPS_PLUGIN_NAME,
    Kind,
)
from tbgrad.plugin.samples import MAX_REPLY, Place
from tbgrad.plugin.source import Snapshot
from tbgrad.plugin.stored_levels import (
    BLOCK_BYTES,
    Levels,
    begins_of,
    in_order,
    read_ahead,
    revision_of_steps,
    rows_of_manifests,
)
from tbgrad.plugin.stored_run import Stored, decoded, manifests, manifests_ahead, put_together
from tbgrad.reading.columns import Limits
from tbgrad.reading.run import Run

ENOUGH_WINDOWS = 280
"""As many as a heat map has columns; scalars are finer by four. TensorBoard keeps enough for all of
a level until there are four times as many."""


def read_steps(
    snapshot: Snapshot, name: str, first: int | None = None, last: int | None = None
) -> Run | None:
    """A run with the series of every step, in windows where it is long; None where it has none.

    With `first` or `last` of what lies between them, and at either end up to a block more: the
    fewer steps these are, the finer.

    Raises:
        UnknownNameError: TensorBoard knows no such run.
    """
    place = snapshot.place(name)
    if STEPS not in snapshot.extents(STEPS_PLUGIN_NAME, place):
        return None

    def read() -> Run:
        told = list(decoded({MANIFEST: manifests(snapshot, place)}, []))
        values = step_values(snapshot, place, told, ENOUGH_WINDOWS, (first, last))
        limits = Limits(merging=False)
        return put_together(name, [*told, *values], [], {}, limits, tell_misfits=False).run

    return snapshot.kept(place, ("steps", first, last), revision_of_steps(snapshot, place), read)


def read_steps_ahead(snapshot: Snapshot, names: Sequence[str]) -> None:
    """Read what `read_steps` needs of several runs in few calls, as far as a reply has room."""
    places = [snapshot.place(name) for name in names]
    manifests_ahead(snapshot, places)
    places = [p for p in places if STEPS in snapshot.extents(STEPS_PLUGIN_NAME, p)]
    told = [list(decoded({MANIFEST: manifests(snapshot, place)}, [])) for place in places]
    read_ahead(snapshot, [Levels(snapshot, *pair) for pair in zip(places, told, strict=True)])


Between = tuple[int | None, int | None]
"""The first and the last of some steps, None where there is no bound."""


def step_values(
    snapshot: Snapshot,
    place: Place,
    told: list[Stored],
    enough: int | None = None,
    between: Between = (None, None),
) -> list[Stored]:
    """Every step of a run whose manifests are `told`, as blocks of the coarsest level that has
    `enough` windows, without that of the finest that is whole."""
    if STEPS not in snapshot.extents(STEPS_PLUGIN_NAME, place):
        return []
    return _as_values(_chosen(Levels(snapshot, place, told), enough, between))


def newest_steps(
    snapshot: Snapshot, places: Sequence[Place], manifests: Sequence[list[Stored]]
) -> list[list[Stored]]:
    """The finest blocks of several runs, in one call: all of short ones, the newest of long."""
    there = [STEPS in snapshot.extents(STEPS_PLUGIN_NAME, place) for place in places]
    if not any(there):
        return [[] for _ in places]
    size = sum(rows_of_manifests(told) * BLOCK_BYTES[STEPS] for told in manifests)
    read = snapshot.together(places, STEPS_PLUGIN_NAME, STEPS, max(1, MAX_REPLY // size))
    return [
        _as_values(in_order({STEPS: samples}, begins_of(told)))
        for samples, told in zip(read, manifests, strict=True)
    ]


def _as_values(blocks: Iterable[StepBlock]) -> list[Stored]:
    return [(block.first_step, block.end, STEPS, Kind.STEPS, block) for block in blocks]


def _chosen(levels: Levels, enough: int | None, between: Between) -> list[StepBlock]:
    """The blocks of the finest level that is whole and needed, then what finer ones have later."""
    if levels.has_all:
        return _inside(levels.blocks(STEPS), between)
    chosen: list[StepBlock] = []
    finer: list[StepBlock] = []
    for tag in (*reversed(STEP_LEVELS), STEPS):
        finer = _inside(levels.blocks(tag), between)
        if not finer:
            continue  # it is not written, or what a former session wrote is gone
        if not _whole(finer, chosen, between):
            break
        windows = sum(windows_in(block.count, block.norm_width) for block in chosen)
        if enough is not None and windows >= enough:
            break
        chosen = finer
    same = finer is chosen or tag == STEPS
    fine = finer if same else _inside(levels.blocks(STEPS), between)
    return _with_tail(chosen, finer, fine)


def _inside(blocks: list[StepBlock], between: Between) -> list[StepBlock]:
    """Those that have steps between the two."""
    return [block for block in blocks if _count(block, between) > 0]


def _count(block: StepBlock, between: Between) -> int:
    """How many of its steps lie between the two."""
    first = block.first_step if between[0] is None else max(between[0], block.first_step)
    last = block.last_step if between[1] is None else min(between[1], block.last_step)
    return last - first + 1


def _whole(blocks: list[StepBlock], coarser: list[StepBlock], between: Between) -> bool:
    """Whether none of its blocks is missing between those of the coarser level."""
    if not blocks or not coarser:
        return bool(blocks)
    reach = coarser[-1].last_step
    ends = between[0], reach if between[1] is None else min(reach, between[1])
    covered = sum(max(0, _count(block, ends)) for block in blocks)
    reaching = sum(_count(block, ends) for block in coarser)
    slack = 0 if any(end is not None for end in between) else 2 * max(b.count for b in blocks)
    return covered >= reaching - slack


def _with_tail(blocks: list[StepBlock], *finer: Iterable[StepBlock]) -> list[StepBlock]:
    """With what the finer levels have behind the last step."""
    chosen = list(blocks)
    for level in finer:
        for block in level:
            rest = after(block, chosen[-1].last_step) if chosen else block
            if rest is not None:
                chosen.append(rest)
    return chosen
