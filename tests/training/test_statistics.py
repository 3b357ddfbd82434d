"""Statistics in the graph against NumPy in float64: eagerly, as a graph, and compiled by XLA."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tbgrad.records import HistogramBins, Parameter
from tbgrad.training import statistics

pytestmark = pytest.mark.tensorflow

MODES = {
    "eager": lambda f: f,
    "graph": tf.function,
    "xla": lambda f: tf.function(f, jit_compile=True),
}
RNG = np.random.default_rng(3)
SPARSE = RNG.standard_normal((7, 6, 5)) * (RNG.random((7, 6, 5)) < 0.3)
SPARSE[:, :, 2] = 0.0
CASES = {
    "normal": RNG.standard_normal((64, 33)),
    "scalar": np.array(-0.25),
    "one": np.array([3.0]),
    "zero": np.zeros((4, 3)),
    "dead unit": SPARSE,
    "tiny": RNG.standard_normal((9, 4)) * 1e-25,
    "huge": RNG.standard_normal((9, 4)) * 1e25,
    "far from zero": 1000.0 + RNG.standard_normal(5000),
    "one large": np.concatenate([RNG.standard_normal(300), [1e6]]),
}


def parameter(shape, role="kernel"):
    return Parameter("p", "l", tuple(shape), int(np.prod(shape)), "float32", role)


@pytest.fixture(params=MODES)
def compiled(request):
    return MODES[request.param]


def all_columns(gradient, parameter):
    blocks = statistics.Blocks([gradient], [parameter])
    columns = statistics.column_statistics(blocks, [parameter.role])
    return columns | {"norm": statistics.norms([gradient], [parameter])}


def test_gradients_of_one_shape_are_taken_together_in_their_order(compiled):
    shapes = [(3, 4), (4,), (3, 4), (), (4,), (3, 4), (300, 300), (300, 300)]
    roles = ["kernel", "bias", "embedding", "other", "bias", "kernel", "kernel", "kernel"]
    parameters = [parameter(*pair) for pair in zip(shapes, roles, strict=True)]
    values = [RNG.standard_normal(shape).astype(np.float32) * (RNG.random(shape) < 0.5)
              for shape in shapes]  # fmt: skip
    exact = [np.asarray(v, np.float64) for v in values]

    def function(*gradients):
        prepared = [statistics.prepare(g) for g in gradients]
        blocks = statistics.Blocks(prepared, parameters)
        return statistics.column_statistics(blocks, roles), statistics.norms(prepared, parameters)

    columns, norms = compiled(function)(*[tf.constant(v, tf.float32) for v in values])
    np.testing.assert_allclose(norms, [np.linalg.norm(v.ravel()) for v in exact], rtol=2e-6)
    np.testing.assert_allclose(columns["mean"], [v.mean() for v in exact], atol=1e-6)
    np.testing.assert_allclose(columns["std"], [v.std() for v in exact], atol=1e-6)
    np.testing.assert_allclose(columns["abs_max"], [np.abs(v).max() for v in exact], rtol=1e-7)
    np.testing.assert_allclose(
        columns["zero_fraction"], [(v == 0).mean() for v in exact], atol=1e-6
    )
    dead = [
        (v.reshape(-1, v.shape[-1]) == 0).all(0).mean() if role in ("kernel", "bias") else np.nan
        for v, role in zip(exact, roles, strict=True)
    ]
    np.testing.assert_allclose(columns["dead_fraction"], dead, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_columns_equal_numpy(compiled, name):
    gradient = CASES[name].astype(np.float32)
    exact = gradient.astype(np.float64)
    function = compiled(lambda g: all_columns(statistics.prepare(g), parameter(g.shape)))
    found = {key: float(value[0]) for key, value in function(tf.constant(gradient)).items()}

    spread = max(exact.std(), 1e-6 * abs(exact.mean()))
    assert found["norm"] == pytest.approx(np.linalg.norm(exact.ravel()), rel=2e-6)
    assert found["mean"] == pytest.approx(exact.mean(), abs=2e-6 * np.abs(exact).mean())
    if np.abs(exact).max() not in (0, np.inf) and 1e-18 < exact.std() < 1e18:
        assert found["std"] == pytest.approx(exact.std(), rel=1e-5, abs=1e-4 * spread)
    assert found["abs_max"] == pytest.approx(np.abs(exact).max(), rel=1e-7)
    assert found["zero_fraction"] == pytest.approx((exact == 0).mean(), abs=1e-7)
    dead = (exact.reshape(-1, exact.shape[-1]) == 0).all(0).mean() if exact.ndim else exact == 0
    assert found["dead_fraction"] == pytest.approx(float(dead), abs=1e-7)


def test_dead_fraction_is_unknown_where_units_are_not_the_last_axis():
    gradient = statistics.prepare(tf.ones((4, 4)))
    found = all_columns(gradient, parameter((4, 4), role="embedding"))
    assert np.isnan(found["dead_fraction"])


def test_square_sums_and_nonfinite_counts(compiled):
    gradients = [
        np.array([3.0, 4.0], np.float32),
        np.array([[1.0, np.nan], [np.inf, -np.inf]], np.float32),
        np.zeros(5, np.float32),
    ]

    def function(*parts):
        prepared = [statistics.prepare(part) for part in parts]
        blocks = statistics.Blocks(prepared, [parameter(part.shape) for part in parts])
        return statistics.square_sums(prepared), statistics.nonfinite_counts(blocks)

    squares, counts = compiled(function)(*map(tf.constant, gradients))
    assert squares[0] == 25.0
    assert not np.isfinite(squares[1])
    assert squares[2] == 0.0
    np.testing.assert_array_equal(counts, [0, 3, 0])


@pytest.mark.parametrize("rows", [[4], [0, 0, 0], [7, 1, 7, 3, 1], [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]])
def test_sparse_gradient_equals_its_dense_form(compiled, rows):
    values = RNG.standard_normal((len(rows), 3)).astype(np.float32)
    dense = np.zeros((10, 3))
    np.add.at(dense, rows, values.astype(np.float64))
    embedding = parameter((10, 3), role="embedding")
    bins = HistogramBins.powers_of_two()

    def function(v, i):
        gradient = statistics.prepare(tf.IndexedSlices(v, i, tf.constant([10, 3])))
        return (
            all_columns(gradient, embedding),
            statistics.square_sums([gradient]),
            statistics.histograms(statistics.Blocks([gradient], [embedding]), bins)[0],
        )

    found, squares, counts = compiled(function)(tf.constant(values), tf.constant(rows))
    found = {key: float(value[0]) for key, value in found.items()}
    assert found["norm"] == pytest.approx(np.linalg.norm(dense), rel=1e-6)
    assert float(squares[0]) == pytest.approx(np.sum(dense**2), rel=1e-6)
    assert found["mean"] == pytest.approx(dense.mean(), abs=1e-7)
    assert found["std"] == pytest.approx(dense.std(), rel=1e-5)
    assert found["abs_max"] == pytest.approx(np.abs(dense).max(), rel=1e-6)
    assert found["zero_fraction"] == pytest.approx((dense == 0).mean(), abs=1e-7)
    np.testing.assert_array_equal(counts, expected_counts(dense, bins))


def expected_counts(values, bins):
    """Counts by comparing every value with every bound; no exponent arithmetic."""
    values = np.asarray(values, np.float32).ravel()
    edges = np.asarray(bins.edges)
    negative = [((-values >= low) & (-values < high)).sum() for low, high in pairs(edges)]
    positive = [((values >= low) & (values < high)).sum() for low, high in pairs(edges)]
    finite = values[np.isfinite(values)]
    return [
        (-finite >= edges[-1]).sum(),
        *negative[::-1],
        ((finite < 0) & (-finite < edges[0])).sum(),
        (finite == 0).sum(),
        ((finite > 0) & (finite < edges[0])).sum(),
        *positive,
        (finite >= edges[-1]).sum(),
        (~np.isfinite(values)).sum(),
    ]


def pairs(edges):
    return itertools.pairwise(edges)


def test_histogram_counts(compiled):
    bins = HistogramBins.powers_of_two(-6, 3)
    edges = np.asarray(bins.edges, np.float32)
    beside = np.concatenate([np.nextafter(edges, 0), edges, np.nextafter(edges, np.float32(99))])
    spread = RNG.standard_normal(4000) * 10.0 ** RNG.uniform(-4, 2, 4000)
    values = np.concatenate(
        [beside, -beside, spread, [0, 0, -0.0, np.nan, -np.nan, np.inf, -np.inf, 3e38, 1e-37]]
    ).astype(np.float32)
    shape = parameter(values.shape)
    other = np.zeros_like(values)

    def function(*parts):
        prepared = [statistics.prepare(part) for part in parts]
        return statistics.histograms(statistics.Blocks(prepared, [shape] * 2), bins)

    zeros, counts = compiled(function)(tf.constant(other), tf.constant(values)).numpy()
    assert zeros[bins.zero_column] == zeros.sum() == other.size
    np.testing.assert_array_equal(counts, expected_counts(values, bins))
    assert counts.sum() == values.size


def test_cosine_of_small_parameters_is_exact_and_of_large_ones_within_its_error(compiled):
    small = RNG.standard_normal((2, 100)).astype(np.float32)
    large = RNG.standard_normal((2, 40_000)).astype(np.float32)
    large[1] += large[0]

    def function(a, b):
        rows = [parameter((100,)), parameter((40_000,))]
        samples = [
            statistics.samples(
                statistics.Blocks([statistics.prepare(part) for part in parts], rows)
            )
            for parts in ((a[0], b[0]), (a[1], b[1]))
        ]
        return statistics.cosine(*samples)

    found = compiled(function)(tf.constant(small), tf.constant(large)).numpy()
    exact = [
        np.dot(*pair) / np.prod(np.linalg.norm(pair, axis=1))
        for pair in (small.astype(np.float64), large.astype(np.float64))
    ]
    assert found[0] == pytest.approx(exact[0], abs=1e-6)
    assert found[1] == pytest.approx(exact[1], abs=4 * (1 - exact[1] ** 2) / 16)
