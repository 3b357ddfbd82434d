"""When the weights are logged, and how many are."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from tbgrad.log.records import Parameter
from tbgrad.monitoring import trajectory
from tbgrad.monitoring.trajectory import Trajectory, check_trajectory, next_place

ROWS = (Parameter("w", "layer", (20, 300), 6000, "float32", "kernel"),)


def places(steps):
    found = [0]
    while found[-1] < steps:
        found.append(next_place(found[-1]))
    return found[:-1]


def test_every_step_at_first_then_as_many_each_doubling():
    assert places(33) == list(range(33))
    assert places(1 << 20)[-1] < 1 << 20
    for power in range(5, 20):
        between = [place for place in places(1 << 20) if 1 << power <= place < 2 << power]
        assert len(between) == 32, power
    assert len(places(1_000_000)) < 520
    # From wherever a training goes on, the places are the same ones.
    assert next_place(1001) == next(place for place in places(2000) if place > 1001)


def test_no_place_is_taken_while_one_waits_to_be_written():
    queue = []
    log = Trajectory(False, lambda step, make: queue.append((step, make)), print)
    assert log.due(0)
    log.take(0, ROWS, lambda: [np.zeros((20, 300))])
    assert not log.due(1)
    ((step, make),) = queue
    assert (step, make()[0].tag) == (0, "tbgrad/trajectory")
    assert log.due(1)
    log.take(1, ROWS, lambda: [np.zeros((20, 300))])
    assert not log.due(2)
    del make
    queue.clear()  # as a queue does that is full
    gc.collect()
    assert log.due(2)


def test_a_training_that_is_set_back_is_followed_anew():
    steps = []
    log = Trajectory(False, lambda step, make: steps.append((step, make())), print)
    log.take(1000, ROWS, lambda: [np.zeros((20, 300))])
    assert not log.due(1001)
    assert log.due(3)
    log.take(3, ROWS, lambda: [np.zeros((20, 300))])
    assert log.due(4)
    assert [step for step, _ in steps] == [1000, 3]


def test_more_weights_than_are_kept_one_by_one(monkeypatch):
    monkeypatch.setattr(trajectory, "MOST_EXACT", 5999)
    notes, made = [], []
    log = Trajectory(
        True, lambda _, make: made.extend(make()), lambda subject, text: notes.append(text)
    )
    log.take(0, ROWS, lambda: [np.zeros((20, 300))])
    assert [dim.size for dim in made[0].tensor.tensor_shape.dim] == [1, 512]
    assert notes == [
        'trajectory="exact" of 6,000 weights would take 0 MB a place: a sketch that keeps '
        "distances is logged instead"
    ]


def test_what_can_be_asked_for():
    assert [check_trajectory(asked) for asked in (True, False, "exact")] == [True, False, "exact"]
    with pytest.raises(ValueError, match='True, False or "exact"'):
        check_trajectory("all")
