"""Products against finite differences of a gradient written in NumPy; refusals."""

from __future__ import annotations

import doctest
import importlib
from typing import Any

import numpy as np
import pytest

from tests.hessian.oracle import NumpyMLP

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
hessian = pytest.importorskip("tbgrad.hessian")


def mlp_operator(oracle: NumpyMLP, dtype: str, kind: Any = None, **settings: Any) -> Any:
    """The same network in TensorFlow, with plain variables."""
    x, y = tf.constant(oracle.x, dtype), tf.constant(oracle.labels)
    weights = [tf.Variable(w, dtype=dtype) for w in oracle.weights]

    def loss() -> Any:
        h = tf.tanh(x @ weights[0] + weights[1])
        logits = h @ weights[2] + weights[3]
        return tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
        )

    return (kind or hessian.HessianOperator)(loss, weights, **settings)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-9), ("float32", 2e-6)])
def test_products_are_those_of_the_hessian_by_finite_differences(dtype: str, tolerance: float):
    oracle = NumpyMLP(seed=1)
    matrix = oracle.hessian()
    assert np.abs(matrix).max() > 0.1
    operator = mlp_operator(oracle, dtype)
    assert operator.size == len(matrix)
    assert operator.dtype == dtype
    products = np.array([operator.product(e) for e in np.eye(operator.size)])
    assert products.dtype == dtype
    np.testing.assert_allclose(products, matrix, atol=tolerance)
    loss, gradient = operator.loss_and_gradient()
    assert loss == pytest.approx(oracle.loss(oracle.flat), rel=1e-6)
    np.testing.assert_allclose(gradient, oracle.gradient(oracle.flat), atol=tolerance)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_on_a_device_no_vector_crosses_to_the_host_and_all_answers_are_the_same(dtype: str) -> None:
    answers = []
    for on_device in (False, True):
        operator = mlp_operator(NumpyMLP(seed=2), dtype)
        operator.on_device = on_device
        apply = operator.apply

        def watched(vector: Any, apply: Any = apply, on_device: bool = on_device) -> Any:
            result, loss = apply(vector)
            assert tf.is_tensor(vector) == tf.is_tensor(result) == on_device
            return result, loss

        assert isinstance(operator.product(np.ones(operator.size)), np.ndarray)
        operator.prepare()
        operator.apply = watched
        values = hessian.eigenvalues(operator, k=4, which="BE", tol=1e-4)
        trace = hessian.trace(operator, max_products=40)
        density = hessian.spectral_density(operator, probes=2, steps=8)
        answers.append((values.values, values.hvps, trace.samples, density.nodes))
    for host, device in zip(*answers, strict=True):
        np.testing.assert_allclose(device, host, rtol=1e-9 if dtype == "float64" else 2e-3)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("k", "which"), [(1, "LA"), (3, "LA"), (2, "SA"), (2, "BE"), (2, "LM")])
def test_eigenvalues_of_a_tiny_network_are_exact(seed: int, k: int, which: str) -> None:
    oracle = NumpyMLP(seed=seed)
    true = np.linalg.eigvalsh(oracle.hessian())
    found = hessian.eigenvalues(mlp_operator(oracle, "float64"), k=k, which=which, tol=1e-6)
    expected = {
        "LA": true[::-1][:k],
        "SA": true[:k][::-1],
        "BE": true[[-1, 0]],
        "LM": np.sort(true[np.argsort(-np.abs(true))[:k]])[::-1],
    }[which]
    assert found.converged
    np.testing.assert_allclose(found.values, expected, atol=1e-8)
    assert found.loss == pytest.approx(oracle.loss(oracle.flat), rel=1e-12)


def test_mixed_precision_variables_are_computed_in_the_widest() -> None:
    narrow, wide = tf.Variable([1.0, 2.0]), tf.Variable([3.0], dtype=tf.float64)
    operator = hessian.HessianOperator(
        lambda: tf.reduce_sum(tf.cast(narrow, tf.float64) ** 2 * wide), [narrow, wide]
    )
    assert operator.dtype == np.float64
    np.testing.assert_array_equal(operator.product([1, 0, 0]), [6, 0, 2])
    np.testing.assert_array_equal(operator.product([0, 0, 1]), [2, 4, 0])


