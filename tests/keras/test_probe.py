"""The batch that curvature is estimated on, and what becomes of a monitor that has none."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import tbgrad
from tbgrad.keras.probe import class_weights, probe_batch
from tbgrad.log.tags import CURVATURE, NOTES

pytestmark = pytest.mark.tensorflow
RNG = np.random.default_rng(0)
X = RNG.normal(size=(320, 8)).astype("f")
Y = (X[:, 0] > 0.8).astype("i4")


def logistic(batch=None):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((8,), batch_size=batch), keras.layers.Dense(1, "sigmoid", use_bias=False)]
    )
    model.compile(keras.optimizers.SGD(0.1), "binary_crossentropy", jit_compile=False)
    return model


def fitted(tmp_path, data, *, model=None, x=X, y=Y, samples=320, **arguments):
    curvature = tbgrad.Curvature(data=data, samples=samples, every=5, budget=None)
    monitor = tbgrad.GradientMonitor(tmp_path, every=1, curvature=curvature)
    model = model or logistic()
    model.fit(x, y, shuffle=y is not None, verbose=0, callbacks=[monitor], **arguments)
    return tbgrad.read(tmp_path)["."], model


def largest(model, weights):
    """Of the exact Hessian of the weighted cross-entropy, in float64."""
    x, w = X.astype(np.float64), model.get_weights()[0].astype(np.float64)
    p = 1 / (1 + np.exp(-(x @ w)[:, 0]))
    return np.linalg.eigvalsh((x * (weights * p * (1 - p))[:, None]).T @ x / len(x))[-1]


CASES = {
    "sparse": (lambda: (tf.sparse.from_dense(X), Y), "holds a SparseTensor: give dense arrays"),
    "ragged": (lambda: (tf.ragged.constant([[1.0], [2.0, 3.0]]), Y[:2]), "holds a RaggedTensor"),
    "lists of several lengths": (lambda: ([X[0], X[1][:3]], Y[:2]), "Curvature.data"),
    "no batches": (lambda: tf.data.Dataset.from_tensor_slices((X, Y)).take(0), "without a batch"),
    "no targets": (lambda: tf.data.Dataset.from_tensor_slices(X).batch(9), "dataset of (x, y)"),
    "two lengths": (lambda: (X, Y[:9]), "[9, 320] samples: give x and y of one length"),
}


@pytest.mark.parametrize("case", CASES)
def test_curvature_that_cannot_begin_ends_alone(case, tmp_path, caplog):
    data, words = CASES[case]
    run, _ = fitted(tmp_path, data())
    assert run["gradient/norm"].steps.tolist() == list(range(1, 11))
    (note,) = run[NOTES].values
    assert note.startswith("no curvature. ")
    assert words in note
    assert CURVATURE not in run
    (record,) = [r for r in caplog.records if r.levelname == "WARNING"]
    assert record.getMessage().count("\n") == 0


def test_what_is_said_before_there_is_a_file_is_in_the_log(tmp_path):
    """A model that its first step builds."""
    model = keras.Sequential([keras.layers.Dense(1, "sigmoid")])
    model.compile("sgd", "binary_crossentropy", jit_compile=False)
    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).batch(32)
    run, _ = fitted(tmp_path, (tf.sparse.from_dense(X), Y), model=model, x=dataset, y=None)
    assert "holds a SparseTensor" in run[NOTES].values[0]
    assert run["gradient/norm"].steps.tolist() == list(range(1, 11))


def test_a_model_of_one_batch_size_gets_the_remedy(tmp_path):
    run, _ = fitted(tmp_path / "a", (X, Y), model=logistic(32), samples=256)
    assert "batches of 32 samples alone" in run[NOTES].values[0]
    assert "samples=32)" in run[NOTES].values[0]
    run, _ = fitted(tmp_path / "b", (X, Y), model=logistic(32), samples=32)
    assert run[CURVATURE].values[-1].samples == 32


def test_a_dataset_is_taken_and_left_as_it_is(tmp_path):
    def shuffled():
        tf.random.set_seed(3)
        return tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(320).batch(32).prefetch(2)

    expected = [next(iter(dataset))[0].numpy() for dataset in [shuffled()] for _ in range(2)]
    dataset = shuffled()
    run, model = fitted(tmp_path, dataset, x=shuffled(), y=None)
    (x, y), samples = probe_batch(dataset, 70)
    assert (len(x), len(y), samples) == (70, 70, 70)
    for batch in expected:
        np.testing.assert_array_equal(next(iter(dataset))[0], batch)
    assert NOTES not in run
    last = run[CURVATURE].values[-1]
    assert last.samples == 320
    assert last.lambda_max.value == pytest.approx(largest(model, np.ones(320)), rel=1e-2)


def test_the_weights_of_classes_count(tmp_path):
    run, model = fitted(tmp_path, (X, Y), class_weight={0: 1.0, 1: 4.0})
    last = run[CURVATURE].values[-1].lambda_max
    assert last.value == pytest.approx(largest(model, np.where(Y, 4.0, 1.0)), rel=1e-2)
    assert last.value > 1.2 * largest(model, np.ones(320))
    assert NOTES not in run
    np.testing.assert_array_equal(class_weights(np.eye(3)[[2, 0]], {2: 5.0}), [5.0, 1.0])
    np.testing.assert_array_equal(class_weights(np.array([[1], [0]]), {1: 2.0}), [2.0, 1.0])


@pytest.mark.parametrize("kind", ["arrays", "dataset"])
def test_weights_of_samples_that_are_unknown_are_told_of_once(kind, tmp_path):
    weights = np.ones(320, "f")
    if kind == "arrays":
        run, _ = fitted(tmp_path, (X, Y), sample_weight=weights, epochs=2)
    else:
        dataset = tf.data.Dataset.from_tensor_slices((X, Y, weights)).batch(32)
        run, _ = fitted(tmp_path, (X, Y), x=dataset, y=None, epochs=2)
    (note,) = run[NOTES].values
    assert "without the weights that fit gives to the samples" in note
    assert "data=(x, y, sample_weight)" in note
