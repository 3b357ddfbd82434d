"""The search for a cadence: on a clock that is told what steps cost, and in a real training."""

import keras
import numpy as np
import pytest

import tbgrad
from tbgrad.monitoring.cadence import BLOCK_STEPS, PAIRS, WARM_UP_STEPS, CadenceSearch, round_up

pytestmark = pytest.mark.tensorflow


class Training:
    """Steps of known cost on a clock of its own; `slow` steps are held up by something else."""

    def __init__(self, step, logged, overhead=0.02, slow=(), steps_a_call=1.0):
        self.now, self.step, self.logged, self.slow = 0.0, step, logged, slow
        self.steps_a_call, self.logged_in_block = steps_a_call, 0.0
        self.search = CadenceSearch(overhead, lambda: None, steps_a_call, lambda: self.now)

    def run(self, calls):
        for number in range(calls):
            if self.search.step():
                self.logged_in_block = 0.0
            self.now += self.steps_a_call * self.step + (number in self.slow)
            if self.search.logging:
                self.logged_in_block += self.steps_a_call / self.search.densest
                self.now += self.logged * self.steps_a_call / self.search.densest
                assert self.logged_in_block <= BLOCK_STEPS + 1e-9
        return self.search.every


SEARCHED = WARM_UP_STEPS + 2 * PAIRS * BLOCK_STEPS


@pytest.mark.parametrize(
    ("step", "logged", "overhead", "every"),
    [
        (1e-3, 0.5e-3, 0.02, 50),  # 25 steps would do
        (1e-3, 2e-3, 0.02, 100),
        (1e-3, 2e-3, 0.1, 20),
        (1e-1, 1e-3, 0.02, 10),
        (1e-3, -1e-4, 0.02, 10),
    ],
)
def test_a_logged_step_costs_at_most_the_share_that_was_asked_for(step, logged, overhead, every):
    training = Training(step, logged, overhead)
    assert training.run(SEARCHED) is None
    assert training.run(1) == every
    assert logged / every <= overhead * step * (1 + 1e-9)
    assert not training.search.logging


def test_one_hiccup_changes_nothing():
    assert Training(1e-3, 0.5e-3, slow=[WARM_UP_STEPS + 3]).run(SEARCHED + 1) == 50


@pytest.mark.parametrize("steps_a_call", [1 / 3, 0.25, 1.0, 3.0, 8.0, 50.0, 1000.0])
def test_a_call_may_be_many_steps_or_a_part_of_one(steps_a_call):
    training = Training(1e-3, 0.5e-3, steps_a_call=steps_a_call)
    assert training.run(400) == 50


@pytest.mark.parametrize("steps_between", [1, 3, BLOCK_STEPS, 100])
def test_what_happens_between_two_pauses_is_not_training(steps_between):
    training = Training(1e-3, 0.5e-3)
    for _ in range(SEARCHED // steps_between + 1):
        training.run(steps_between)
        training.search.pause()
        training.now += 60.0
    assert training.run(1) == 50


@pytest.mark.parametrize(
    ("steps", "every"), [(0.1, 10), (10, 10), (11, 20), (99, 100), (501, 1000)]
)
def test_round_numbers(steps, every):
    assert round_up(steps) == every


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
    assert monitor._search is None
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
