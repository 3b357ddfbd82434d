"""Lines and planes against direct evaluation, and what becomes of them when they are ended."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tbgrad import hessian
from tbgrad.analysis import line, plane
from tbgrad.analysis.directions import random_directions
from tbgrad.hessian import HessianError

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def network():
    """A model, its data, and its loss at any weights in NumPy."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 6)).astype(np.float32)
    y = rng.integers(0, 3, 40)
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(5, activation="tanh"), keras.layers.Dense(3)]
    )
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def loss(flat):
        w1, b1, w2, b2 = np.split(np.asarray(flat, np.float64), [30, 35, 50])
        logits = np.tanh(x @ w1.reshape(6, 5) + b1) @ w2.reshape(5, 3) + b2
        shifted = logits - logits.max(axis=1, keepdims=True)
        logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        return -logs[np.arange(40), y].mean()

    return model, x, y, loss


def flat(model):
    return np.concatenate([v.numpy().ravel() for v in model.trainable_variables])


def direction(seed):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for shape in [(6, 5), (5,), (5, 3), (3,)]]


@pytest.mark.parametrize("batch_size", [None, 16])
def test_a_plane_is_what_direct_evaluation_gives(network, batch_size):
    model, x, y, direct = network
    before = flat(model)
    a, b = direction(1), direction(2)
    loss = hessian.model_loss(model, x, y, batch_size=batch_size)
    found = plane(
        loss, model.trainable_variables, [a, b], points=7, extent=(-0.5, 1.0), gradient=True,
        progress=False,
    )  # fmt: skip
    u, v = (np.concatenate([part.ravel() for part in parts]) for parts in (a, b))
    axes = [axis.coordinates for axis in found.axes]
    for i, j in itertools.product(range(7), range(7)):
        at = before + axes[0][i] * u + axes[1][j] * v
        assert found.loss[i, j] == pytest.approx(direct(at), rel=2e-6)
        if (i + j) % 4 == 0:
            step = 1e-5
            slopes = [
                (direct(at + step * e) - direct(at - step * e)) / (2 * step) for e in np.eye(53)
            ]
            assert found.gradient_norm[i, j] == pytest.approx(np.linalg.norm(slopes), rel=1e-4)
    assert found.evaluated.all()
    assert found.complete
    assert found.centre_loss == pytest.approx(direct(before), rel=1e-6)
    assert found.samples == (0 if batch_size is None else 40)
    np.testing.assert_array_equal(flat(model), before)  # every bit


def test_a_random_direction_has_filters_as_long_as_those_of_the_weights(network):
    model, x, y, direct = network
    found = plane(
        hessian.model_loss(model, x, y), model.trainable_variables, points=3, seed=5, progress=False
    )
    kernels = [v.numpy() for v in model.trainable_variables if v.ndim == 2]
    length = np.sqrt(sum((kernel**2).sum() for kernel in kernels))
    assert found.axes[0].length == pytest.approx(length, rel=1e-5)
    at = hessian.LossPoints(hessian.model_loss(model, x, y), model.trainable_variables)
    sizes = [p.size for p in at.parameters]
    first, second = random_directions(at.weights, at.units, sizes, 2, 5)
    w1, b1, w2, b2 = np.split(first.vector, [30, 35, 50])
    for part, kernel in zip((w1.reshape(6, 5), w2.reshape(5, 3)), kernels, strict=True):
        np.testing.assert_allclose(
            np.linalg.norm(part, axis=0), np.linalg.norm(kernel, axis=0), rtol=1e-5
        )
    assert not b1.any()
    assert not b2.any()
    assert first.vector @ second.vector == pytest.approx(0, abs=1e-4)
    corner = flat(model) + found.axes[0].coordinates[0] * first.vector
    assert found.loss[0, 1] == pytest.approx(direct(corner), rel=1e-5)


