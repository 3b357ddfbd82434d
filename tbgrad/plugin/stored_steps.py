"""Every step of a run, as far as TensorBoard has kept it: whole from a coarser level where not.

TensorBoard keeps a random sample of the blocks of a series. The levels are read from the coarsest
on until one is as fine as a screen can show. What it does not reach yet comes from finer ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tbgrad.log.step_blocks import StepBlock, after, ahead, windows_in
from tbgrad.log.tags import (
    MANIFEST,
    NEWEST_WINDOWS,
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
        levels = Levels(snapshot, place, told)
        if (first, last) == (None, None):
            blocks = _chosen(levels, ENOUGH_WINDOWS)
        elif levels.has_all:
            blocks = _inside(levels.blocks(STEPS), (first, last))
        else:
            blocks = _between(levels, ENOUGH_WINDOWS, (first, last))
        values = _as_values(blocks)
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


def step_values(snapshot: Snapshot, place: Place, told: list[Stored]) -> list[Stored]:
    """Every step of a run whose manifests are `told`: the blocks of the finest whole level."""
    if STEPS not in snapshot.extents(STEPS_PLUGIN_NAME, place):
        return []
    return _as_values(_chosen(Levels(snapshot, place, told), None))


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


def _chosen(levels: Levels, enough: int | None) -> list[StepBlock]:
    """The blocks of the finest level that is whole and needed, then what finer ones have later."""
    if levels.has_all:
        return levels.blocks(STEPS)
    chosen: list[StepBlock] = []
    finer: list[StepBlock] = []
    for tag in (*reversed(STEP_LEVELS), STEPS):
        finer = levels.blocks(tag)
        if not finer:
            continue  # it is not written, or what a former session wrote is gone
        if not _whole(finer, chosen) or (enough is not None and _windows(chosen) >= enough):
            break
        if tag == STEPS:  # of which the newest are not gathered yet: there the windows stay
            windows = _with_tail(chosen, levels.blocks(NEWEST_WINDOWS))
            return _with_tail(_refined(windows, finer), finer)
        chosen = finer
    coarse = [] if tag == STEPS else finer
    return _with_tail(chosen, coarse, levels.blocks(NEWEST_WINDOWS), levels.blocks(STEPS))


def _between(levels: Levels, enough: int, between: Between) -> list[StepBlock]:
    """What there is between two steps: as fine as needed, and where some of a level is missing as
    fine as there is."""
    chosen: list[StepBlock] = []
    for tag in (*reversed(STEP_LEVELS), NEWEST_WINDOWS, STEPS):
        if _windows(chosen) >= enough:
            break
        finer = _inside(levels.blocks(tag), between)
        chosen = _with_tail(_refined(chosen, finer), finer)
    newest = (_inside(levels.blocks(tag), between) for tag in (NEWEST_WINDOWS, STEPS))
    return _with_tail(chosen, *newest)


def _refined(blocks: list[StepBlock], finer: list[StepBlock]) -> list[StepBlock]:
    """With those of a finer level in place of the windows that they cover."""
    stretches = _stretches(finer)
    refined: list[StepBlock] = []
    for block in blocks:
        rest: StepBlock | None = block
        for stretch in stretches:
            pieces = [] if rest is None else _fitted(stretch, rest)
            if rest is None or not pieces:
                continue
            head = ahead(rest, pieces[0].first_step)
            refined += pieces if head is None else [head, *pieces]
            rest = after(rest, pieces[-1].last_step)
        refined += [] if rest is None else [rest]
    return refined


def _stretches(blocks: list[StepBlock]) -> list[list[StepBlock]]:
    """Blocks of which each begins where the one before ends."""
    stretches: list[list[StepBlock]] = []
    for block in blocks:
        if not stretches or block.first_step != stretches[-1][-1].last_step + 1:
            stretches.append([])
        stretches[-1].append(block)
    return stretches


def _fitted(stretch: list[StepBlock], coarser: StepBlock) -> list[StepBlock]:
    """What of a stretch covers whole windows of a coarser block; nothing where nothing does."""
    width = max(coarser.scalar_width, coarser.norm_width)
    gone = windows_in(max(0, stretch[0].first_step - coarser.first_step), width) * width
    first, last = coarser.first_step + gone, coarser.last_step
    if (end := stretch[-1].last_step) < last:
        windows = (end + 1 - coarser.first_step) // width
        last = coarser.first_step + windows * width - 1
    pieces = []
    for block in stretch:
        rest = after(block, first - 1)
        piece = None if rest is None or rest.first_step > last else ahead(rest, last + 1)
        pieces += [] if piece is None else [piece]
    fits = sum(piece.count for piece in pieces) == last - first + 1 > 0
    return pieces if fits else []


def _windows(blocks: list[StepBlock]) -> int:
    return sum(windows_in(block.count, block.norm_width) for block in blocks)


def _inside(blocks: list[StepBlock], between: Between) -> list[StepBlock]:
    """Those that have steps between the two."""
    first, last = between
    return [
        block
        for block in blocks
        if (first is None or block.last_step >= first)
        and (last is None or block.first_step <= last)
    ]


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
