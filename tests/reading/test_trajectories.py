"""Trajectories of weights, from event files: their axes against an SVD of the weights."""

from __future__ import annotations

import numpy as np
import pytest

import tbgrad
from tbgrad.analysis import trajectories, weights_of
from tbgrad.log import encode
from tbgrad.log.records import Manifest, Parameter
from tbgrad.log.weight_sketch import WeightSketch
from tbgrad.monitoring.trajectory import next_place
from tests.support.events import PatientEventFileWriter

SMALL = {"a/kernel": (4, 3), "a/bias": (3,), "b/kernel": (3, 2)}
LARGE = {"a/kernel": (64, 128), "a/bias": (128,), "b/kernel": (128, 90)}


def parameters(shapes):
    return tuple(
        Parameter(path, path[0], shape, int(np.prod(shape)), "float32", "kernel")
        for path, shape in shapes.items()
    )


def walk(shapes, seed, steps=60):
    """Weights [T, n] of a training that goes from its own start to its own end, by a bend."""
    size = sum(int(np.prod(shape)) for shape in shapes.values())
    rng = np.random.default_rng(seed)
    start, end, bend = (rng.standard_normal(size) for _ in range(3))
    t = np.linspace(0, 1, steps)[:, np.newaxis]
    return start * (1 - t) + end * t + 1.5 * bend * t * (1 - t)


def write(directory, shapes, walked, losses=True, steps=None):
    rows = parameters(shapes)
    sketch = WeightSketch(rows)
    ends = np.cumsum([row.size for row in rows])[:-1]
    with PatientEventFileWriter(directory) as writer:
        writer.add(0, [encode.manifest(Manifest(rows))])
        for step, weights in zip(steps or range(len(walked)), walked, strict=True):
            values = [encode.trajectory(sketch.of(np.split(weights, ends)))]
            if losses and step:
                values.append(encode.scalar("loss", 1 / step))
            writer.add(step, values)


def plane_of(walks):
    """Places [T, 2] on the axes along which walks differ most, and the shares of all.

    In the mean over the logarithm of steps, each walk as a whole.
    """
    weights = []
    for walked in walks:
        at = np.log(np.arange(1, len(walked) + 1))
        edges = np.concatenate([at[:1], (at[1:] + at[:-1]) / 2, at[-1:]])
        weights.append(np.diff(edges) / (at[-1] - at[0]))
    everything, weights = np.concatenate(walks), np.concatenate(weights)
    centred = everything - np.average(everything, axis=0, weights=weights)
    _, lengths, axes = np.linalg.svd(np.sqrt(weights)[:, np.newaxis] * centred, full_matrices=False)
    return centred @ axes[:2].T, lengths**2 / (lengths**2).sum()


def angles_between(first, second):
    """The largest angle between two planes, in degrees."""
    bases = (np.linalg.qr(each)[0] for each in (first, second))
    first, second = bases
    return np.degrees(np.arccos(np.clip(np.linalg.svd(first.T @ second)[1], -1, 1))).max()


def test_of_small_models_they_are_exact(tmp_path):
    walks = [walk(SMALL, seed) for seed in range(3)]
    for i, walked in enumerate(walks):
        write(tmp_path / f"run{i}", SMALL, walked)
    found = trajectories(tbgrad.read(tmp_path))
    axes, shares = plane_of(walks)
    places = np.concatenate([run.places for run in found.runs.values()])
    assert angles_between(places, axes) < 1e-3
    np.testing.assert_allclose(found.explained, shares[:2], rtol=1e-5)
    assert (found.error, found.layers, found.left_out) == (0.0, ("a", "b"), {})
    ends = np.array([walked[-1] for walked in walks])
    apart = np.linalg.norm(ends[:, np.newaxis] - ends, axis=2)
    np.testing.assert_allclose(found.distances, apart, atol=1e-5)
    moved = [np.linalg.norm(walked[-1] - walked[0]) for walked in walks]
    np.testing.assert_allclose(found.from_start, moved, rtol=1e-5)
    assert not found.alike


def test_of_large_models_within_ten_degrees(tmp_path):
    """Where the third axis has less than half of the variance of the second."""
    walks = [walk(LARGE, seed) for seed in range(2)]
    walks[1] = walks[0][0] + 0.1 * (walks[1] - walks[1][0])
    for i, walked in enumerate(walks):
        write(tmp_path / f"run{i}", LARGE, walked)
    found = trajectories(tbgrad.read(tmp_path))
    axes, shares = plane_of(walks)
    assert shares[2] < shares[1] / 2
    places = np.concatenate([run.places for run in found.runs.values()])
    assert 1e-3 < angles_between(places, axes) < 10
    np.testing.assert_allclose(found.explained, shares[:2], atol=0.05)
    apart = np.linalg.norm(walks[0][-1] - walks[1][-1])
    assert found.error == pytest.approx(1 / 32)
    assert abs(found.distances[0, 1] / apart - 1) < 3 * found.error


