"""Critical points of functions whose minima and saddles are known in closed form."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from tbgrad import hessian
from tbgrad.analysis import find_critical_point, find_critical_points

pytestmark = pytest.mark.tensorflow


def himmelblau(w):
    return (w[0] ** 2 + w[1] - 11) ** 2 + (w[0] + w[1] ** 2 - 7) ** 2


def rosenbrock(w):
    return tf.reduce_sum(100 * (w[1:] - w[:-1] ** 2) ** 2 + (1 - w[:-1]) ** 2)


def monkey(w):
    return w[0] ** 3 - 3 * w[0] * w[1] ** 2


HIMMELBLAU = {
    # Roots of its gradient, and eigenvalues of its Hessian there, by hand.
    (3.0, 2.0): "minimum",
    (-2.805118, 3.131313): "minimum",
    (-3.779310, -3.283186): "minimum",
    (3.584428, -1.848127): "minimum",
    (-0.270845, -0.923039): "maximum",
    (0.086678, 2.884255): "saddle",
    (3.385154, 0.073852): "saddle",
    (-0.127961, -1.953715): "saddle",
    (-3.073026, -0.081353): "saddle",
}


def himmelblau_from(count):
    """How many of so many starts come to a point that is known, and say what it is."""
    w = tf.Variable(np.zeros(2), dtype=tf.float64)
    starts = np.random.default_rng(0).uniform(-5, 5, (count, 1, 2))
    found = find_critical_points(lambda: himmelblau(w), [w], starts=starts, progress=False)
    np.testing.assert_array_equal(w, np.zeros(2))
    right = 0
    for each in found:
        known = [
            kind for at, kind in HIMMELBLAU.items() if np.allclose(each.point[0], at, atol=1e-2)
        ]
        right += known == [each.kind]
    return right


def test_himmelblau_from_many_starts():
    assert himmelblau_from(40) >= 39


def rosenbrock_from(count, size):
    """How many of so many starts come to a critical point, and say what it is.

    It has one minimum, and from four variables on one more; all else is a saddle or nothing. Judged
    by the gradient and the eigenvalues in NumPy.
    """
    w = tf.Variable(np.zeros(size), dtype=tf.float64)
    starts = np.random.default_rng(0).uniform(-2, 2, (count, 1, size))
    found = find_critical_points(lambda: rosenbrock(w), [w], starts=starts, progress=False)
    right = 0
    for each in found:
        gradient, matrix = rosenbrock_derivatives(each.point[0])
        assert each.gradient_norm == pytest.approx(np.linalg.norm(gradient), rel=1e-6, abs=1e-9)
        below = int((np.linalg.eigvalsh(matrix) < 0).sum())
        kind = "saddle" if below else "minimum"
        flat = each.gradient_norm <= 1e-4 * each.norms[0]
        right += flat and (each.kind, each.index) == (kind, below)
    return right


@pytest.mark.parametrize(("size", "count"), [(2, 20), (10, 8)])
def test_rosenbrock_from_many_starts(size, count):
    assert rosenbrock_from(count, size) == count


def rosenbrock_derivatives(x):
    gradient, matrix = np.zeros(len(x)), np.zeros((len(x), len(x)))
    for i in range(len(x) - 1):
        bend = x[i + 1] - x[i] ** 2
        gradient[i] += -400 * x[i] * bend - 2 * (1 - x[i])
        gradient[i + 1] += 200 * bend
        matrix[i, i] += 1200 * x[i] ** 2 - 400 * x[i + 1] + 2
        matrix[i + 1, i + 1] += 200
        matrix[i, i + 1] = matrix[i + 1, i] = -400 * x[i]
    return gradient, matrix


def test_the_monkey_saddle_is_degenerate():
    w = tf.Variable([0.7, -0.4], dtype=tf.float64)
    found = find_critical_point(lambda: monkey(w), [w], progress=False, tol=1e-8)
    assert (found.kind, found.index, found.reason) == ("degenerate", 0, "converged")
    np.testing.assert_allclose(found.point[0], 0.0, atol=1e-3)


def deep_linear_network_from(count):
    """How many of so many starts are told right, and what was found at zero.

    ½ ‖W₂W₁ − A‖² with A = diag(2, 1): at zero its Hessian has ±2 and ±1, twice each.
    """
    first = tf.Variable(np.zeros((2, 2)), dtype=tf.float64)
    second = tf.Variable(np.zeros((2, 2)), dtype=tf.float64)
    target = np.diag([2.0, 1.0])
    starts = 0.1 * np.random.default_rng(1).standard_normal((count, 2, 2, 2))
    found = find_critical_points(
        lambda: tf.reduce_sum((second @ first - target) ** 2) / 2, [first, second], starts=starts,
        progress=False,
    )  # fmt: skip

    def gradient(flat):
        w1, w2 = flat.reshape(2, 2, 2)
        rest = w2 @ w1 - target
        return np.concatenate([(w2.T @ rest).ravel(), (rest @ w1.T).ravel()])

    right, at_zero = 0, []
    for each in found:
        point = np.concatenate([part.ravel() for part in each.point])
        around = [gradient(point + d) - gradient(point - d) for d in 1e-5 * np.eye(8)]
        below = int((np.linalg.eigvalsh(np.array(around) / 2e-5) < -1e-5).sum())
        kind = "saddle" if below else "degenerate"
        right += (each.kind, each.index) == (kind, below) and np.allclose(gradient(point), 0.0)
        if np.allclose(point, 0.0, atol=1e-5):
            at_zero.append(each)
    return right, at_zero


def test_saddles_of_a_deep_linear_network():
    right, at_zero = deep_linear_network_from(20)
    assert right == 20
    assert len(at_zero) > 15
    np.testing.assert_allclose(at_zero[0].eigenvalues, [2, 2, 1, 1, -1, -1, -2, -2], atol=1e-6)
    assert (at_zero[0].index, at_zero[0].minimum_ratio.value) == (4, pytest.approx(0.5))


def test_a_small_classifier_comes_to_where_its_gradient_vanishes():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(2)]
    )
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 3)).astype(np.float32)
    y = (x[:, 0] * x[:, 1] + rng.standard_normal(64) > 0).astype(np.int32)
    before = model.get_weights()
    operator = hessian.HessianOperator(hessian.model_loss(model, x, y), model.trainable_variables)
    found = find_critical_point(operator, progress=False)
    assert found.gradient_norm <= 1e-4 * found.norms[0]
    assert found.reason in ("converged", "rounding")
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)
    model.set_weights(found.point)
    loss, gradient = operator.loss_and_gradient()
    assert loss == pytest.approx(found.loss, rel=1e-6)
    assert np.linalg.norm(gradient) == pytest.approx(found.gradient_norm, rel=1e-3, abs=1e-9)
    # Both logits up by the same changes nothing: the Hessian has at least one zero.
    assert (np.abs(found.eigenvalues) <= found.errors).any()
    assert len(found.eigenvalues) == 26


def test_a_step_to_where_the_loss_is_not_finite_is_not_taken():
    w = tf.Variable([3.0], dtype=tf.float64)  # from 3 Newton's method steps to -3
    found = find_critical_point(lambda: tf.reduce_sum(w - tf.math.log(w)), [w], progress=False)
    assert found.kind == "minimum"
    np.testing.assert_allclose(found.point[0], 1.0, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"tol": 2.0}, "tol is a share between 0 and 1, got 2.0"),
        ({"max_products": 0}, "max_products and max_basis are at least 1"),
        ({"starts": [[np.zeros(3)]]}, "A start has arrays of shapes"),
    ],
)
def test_bad_arguments_are_refused(settings, sentence):
    w = tf.Variable(np.zeros(2), dtype=tf.float64)
    with pytest.raises(hessian.HessianError, match=sentence):
        find_critical_points(lambda: himmelblau(w), [w], **{"starts": [None]} | settings)


def test_out_of_budget_it_says_so_and_tells_the_best_place_on_the_way():
    w = tf.Variable([-1.2, 1.0], dtype=tf.float64)
    found = find_critical_point(lambda: rosenbrock(w), [w], max_products=6, progress=False)
    assert (found.kind, found.reason) == ("not critical", "budget")
    assert found.gradient_norm == found.norms.min()
    gradient, matrix = rosenbrock_derivatives(found.point[0])
    assert found.gradient_norm == pytest.approx(np.linalg.norm(gradient), rel=1e-6)
    true = np.linalg.eigvalsh(matrix)[::-1]
    np.testing.assert_allclose(found.eigenvalues, true, rtol=1e-6)
    below = int((true < 0).sum())
    assert found.index == below
    assert str(found).startswith(
        f"not critical (budget: max_products= allows more), {below} of 2 eigenvalues below zero: "
    )
