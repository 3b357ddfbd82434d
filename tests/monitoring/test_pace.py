"""How fast a training is, with times that are given."""

from __future__ import annotations

import math

import pytest

from tbgrad.monitoring.pace import Pace


def trained(seconds_a_step, steps=100, every=10, start=0):
    pace = Pace()
    for step in range(start, start + steps + 1, every):
        pace.stepped(step, (step - start) * seconds_a_step)
    return pace, steps * seconds_a_step


def test_a_steady_training_is_at_its_own_pace():
    pace, now = trained(0.2, steps=1000)
    assert pace.usual == pytest.approx(0.2)
    assert pace.recent(now) == pytest.approx(0.2, rel=0.2)


def test_one_that_waits_is_slower_than_that():
    pace, now = trained(0.01, steps=10_000, every=200)
    assert pace.recent(now + 5) < 5 * pace.usual
    assert pace.recent(now + 19) > 5 * pace.usual
    assert pace.recent(now + 3600) > 1000 * pace.usual


def test_steps_of_minutes_are_not_slow_for_that():
    pace, now = trained(120.0, steps=20, every=1)
    assert pace.recent(now + 100) < 2 * pace.usual


def test_nothing_is_known_at_first_and_a_step_back_begins_anew():
    pace = Pace()
    assert math.isnan(pace.recent(1.0))
    pace, now = trained(1.0, start=1000)
    pace.stepped(0, now)
    assert pace.usual == pytest.approx(1.0)
    assert math.isnan(pace.recent(now + 60))


def test_of_a_long_training_a_bounded_part_is_kept():
    pace, _ = trained(0.1, steps=100_000, every=10)
    assert pace.usual == pytest.approx(0.1)
    assert len(pace._rates) <= 256
