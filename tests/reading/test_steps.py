"""Every step: what readers make of blocks, held against what was written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tbgrad
from tbgrad.log.norm_codes import MAX_ERROR
from tbgrad.log.steps import Steps
from tbgrad.log.tags import GRADIENT_NORM, LEARNING_RATE, LOSS, STEPS, in_group
from tbgrad.monitoring.step_log import StepLog
from tbgrad.reading.columns import Limits
from tbgrad.reading.directory import LogDirectory
from tests.support.logs import manifest
from tests.support.steps import StepWriter, part, synthetic

ROWS = 8
SMALL = Limits(scalars=64, norms=(64, 64))


def written(path: Path, steps: Steps, drain: int = 100, **options) -> Steps:
    with StepWriter(path / "a", **options) as writer:
        writer.write(steps, drain)
    return steps


@pytest.mark.parametrize("blocks_first", [True, False])
@pytest.mark.parametrize("drain", [1, 37, 1000])
def test_every_step_is_there_and_exact(tmp_path: Path, drain: int, blocks_first: bool) -> None:
    steps = written(tmp_path, synthetic(1003, ROWS), drain, blocks_first=blocks_first)
    run = tbgrad.read(tmp_path)["a"]
    expected = np.arange(1, 1004)
    for tag, values in steps.scalars.items():
        np.testing.assert_array_equal(run[tag].steps, expected)
        np.testing.assert_array_equal(run[tag].values.astype(np.float32), values)
    np.testing.assert_array_equal(run[STEPS].steps, expected)
    np.testing.assert_allclose(run[STEPS].values, steps.norms, rtol=MAX_ERROR)
    assert run[STEPS].values.dtype == np.float32
    np.testing.assert_allclose(run[LOSS].wall_times, 1_790_000_000 + 0.01 * expected, atol=1e-4)
    assert run.left_out == ()
    assert run.damage == ()


def test_one_parameter_and_the_extremes(tmp_path: Path) -> None:
    steps = written(tmp_path, synthetic(1003, ROWS))
    run = tbgrad.read(tmp_path)["a"]
    name = run.names[3]
    np.testing.assert_allclose(run.norm(name).values, steps.norms[:, 3], rtol=MAX_ERROR)
    whole = steps.scalars[GRADIENT_NORM].astype(np.float64)
    order = np.argsort(whole)
    for found, places in (
        (run.smallest(GRADIENT_NORM, 3), order[:3]),
        (run.largest(GRADIENT_NORM, 3), order[:-4:-1]),
    ):
        assert [(one.step, one.value) for one in found] == [(i + 1, whole[i]) for i in places]
    with pytest.raises(KeyError):
        run.norm("no such parameter")


def test_absent_zero_and_not_finite(tmp_path: Path) -> None:
    steps = synthetic(300, ROWS)
    steps.norms[10:20, 1] = np.nan
    steps.norms[30, 2] = 0
    steps.norms[40, 3] = np.inf
    steps.scalars[LOSS][50:] = np.nan
    steps.scalars[GRADIENT_NORM][40] = np.inf
    written(tmp_path, steps)
    for limits in (False, SMALL):
        run = tbgrad.read(tmp_path, bounded=limits)["a"]
        assert np.isnan(run[LOSS].values[-1])
        window = run[STEPS].window(31, 31)
        assert window.minimum[0, 2] == 0
        assert np.isinf(run[STEPS].window(41, 41).maximum[0, 3])
        assert np.isinf(run[GRADIENT_NORM].values).any()
        assert run[LOSS].nonfinite == 250
    values = tbgrad.read(tmp_path)["a"][STEPS].values
    assert np.isnan(values[10:20, 1]).all()
    assert not np.isnan(np.delete(values, 1, axis=1)).any()


def test_a_bounded_reader_keeps_peaks_and_their_steps(tmp_path: Path) -> None:
    steps = synthetic(5000, ROWS)
    steps.norms[3210, 5] = 1e6
    steps.norms[1234, 6] = 1e-9
    steps.scalars[GRADIENT_NORM][4321] = 7e7
    written(tmp_path, steps)
    run = tbgrad.read(tmp_path, bounded=SMALL)["a"]
    norms, whole = run[STEPS], run[GRADIENT_NORM]
    assert norms.buckets is not None
    assert len(norms) <= 128
    assert whole.buckets is not None
    (peak,) = run.largest(GRADIENT_NORM)
    assert (peak.step, peak.value) == (4322, float(np.float32(7e7)))
    ((step, value),) = run.norm(run.names[5]).largest()
    assert (step, value) == (3211, pytest.approx(1e6, rel=MAX_ERROR))
    ((step, value),) = run.norm(run.names[6]).smallest()
    assert (step, value) == (1235, pytest.approx(1e-9, rel=MAX_ERROR))
    b = norms.buckets
    assert b.counts.sum() == 5000
    for i in range(len(b)):
        inside = steps.norms[b.first_steps[i] - 1 : b.last_steps[i]].astype(np.float64)
        np.testing.assert_allclose(b.minimum[i], inside.min(axis=0), rtol=MAX_ERROR)
        np.testing.assert_allclose(b.maximum[i], inside.max(axis=0), rtol=MAX_ERROR)
        np.testing.assert_allclose(b.mean[i], inside.mean(axis=0), rtol=MAX_ERROR)


def test_a_window_of_any_stretch_is_exact(tmp_path: Path) -> None:
    steps = written(tmp_path, synthetic(5000, ROWS), drain=170)
    log = LogDirectory(tmp_path, bounded=replace(SMALL, batch_records=8))
    log.poll()
    for first, last in ((2345, 2400), (1, 20), (4990, 5000), (777, 777)):
        loss = log.window("a", LOSS, first, last)
        np.testing.assert_array_equal(loss.last, steps.scalars[LOSS][first - 1 : last])
        norms = log.window("a", STEPS, first, last)
        np.testing.assert_allclose(norms.maximum, steps.norms[first - 1 : last], rtol=MAX_ERROR)
        np.testing.assert_array_equal(norms.last_steps, np.arange(first, last + 1))


@pytest.mark.parametrize("bounded", [False, SMALL])
def test_a_session_that_begins_again(tmp_path: Path, bounded: bool | Limits) -> None:
    old, new = synthetic(900, ROWS), synthetic(700, ROWS, first=555, seed=1)
    with StepWriter(tmp_path / "a") as writer:
        writer.write(old)
    with StepWriter(tmp_path / "a", start_step=555, at=1_790_001_000.0) as writer:
        writer.write(new)
    run = tbgrad.read(tmp_path, bounded=bounded)["a"]
    window = run[LOSS].window(555, 1254, 100_000)
    assert window.counts.sum() == pytest.approx(700, abs=2)  # a bucket may reach over its beginning
    assert run[LOSS].steps[-1] == 1254
    whole = np.concatenate([old.scalars[LOSS][:554], new.scalars[LOSS]])
    assert run.largest(LOSS)[0].value == whole.max()
    assert run.smallest(LOSS)[0].value == whole.min()
    if bounded is False:
        np.testing.assert_array_equal(run[LOSS].values, whole)
        norms = np.concatenate([old.norms[:554], new.norms])
        np.testing.assert_allclose(run[STEPS].values, norms, rtol=MAX_ERROR)
        replaced = {entry.tag: entry.count for entry in run.left_out}
        assert replaced[LOSS] == replaced[STEPS] == 900 - 554


def test_groups(tmp_path: Path) -> None:
    steps = {"critic": synthetic(400, 6), "generator": synthetic(300, 4, seed=2)}
    for group, one in steps.items():
        layers = one.norms.shape[1] // 2
        with StepWriter(
            tmp_path / "gan", group=group, manifest=manifest(layers), start_step=None
        ) as writer:
            writer.write(one)
    runs = tbgrad.read(tmp_path)
    for group, one in steps.items():
        run = runs[in_group("gan", group)]
        np.testing.assert_array_equal(run[LEARNING_RATE].values, one.scalars[LEARNING_RATE])
        np.testing.assert_allclose(run[STEPS].values, one.norms, rtol=MAX_ERROR)
        assert set(run) == {LOSS, LEARNING_RATE, GRADIENT_NORM, STEPS, "tbgrad/parameters"}


@pytest.mark.parametrize("bounded", [False, SMALL])
def test_rows_follow_the_manifest(tmp_path: Path, bounded: bool | Limits) -> None:
    full = manifest(4)
    fewer = replace(full, parameters=(full.parameters[6], full.parameters[0]))
    first, then = synthetic(400, 8), synthetic(300, 2, first=401, seed=3)
    with StepWriter(tmp_path / "a", manifest=full) as writer:
        writer.write(first)
    with StepWriter(tmp_path / "a", manifest=fewer, start_step=401) as writer:
        writer.write(then)
    run = tbgrad.read(tmp_path, bounded=bounded)["a"]
    assert run.names[:2] == ("dense_3/kernel", "dense_0/kernel")
    before, after = run[STEPS].window(1, 400, 1000), run[STEPS].window(401, 700, 1000)
    peaks = first.norms.max(axis=0)
    kernel = run.names.index("dense_1/kernel")
    assert before.maximum[:, kernel].max() == pytest.approx(peaks[2], rel=MAX_ERROR)
    assert np.isnan(after.maximum[1:, kernel]).all()
    assert after.maximum[:, 1].max() >= then.norms[:, 1].max() * (1 - MAX_ERROR)


@pytest.mark.parametrize("bounded", [False, SMALL])
def test_steps_in_windows(tmp_path: Path, bounded: bool | Limits) -> None:
    """Beyond the budget: extremes of every stretch stay, of the scalars at their own steps."""
    steps = synthetic(40_000, ROWS)
    steps.scalars[LOSS][33_333] = 500.0
    steps.norms[22_222, 4] = 1e5
    written(tmp_path, steps, drain=500, log=StepLog(bytes_per_minute=4000))
    run = tbgrad.read(tmp_path, bounded=bounded)["a"]
    assert (run.largest(LOSS)[0].step, run.largest(LOSS)[0].value) == (33_334, 500.0)
    assert run.norm(run.names[4]).largest()[0].value == pytest.approx(1e5, rel=MAX_ERROR)
    assert run[LOSS].buckets is not None
    assert run[LOSS].buckets.counts.sum() == 40_000
    assert run[STEPS].buckets is not None
    assert run[STEPS].buckets.counts.sum() == 40_000
    for tag in steps.scalars:
        b = run[tag].buckets
        assert b is None or (b.first_steps[1:] == b.last_steps[:-1] + 1).all()


def test_what_only_the_native_series_has(tmp_path: Path) -> None:
    """Steps before the blocks, behind them, and in a gap of them."""
    steps = synthetic(400, ROWS)
    with StepWriter(tmp_path / "a") as writer:
        writer._write_logged(part(steps, 0, 100))
        writer.write(part(steps, 100, 200))
        writer._write_logged(part(steps, 200, 250))
        writer.write(part(steps, 250, 350))
        writer._write_logged(part(steps, 350, 400))
    run = tbgrad.read(tmp_path)["a"]
    sparse = [*range(10, 101, 10), *range(101, 201), *range(210, 251, 10), *range(251, 351)]
    expected = np.array([*sparse, *range(360, 401, 10)])
    np.testing.assert_array_equal(run[LOSS].steps, expected)
    np.testing.assert_array_equal(run[LOSS].values, steps.scalars[LOSS][expected - 1])
    assert run.left_out == ()


def test_following_is_as_reading_at_once(tmp_path: Path) -> None:
    steps = synthetic(1200, ROWS)
    log = LogDirectory(tmp_path, bounded=SMALL)
    with StepWriter(tmp_path / "a") as writer:
        for at in range(0, 1200, 200):
            writer.write(part(steps, at, at + 200))
            writer.file.flush()
            log.poll()
            assert log.runs["a"][LOSS].steps[-1] == at + 200
    log.poll()
    np.testing.assert_array_equal(log.runs["a"][LOSS].values.max(), steps.scalars[LOSS].max())
    assert log.runs["a"].damage == ()


def test_a_growing_earlier_file(tmp_path: Path) -> None:
    """The first of two sessions writes on: what it adds gives way to the later one."""
    one, two = synthetic(300, ROWS), synthetic(300, ROWS, first=150, seed=4)
    log = LogDirectory(tmp_path)
    with StepWriter(tmp_path / "a", log=StepLog()) as first:
        first.write(part(one, 0, 100))
        first.file.flush()
        with StepWriter(tmp_path / "a", start_step=150) as second:
            second.write(two)
        log.poll()
        first.write(part(one, 100, 300))
    while log.poll():
        pass
    expected = np.concatenate([one.scalars[LOSS][:149], two.scalars[LOSS]])
    run = log.runs["a"]
    assert run[LOSS].steps[-1] == 449
    assert set(run[LOSS].values[-300:]) == set(expected[-300:])


@pytest.mark.parametrize("bounded", [False, SMALL])
def test_a_log_of_version_1_that_a_newer_writer_went_on_with(
    tmp_path: Path, bounded: bool | Limits
) -> None:
    """Logged steps of the old session, then every step of the new one."""
    steps = synthetic(3000, ROWS)
    with StepWriter(tmp_path / "a", manifest=replace(manifest(), format_version=1)) as writer:
        writer._write_logged(part(steps, 0, 1000))
    old = tbgrad.read(tmp_path, bounded=bounded)["a"]
    assert old.manifest.format_version == 1
    assert STEPS not in old
    np.testing.assert_array_equal(old[LOSS].values[-1], steps.scalars[LOSS][999])
    with StepWriter(tmp_path / "a", start_step=1001) as writer:
        writer.write(part(steps, 1000, 3000))
    run = tbgrad.read(tmp_path, bounded=bounded)["a"]
    logged = [*range(10, 1001, 10)]
    seen = np.array([*logged, *range(1001, 3001)])
    assert run[LOSS].steps[0] == 10
    assert run.largest(LOSS)[0].value == steps.scalars[LOSS][seen - 1].max()
    norm = run.norm(run.names[2])
    assert norm.steps[0] == 10
    peak = steps.norms[seen - 1, 2].max()
    assert norm.largest()[0].value == pytest.approx(peak, rel=MAX_ERROR)
    if bounded is False:
        np.testing.assert_array_equal(run[LOSS].steps, seen)
        np.testing.assert_allclose(norm.values, steps.norms[seen - 1, 2], rtol=MAX_ERROR)
    assert run[LOSS].window(1, 3000, 10_000).counts.sum() == len(seen)
