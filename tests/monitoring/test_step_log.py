"""What a log keeps of every step: within its budget, in levels, whatever comes."""

from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np
import pytest

from tbgrad.log.decode import decode
from tbgrad.log.norm_codes import MAX_ERROR, decoded
from tbgrad.log.step_blocks import StepBlock
from tbgrad.log.steps import Steps
from tbgrad.log.tags import GATHERED_STEPS, LOSS, NEWEST_WINDOWS, STEP_LEVELS, STEPS
from tbgrad.monitoring.gathered_steps import ENOUGH, SMALL
from tbgrad.monitoring.step_log import StepLog
from tests.support.steps import part, synthetic


def run(
    log: StepLog, steps: Steps, drain: int = 250, pace: float = 0.01, cuts: tuple[int, ...] = ()
) -> tuple[dict[str, list[StepBlock]], int]:
    """Blocks by tag, and their bytes; the stretches of `cuts` (places) are drained apart."""
    blocks: dict[str, list[StepBlock]] = defaultdict(list)
    size = 0
    places = sorted({*range(0, len(steps), drain), *cuts, len(steps)})
    events = []
    for at, end in itertools.pairwise(places):
        drained = part(steps, at, end)
        events += log.values(drained, drained.first_step * pace, drained.last_step * pace)
    for step, values in [*events, *log.finish()]:
        for value in values:
            block = decode(value, value.metadata)[1]
            assert block.last_step == step
            blocks[value.tag].append(block)
            size += value.ByteSize()
    return blocks, size


def assert_consecutive(blocks: list[StepBlock], first: int, last: int) -> None:
    assert blocks[0].first_step == first
    assert blocks[-1].last_step == last
    for one, two in itertools.pairwise(blocks):
        assert two.first_step == one.last_step + 1


def assert_true(block: StepBlock, steps: Steps) -> None:
    """Every window of a block, against the steps in float64."""
    norms = decoded(block.norms)
    for i in range(norms.shape[-2]):
        at = block.first_step - steps.first_step + i * block.norm_width
        end = min(at + block.norm_width, block.last_step + 1 - steps.first_step)
        inside = steps.norms[at:end].astype(np.float64)
        expected = [inside.min(axis=0), inside.mean(axis=0), inside.max(axis=0)]
        if block.norm_width == 1:
            np.testing.assert_allclose(norms[i], inside[0], rtol=MAX_ERROR)
        else:
            np.testing.assert_allclose(norms[:, i], expected, rtol=MAX_ERROR)
    for tag, windows in block.scalars.items():
        whole = steps.scalars[tag]
        at = block.first_step - steps.first_step
        if block.scalar_width == 1:
            np.testing.assert_array_equal(windows, whole[at : at + block.count])
            continue
        for i, window in enumerate(windows):
            start = at + i * block.scalar_width
            inside = whole[start : min(at + block.count, start + block.scalar_width)]
            assert window["minimum"] == inside.min()
            assert window["maximum"] == inside.max()
            assert whole[at + window["maximum_at"]] == inside.max()


