"""Measures of layers, and which of several is the worst, beside what the log was written from."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tbgrad
from tbgrad.log import encode
from tbgrad.log.append import EventFileWriter
from tbgrad.reading.layer_history import (
    ABSENT,
    LOST,
    MEASURES,
    SILENT,
    badness,
    change,
    history_of,
)
from tests.support.logs import EPOCH, manifest

STEPS = 40


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A run, and the statistics [T, P] that it was written from."""
    directory = tmp_path_factory.mktemp("measures")
    rng, m = np.random.default_rng(5), manifest(3)
    names = ("norm", "norm_max", "update_norm", "weight_norm", "zero_fraction", "cosine", "snr")
    table = {name: rng.lognormal(size=(STEPS, 6)).astype(np.float32) for name in names}
    table["norm_max"] = table["norm"] * 1.5
    table["zero_fraction"] = rng.uniform(size=(STEPS, 6)).astype(np.float32)
    table["cosine"] = rng.uniform(-1, 1, (STEPS, 6)).astype(np.float32)
    for name in ("norm", "norm_max", "update_norm"):
        table[name][20:, 1] = 0.0  # it goes silent
        table[name][30:, 2] *= 1000  # it grows
    table["weight_norm"][:, 3] = 0.0  # a bias that began at zero
    table["norm"][-1, 4] = table["norm_max"][-1, 4] = math.inf
    with EventFileWriter(directory) as writer:
        writer.add(0, [encode.manifest(m)], EPOCH)
        for t in range(STEPS):
            rows = np.full((6, len(m.statistics)), np.nan, np.float32)
            for name, values in table.items():
                rows[:, m.column(name)] = values[t]
            writer.add(10 * (t + 1), [encode.parameters(rows)], EPOCH + t)
    return tbgrad.read(directory)["."], table


def test_measures_are_those_of_the_log(written):
    run, table = written
    norms = history_of(run, MEASURES["norm"])
    np.testing.assert_array_equal(norms.values, table["norm_max"])
    np.testing.assert_array_equal(norms.newest, table["norm"][-1])
    assert norms.lost.tolist() == [False] * 4 + [True, False]
    ratio = history_of(run, MEASURES["update_ratio"]).values
    kept = [0, 1, 2, 4, 5]
    expected = np.float64(table["update_norm"][:, kept]) / table["weight_norm"][:, kept]
    np.testing.assert_allclose(ratio[:, kept], expected, rtol=1e-6)
    assert np.isnan(ratio[:, 3]).all()
    for name in ("zero_fraction", "cosine", "snr", "weight_norm"):
        np.testing.assert_array_equal(history_of(run, MEASURES[name]).values, table[name])
    assert np.isnan(history_of(run, MEASURES["dead_fraction"]).values).all()
    over = history_of(run, MEASURES["norm_over_median"])
    median = np.median(np.float64(table["norm_max"][:20, 1]))  # of those above zero
    np.testing.assert_allclose(over.values[:, 1], table["norm_max"][:, 1] / median, rtol=1e-6)
    np.testing.assert_allclose(
        over.newest[0], table["norm"][-1, 0] / np.median(np.float64(table["norm_max"][:, 0])), 1e-6
    )


def test_a_log_without_parameters_has_no_measure(tmp_path):
    with EventFileWriter(tmp_path) as writer:
        writer.add(1, [encode.scalar("loss", 1.0)], EPOCH)
    run = tbgrad.read(tmp_path)["."]
    assert [history_of(run, measure) for measure in MEASURES.values()] == [None] * len(MEASURES)


def test_what_is_worse():
    def order(name, *values):
        bad = badness(np.array(values), MEASURES[name])
        assert (np.diff(bad) >= 0).all()
        return bad

    bad = order("norm", 1e-3, 1.0, 0.0, math.nan, math.inf)
    assert bad.tolist() == [-3, 0, SILENT, ABSENT, LOST]
    np.testing.assert_allclose(
        order("update_ratio", 1e-3, 3e-3, 1e-4, 1.0, 0.0)[:4], [0, 0.4771, 1, 3], 1e-3
    )
    assert badness(np.array([math.nan]), MEASURES["update_ratio"]) == -math.inf
    order("cosine", math.nan, 1.0, 0.0, -1.0)
    order("snr", math.nan, 1.0, 1e-5)
    order("dead_fraction", math.nan, 0.0, 0.5, 1.0)
    order("weight_norm", 0.0, 1.0, 3.0)
    assert badness(np.array([1.0]), MEASURES["norm"], np.array([True])) == LOST


def test_what_changed_most(written):
    run, table = written
    far = change(history_of(run, MEASURES["norm"]), MEASURES["norm"])
    before, now = table["norm_max"][20:30].astype(np.float64), table["norm_max"][30:]
    for row in (0, 2, 5):
        expected = abs(np.log10(np.median(now[:, row])) - np.log10(np.median(before[:, row])))
        assert far[row] == pytest.approx(expected, rel=1e-6)
    assert far[1] == -math.inf  # zero before and after
    assert far[4] == LOST
    shares = change(history_of(run, MEASURES["zero_fraction"]), MEASURES["zero_fraction"])
    zeros = table["zero_fraction"].astype(np.float64)
    expected = np.abs(np.median(zeros[30:], axis=0) - np.median(zeros[20:30], axis=0))
    np.testing.assert_allclose(shares, expected, rtol=1e-6)
