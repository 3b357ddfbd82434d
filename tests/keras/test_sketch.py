"""The cosine told from sketches, against that of the whole gradients in float64."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import tensorflow as tf

from tbgrad.keras import sketch
from tbgrad.keras.graph import UNKNOWN

pytestmark = pytest.mark.tensorflow
MODES = {"graph": {}, "xla": {"jit_compile": True}}


def exact(a, b):
    a, b = np.ravel(a).astype(np.float64), np.ravel(b).astype(np.float64)
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


@functools.cache
def compiled(mode):
    def function(a, b):
        return sketch.cosine(*[sketch.of_dense(tf.reshape(each, [1, -1])) for each in (a, b)])

    return tf.function(function, **MODES[mode])


def found(a, b, mode="graph"):
    return float(compiled(mode)(tf.constant(a), tf.constant(b))[0])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [(), (7,), (8, 64)])
def test_a_gradient_that_fits_is_compared_exactly(shape, mode):
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((2, *shape)).astype(np.float32)
    assert found(a, b, mode) == pytest.approx(exact(a, b), abs=1e-6)


def pairs():
    """Pairs of gradients of many kinds, with cosines from -1 to 1."""
    rng = np.random.default_rng(2)
    for shape in ((600,), (128, 128), (40_000,), (300, 700), (3, 3, 64, 96)):
        for mix in (-1.0, -0.7, 0.0, 0.2, 0.9, 1.0):
            noise = rng.standard_normal((2, *shape))
            low_rank = rng.standard_normal((shape[0], *[1] * (len(shape) - 1))) * np.ones(shape)
            uneven = noise[0] * np.exp(2.5 * rng.standard_normal(shape))
            for a in (noise[0], low_rank + 0.1 * noise[0], uneven):
                b = noise[1] * np.std(a)
                if len(shape) > 1:
                    b = b + rng.standard_normal(shape[-1]) * np.std(a)
                yield a.astype("f"), (mix * a + np.sqrt(1 - mix**2) * b).astype("f")


def test_its_error_is_what_is_said_without_a_bias():
    errors, said, sames = [], [], []
    for a, b in pairs():
        true = exact(a, b)
        errors.append(found(a, b) - true)
        said.append((1 - true**2) / np.sqrt(sketch.BUCKETS))
        sames.append(abs(true) > 0.9999)
    errors, said, sames = map(np.array, (errors, said, sames))
    assert np.sqrt(np.mean(errors**2)) < 0.05
    assert abs(np.mean(errors)) < 3 * np.std(errors) / np.sqrt(len(errors))
    assert np.sqrt(np.mean((errors[~sames] / said[~sames]) ** 2)) == pytest.approx(1.0, abs=0.35)
    assert np.abs(errors[sames]).max() < 1e-3


@pytest.mark.parametrize("mode", MODES)
def test_embeddings_of_which_few_rows_have_a_gradient(mode):
    rng = np.random.default_rng(3)

    @tf.function(**MODES[mode])
    def function(values, rows, others, other_rows):
        return sketch.cosine(sketch.of_rows(values, rows), sketch.of_rows(others, other_rows))

    errors = []
    for _ in range(30):
        rows, other_rows = rng.zipf(1.3, (2, 200)) % 5_000
        common = rng.standard_normal(64)
        values, others = rng.standard_normal((2, 200, 64)) + common
        dense = np.zeros((2, 5_000, 64))
        np.add.at(dense[0], rows, values)
        np.add.at(dense[1], other_rows, others)
        values, others = values.astype(np.float32), others.astype(np.float32)
        told = function(*map(tf.constant, (values, rows, others, other_rows)))
        errors.append(float(told[0]) - exact(dense[0], dense[1]))
    assert np.sqrt(np.mean(np.square(errors))) < 0.05
    assert abs(np.mean(errors)) < 3 * np.std(errors) / np.sqrt(len(errors))


def test_there_is_none_to_a_gradient_of_zeros():
    assert found(np.zeros(5, "f"), np.ones(5, "f")) == UNKNOWN
    assert found(np.full(5, 1e-37, "f"), np.full(5, 3e38, "f")) == pytest.approx(1.0)