def test_eigenvectors_are_those_of_the_hessian():
    """Of a quadratic its axes are known, and so is how far to look to double the loss."""
    w = tf.Variable(np.array([0.5, 0.0, 0.0]), dtype=tf.float64)
    matrix = np.diag([9.0, 4.0, 1.0])
    found = plane(
        lambda: 0.5 * tf.tensordot(w, tf.linalg.matvec(matrix, w), 1) + 1.0, [w], "eigenvectors",
        points=5, progress=False,
    )  # fmt: skip
    assert [axis.label for axis in found.axes] == ["eigenvector 1, λ 9", "eigenvector 2, λ 4"]
    reach = np.sqrt(2 * (0.5 * 9 * 0.25 + 1) / 9)
    a, b = (axis.coordinates for axis in found.axes)
    np.testing.assert_allclose(a, np.linspace(-reach, reach, 5), rtol=1e-6)
    expected = 1 + 4.5 * (0.5 + np.array([a, -a]))[:, :, np.newaxis] ** 2 + 2 * b**2
    assert any(np.allclose(found.loss, each, rtol=1e-5) for each in expected)  # either sign


def test_the_plane_of_a_path_has_the_path_on_it():
    w = tf.Variable(np.zeros(4), dtype=tf.float64)
    t = np.linspace(1, 0.1, 12)[:, np.newaxis]
    rng = np.random.default_rng(0)
    u, v, off = np.linalg.qr(rng.standard_normal((4, 4)))[0][:3]
    places = 3 * t * u + t * (1 - t) * v + 0.01 * rng.standard_normal((12, 1)) * off
    found = plane(
        lambda: tf.reduce_sum(w**2), [w], path=[[place] for place in places],
        steps=range(0, 120, 10), points=9, progress=False,
    )  # fmt: skip
    _, lengths, vectors = np.linalg.svd(places)
    np.testing.assert_allclose(found.explained, lengths[:2] ** 2 / (lengths**2).sum(), rtol=1e-8)
    assert [point.step for point in found.path] == list(range(0, 120, 10))
    for point, place in zip(found.path, places, strict=True):
        np.testing.assert_allclose(np.abs(point.place), np.abs(vectors[:2] @ place), atol=1e-10)
        rest = place - vectors[:2].T @ (vectors[:2] @ place)
        assert point.distance == pytest.approx(np.linalg.norm(rest), abs=1e-6)
        for where, axis in zip(point.place, found.axes, strict=True):
            assert axis.coordinates[0] < where < axis.coordinates[-1]
    x, y = (axis.coordinates for axis in found.axes)
    np.testing.assert_allclose(found.loss, x[:, np.newaxis] ** 2 + y**2, rtol=1e-6, atol=1e-12)


def test_the_barrier_between_two_minima():
    """(w² − 1)² has minima at −1 and 1, and 1 between them."""
    w = tf.Variable([-1.0], dtype=tf.float64)
    double_well = line(lambda: tf.reduce_sum((w**2 - 1) ** 2), [w], to=[np.array([1.0])])
    assert double_well.barrier == pytest.approx(1.0)
    assert {0.0, 1.0} <= set(double_well.axes[0].coordinates)
    one_basin = line(lambda: tf.reduce_sum((w - 3) ** 2), [w], to=[np.array([1.0])], points=11)
    assert one_basin.barrier == 0
    # A line along a direction has 0 and 1 on it too, and joins nothing.
    elsewhere = line(lambda: tf.reduce_sum(w**2), [w], [np.array([1.0])], points=11)
    assert {0.0, 1.0} <= set(elsewhere.axes[0].coordinates)
    assert not elsewhere.has_barrier
    with pytest.raises(ValueError, match="to=other_weights"):
        print(elsewhere.barrier)
    ended = line(
        hessian.BatchedLoss(lambda: tf.reduce_sum(w**2), Ending(5).batches, ()), [w],
        to=[np.array([1.0])],
    )  # fmt: skip
    assert not ended.has_barrier  # what is interpolated at its ends is no loss


def test_points_that_neighbours_tell_are_not_evaluated():
    w = tf.Variable([0.0, 0.0], dtype=tf.float64)
    calls = []

    def narrow_ridge():
        calls.append(1)
        return tf.exp(-200 * (w[0] - 0.3) ** 2) + 0.1 * w[1] + 1

    axes = [[np.array([1.0, 0.0])], [np.array([0.0, 1.0])]]
    full = plane(narrow_ridge, [w], axes, points=65)
    some = plane(narrow_ridge, [w], axes, points=65, tolerance=0.01)
    assert len(calls) == 2  # traced once for each
    share = some.evaluated.mean()
    assert 0.1 < share < 0.7
    assert np.isfinite(some.loss).all()
    assert np.abs(some.loss - full.loss).max() < 0.02 * np.ptp(full.loss)
    np.testing.assert_array_equal(some.loss[some.evaluated], full.loss[some.evaluated])
    assert "not evaluated" in str(some)


