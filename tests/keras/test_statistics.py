"""Statistics in the graph against NumPy in float64: eagerly, as a graph, and compiled by XLA."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tbgrad.keras import gradient_statistics as statistics
from tbgrad.keras.gradients import prepare
from tbgrad.keras.graph import UNKNOWN, from_graph
from tbgrad.keras.matrices import Matrices
from tbgrad.keras.parameters import describe, layouts
from tbgrad.log.records import HistogramBins, Parameter

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


def layout(shape, role="kernel", dtype="float32"):
    parameter = Parameter("l/p", "l", tuple(shape), int(np.prod(shape)), dtype, role)
    return layouts([parameter])[0]


@pytest.fixture(params=MODES)
def compiled(request):
    return MODES[request.param]


def all_columns(gradient, layout):
    return statistics_of(Matrices([gradient], [layout]))


def statistics_of(matrices):
    """All columns, and the norms."""
    columns = statistics.column_statistics(matrices)
    return columns | {"norm": statistics.norms(matrices, matrices.squares)}


def test_gradients_of_one_shape_are_taken_together_in_their_order(compiled):
    shapes = [(3, 4), (4,), (3, 4), (), (4,), (3, 4), (300, 300), (300, 300)]
    roles = ["kernel", "bias", "embedding", "other", "bias", "kernel", "kernel", "kernel"]
    rows = [layout(*pair) for pair in zip(shapes, roles, strict=True)]
    values = [RNG.standard_normal(shape).astype(np.float32) * (RNG.random(shape) < 0.5)
              for shape in shapes]  # fmt: skip
    exact = [np.asarray(v, np.float64) for v in values]

    def function(*gradients):
        prepared = [prepare(g) for g in gradients]
        return statistics_of(Matrices(prepared, rows))

    columns = compiled(function)(*[tf.constant(v, tf.float32) for v in values])
    lengths = [np.linalg.norm(v.ravel()) for v in exact]
    np.testing.assert_allclose(columns["norm"], lengths, rtol=2e-6)
    np.testing.assert_allclose(columns["mean"], [v.mean() for v in exact], atol=1e-6)
    np.testing.assert_allclose(columns["std"], [v.std() for v in exact], atol=1e-6)
    np.testing.assert_allclose(columns["abs_max"], [np.abs(v).max() for v in exact], rtol=1e-7)
    np.testing.assert_allclose(
        columns["zero_fraction"], [(v == 0).mean() for v in exact], atol=1e-6
    )
    dead = [
        np.nan if role == "other" else (v.reshape(-1, v.shape[-1]) == 0).all(0).mean()
        for v, role in zip(exact, roles, strict=True)
    ]
    found = from_graph(columns["dead_fraction"].numpy())
    np.testing.assert_allclose(found, dead, atol=1e-6)


def test_a_tensor_without_values_leaves_the_others_as_they_are(compiled):
    values = [RNG.standard_normal(size).astype(np.float32) for size in (5, 0, 600)]
    rows = [layout(v.shape) for v in values]
    function = compiled(lambda *parts: statistics_of(Matrices.of(parts, rows)))
    columns = function(*map(tf.constant, values))
    assert columns["norm"][1] == 0.0
    for i in (0, 2):
        check_columns({name: float(c[i]) for name, c in columns.items()}, values[i], f"{i}")


def test_columns_equal_numpy(compiled):
    gradients = [values.astype(np.float32) for values in CASES.values()]

    def function(*parts):
        prepared = [prepare(part) for part in parts]
        rows = [layout(part.shape) for part in parts]
        return statistics_of(Matrices(prepared, rows))

    columns = compiled(function)(*map(tf.constant, gradients))
    for row, (name, gradient) in enumerate(zip(CASES, gradients, strict=True)):
        exact = gradient.astype(np.float64)
        check_columns({key: float(column[row]) for key, column in columns.items()}, exact, name)


def check_columns(found, exact, name):
    spread = max(exact.std(), 1e-6 * abs(exact.mean()))
    assert found["norm"] == pytest.approx(np.linalg.norm(exact.ravel()), rel=2e-6), name
    assert found["mean"] == pytest.approx(exact.mean(), abs=2e-6 * np.abs(exact).mean()), name
    if np.abs(exact).max() not in (0, np.inf) and 1e-18 < exact.std() < 1e18:
        assert found["std"] == pytest.approx(exact.std(), rel=1e-5, abs=1e-4 * spread), name
    assert found["abs_max"] == pytest.approx(np.abs(exact).max(), rel=1e-7), name
    assert found["zero_fraction"] == pytest.approx((exact == 0).mean(), abs=1e-7), name
    dead = (exact.reshape(-1, exact.shape[-1]) == 0).all(0).mean() if exact.ndim else exact == 0
    assert found["dead_fraction"] == pytest.approx(float(dead), abs=1e-7), name


def test_dead_fraction_is_unknown_where_there_are_no_units():
    gradient = prepare(tf.ones((4, 4)))
    found = all_columns(gradient, layout((4, 4), role="other"))
    assert found["dead_fraction"] == UNKNOWN


def test_square_sums(compiled):
    gradients = [
        np.array([3.0, 4.0], np.float32),
        np.array([[1.0, np.nan], [np.inf, -np.inf]], np.float32),
        np.zeros(5, np.float32),
    ]

    def function(*parts):
        return statistics.square_sums(parts, [layout(part.shape) for part in parts])

    squares = compiled(function)(*map(tf.constant, gradients))
    assert squares[0] == 25.0
    assert not np.isfinite(squares[1])
    assert squares[2] == 0.0


ROWS = [("eager", []), ("eager", [4]), ("eager", [0, 0, 0]), ("eager", [*range(9, -1, -1)]),
        ("graph", [7, 1, 7, 3, 1]), ("xla", [7, 1, 7, 3, 1]), ("xla", [])]  # fmt: skip


@pytest.mark.parametrize(("kind", "rows"), ROWS)
def test_sparse_gradient_equals_its_dense_form(kind, rows):
    values = RNG.standard_normal((len(rows), 3)).astype(np.float32)
    values[:, 1] = 0.0
    dense = np.zeros((10, 3))
    np.add.at(dense, np.array(rows, int), values.astype(np.float64))
    embedding = layout((10, 3), role="embedding")
    bins = HistogramBins.powers_of_two()

    def function(v, i):
        slices = tf.IndexedSlices(v, i, tf.constant([10, 3]))
        gradient = prepare(slices)
        return (
            all_columns(gradient, embedding),
            statistics.square_sums([slices], [embedding]),
            statistics.histograms(Matrices([gradient], [embedding]), bins)[0],
        )

    found, squares, counts = MODES[kind](function)(tf.constant(values), tf.constant(rows, tf.int32))
    found = {key: float(value[0]) for key, value in found.items()}
    assert found["norm"] == pytest.approx(np.linalg.norm(dense), rel=1e-6)
    assert float(squares[0]) == pytest.approx(np.sum(dense**2), rel=1e-6)
    assert found["mean"] == pytest.approx(dense.mean(), abs=1e-7)
    assert found["std"] == pytest.approx(dense.std(), rel=1e-5)
    assert found["abs_max"] == pytest.approx(np.abs(dense).max(), rel=1e-6)
    assert found["zero_fraction"] == pytest.approx((dense == 0).mean(), abs=1e-7)
    assert found["dead_fraction"] == pytest.approx((dense == 0).all(0).mean())
    np.testing.assert_array_equal(counts, expected_counts(dense, bins))


def expected_counts(values, bins):
    """Counts by comparing every value with every bound; no exponent arithmetic."""
    values = np.asarray(values, np.float32).ravel()
    edges = np.asarray(bins.edges)
    pairs = list(itertools.pairwise(edges))
    negative = [((-values >= low) & (-values < high)).sum() for low, high in pairs]
    positive = [((values >= low) & (values < high)).sum() for low, high in pairs]
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


def test_histogram_counts(compiled):
    bins = HistogramBins.powers_of_two(-6, 3)
    edges = np.asarray(bins.edges, np.float32)
    beside = np.concatenate([np.nextafter(edges, 0), edges, np.nextafter(edges, np.float32(99))])
    spread = RNG.standard_normal(4000) * 10.0 ** RNG.uniform(-4, 2, 4000)
    values = np.concatenate(
        [beside, -beside, spread, [0, 0, -0.0, np.nan, -np.nan, np.inf, -np.inf, 3e38, 1e-37]]
    ).astype(np.float32)
    shape = layout(values.shape)
    other = np.zeros_like(values)

    def function(*parts):
        prepared = [prepare(part) for part in parts]
        return statistics.histograms(Matrices(prepared, [shape] * 2), bins)

    zeros, counts = compiled(function)(tf.constant(other), tf.constant(values)).numpy()
    assert zeros[bins.zero_column] == zeros.sum() == other.size
    np.testing.assert_array_equal(counts, expected_counts(values, bins))
    assert counts.sum() == values.size


def dead(layer, x, output=lambda y: y[..., :1], ready=lambda layer: None):
    """Dead fractions by variable, where no output but the first has an effect on the loss."""
    x = tf.constant(x, tf.float32 if np.asarray(x).dtype.kind == "f" else tf.int32)
    layer(x)
    ready(layer)
    variables = layer.trainable_variables
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(output(layer(x)) ** 2)
    gradients = [prepare(g) for g in tape.gradient(loss, variables)]
    parameters = describe(variables)
    blocks = Matrices(gradients, layouts(parameters))
    found = statistics.column_statistics(blocks)["dead_fraction"].numpy()
    return dict(zip([p.path.partition("/")[2] for p in parameters], found, strict=True))


def first_cell_alone(layer):
    """No other cell of a recurrent layer feeds back into it."""
    for variable in layer.trainable_variables:
        if variable.path.endswith("recurrent_kernel"):
            kernel = variable.numpy()
            kernel[1:] = 0.0
            variable.assign(kernel)


def first_head_alone(layer):
    kernel = layer.output_dense.kernel.numpy()
    kernel[1:] = 0.0
    layer.output_dense.kernel.assign(kernel)


IMAGE = RNG.standard_normal((2, 6, 6, 4))
SEQUENCE = RNG.standard_normal((2, 5, 4))
LAYERS = keras.layers


@pytest.mark.parametrize(
    ("make", "x", "units"),
    [
        (lambda: LAYERS.Dense(4), SEQUENCE, 4),
        (lambda: LAYERS.Dense(5, use_bias=False), SEQUENCE, 5),
        (lambda: LAYERS.Conv2D(5, 3), IMAGE, 5),
        (lambda: LAYERS.Conv1D(5, 3), SEQUENCE, 5),
        (lambda: LAYERS.DepthwiseConv2D(3, depth_multiplier=2), IMAGE, 8),
        (lambda: LAYERS.DepthwiseConv2D(3), IMAGE, 4),
        (lambda: LAYERS.Conv2DTranspose(5, 3), IMAGE, 5),
        (lambda: LAYERS.Conv2DTranspose(4, 3), IMAGE, 4),
        (lambda: LAYERS.Conv2DTranspose(5, 3, name="up"), IMAGE, 5),
        (lambda: LAYERS.Embedding(9, 6), np.array([[1, 2, 2, 8]]), 6),
        (lambda: LAYERS.EinsumDense("abc,cde->abde", (None, 1, 6), bias_axes="de"), SEQUENCE, 6),
    ],
)
def test_dead_units_are_those_without_effect_on_the_loss(make, x, units):
    found = dead(make(), x)
    assert found == {name: pytest.approx(1 - 1 / units) for name in found}


@pytest.mark.parametrize("kind", [LAYERS.SimpleRNN, LAYERS.GRU, LAYERS.LSTM])
def test_a_recurrent_cell_is_dead_with_all_its_gates(kind):
    found = dead(kind(3), SEQUENCE, ready=first_cell_alone)
    assert len(found) == 3
    assert found == {name: pytest.approx(2 / 3) for name in found}


def test_a_head_of_attention_is_dead_in_query_key_and_value():
    class SelfAttention(LAYERS.MultiHeadAttention):
        def __call__(self, x):
            return super().__call__(x, x)

    layer = SelfAttention(num_heads=4, key_dim=3, use_bias=False)
    found = dead(layer, SEQUENCE, output=lambda y: y, ready=first_head_alone)
    assert found == {
        "query/kernel": 0.75,
        "key/kernel": 0.75,
        "value/kernel": 0.75,
        "attention_output/kernel": 0.0,
    }


def test_the_parts_of_complex_gradients_count_as_numbers(compiled):
    values = (RNG.standard_normal((6, 4)) + 1j * RNG.standard_normal((6, 4))).astype(np.complex64)
    values[:, 1] = 0.0
    row = layout(values.shape, dtype="complex64")
    found = compiled(lambda g: all_columns(prepare(g), row))(tf.constant(values))
    found = {key: float(value[0]) for key, value in found.items()}
    parts = np.stack([values.real, values.imag]).astype(np.float64)
    assert found["norm"] == pytest.approx(np.linalg.norm(values), rel=1e-6)
    assert found["mean"] == pytest.approx(parts.mean(), abs=1e-6)
    assert found["std"] == pytest.approx(parts.std(), rel=1e-5)
    assert found["abs_max"] == pytest.approx(np.abs(parts).max(), rel=1e-6)
    assert found["zero_fraction"] == 0.25
    assert found["dead_fraction"] == 0.25
