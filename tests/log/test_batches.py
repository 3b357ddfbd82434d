"""Which steps had a short batch."""

from __future__ import annotations

import numpy as np

from tbgrad.log.batches import MOST, Batches, followed_by, is_short

SHORT = Batches(1, batch_size=32, samples=70, steps_per_epoch=3)


def short_steps(batches, last=20):
    steps = np.arange(1, last + 1)
    return steps[is_short(steps, batches)].tolist()


def test_the_last_step_of_each_epoch_where_samples_do_not_fill_it():
    assert short_steps([SHORT]) == [3, 6, 9, 12, 15, 18]
    assert short_steps([Batches(8, 32, 70, 3)]) == [10, 13, 16, 19]
    assert short_steps([SHORT, Batches(8, 32, 64, 2), Batches(12, 10, 21, 3)]) == [3, 6, 14, 17, 20]
    assert is_short(np.zeros(0, np.int64), [SHORT]).shape == (0,)


def test_nothing_is_said_where_it_is_not_known():
    assert short_steps([]) == []
    for little in (Batches(1), Batches(1, 32), Batches(1, 32, 70), Batches(1, 0, 70, 3)):
        assert short_steps([little]) == []
    assert short_steps([Batches(1, 32, 70, 2)]) == []  # steps_per_epoch of the user's own


def test_stretches_that_go_on_alike_are_one():
    batches = ()
    for fit in range(1000):
        batches = followed_by(batches, Batches(1 + 3 * fit, 32, 70, 3))
    assert batches == (SHORT,)
    off = followed_by(batches, Batches(5, 32, 70, 3))
    assert [each.first_step for each in off] == [1, 5]
    again = followed_by(off, Batches(3, 16, 70, 5))  # set back by a checkpoint
    assert [each.first_step for each in again] == [1, 3]
    for fit in range(100):
        again = followed_by(again, Batches(10 + fit, 16 + fit, 70, 5))
    assert len(again) == MOST