class Ending:
    """Batches of a loss during which Ctrl-C is pressed, once."""

    def __init__(self, at):
        self.left = at

    def batches(self):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        yield (), 1.0


def test_what_was_ended_shows_the_whole_plane_and_goes_on():
    w = tf.Variable([0.2, 0.1], dtype=tf.float64)

    def loss():
        return w[0] ** 2 + tf.cos(w[1])

    axes = [[np.array([1.0, 0.0])], [np.array([0.0, 1.0])]]
    whole = plane(loss, [w], axes, points=33)
    ended = plane(hessian.BatchedLoss(loss, Ending(8).batches, ()), [w], axes, points=33)
    assert 9 <= ended.evaluated.sum() < 33**2
    assert np.isfinite(ended.loss).all()
    assert np.abs(ended.loss - whole.loss).max() < 0.1 * np.ptp(whole.loss)
    np.testing.assert_array_equal(w, [0.2, 0.1])
    more = plane(loss, [w], axes, points=33, start=ended)
    assert more.evaluated.all()
    np.testing.assert_allclose(more.loss, whole.loss, rtol=1e-12)
    with pytest.raises(KeyboardInterrupt):  # silent, it is part of something else that is to end
        plane(hessian.BatchedLoss(loss, Ending(8).batches, ()), [w], axes, progress=False)
    np.testing.assert_array_equal(w, [0.2, 0.1])
    with pytest.raises(HessianError, match="other axes, directions or weights"):
        plane(loss, [w], axes, points=31, start=ended)
    turned = [axes[0], [np.array([0.5, 0.5])]]
    with pytest.raises(HessianError, match="other axes, directions or weights"):
        plane(loss, [w], turned, points=33, start=ended)
    w.assign([0.3, 0.1])
    with pytest.raises(HessianError, match="other axes, directions or weights"):
        plane(loss, [w], axes, points=33, start=ended)


def test_where_the_loss_is_not_finite_it_says_so():
    w = tf.Variable([1.0, 0.0], dtype=tf.float64)
    axes = [[np.array([1.0, 0.0])], [np.array([0.0, 1.0])]]
    found = plane(lambda: tf.math.log(w[0]) + w[1], [w], axes, points=5, extent=2.0)
    assert np.isnan(found.loss[0]).all()
    assert np.isfinite(found.loss[2:]).all()
    assert found.evaluated.all()
    assert found.lowest == (pytest.approx(-2.0), (0.0, -2.0))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"directions": "downhill"}, "are \"random\", \"eigenvectors\" or arrays"),
        ({"directions": [[np.ones(2)]]}, "two for a plane"),
        ({"directions": [[np.ones(2)], [np.zeros(2)]]}, "Direction 2 has no length"),
        ({"directions": [[np.ones(2)], [3 * np.ones(2)]]}, "parallel"),
        ({"directions": [[np.ones(3)], [np.ones(2)]]}, "another architecture"),
        ({"directions": "random"}, "all parameters with two axes"),
        ({"path": [[np.array([2.0, 4.0])], [np.array([3.0, 6.0])]]}, "fewer than 2 directions"),
        ({"path": [[np.ones(2)]] * 3, "steps": [1]}, "steps has 1 entries and path 3"),
        ({"directions": "eigenvectors", "points": 2}, "points are at least 3"),
        ({"directions": "eigenvectors", "extent": (1, 0)}, "extent rises"),
        ({"directions": "eigenvectors", "tolerance": 2}, "tolerance is a share"),
    ],
    ids=lambda each: None if isinstance(each, dict) else each[:20],
)  # fmt: skip
def test_bad_arguments(arguments, sentence):
    w = tf.Variable([1.0, 2.0])
    with pytest.raises(HessianError, match=sentence):
        plane(lambda: tf.reduce_sum(w**2), [w], **{"progress": False, **arguments})


def test_a_loss_that_is_not_deterministic():
    w = tf.Variable([1.0, 2.0])
    axes = [[np.array([1.0, 0.0])], [np.array([0.0, 1.0])]]
    with pytest.raises(HessianError, match=r"not deterministic.*dropout"):
        plane(lambda: tf.reduce_sum(w**2) * tf.random.uniform([]), [w], axes, points=3)
