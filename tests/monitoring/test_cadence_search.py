"""The search for a cadence, on a clock that is told what steps cost."""

import pytest

from tbgrad.monitoring.cadence_search import (
    BLOCK_STEPS,
    PAIRS,
    WARM_UP_STEPS,
    CadenceSearch,
    round_up,
)


class Training:
    """Steps of known cost on a clock of its own; `slow` steps are held up by something else."""

    def __init__(self, step, logged, overhead=0.02, slow=(), steps_a_call=1.0):
        self.now, self.step, self.logged, self.slow = 0.0, step, logged, slow
        self.steps_a_call, self.logged_in_block = steps_a_call, 0.0
        self.search = CadenceSearch(overhead, steps_a_call)

    def run(self, calls):
        for number in range(calls):
            if self.search.step(self.now):
                self.search.turn(self.now)
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
        training.search.pause(training.now)
        training.now += 60.0
    assert training.run(1) == 50


@pytest.mark.parametrize(
    ("steps", "every"), [(0.1, 10), (10, 10), (11, 20), (99, 100), (501, 1000)]
)
def test_round_numbers(steps, every):
    assert round_up(steps) == every
