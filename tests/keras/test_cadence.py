"""A training that finds by itself how often it can log."""

import keras
import numpy as np
import pytest

import tbgrad
from tbgrad.monitoring.cadence_search import BLOCK_STEPS, PAIRS, WARM_UP_STEPS

pytestmark = pytest.mark.tensorflow

SEARCHED = WARM_UP_STEPS + 2 * PAIRS * BLOCK_STEPS


def test_by_default_a_training_finds_its_cadence_and_keeps_to_it(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.compile("sgd", "mse")
    x = np.random.default_rng(0).normal(size=(16 * 3000, 4)).astype(np.float32)
    monitor = tbgrad.GradientMonitor(tmp_path)
    model.fit(x, x[:, :3], batch_size=16, verbose=0, callbacks=[monitor])
    run = tbgrad.read(tmp_path)["."]
    every = run.manifest.cadences["every"]
    assert run.manifest.cadences["histograms_every"] == 10 * every
    steps = run["gradient/norm"].steps
    later = steps[steps > SEARCHED + 1]
    np.testing.assert_array_equal(later, np.arange(every, 3001, every)[-len(later) :])
    assert len(later) == 3000 // every - (SEARCHED + 1) // every
    assert "tbgrad/notes" not in run


@pytest.mark.parametrize(
    "kind", ["one batch an epoch", "executions", "accumulated", "scaled", "validated"]
)
def test_every_kind_of_training_finds_its_cadence(kind, tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    accumulated = 4 if kind == "accumulated" else None
    optimizer = keras.optimizers.SGD(0.01, gradient_accumulation_steps=accumulated)
    if kind == "scaled":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, 2.0)
    executions = 10 if kind == "executions" else 1
    model.compile(optimizer, "mse", steps_per_execution=executions)
    x = np.random.default_rng(0).normal(size=(32, 4)).astype(np.float32)
    monitor = tbgrad.GradientMonitor(tmp_path)
    batches = 1 if kind == "one batch an epoch" else 40
    model.fit(
        np.tile(x, (batches, 1)),
        np.tile(x[:, :3], (batches, 1)),
        batch_size=32,
        epochs=2400 // batches if batches > 1 else 400,
        verbose=0,
        callbacks=[monitor],
        validation_data=(x, x[:, :3]) if kind == "validated" else None,
    )
    run = tbgrad.read(tmp_path)["."]
    assert monitor._session._schedule.search is None
    every = run.manifest.cadences["every"]
    steps = run["gradient/norm"].steps
    later = np.arange(every * (400 // every), run.last_step + 1, every)
    np.testing.assert_array_equal(steps[steps >= 400], later[later >= 400])
    assert len(steps) > 20
    assert "tbgrad/notes" not in run


@pytest.mark.parametrize("overhead", [0, -1.0])
def test_a_share_that_is_none_is_refused(tmp_path, overhead):
    with pytest.raises(ValueError, match="overhead is a share of the training time above 0"):
        tbgrad.GradientMonitor(tmp_path, overhead=overhead)