def test_keras_variables_and_unused_ones() -> None:
    used, unused, linear = (keras.Variable([1.0, 2.0]) for _ in range(3))
    operator = hessian.HessianOperator(
        lambda: tf.reduce_sum(used.value**3) + tf.reduce_sum(linear.value), [unused, used, linear]
    )
    np.testing.assert_array_equal(operator.product(np.ones(6)), [0, 0, 6, 12, 0, 0])


def test_an_embedding_is_differentiated_through_its_sparse_gradient() -> None:
    table = tf.Variable([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    rows = tf.constant([0, 2, 2])
    operator = hessian.HessianOperator(
        lambda: tf.reduce_sum(tf.gather(table, rows) ** 3) / 6, [table]
    )
    np.testing.assert_array_equal(operator.product(np.ones(6)), [1, 2, 0, 0, 10, 12])


def test_it_sees_the_weights_of_the_moment_and_is_traced_once() -> None:
    traces = []
    w = tf.Variable([1.0, 2.0])

    def loss() -> Any:
        traces.append(None)
        return tf.reduce_sum(w**3)

    operator = hessian.HessianOperator(loss, [w])
    assert len(traces) == 1
    for value in (1.0, 2.0, 5.0):
        w.assign([value, 0.0])
        np.testing.assert_array_equal(operator.product([1.0, 1.0]), [6 * value, 0])
        found = hessian.eigenvalues(operator, k=2, which="BE", start=np.eye(2))
        np.testing.assert_allclose(found.values, [6 * value, 0], atol=1e-4)
    assert len(traces) == 2  # once for each of the methods that were compared
    # Seven more to see that it is deterministic, right, and which method is faster.
    assert operator.products == 3 + 3 * found.hvps + 7


def test_the_public_form() -> None:
    import tbgrad

    w = tf.Variable([1.0, 2.0, -1.0])
    found = tbgrad.hessian.eigenvalues(
        lambda: tf.reduce_sum(w**3), [w], k=3, which="LA", tol=1e-2, start=None
    )
    np.testing.assert_allclose(found.values, [12, 6, -6], rtol=1e-4)
    assert found.residuals.shape == (3,)
    assert found.vectors.shape == (3, 3)
    assert found.hvps == 3 + 7
    assert found.seconds > 0
    assert found.loss == pytest.approx(8)
    with pytest.raises(AttributeError):
        found.loss = 0.0


W = [1.0, 2.0]


@pytest.mark.parametrize(
    ("loss", "variables", "sentence"),
    [
        (lambda w: tf.reduce_sum(w**2), lambda w: [], "no trainable variables"),
        (lambda w: w**2, lambda w: [w], r"scalar floating-point tensor, got a float32 tensor"),
        (lambda w: 3.0, lambda w: [w], "scalar floating-point tensor, got float"),
        (lambda w: None, lambda w: [w], "got NoneType"),
        (lambda w: tf.constant(1.0), lambda w: [w], "depends on none of the variables"),
        (lambda w: tf.reduce_sum(w**2), lambda w: ["w"], "must be Keras or TensorFlow variables"),
        (lambda w: tf.reduce_sum(w**2), lambda w: [tf.Variable([1])], "floating point"),
        (lambda w: tf.reduce_sum(w**2), lambda w: [tf.Variable(tf.zeros([0]))], "empty"),
        (lambda w: tf.reduce_sum(w / 0.0), lambda w: [w], "loss is inf"),
        (lambda w: tf.reduce_sum((w - 1.0) ** 1.5), lambda w: [w], "product is not finite"),
    ],
)
def test_what_has_no_hessian_is_refused_in_a_sentence(
    loss: Any, variables: Any, sentence: str
) -> None:
    w = tf.Variable(W)
    with pytest.raises(hessian.HessianError, match=sentence):
        hessian.eigenvalues(lambda: loss(w), variables(w), tol=1e-6)


@pytest.mark.parametrize("what", ["dropout", "shuffling"])
def test_a_loss_that_is_not_deterministic_is_refused(what: str) -> None:
    w = tf.Variable(np.linspace(1, 2, 64), dtype=tf.float32)
    losses = {
        "dropout": lambda: tf.reduce_sum(tf.nn.dropout(w, 0.5) ** 3),
        "shuffling": lambda: tf.reduce_sum(tf.random.shuffle(tf.range(64.0)) * w**3),
    }
    operator = hessian.HessianOperator(losses[what], [w])
    with pytest.raises(hessian.HessianError, match=what):
        hessian.eigenvalues(operator)
    assert operator.products == 2


def test_a_loss_that_stops_being_deterministic_is_refused() -> None:
    w, noisy = tf.Variable(np.linspace(1, 2, 64), dtype=tf.float32), tf.Variable(0.0)
    operator = hessian.HessianOperator(
        lambda: tf.reduce_sum((1 + noisy * tf.random.normal([64])) * w**3), [w]
    )
    assert hessian.eigenvalues(operator).converged
    noisy.assign(0.1)
    with pytest.raises(hessian.HessianError, match="not deterministic"):
        hessian.eigenvalues(operator)


def test_how_far_products_are_off_is_that_of_the_weights_of_now() -> None:
    w = tf.Variable(np.linspace(0.01, 0.02, 8), dtype=tf.float32)
    operator = hessian.HessianOperator(lambda: tf.reduce_sum(tf.exp(w)), [w])
    hessian.eigenvalues(operator)
    before = operator.error
    w.assign(2000 * w)  # an exponent of 40 is rounded 2,000 times as far as one of 0.02
    found = hessian.eigenvalues(operator)
    assert operator.error > 100 * before
    assert abs(found.values[0] - np.exp(np.float64(w[-1]))) <= found.residuals[0]


def test_how_far_products_are_off_is_seen_once_where_weights_are_fixed() -> None:
    w = tf.Variable(np.linspace(0.01, 0.02, 8), dtype=tf.float32)
    operator = hessian.HessianOperator(lambda: tf.reduce_sum(tf.exp(w)), [w])
    operator.prepare()
    before = operator.error
    w.assign(2000 * w)
    with operator.fixed():
        hessian.spectrum(operator)
        assert operator.error > 100 * before
        assert hessian.spectrum(operator).hvps == 8
    assert hessian.spectrum(operator).hvps == 8 + 2


@pytest.mark.parametrize(("method", "extra"), [(None, 5), ("reverse over reverse", 3)])
def test_finding_out_about_the_loss_costs_products_once(method: Any, extra: int) -> None:
    operator = mlp_operator(NumpyMLP(seed=0), "float32", method=method)
    first = hessian.eigenvalues(operator)
    second = hessian.eigenvalues(operator)
    assert first.hvps == second.hvps + extra  # the second sees how far products are off by now
    np.testing.assert_allclose(first.values, second.values, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"k": 0}, "k must be between 1 and the number of parameters, 2; got 0"),
        ({"k": 3}, "got 3"),
        ({"which": "XX"}, "which must be"),
        ({"tol": 0.0}, "tol must be above 0"),
        ({"tol": float("nan")}, "tol must be above 0"),
        ({"max_products": 0}, "max_products must be at least k"),
        ({"start": np.ones((1, 3))}, r"start must have shape \[any, 2\]"),
        ({"variables": []}, "either an operator or loss and variables"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, Any], sentence: str) -> None:
    w = tf.Variable(W)
    operator = hessian.HessianOperator(lambda: tf.reduce_sum(w**2), [w])
    with pytest.raises(hessian.HessianError, match=sentence):
        hessian.eigenvalues(operator, **arguments)
    with pytest.raises(hessian.HessianError, match="shape"):
        operator.product([1.0])


def test_a_loss_that_is_not_callable_is_refused() -> None:
    with pytest.raises(hessian.HessianError, match="callable"):
        hessian.HessianOperator(tf.constant(1.0), [tf.Variable(1.0)])


def test_check_deterministic_accepts_what_is() -> None:
    operator = mlp_operator(NumpyMLP(seed=0), "float32")
    operator.check_deterministic()
    assert operator.products == 2


@pytest.mark.parametrize(
    "module",
    [
        "extremes", "trace_estimate", "density", "exact", "by_layer", "tensorflow.hessian",
        "tensorflow.thresholds", "tensorflow.gauss_newton",
    ],
)  # fmt: skip
def test_the_examples_in_the_docstrings_are_true(module: str) -> None:
    found = importlib.import_module(f"tbgrad.hessian.{module}")
    results = doctest.testmod(found, extraglobs={"tf": tf, "keras": keras})
    assert results.attempted
    assert not results.failed
