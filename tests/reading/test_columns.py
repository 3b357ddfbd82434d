"""Bounded series: what merged buckets say is what NumPy says of the values they were made of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tbgrad.judgement.replay import newest
from tbgrad.log.records import Alert
from tbgrad.log.tags import Kind
from tbgrad.reading.columns import Limits, PackedColumn, ScalarColumn, column_for
from tbgrad.reading.series import Buckets, Series
from tests.support.values import ALERT

NUMBERS = st.one_of(
    st.floats(-1e6, 1e6, width=32), st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 5.0])
)
SMALL = 8


FEW = Limits(scalars=SMALL, records=SMALL, packed=(SMALL, SMALL))
WHOLE = Limits(merging=False)


def check_buckets(buckets: Buckets, steps: np.ndarray, values: np.ndarray) -> None:
    """Compare every bucket with the values that it should hold, computed from all of them."""
    assert len(buckets) <= 2 * SMALL
    assert buckets.counts.sum() == len(steps)
    edge = 0
    for i in range(len(buckets)):
        part = slice(edge, edge + buckets.counts[i])
        edge = part.stop
        inside = values[part]
        assert (buckets.first_steps[i], buckets.last_steps[i]) == (steps[part][0], steps[part][-1])
        np.testing.assert_array_equal(buckets.minimum[i], np.fmin.reduce(inside))
        np.testing.assert_array_equal(buckets.maximum[i], np.fmax.reduce(inside))
        np.testing.assert_array_equal(buckets.last[i], inside[-1])
        if values.ndim == 1:
            finite = inside[np.isfinite(inside)]
            mean = finite.mean() if len(finite) else np.nan
            np.testing.assert_allclose(buckets.mean[i], mean, rtol=1e-9, atol=1e-6)
            assert buckets.nonfinite[i] == len(inside) - len(finite)
        else:
            np.testing.assert_allclose(buckets.mean[i], inside.mean(axis=0), rtol=1e-4, atol=1e-4)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_merged_scalars_lose_no_peak(data: st.DataObject) -> None:
    values = np.array(data.draw(st.lists(NUMBERS, min_size=1, max_size=200)), np.float64)
    gaps = data.draw(st.lists(st.integers(1, 9), min_size=len(values), max_size=len(values)))
    steps = np.cumsum(gaps)
    series_column = ScalarColumn(Kind.SCALAR, FEW)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(values)), max_size=8)))
    for a, b in zip([0, *cuts], [*cuts, len(values)], strict=True):
        if a < b:
            series_column.extend(steps[a:b], steps[a:b] * 2.0, values[a:b])
            series_column.freeze()
    series = series_column.freeze()
    assert series.total == len(values)
    assert series.nonfinite == np.count_nonzero(~np.isfinite(values))
    truth = dict(zip(steps.tolist(), values.tolist(), strict=True))
    for step, value in zip(series.steps.tolist(), series.values.tolist(), strict=True):
        np.testing.assert_equal(value, truth[step])  # every point shown was written
    assert (np.diff(series.steps) > 0).all()
    assert (series.steps[0], series.steps[-1]) == (steps[0], steps[-1])
    assert np.isnan(values).any() == np.isnan(series.values).any()
    usable = ~np.isnan(values)
    for extreme in (np.nanargmax, np.nanargmin):
        if usable.any():
            at = int(extreme(np.where(usable, values, np.nan)))
            assert series.steps[int(extreme(series.values))] == steps[at]  # and the first such
    if series.buckets is None:
        np.testing.assert_array_equal(series.values, values)
    else:
        check_buckets(series.buckets, steps, values)


@settings(max_examples=50, deadline=None)
@given(count=st.integers(1, 150), freezes=st.sets(st.integers(0, 150)), seed=st.integers(0, 99))
def test_merged_tables_are_those_of_numpy(count: int, freezes: set[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(count, 2, 3)).astype(np.float32)
    values[rng.random(count) < 0.1, 0, 0] = np.inf
    steps = np.cumsum(rng.integers(1, 5, count))
    series_column = PackedColumn(Kind.PARAMETERS, FEW)
    kept: list[tuple[Series, Any]] = []
    for i in range(count):
        series_column.append(int(steps[i]), i / 7, values[i])
        if i in freezes:
            series = series_column.freeze()
            kept.append((series, [series.steps.copy(), series.values.copy()]))
    series = series_column.freeze()
    with np.errstate(invalid="ignore"):
        if series.buckets is not None:
            check_buckets(series.buckets, steps, values)
            largest = np.where(
                np.abs(series.buckets.minimum) > np.abs(series.buckets.maximum),
                series.buckets.minimum, series.buckets.maximum,
            )  # fmt: skip
            np.testing.assert_array_equal(series.values, largest)
            assert series.buckets.counts[-1] == 1  # the newest value stands alone
            np.testing.assert_array_equal(series.values[-1], values[-1])
            for statistic in range(3):
                np.testing.assert_array_equal(series.column(statistic), largest[:, :, statistic])
        else:
            np.testing.assert_array_equal(series.values, values)
    np.testing.assert_array_equal(series.newest, values[-1])
    for former, (former_steps, former_values) in kept:  # what was handed out has not changed
        np.testing.assert_array_equal(former.steps, former_steps)
        np.testing.assert_array_equal(former.values, former_values)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_new_session_leaves_nothing_of_what_it_replaces(data: st.DataObject) -> None:
    series_column = ScalarColumn(Kind.SCALAR, FEW)
    step, truth = 0, {}
    for session in range(data.draw(st.integers(1, 4))):
        for _ in range(data.draw(st.integers(1, 60))):
            step += data.draw(st.integers(1, 3))
            value = float(step * 10 + session)
            series_column.append(step, float(step), value)
            truth[step] = value
        series_column.freeze()
        step = data.draw(st.integers(0, step + 2))
        series_column.truncate(step)
        truth = {at: value for at, value in truth.items() if at < step}
        step -= 1
    series = series_column.freeze()
    for at, value in zip(series.steps.tolist(), series.values.tolist(), strict=True):
        assert truth[at] == value
    assert (len(series) > 0) == bool(truth)
    if series.buckets is None:
        assert series.steps.tolist() == sorted(truth)


def test_histograms_notes_and_alerts_stay_bounded() -> None:
    for kind, value in (
        (Kind.HISTOGRAMS, np.ones((2, 5), np.int32)),
        (Kind.TEXT, "note"),
        (Kind.ALERTS, (ALERT,)),
        (Kind.CURVATURE, object()),
    ):
        series_column = column_for(kind, FEW)
        for step in range(1000):
            series_column.append(step, float(step), value)
        series = series_column.freeze()
        assert len(series) <= 2 * SMALL + 1
        assert series.steps[-1] == 999
        assert np.array_equal(series.values[-1], value)


def test_an_alert_is_not_lost_among_others() -> None:
    import dataclasses

    series_column = column_for(Kind.ALERTS, FEW)
    for step in range(500):
        alert = dataclasses.replace(ALERT, rule=f"rule {step // 100}", first_step=step // 100)
        series_column.append(step, 0.0, (dataclasses.replace(alert, last_step=step),))
    newest = {a.rule: a.last_step for alerts in series_column.freeze().values for a in alerts}
    assert newest == {f"rule {i}": 100 * i + 99 for i in range(5)}


@pytest.mark.parametrize("restart", [None, 7_000])
def test_an_alert_that_was_closed_stays_closed_among_thousands(restart: int | None) -> None:
    """Others join an alert and leave it before it closes; all are told at thousands of steps."""
    rng = np.random.default_rng(0)
    columns = [column_for(Kind.ALERTS, limits) for limits in (WHOLE, FEW)]
    open_ones: dict[str, Alert] = {}
    for step in range(1, 9_001):
        rule = f"rule {rng.integers(5)}"
        alert = open_ones.pop(rule, None) or replace(ALERT, rule=rule, first_step=step)
        names = tuple(f"layer {i}" for i in range(rng.integers(1, 4)))
        state = "closed" if rng.random() < 0.1 else "open"
        alert = replace(alert, parameters=names, last_step=step, state=state)
        if state == "open":
            open_ones[rule] = alert
        for each in columns:
            each.append(step, 0.0, (alert,))
    if restart:
        for each in columns:
            each.truncate(restart)
    whole, bounded = (
        newest((a for told in each.freeze().values for a in told), restart or 0) for each in columns
    )
    assert len(whole) > 500
    assert len(bounded) == len(whole)
    if restart is None:
        assert bounded == whole
    assert [(a.key, a.state) for a in bounded] == [(a.key, a.state) for a in whole]


@pytest.mark.parametrize("bounded", [False, True])
def test_other_rows_take_no_memory_for_the_room_ahead(bounded: bool) -> None:
    series_column = PackedColumn(Kind.PARAMETERS, FEW if bounded else WHOLE)
    series_column.expected_bytes = 1 << 36
    truth = []
    for step in range(40):
        if step == 25:
            series_column.rearrange(np.array([1, -1, 0]), None, np.nan)
            truth = [np.stack([t[1], np.full(3, np.nan), t[0]]) for t in truth]
        rows = 3 if step >= 25 else 2
        value = np.arange(rows * 3, dtype=np.float32).reshape(rows, 3) + step
        series_column.append(step, 0.0, value)
        truth.append(value)
    series = series_column.freeze()
    assert (series.buckets is not None) == bounded
    if bounded:
        at = np.searchsorted(np.arange(40), series.buckets.last_steps)
        np.testing.assert_array_equal(series.buckets.last, np.array(truth, np.float32)[at])
    else:
        np.testing.assert_array_equal(series.values, np.array(truth, np.float32))


def test_many_runs_share_the_memory() -> None:
    lengths = []
    for runs in (1, 200):
        limits = replace(FEW, packed=(SMALL, 100), runs=runs)
        series_column = PackedColumn(Kind.PARAMETERS, limits)
        for step in range(5000):
            series_column.append(step, 0.0, np.full((2, 3), step, np.float32))
        lengths.append(len(series_column.freeze()))
    assert 100 <= lengths[0] <= 200
    assert SMALL <= lengths[1] <= 2 * SMALL


def test_an_unbounded_column_keeps_everything() -> None:
    series_column = ScalarColumn(Kind.SCALAR, WHOLE)
    series_column.extend(np.arange(5000), np.arange(5000.0), np.arange(5000.0))
    series = series_column.freeze()
    assert series.buckets is None
    assert series.steps.tolist() == list(range(5000))
