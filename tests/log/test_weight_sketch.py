"""Sketches of weights against the weights themselves, in float64."""

from __future__ import annotations

import numpy as np
import pytest

from tbgrad.log.records import Parameter
from tbgrad.log.weight_sketch import WeightSketch, hashed, is_exact, standard_error, width_of

SIZES = {"a/kernel": 8192, "a/bias": 128, "b/kernel": 16384, "c/kernel": 1280}


def parameters(sizes=SIZES):
    return [
        Parameter(path, path[0], (size,), size, "float32", "kernel") for path, size in sizes.items()
    ]


def parts(vector, sizes=SIZES):
    return np.split(vector, np.cumsum(list(sizes.values()))[:-1])


def lengths_of(make, count=300):
    """Lengths of vectors as their sketches have them, over what they are."""
    sketch, rng = WeightSketch(parameters()), np.random.default_rng(0)
    vectors = [make(rng, i) for i in range(count)]
    told = [np.linalg.norm(sketch.of(parts(vector))) for vector in vectors]
    return np.array(told) / [np.linalg.norm(vector) for vector in vectors]


def of_all(rng, _):
    return rng.standard_normal(sum(SIZES.values()))


def of_one_layer(rng, _):
    vector = np.zeros(sum(SIZES.values()))
    vector[8320:24704] = rng.standard_normal(16384)
    return vector


def of_one_column(rng, i):
    kernel = np.zeros((128, 128))
    kernel[:, i % 128] = 2 + rng.standard_normal(128)
    vector = np.zeros(sum(SIZES.values()))
    vector[8320:24704] = kernel.ravel()
    return vector


@pytest.mark.parametrize("make", [of_all, of_one_layer, of_one_column])
def test_the_error_of_a_distance_is_what_is_documented(make):
    ratios = lengths_of(make)
    error = standard_error(512)
    assert np.sqrt(np.mean((ratios - 1) ** 2)) < 1.1 * error
    assert abs(ratios.mean() - 1) < 4 * error / np.sqrt(len(ratios)) + error**2
    assert np.mean(np.abs(ratios - 1) > 2 * error) < 0.08


def test_a_sketch_of_a_difference_is_the_difference_of_the_sketches():
    sketch, rng = WeightSketch(parameters()), np.random.default_rng(1)
    a, b = (rng.standard_normal(sum(SIZES.values())) for _ in range(2))
    apart = sketch.of(parts(a)) - sketch.of(parts(b))
    np.testing.assert_allclose(apart, sketch.of(parts(a - b)), atol=1e-4)


def test_it_is_the_same_in_every_run():
    rng = np.random.default_rng(2)
    vector = rng.standard_normal(sum(SIZES.values()))
    first, second = (WeightSketch(parameters()).of(parts(vector)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_places_are_those_of_splitmix64():
    """Its first outputs from seed 0, as published: a log has to mean the same for ever."""
    published = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    drawn = hashed(0, np.arange(3, dtype=np.uint64), 512)
    assert drawn.tolist() == [output % 1024 for output in published]


def test_small_models_are_kept_as_they_are():
    sizes = {"a/kernel": 6, "a/bias": 2}
    rows = parameters(sizes)
    made = WeightSketch(rows).of(parts(np.arange(8.0), sizes))
    np.testing.assert_array_equal(made, np.arange(8.0)[np.newaxis])
    assert is_exact(made.shape, rows)
    assert not is_exact(WeightSketch(parameters()).of(parts(np.zeros(25984))).shape, parameters())
    assert WeightSketch(parameters(), exact=True).of(parts(np.zeros(25984))).shape == (1, 25984)


def test_a_model_of_many_layers_takes_no_more():
    assert [width_of(layers) for layers in (1, 16, 17, 100, 512, 5000)] == [
        512, 512, 256, 64, 16, 16,
    ]  # fmt: skip


def test_parameters_larger_than_a_chunk(monkeypatch):
    vector = np.random.default_rng(3).standard_normal(sum(SIZES.values()))
    whole = WeightSketch(parameters()).of(parts(vector))
    monkeypatch.setattr("tbgrad.log.weight_sketch.CHUNK", 1000)
    monkeypatch.setattr("tbgrad.log.weight_sketch.KEPT", 0)
    np.testing.assert_allclose(WeightSketch(parameters()).of(parts(vector)), whole, atol=1e-5)


def test_weights_of_another_architecture():
    with pytest.raises(ValueError, match="another architecture"):
        WeightSketch(parameters()).of([np.zeros(3)])