@pytest.mark.parametrize("shapes", [SMALL, LARGE], ids=["exact", "sketch"])
def test_of_one_layer(shapes, tmp_path):
    walked = walk(shapes, 0)
    only_b = np.zeros_like(walked)
    size = int(np.prod(shapes["b/kernel"]))
    only_b[:, -size:] = walked[:, -size:]
    write(tmp_path, shapes, only_b)
    runs = tbgrad.read(tmp_path)
    axes, _ = plane_of([only_b])
    assert angles_between(trajectories(runs, "b").runs["."].places, axes) < 10
    with pytest.raises(ValueError, match="one place alone"):
        trajectories(runs, "a")
    with pytest.raises(ValueError, match="no layer 'c'; there are a, b"):
        trajectories(runs, "c")


def test_steps_and_losses_belong_to_the_places(tmp_path):
    write(tmp_path, SMALL, walk(SMALL, 0))
    found = trajectories(tbgrad.read(tmp_path)).runs["."]
    assert found.steps.tolist() == list(range(60))
    np.testing.assert_allclose(found.losses, [1, *(1 / np.arange(1, 60))], rtol=1e-6)


def test_trainings_that_end_in_one_place(tmp_path):
    walks = [walk(SMALL, seed) for seed in range(2)]
    walks[1][-1] = walks[0][-1] + 1e-3
    for i, walked in enumerate(walks):
        write(tmp_path / f"run{i}", SMALL, walked)
    assert trajectories(tbgrad.read(tmp_path)).alike


def test_what_is_left_out_is_named(tmp_path):
    write(tmp_path / "a", SMALL, walk(SMALL, 0), losses=False)
    write(tmp_path / "b", {**SMALL, "b/kernel": (3, 4)}, walk({**SMALL, "b/kernel": (3, 4)}, 0))
    write(tmp_path / "c", SMALL, [])
    found = trajectories(tbgrad.read(tmp_path))
    assert list(found.runs) == ["a"]
    assert np.isnan(found.runs["a"].losses).all()
    assert found.left_out == {
        "b": "is of another architecture than a",
        "c": "has no trajectory: train with trajectory=True",
    }
    with pytest.raises(ValueError, match="trajectory=True"):
        trajectories({})


def test_weights_that_are_not_finite(tmp_path):
    walked = walk(SMALL, 0)
    walked[-1, 3] = np.nan
    write(tmp_path, SMALL, walked)
    found = trajectories(tbgrad.read(tmp_path)).runs["."]
    assert np.isnan(found.places[-1]).all()
    assert angles_between(found.places[:-1], plane_of([walked[:-1]])[0]) < 1e-3


def test_the_weights_themselves(tmp_path):
    walked = walk(SMALL, 0)
    write(tmp_path / "small", SMALL, walked)
    write(tmp_path / "large", LARGE, walk(LARGE, 0, 3))
    runs = tbgrad.read(tmp_path)
    steps, places = weights_of(runs["small"])
    assert steps.tolist() == list(range(60))
    assert [array.shape for array in places[5]] == list(SMALL.values())
    flat = np.concatenate([array.ravel() for array in places[5]])
    np.testing.assert_allclose(flat, walked[5], rtol=1e-6)
    with pytest.raises(ValueError, match="sketches"):
        weights_of(runs["large"])


def test_a_bounded_reader_keeps_some_of_them(tmp_path):
    steps = [0]
    while len(steps) < 400:
        steps.append(next_place(steps[-1]))
    write(tmp_path, SMALL, walk(SMALL, 0, 400), steps=steps)
    run = tbgrad.read(tmp_path, bounded=True)["."]
    found = trajectories({"a": run}).runs["a"]
    assert 64 <= len(found.steps) <= 129
    assert found.steps[[0, -1]].tolist() == [0, steps[-1]]
    whole = trajectories(tbgrad.read(tmp_path)).runs["."]
    kept = whole.places[np.isin(whole.steps, found.steps)]
    np.testing.assert_allclose(found.places, kept, atol=0.05 * np.ptp(kept))
