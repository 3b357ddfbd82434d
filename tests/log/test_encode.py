"""The log format: what is written reads back, and what does not fit is refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.compat.proto import summary_pb2

from tbgrad.log import encode
from tbgrad.log.records import CurvatureEstimate, Eigenvalue, HistogramBins
from tbgrad.log.share import Share
from tbgrad.log.tags import Kind
from tests.support.logs import manifest
from tests.support.values import ALERT, ESTIMATE, through_bytes


@pytest.mark.parametrize("number", [0.5, -0.0, math.inf, -math.inf, math.nan, 1e-45, 1e300])
def test_scalar_round_trip(number):
    with np.errstate(over="ignore"):
        expected = float(np.float32(number))
    kind, value = through_bytes(encode.scalar("loss", number))
    assert kind is Kind.SCALAR
    assert value == pytest.approx(expected, rel=0, nan_ok=True)


def test_histogram_round_trip():
    buckets = np.array([[-1.0, 0.0, 3.0], [0.0, 2.0, 5.0]])
    kind, value = through_bytes(encode.histogram("h", buckets))
    assert kind is Kind.HISTOGRAM
    np.testing.assert_array_equal(value, buckets)


def test_empty_histogram_round_trip():
    kind, value = through_bytes(encode.histogram("h", np.zeros((0, 3))))
    assert (kind, value.shape) == (Kind.HISTOGRAM, (0, 3))


def test_packed_round_trip():
    statistics = np.array([[1, math.nan], [-math.inf, 2], [3, 4]], dtype=np.float32)
    kind, value = through_bytes(encode.parameters(statistics))
    assert kind is Kind.PARAMETERS
    assert value.dtype == np.float32
    np.testing.assert_array_equal(value, statistics)
    counts = np.arange(12, dtype=np.int32).reshape(2, 6)
    kind, value = through_bytes(encode.histograms(counts))
    assert kind is Kind.HISTOGRAMS
    assert value.dtype == np.int32
    np.testing.assert_array_equal(value, counts)


def test_a_packed_slice_is_written_in_row_order():
    table = np.arange(12, dtype=np.float32).reshape(3, 4)
    np.testing.assert_array_equal(through_bytes(encode.parameters(table.T))[1], table.T)


def test_manifest_round_trip():
    record = manifest()
    assert through_bytes(encode.manifest(record)) == (Kind.MANIFEST, record)


def test_curvature_round_trip():
    assert through_bytes(encode.curvature(ESTIMATE)) == (Kind.CURVATURE, ESTIMATE)


def test_all_that_an_estimate_may_have_makes_the_round_trip():
    record = replace(
        ESTIMATE, preconditioned=Eigenvalue(3.5, 0.5), trace=9.0, trace_error=0.5, method="exact"
    )
    assert through_bytes(encode.curvature(record)) == (Kind.CURVATURE, record)
    assert record.stability == pytest.approx(3.5 / ESTIMATE.stability_threshold)


def test_the_spectral_density_makes_the_round_trip():
    kind, value = through_bytes(encode.density(np.array([1.0, 2.0]), np.array([0.25, 0.5])))
    assert kind is Kind.TENSOR
    np.testing.assert_array_equal(value, np.array([[1, 2], [0.25, 0.5]], dtype=np.float32))


def test_curvature_with_numbers_that_are_not_finite():
    record = CurvatureEstimate(
        (Eigenvalue(math.nan, math.inf), Eigenvalue(-math.inf, 0.0)), False, 3, 0.1, math.nan, 8
    )
    value = encode.curvature(record)
    strict = json.loads(value.tensor.string_val[0], parse_constant=pytest.fail)
    assert strict["loss"] is None
    _, back = through_bytes(value)
    assert [e.value for e in back.eigenvalues] == [pytest.approx(math.nan, nan_ok=True), -math.inf]
    assert back.eigenvalues[0].residual == math.inf
    assert math.isnan(back.loss)
    assert back.stability_threshold is None
    assert math.isnan(back.stability)


def test_shares_round_trip_and_are_none_in_older_logs():
    shares = {
        "minimum_ratio": Share(0.2, 0.1, 0.3),
        "negative_fraction": Share(0.5, 0.5, 0.5),
        "zero_fraction": Share(0.3, 0.2, 0.4),
    }
    assert through_bytes(encode.curvature(replace(ESTIMATE, **shares)))[1] == replace(
        ESTIMATE, **shares
    )
    assert through_bytes(encode.curvature(ESTIMATE))[1].minimum_ratio is None


def test_alerts_round_trip():
    assert through_bytes(encode.alerts([ALERT])) == (Kind.ALERTS, (ALERT,))
    assert through_bytes(encode.alerts([])) == (Kind.ALERTS, ())


def test_note_round_trip():
    assert through_bytes(encode.note("disk full: ü")) == (Kind.TEXT, "disk full: ü")
    assert through_bytes(encode.note("lone \ud800"))[1] == "lone ?"


def test_every_value_says_its_data_class():
    scalar, tensor = summary_pb2.DATA_CLASS_SCALAR, summary_pb2.DATA_CLASS_TENSOR
    written = {
        "loss": (encode.scalar("loss", 1.0), "scalars", scalar),
        "h": (encode.histogram("h", np.zeros((1, 3))), "histograms", tensor),
        "parameters": (encode.parameters(np.zeros((1, 1))), "tbgrad", tensor),
        "histograms": (encode.histograms(np.zeros((1, 1))), "tbgrad_histograms", tensor),
        "manifest": (encode.manifest(manifest()), "tbgrad", tensor),
        "curvature": (encode.curvature(ESTIMATE), "tbgrad", tensor),
        "alerts": (encode.alerts([ALERT]), "tbgrad_alerts", tensor),
        "note": (encode.note("x"), "text", tensor),
    }
    for name, (value, plugin, data_class) in written.items():
        assert value.metadata.plugin_data.plugin_name == plugin, name
        assert value.metadata.data_class == data_class, name


# ------------------------------------------------------------------------------------ histograms


def independent_bounds(edges):
    """The table in the docstring of HistogramBins, written out column by column."""
    last = len(edges) - 1
    columns = [(-math.inf, -edges[last])]
    columns += [(-edges[i], -edges[i - 1]) for i in range(last, 0, -1)]
    columns += [(-edges[0], 0.0), (0.0, 0.0), (0.0, edges[0])]
    columns += [(edges[i], edges[i + 1]) for i in range(last)]
    columns += [(edges[last], math.inf)]
    return columns


@pytest.mark.parametrize("edges", [(1.0, 2.0), (0.5,), (0.25, 0.5, 8.0), (1e-30, 1.0, 1e30)])
def test_bounds_of_the_columns(edges):
    bins = HistogramBins(edges)
    expected = independent_bounds(edges)
    assert bins.bounds.tolist() == [list(pair) for pair in expected]
    assert bins.columns == len(expected) + 1
    assert expected[bins.zero_column] == (0.0, 0.0)
    assert not np.signbit(bins.bounds[bins.zero_column]).any()


def test_default_bins_are_powers_of_two():
    bins = HistogramBins.powers_of_two()
    assert bins.edges[0] == 2.0**-40
    assert bins.edges[-1] == 2.0**16
    assert bins.magnitudes == 56
    assert bins.columns == 118


def counts_of(bins: HistogramBins, columns: dict[int, int]) -> np.ndarray:
    counts = np.zeros(bins.columns, dtype=np.int32)
    for column, count in columns.items():
        counts[column] = count
    return counts


def test_native_buckets_keep_edges_and_counts():
    bins = HistogramBins((1.0, 2.0, 4.0))  # 0 -inf…-4, 1, 2, 3 -1…0, 4 zero, 5 0…1, 6, 7, 8, 9
    buckets = encode.native_buckets(counts_of(bins, {2: 7, 6: 5}), bins, 4.0)
    assert buckets.tolist() == [
        [-2.0, -1.0, 7.0],
        [-1.0, 0.0, 0.0],
        [0.0, 0.0, 0.0],
        [0.0, 1.0, 0.0],
        [1.0, 2.0, 5.0],
    ]


def test_native_buckets_end_at_the_largest_value():
    bins = HistogramBins((1.0, 2.0))
    buckets = encode.native_buckets(counts_of(bins, {0: 1, 6: 2}), bins, 9.0)
    assert buckets[0].tolist() == [-9.0, -2.0, 1.0]
    assert buckets[-1].tolist() == [2.0, 9.0, 2.0]


def test_native_buckets_without_finite_values():
    bins = HistogramBins((1.0, 2.0))
    assert encode.native_buckets(counts_of(bins, {7: 9}), bins, math.nan).shape == (0, 3)
    assert encode.native_buckets(counts_of(bins, {}), bins, 0.0).shape == (0, 3)


def test_native_buckets_of_zeros_alone():
    bins = HistogramBins((1.0, 2.0))
    buckets = encode.native_buckets(counts_of(bins, {3: 9}), bins, 0.0)
    assert buckets.tolist() == [[0.0, 0.0, 9.0]]


@pytest.mark.parametrize("abs_max", [math.nan, math.inf])
def test_native_buckets_stay_finite_where_the_largest_value_is_not(abs_max):
    bins = HistogramBins((1.0, 2.0))
    buckets = encode.native_buckets(counts_of(bins, {0: 1, 6: 2}), bins, abs_max)
    assert np.isfinite(buckets).all()
    assert buckets[:, 2].sum() == 3


@given(st.lists(st.floats(-1e5, 1e5, width=32), min_size=1, max_size=50))
def test_native_buckets_lose_nothing_and_rise(sample):
    bins = HistogramBins((1e-3, 1.0, 100.0))
    counts = np.zeros(bins.columns, dtype=np.int32)
    for number in sample:
        column = next(
            i
            for i, (left, right) in enumerate(independent_bounds(bins.edges))
            if (left <= number < right) or (number == 0 == left == right)
        )
        counts[column] += 1
    buckets = encode.native_buckets(counts, bins, max(map(abs, sample)))
    assert buckets[:, 2].sum() == len(sample)
    assert (buckets[:, 1] >= buckets[:, 0]).all()
    assert (buckets[1:, 0] == buckets[:-1, 1]).all()
    assert buckets[0, 0] <= min(sample)
    assert buckets[-1, 1] >= max(sample)