@pytest.mark.parametrize("drain", [1, 33, 250, 5000])
def test_levels_cover_all_and_are_true(drain: int) -> None:
    steps = synthetic(5000, 5)
    blocks, _ = run(StepLog(), steps, drain)
    assert_consecutive(blocks[STEPS], 1, 5000)
    for tag, width in STEP_LEVELS.items():
        if 4 * width > 5000:
            assert tag not in blocks
            continue
        assert_consecutive(blocks[tag], 1, 5000)
        assert {block.norm_width for block in blocks[tag]} == {width}
    for own in blocks.values():
        for block in own[:: max(1, len(own) // 20)]:
            assert_true(block, steps)


@pytest.mark.parametrize("cuts", [(), (1000,), (900, 1000, 1300)])
def test_small_blocks_are_there_again_in_large_ones(cuts: tuple[int, ...]) -> None:
    """Of a slow training, with a fast stretch in it."""
    steps = synthetic(2000, 5)
    places = sorted({*range(0, 900, 7), *range(1300, 2000, 3), *cuts, 2000})
    log, blocks = StepLog(), defaultdict(list)
    events = []
    for at, end in itertools.pairwise(places):
        drained = part(steps, at, end)
        events += log.values(drained, float(drained.first_step), float(drained.last_step))
    for _, values in [*events, *log.finish()]:
        for value in values:
            blocks[value.tag].append(decode(value, value.metadata)[1])
    small = {s for b in blocks[STEPS] if b.count < SMALL for s in range(b.first_step, b.last_step)}
    again = blocks[GATHERED_STEPS]
    for block in again:
        assert_true(block, steps)
        assert block.norm_width == block.scalar_width == 1
        assert block.count < ENOUGH + SMALL
        times = block.wall_times(np.array([block.first_step, block.last_step]))
        assert times.tolist() == [block.first_step, block.last_step]
    told = {step for block in again for step in range(block.first_step, block.last_step + 1)}
    assert small <= told
    assert len(told) == sum(block.count for block in again)
    assert sum(block.count < ENOUGH for block in again) <= len(cuts) + 2


def test_of_small_blocks_every_window_is_told_as_it_is_full() -> None:
    """So that a server has all but the newest steps of a slow training."""
    steps = synthetic(200, 5)
    blocks = run(StepLog(), steps, 1)[0]
    newest = blocks[NEWEST_WINDOWS]
    assert [block.last_step for block in newest] == [80, 96, 112, 144, 160, 176]
    assert [block.first_step for block in newest] == [65] * 3 + [129] * 3
    for block in newest:
        assert block.norm_width == 16
        assert_true(block, steps)
    assert NEWEST_WINDOWS not in run(StepLog(), steps, 100)[0]


def test_nothing_is_there_again_that_is_in_large_blocks_or_costs_too_much() -> None:
    steps = synthetic(3000, 6)
    assert GATHERED_STEPS not in run(StepLog(), steps, 100)[0]
    few = run(StepLog(bytes_per_minute=2000), steps, 1, pace=0.001)[0]
    assert sum(block.count for block in few[GATHERED_STEPS]) < 1500


def test_in_the_budget_every_step_is_there_exactly() -> None:
    steps = synthetic(3000, 6)
    log = StepLog()
    blocks, _ = run(log, steps)
    loss = np.concatenate([block.scalars[LOSS] for block in blocks[STEPS]])
    np.testing.assert_array_equal(loss, steps.scalars[LOSS])
    assert log.notice() is None


@pytest.mark.parametrize("rows", [4, 200, 2000])
@pytest.mark.parametrize(("pace", "drain"), [(0.0005, 250), (0.02, 250), (0.02, 20)])
def test_the_budget_holds(rows: int, pace: float, drain: int) -> None:
    """However fast and wide: the burst, then so many bytes a minute; nothing left out."""
    count = 6000
    steps = synthetic(count, rows)
    budget = 100_000.0
    log = StepLog(bytes_per_minute=budget)
    blocks, size = run(log, steps, drain, pace)
    minutes = count * pace / 60
    assert size <= budget * (32 + minutes) * 1.05
    assert_consecutive(blocks[STEPS], 1, count)
    peaks = np.zeros(rows)
    for block in blocks[STEPS]:
        norms = decoded(block.norms if block.norm_width == 1 else block.norms[2])
        peaks = np.maximum(peaks, norms.max(axis=0))
    np.testing.assert_allclose(peaks, steps.norms.max(axis=0), rtol=MAX_ERROR)
    wide = any(block.norm_width > 1 for block in blocks[STEPS])
    notice = log.notice()
    assert (notice is not None) == wide
    if notice is not None:
        step, sentence = notice
        assert step == next(b.first_step for b in blocks[STEPS] if b.norm_width != 1)
        assert "0.1 MB a minute" in sentence
        assert log.notice() is None


def test_no_more_than_the_most_bytes() -> None:
    """However long it goes on."""
    log = StepLog(bytes_per_minute=1e6, most_bytes=300_000)
    steps = synthetic(2000, 20)
    size = 0
    for turn in range(60):
        first = 1 + turn * 2000
        drained = Steps(first, steps.scalars, steps.norms)
        for _, values in log.values(drained, first * 10.0, (first + 1999) * 10.0):
            size += sum(value.ByteSize() for value in values)
    assert size <= 300_000


def test_steps_that_do_not_follow_begin_anew() -> None:
    """A gap, other parameters, other scalars."""
    log = StepLog()
    events = []
    first = synthetic(150, 4)
    gap = synthetic(150, 4, first=200)
    other = synthetic(150, 6, first=350)
    fewer = Steps(500, {LOSS: gap.scalars[LOSS]}, other.norms)
    for steps in (first, gap, other, fewer):
        events += log.values(steps, 0.0, 1.0)
    events += log.finish()
    blocks: dict[str, list[StepBlock]] = defaultdict(list)
    for _, values in events:
        for value in values:
            blocks[value.tag].append(decode(value, value.metadata)[1])
    for tag in (STEPS, "tbgrad/steps/16"):
        covered = [set(range(b.first_step, b.last_step + 1)) for b in blocks[tag]]
        assert set().union(*covered) == {*range(1, 151), *range(200, 650)}
        assert sum(map(len, covered)) == 600
        for block in blocks[tag]:
            assert block.rows == (4 if block.last_step < 350 else 6)
            assert set(block.scalars) == ({LOSS} if block.first_step >= 500 else {*first.scalars})


def test_an_empty_stretch_is_nothing() -> None:
    log = StepLog()
    assert log.values(part(synthetic(3, 2), 0, 0), 0.0, 0.0) == []
    assert log.finish() == []


def test_what_is_left_out_is_said() -> None:
    log = StepLog(bytes_per_minute=1e6, most_bytes=20_000)
    told = []
    steps = synthetic(2000, 20)
    for turn in range(200):
        first = 1 + turn * 2000
        log.values(Steps(first, steps.scalars, steps.norms), first * 10.0, (first + 1999) * 10.0)
        told += [log.notice()]
    sentences = [notice[1] for notice in told if notice is not None]
    assert len(sentences) == len(set(sentences)) <= 2
