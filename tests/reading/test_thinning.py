"""Thinning never loses a peak; the cache reads again exactly when there is more."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tbgrad.plugin import answer
from tbgrad.reading import thinning

floats = st.floats(width=32, allow_nan=True, allow_infinity=True)


@given(st.integers(0, 5000), st.integers(1, 400))
def test_buckets_partition_all_points(count: int, limit: int) -> None:
    starts = thinning.buckets(count, limit)
    sizes = np.diff(np.append(starts, count))
    assert len(starts) == min(count, limit)
    assert sizes.sum() == count
    if len(sizes):
        assert starts[0] == 0
        assert sizes.min() >= 1
        assert sizes.max() - sizes.min() <= 1


@given(hnp.arrays(np.float32, st.tuples(st.integers(1, 40), st.integers(1, 3)), elements=floats),
       st.integers(1, 10))  # fmt: skip
def test_largest_magnitude_of_every_bucket(values: np.ndarray, limit: int) -> None:
    starts = thinning.buckets(len(values), limit)
    got = thinning.largest(values, starts)
    for i, part in enumerate(np.split(values, starts[1:])):
        for k in range(values.shape[1]):
            seen = part[:, k][~np.isnan(part[:, k])]
            if seen.size == 0:
                assert np.isnan(got[i, k])
            else:
                assert got[i, k] in seen
                assert abs(got[i, k]) == np.abs(seen).max()


@given(hnp.arrays(np.float64, st.integers(1, 300), elements=floats), st.integers(3, 60))
def test_a_thinned_curve_keeps_ends_peaks_and_what_is_not_finite(
    values: np.ndarray, limit: int
) -> None:
    keep = thinning.extremes(values, limit)
    assert keep[0] == 0
    assert keep[-1] == len(values) - 1
    assert np.all(np.diff(keep) > 0)
    assert len(keep) <= max(limit, 3) + 2
    finite = values[np.isfinite(values)]
    kept = values[keep]
    if finite.size:
        assert finite.max() in kept
        assert finite.min() in kept
    assert np.isfinite(values).all() == np.isfinite(kept).all()


@given(hnp.arrays(np.float32, st.integers(0, 50), elements=floats))
def test_numbers_survive_json_exactly(values: np.ndarray) -> None:
    import json

    special = {None: np.nan, "inf": np.inf, "-inf": -np.inf}
    decoded = json.loads(answer.as_json({"v": answer.numbers(values)}))["v"]
    again = np.array([special.get(v, v) for v in decoded], dtype=np.float32)
    np.testing.assert_array_equal(again, values)
