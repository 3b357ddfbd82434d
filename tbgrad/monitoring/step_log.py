"""Every step of a run as values of its log: within a budget of bytes, and in coarser levels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad.log import encode
from tbgrad.log.norm_codes import encoded
from tbgrad.log.step_blocks import StepBlock
from tbgrad.log.step_windows import NormWindows, scalar_windows
from tbgrad.log.steps import Steps
from tbgrad.log.tags import GATHERED_STEPS, NEWEST_WINDOWS, STEP_LEVELS
from tbgrad.monitoring.gathered_steps import SMALL, GatheredSteps
from tbgrad.monitoring.step_budget import PLANS, Plan, StepBudget
from tbgrad.monitoring.step_level import StepLevel, Stretch

BYTES_PER_MINUTE = 1_000_000
MOST_BYTES = 2_000_000_000

MOST_HELD = 64 << 20
"""Bytes of norms that wait for what the budget gathers."""

Values = list[tuple[int, list[Any]]]
"""Events to write, in this order: the step of each and its Summary values."""


class StepLog:
    """Makes what the log keeps of every step, for the thread that writes; one for each group.

    `bytes_per_minute` is what all of it may take in the long run, and `most_bytes` what it may take
    in all. What is beyond is kept in windows, of norms first; `notice` says so. Before another
    manifest is written, `finish` gives what belongs to the rows of the former one.

    >>> log = StepLog()
    >>> for step, values in log.values(steps, start, end):
    ...     file.add(step, values, end)
    """

    def __init__(
        self, bytes_per_minute: float = BYTES_PER_MINUTE, most_bytes: float = MOST_BYTES
    ) -> None:
        self._budget = StepBudget(bytes_per_minute, most_bytes)
        self._gathered = GatheredSteps()
        self._levels = [StepLevel(tag, width) for tag, width in STEP_LEVELS.items()]
        self._widths = tuple(STEP_LEVELS.values())
        self._held: tuple[Steps, float, float] | None = None
        self._raw: tuple[Steps, float, float] | None = None
        self._plan = PLANS[0]
        self._notice: tuple[int, str] | None = None
        self._told = self._full = False

    def values(self, steps: Steps, start: float, end: float) -> Values:
        """What to write of the next steps, of which the first was at `start`, the last at `end`.

        Times are seconds since the epoch. Each event comes with the last step that it covers. What
        does not follow on the steps before, or has other parameters or scalars, begins anew.
        """
        if not len(steps):
            return []
        written: Values = []
        if self._held is not None and not _follows(self._held[0], steps):
            written += self._write(*self._held, force=True)
            self._held = None
        if self._held is not None:
            steps, start = _joined(self._held[0], steps), self._held[1]
            self._held = None
        return written + self._write(steps, start, end, force=False)

    def finish(self) -> Values:
        """What is left of the steps and of the coarser levels; the next steps begin anew."""
        written: Values = []
        if self._held is not None:
            written = self._write(*self._held, force=True)
            self._held = None
        left = self._again(self._gathered.finish())
        return written + self._spent([*left, *self._finished_levels()])

    def notice(self) -> tuple[int, str] | None:
        """From which step on windows are kept in place of steps, in a sentence, once; None else."""
        notice, self._notice = self._notice, None
        return notice

    # ------------------------------------------------------------------------ the finest level

    def _write(self, steps: Steps, start: float, end: float, *, force: bool) -> Values:
        self._budget.gather(end)
        size = len(steps), len(steps.scalars), steps.norms.shape[1], self._widths
        plan = self._budget.plan(*size)
        if plan is None and not force and steps.norms.nbytes < MOST_HELD:
            self._held = steps, start, end
            return []
        plan = plan or self._budget.last_plan(*size)
        self._tell(steps.first_step, plan)
        if plan is None:
            return []
        self._plan = plan
        written: Values = []
        stride = self._plan.block_steps
        for at in range(0, len(steps), stride):
            part = _part(steps, at, at + stride)
            times = _times(start, end, len(steps), at, len(part))
            block = _block(part, *times, self._plan)
            written.append((block.last_step, [encode.steps(block)]))
            written += self._again(self._gathered.add(block))
        return self._spent([*written, *self._in_levels(steps, start, end)])

    def _again(self, blocks: list[StepBlock]) -> Values:
        """Blocks of steps that are on file already, as long as there are bytes for that."""
        if not self._budget.is_plentiful:
            return []
        return [(block.last_step, [encode.steps(block, GATHERED_STEPS)]) for block in blocks]

    def _spent(self, written: Values) -> Values:
        self._budget.spend(sum(value.ByteSize() + 40 for _, values in written for value in values))
        return written

    def _tell(self, step: int, plan: Plan | None) -> None:
        """Have a sentence for the first stretch that is in windows, and one that is left out."""
        if plan == PLANS[0] or (plan is None and self._full) or (plan is not None and self._told):
            return
        if plan is None:
            self._full = True
            sentence = f"from step {step} on nothing is kept of single steps: all the bytes that "
            sentence += "these may take are written"
        else:
            self._told = True
            megabytes = self._budget.bytes_per_minute / 1e6
            sentence = f"from step {step} on the gradient norms are kept as minimum, mean and "
            sentence += f"maximum of windows of steps (the first of {plan.norm_width}): all of "
            sentence += f"them would take more than {megabytes:g} MB a minute"
        self._notice = step, sentence

    # ------------------------------------------------------------------------ coarser levels

    def _in_levels(self, steps: Steps, start: float, end: float) -> Iterator[tuple[int, list[Any]]]:
        """What is full now of the coarser levels; of few steps what is begun of the finest, too."""
        few = len(steps) < SMALL
        if self._raw is not None and not _follows(self._raw[0], steps):
            yield from self._finished_levels()
        if self._raw is not None:
            steps, start = _joined(self._raw[0], steps), self._raw[1]
        width = self._widths[0]
        full = len(steps) // width * width
        left = _part(steps, full, len(steps))
        self._raw = (left, *_times(start, end, len(steps), full, len(left))) if len(left) else None
        if full:
            times = _times(start, end, len(steps), 0, full)
            yield from self._climb(_stretch(_part(steps, 0, full), *times, width), 0)
            if few and self._plan == PLANS[0] and (newest := self._levels[0].newest()) is not None:
                yield newest.last_step, [encode.steps(newest, NEWEST_WINDOWS)]
        if not len(left):
            # What follows on it is told by its last step.
            self._raw = (_part(steps, len(steps), len(steps)), end, end)

    def _climb(self, stretch: Stretch | None, level: int) -> Iterator[tuple[int, list[Any]]]:
        """Hand a stretch to a level, and what comes of it to the next."""
        for above in self._levels[level:]:
            if stretch is None:
                return
            blocks, stretch = above.add(stretch)
            yield from self._events(above, blocks)

    def _finished_levels(self) -> Iterator[tuple[int, list[Any]]]:
        if self._raw is not None and len(self._raw[0]):
            yield from self._climb(_stretch(*self._raw, self._widths[0]), 0)
        self._raw = None
        for i, level in enumerate(self._levels):
            blocks, stretch = level.finish()
            yield from self._events(level, blocks)
            yield from self._climb(stretch, i + 1)

    def _events(self, level: StepLevel, blocks: list[StepBlock]) -> Iterator[tuple[int, list[Any]]]:
        if level.width >= self._plan.norm_width:
            for block in blocks:
                yield block.last_step, [encode.steps(block, level.tag)]


def _follows(before: Steps, steps: Steps) -> bool:
    return (
        steps.first_step == before.last_step + 1
        and steps.scalars.keys() == before.scalars.keys()
        and steps.norms.shape[1] == before.norms.shape[1]
    )


def _joined(before: Steps, steps: Steps) -> Steps:
    if not len(before):
        return steps
    scalars = {
        tag: np.concatenate([before.scalars[tag], values]) for tag, values in steps.scalars.items()
    }
    return Steps(before.first_step, scalars, np.concatenate([before.norms, steps.norms]))


def _part(steps: Steps, start: int, end: int) -> Steps:
    scalars = {tag: values[start:end] for tag, values in steps.scalars.items()}
    return Steps(steps.first_step + start, scalars, steps.norms[start:end])


def _times(start: float, end: float, count: int, at: int, part: int) -> tuple[float, float]:
    """When the first and the last of a part of steps were, by an even pace."""
    pace = (end - start) / max(1, count - 1)
    last = at + part - 1
    return start + pace * at, end if last >= count - 1 else start + pace * last


def _starts(count: int, width: int) -> NDArray[np.intp]:
    return np.arange(0, count, width, dtype=np.intp)


def _block(steps: Steps, start: float, end: float, plan: Plan) -> StepBlock:
    """Steps as a plan says."""
    count, rows = steps.norms.shape
    norms = np.zeros((0, rows), np.uint16)
    if plan.norm_width == 1:
        norms = encoded(steps.norms)
    elif plan.norm_width:
        norms = NormWindows.of(steps.norms, _starts(count, plan.norm_width)).codes()
    scalars: dict[str, NDArray[Any]] = dict(steps.scalars)
    if plan.scalar_width > 1:
        starts = _starts(count, plan.scalar_width)
        scalars = {tag: scalar_windows(values, starts) for tag, values in scalars.items()}
    return StepBlock(
        steps.first_step, count, start, end, plan.scalar_width, scalars, plan.norm_width, norms
    )


def _stretch(steps: Steps, start: float, end: float, width: int) -> Stretch:
    norms = NormWindows.of(steps.norms, _starts(len(steps), width))
    return Stretch(
        steps.first_step, len(steps), start, end, width, norms, 1,
        {tag: np.asarray(values, np.float32) for tag, values in steps.scalars.items()},
    )  # fmt: skip
