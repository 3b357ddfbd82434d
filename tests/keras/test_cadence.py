"""A training that finds by itself how often it can log."""

import keras
import numpy as np
import pytest

import tbgrad
from tbgrad.monitoring.cadence_search import BLOCK_STEPS, PAIRS, WARM_UP_STEPS

pytestmark = pytest.mark.tensorflow

SEARCHED = WARM_UP_STEPS + 2 * PAIRS * BLOCK_STEPS
LENGTH = 200


def test_by_default_a_training_finds_its_cadence_and_keeps_to_it(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.compile("sgd", "mse")
    x = np.random.default_rng(0).normal(size=(16 * 1200, 4)).astype(np.float32)
    monitor = tbgrad.GradientMonitor(tmp_path)
    model.fit(x, x[:, :3], batch_size=16, verbose=0, callbacks=[monitor])
    run = tbgrad.read(tmp_path)["."]
    every = run.manifest.cadences["every"]
    assert run.manifest.cadences["histograms_every"] == 10 * every
    steps = run["tbgrad/parameters"].steps
    later = steps[steps > SEARCHED + 1]
    due = np.union1d(np.arange(every, 1201, every), np.arange(100, 1001, 100))
    np.testing.assert_array_equal(later, due[due > SEARCHED + 1])
    histograms = run["tbgrad/histograms"].steps.tolist()
    assert histograms[:3] == [1, 5, 10]
    assert {*range(100, 1001, 100)} <= {*histograms}
    assert steps[:10].tolist() == list(range(1, 11))
    assert run["loss"].steps.tolist() == list(range(1, 1201))
    assert "tbgrad/notes" not in run


KINDS = {
    "one batch an epoch": {"batches": 1},
    "executions": {"batches": 40, "steps_per_execution": 10},
    "validated, scaled, accumulated": {"batches": 40, "micro_steps": 4},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_training_finds_its_cadence(kind, tmp_path):
    settings = dict(KINDS[kind])
    batches, micro_steps = settings.pop("batches"), settings.pop("micro_steps", None)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    optimizer = keras.optimizers.SGD(0.01, gradient_accumulation_steps=micro_steps)
    if micro_steps:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, 2.0)
    model.compile(optimizer, "mse", **settings)
    x = np.random.default_rng(0).normal(size=(32, 4)).astype(np.float32)
    model.fit(
        np.tile(x, (batches, 1)),
        np.tile(x[:, :3], (batches, 1)),
        batch_size=32,
        epochs=LENGTH * (micro_steps or 1) // batches,
        verbose=0,
        callbacks=[tbgrad.GradientMonitor(tmp_path)],
        validation_data=(x, x[:, :3]) if micro_steps else None,
    )
    run = tbgrad.read(tmp_path)["."]
    every = run.manifest.cadences["every"]
    assert every > 1
    steps = run["tbgrad/parameters"].steps
    settled = SEARCHED + 40
    expected = np.union1d(np.arange(every, LENGTH + 1, every), [100, 200])
    np.testing.assert_array_equal(steps[steps > settled], expected[expected > settled])
    assert len(steps) > 20
    assert "tbgrad/notes" not in run


@pytest.mark.parametrize("overhead", [0, -1.0])
def test_a_share_that_is_none_is_refused(tmp_path, overhead):
    with pytest.raises(ValueError, match="overhead is a share of the training time above 0"):
        tbgrad.GradientMonitor(tmp_path, overhead=overhead)
