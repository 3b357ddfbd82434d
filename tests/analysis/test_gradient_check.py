"""The gradient over all samples and its noise, against NumPy in float64."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import tbgrad
from tbgrad import hessian
from tests.support.numpy_network import gradient, loss

pytestmark = pytest.mark.tensorflow

SAMPLES, BATCH = 200, 16
RNG = np.random.default_rng(4)
X = RNG.standard_normal((SAMPLES, 5)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int32) + (X[:, 1] > 1)


def network():
    keras.utils.set_random_seed(3)
    hidden = keras.layers.Dense(4, "tanh", name="hidden")
    layers = [keras.Input((5,)), hidden, keras.layers.Dense(3, name="logits")]
    model = keras.Sequential(layers)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def lengths(parts):
    return np.array([np.linalg.norm(part) for part in parts])


@pytest.mark.parametrize("dataset", [False, True])
def test_norms_and_noise_are_those_of_numpy(dataset, capsys):
    model = network()
    weights = [w.astype(np.float64) for w in model.get_weights()]
    exact = gradient(weights, X.astype(np.float64), Y)
    if dataset:
        batches = tf.data.Dataset.from_tensor_slices((X, Y)).batch(BATCH)
        found = tbgrad.gradient_check(model, batches)
    else:
        found = tbgrad.gradient_check(model, X, Y, batch_size=BATCH)
    names = ["hidden/kernel", "hidden/bias", "logits/kernel", "logits/bias"]
    assert list(found.norms) == names
    np.testing.assert_allclose(list(found.norms.values()), lengths(exact), rtol=1e-5)
    assert found.norm == pytest.approx(np.linalg.norm(lengths(exact)), rel=1e-5)
    assert found.layer_norms == {
        "hidden": pytest.approx(np.linalg.norm(lengths(exact[:2])), rel=1e-5),
        "logits": pytest.approx(np.linalg.norm(lengths(exact[2:])), rel=1e-5),
    }
    assert found.loss == pytest.approx(loss(weights, X.astype(np.float64), Y), rel=1e-6)
    assert (found.samples, found.batch_size) == (SAMPLES, BATCH)

    variance = np.zeros(4)
    starts = range(0, SAMPLES, BATCH)  # the last batch has half as many
    for start in starts:
        part = slice(start, start + BATCH)
        of_batch = gradient(weights, X[part].astype(np.float64), Y[part])
        away = lengths([a - b for a, b in zip(of_batch, exact, strict=True)])
        variance += len(X[part]) * away**2 / (len(starts) - 1)
    np.testing.assert_allclose(list(found.noises.values()), np.sqrt(variance / BATCH), rtol=1e-4)
    assert found.noise == pytest.approx(np.sqrt(variance.sum() / BATCH), rel=1e-4)
    assert found.noise_scale == pytest.approx(variance.sum() / found.norm**2, rel=1e-3)
    assert found.standard_error == pytest.approx(np.sqrt(variance.sum() / SAMPLES), rel=1e-4)
    assert str(found).startswith(f"gradient norm {found.norm:.3g} at loss {found.loss:.6g}")
    assert capsys.readouterr().err == ""


def test_the_noise_is_how_far_batches_drawn_at_random_are_off():
    model = network()
    weights = [w.astype(np.float64) for w in model.get_weights()]
    found = tbgrad.gradient_check(model, X, Y, batch_size=4)
    exact = gradient(weights, X.astype(np.float64), Y)
    rng, squares = np.random.default_rng(0), []
    for _ in range(3000):
        drawn = rng.integers(0, SAMPLES, 4)
        of_batch = gradient(weights, X[drawn].astype(np.float64), Y[drawn])
        squares.append(sum(((a - b) ** 2).sum() for a, b in zip(of_batch, exact, strict=True)))
    assert found.noise == pytest.approx(np.sqrt(np.mean(squares)), rel=0.15)


def test_of_one_batch_there_is_no_noise_to_tell():
    found = tbgrad.gradient_check(network(), X, Y, batch_size=SAMPLES)
    assert np.isnan(found.noise)
    assert found.norm > 0


def test_a_model_that_is_not_compiled_is_refused():
    with pytest.raises(hessian.HessianError, match=r"call model\.compile"):
        tbgrad.gradient_check(keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)]), X, Y)
