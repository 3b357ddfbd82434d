"""Blocks of steps as bytes: what comes back, within which error, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tbgrad.log import encode, norm_codes, step_blocks
from tbgrad.log.decode import decode, decode_array
from tbgrad.log.norm_codes import MAX_ERROR
from tbgrad.log.step_blocks import StepBlock
from tbgrad.log.step_windows import NEVER, NormWindows, merged_scalars, scalar_windows
from tbgrad.log.tags import STEPS, FormatError, Kind
from tests.support.steps import synthetic


def block(count: int = 100, rows: int = 7, first: int = 41) -> StepBlock:
    steps = synthetic(count, rows, first)
    codes = norm_codes.encoded(steps.norms)
    return StepBlock(first, count, 10.0, 20.0, 1, steps.scalars, 1, codes)


def windowed(count: int = 100, rows: int = 7, width: int = 8) -> StepBlock:
    steps = synthetic(count, rows)
    starts = np.arange(0, count, width)
    scalars = {tag: scalar_windows(x, starts) for tag, x in steps.scalars.items()}
    codes = NormWindows.of(steps.norms, starts).codes()
    return StepBlock(1, count, 10.0, 20.0, width, scalars, width, codes)


def test_the_error_of_a_norm() -> None:
    """Over all of float32, by numbers in float64."""
    rng = np.random.default_rng(0)
    normal = np.exp2(rng.uniform(-126, 127.99, 500_000)).astype(np.float32)
    decoded = norm_codes.decoded(norm_codes.encoded(normal)).astype(np.float64)
    assert np.abs(decoded / normal.astype(np.float64) - 1).max() <= MAX_ERROR
    small = np.exp2(rng.uniform(-149, -126, 500_000)).astype(np.float32)
    decoded = norm_codes.decoded(norm_codes.encoded(small)).astype(np.float64)
    assert np.abs(decoded / small.astype(np.float64) - 1).max() <= 2 * MAX_ERROR


def test_codes_of_their_own() -> None:
    largest, tiny = np.finfo(np.float32).max, np.float32(2.0**-149)
    special = np.array([math.nan, 0.0, tiny, largest, math.inf], np.float32)
    codes = norm_codes.encoded(special)
    assert codes.dtype == np.uint16
    assert (np.diff(codes.astype(int)) > 0).all()
    np.testing.assert_array_equal(norm_codes.decoded(codes), special)


@pytest.mark.parametrize("made", [block(), windowed(), block(1), block(rows=0), windowed(101)])
def test_bytes_both_ways(made: StepBlock) -> None:
    again = step_blocks.from_bytes(step_blocks.to_bytes(made))
    assert (again.first_step, again.last_step, again.count) == (
        made.first_step, made.last_step, made.count
    )  # fmt: skip
    assert (again.start, again.end) == (made.start, made.end)
    np.testing.assert_array_equal(again.norms, made.norms)
    assert again.scalars.keys() == made.scalars.keys()
    for tag, values in made.scalars.items():
        np.testing.assert_array_equal(again.scalars[tag], values)


def test_a_step_costs_two_bytes_a_parameter() -> None:
    assert len(step_blocks.to_bytes(block(1000, 200))) <= 1000 * (2 * 200 + 3 * 4) + 150


def test_through_the_protocol() -> None:
    made = block()
    value = encode.steps(made)
    kind, again = decode(value, value.metadata)
    assert kind is Kind.STEPS
    np.testing.assert_array_equal(again.norms, made.norms)
    array = np.frombuffer(step_blocks.to_bytes(made), np.uint8)
    assert decode_array(STEPS, array)[1].first_step == 41


def test_what_is_no_block_is_refused() -> None:
    data = step_blocks.to_bytes(block())
    rng = np.random.default_rng(1)
    for length in (0, 3, 20, len(data) - 1):
        with pytest.raises(FormatError):
            decode_array(STEPS, np.frombuffer(data[:length], np.uint8))
    for _ in range(2000):
        damaged = bytearray(data)
        damaged[rng.integers(0, 100)] = rng.integers(0, 256)
        try:
            step_blocks.from_bytes(bytes(damaged))
        except (ValueError, LookupError, OverflowError):
            continue


def test_a_newer_block_is_left_alone() -> None:
    value = encode.steps(block())
    data = bytearray(value.tensor.tensor_content)
    data[4] = 99
    value.tensor.tensor_content = bytes(data)
    assert decode(value, value.metadata) is None


@pytest.mark.parametrize("step", [0, 41, 77, 139, 140])
def test_what_lies_behind_a_step(step: int) -> None:
    made = block()
    rest = step_blocks.after(made, step)
    if step >= made.last_step:
        assert rest is None
        return
    assert rest is not None
    first = max(41, step + 1)
    assert (rest.first_step, rest.last_step) == (first, 140)
    np.testing.assert_array_equal(rest.norms, made.norms[first - 41 :])


def test_what_lies_behind_a_step_in_windows() -> None:
    made = windowed(100, width=8)
    rest = step_blocks.after(made, 20)
    assert rest is not None
    assert (rest.first_step, rest.last_step) == (25, 100)
    np.testing.assert_array_equal(rest.norms, made.norms[:, 3:])
    for tag, windows in rest.scalars.items():
        at = rest.first_step + windows["minimum_at"].astype(int)
        np.testing.assert_array_equal(at, 1 + made.scalars[tag]["minimum_at"][3:].astype(int))


@pytest.mark.parametrize("width", [4, 16, 64])
def test_windows_of_windows_are_windows(width: int) -> None:
    """Against NumPy in float64, window by window; with NaN, infinities and what is absent."""
    rng = np.random.default_rng(width)
    count = 1000
    values = rng.standard_normal(count).astype(np.float32)
    values[rng.integers(0, count, 60)] = np.nan
    values[rng.integers(0, count, 20)] = np.inf
    values[300:400] = np.nan
    norms = np.exp(rng.standard_normal((count, 5))).astype(np.float32)
    norms[200:400, 1] = np.nan
    norms[500, 2] = np.inf
    norms[600:800, 3] = 0
    fine = np.arange(0, count, 4)
    coarse = np.arange(0, len(fine), width // 4)
    lengths = np.full(len(fine), 4)
    scalars = merged_scalars(scalar_windows(values, fine), coarse, lengths)
    low, mean, high = norm_codes.decoded(NormWindows.of(norms, fine).merged(coarse).codes())
    for i, start in enumerate(range(0, count, width)):
        part, window = values[start : start + width].astype(np.float64), scalars[i]
        finite = part[np.isfinite(part)]
        assert window["nonfinite"] == len(part) - len(finite)
        if (~np.isnan(part)).any():
            assert window["minimum"] == np.nanmin(part)
            assert window["maximum"] == np.nanmax(part)
            assert values[window["maximum_at"]] == np.nanmax(part)
            assert values[window["minimum_at"]] == np.nanmin(part)
        expected = finite.mean() if finite.size else np.nan
        np.testing.assert_allclose(window["mean"], expected, rtol=1e-5, atol=1e-6)
        lost = np.flatnonzero(np.isnan(part))
        assert window["nan_at"] == (start + lost[0] if lost.size else NEVER)
        for row in range(5):
            there = norms[start : start + width, row].astype(np.float64)
            there = there[~np.isnan(there)]
            shown = there if there.size else np.array([np.nan])
            usual = shown[np.isfinite(shown)]
            np.testing.assert_allclose(low[i, row], shown.min(), rtol=MAX_ERROR)
            np.testing.assert_allclose(high[i, row], shown.max(), rtol=MAX_ERROR)
            if usual.size:
                np.testing.assert_allclose(mean[i, row], usual.mean(), rtol=MAX_ERROR)


def test_a_header_that_promises_too_much_is_refused() -> None:
    """So that no few bytes ask for the memory of billions of steps."""
    empty = StepBlock(0, 2**32 - 1, 0.0, 1.0, 1, {}, 1, np.zeros((0, 0), np.uint16))
    with pytest.raises(ValueError, match="out of range"):
        step_blocks.from_bytes(step_blocks.to_bytes(empty))


def test_a_window_beyond_its_block_is_refused() -> None:
    made = windowed()
    next(iter(made.scalars.values()))["maximum_at"][3] = 1_000
    with pytest.raises(ValueError, match="beyond"):
        step_blocks.from_bytes(step_blocks.to_bytes(made))


@pytest.mark.parametrize("width", [1, 8])
def test_what_lies_ahead_of_a_step_is_the_rest(width: int) -> None:
    made = block() if width == 1 else windowed(100, width=width)
    for step in range(made.first_step - 1, made.last_step + 3):
        head = step_blocks.ahead(made, step)
        if step > made.last_step:
            assert head is made
            continue
        whole = max(0, step - made.first_step) // width * width
        if not whole:
            assert head is None
            continue
        rest = step_blocks.after(made, made.first_step + whole - 1)
        assert head is not None
        assert rest is not None
        assert (head.first_step, head.count, head.start) == (made.first_step, whole, made.start)
        assert head.count + rest.count == made.count
        again = step_blocks.from_bytes(step_blocks.to_bytes(head))
        axis = 0 if width == 1 else 1
        norms = np.concatenate([again.norms, rest.norms], axis=axis)
        np.testing.assert_array_equal(norms, made.norms)
        for tag in made.scalars:
            assert len(again.scalars[tag]) + len(rest.scalars[tag]) == len(made.scalars[tag])
