"""When what is due, on a clock that is told."""

from __future__ import annotations

import math

import pytest

from tbgrad.monitoring.cadence_search import BLOCK_STEPS, WARM_UP_STEPS, CadenceSearch
from tbgrad.monitoring.schedule import (
    DRAIN_SECONDS,
    Action,
    EstimateSchedule,
    Schedule,
)

ROOM = 1000


def test_the_first_step_is_drained_at_once_and_then_time_decides() -> None:
    schedule = Schedule(10, 0.0)
    assert schedule.next_action(10, 0.0, ROOM) is Action.GO_ON
    assert schedule.next_action(11, 0.01, ROOM) is Action.DRAIN
    schedule.drained(11, 0.01)
    assert schedule.next_action(12, 0.02, ROOM) is Action.GO_ON
    assert schedule.next_action(50, DRAIN_SECONDS + 0.02, ROOM) is Action.DRAIN


def test_a_first_drain_in_the_midst_of_the_first_step_is_followed_by_another() -> None:
    schedule = Schedule(0, 0.0)
    assert schedule.next_action(1, 0.1, ROOM) is Action.DRAIN
    schedule.drained(1, 0.1, logged=False)
    assert schedule.next_action(1, 0.2, ROOM) is Action.DRAIN
    schedule.drained(1, 0.2, logged=True)
    assert schedule.next_action(2, 0.3, ROOM) is Action.GO_ON


def test_a_drain_is_due_before_the_room_is_filled() -> None:
    schedule = Schedule(0, 0.0)
    schedule.drained(0, 0.0)
    assert schedule.next_action(ROOM - 1, 0.1, ROOM) is Action.GO_ON
    assert schedule.next_action(ROOM, 0.1, ROOM) is Action.DRAIN


def test_estimates_come_ahead_of_drains_and_blocks_of_the_search_ahead_of_both() -> None:
    search = CadenceSearch(0.01)
    schedule = Schedule(0, 0.0, estimate_due=lambda step, now: step == 3, search=search)
    actions = [schedule.next_action(step, 0.0, ROOM) for step in range(WARM_UP_STEPS + 1)]
    assert actions[3] is Action.ESTIMATE
    assert actions[WARM_UP_STEPS] is Action.SEARCH
    search.turn(0.0)
    later = [schedule.next_action(100 + i, 1.0, 2**60) for i in range(BLOCK_STEPS)]
    assert later.index(Action.SEARCH) == BLOCK_STEPS - 1


def test_a_thread_looks_more_often_where_the_room_fills_faster() -> None:
    slow, fast = Schedule(0, 0.0), Schedule(0, 0.0)
    for second in range(1, 20):
        slow_pause = slow.pause(second, float(second), ROOM)
        fast_pause = fast.pause(10_000 * second, float(second), ROOM)
    assert slow_pause == DRAIN_SECONDS
    assert fast_pause == pytest.approx(0.1)
    assert fast.pause(190_000, 21.0, ROOM) == fast_pause  # it stands still: it may be compiling


def test_estimates_keep_within_their_share_of_the_time() -> None:
    schedule = EstimateSchedule(10, 0.1, now=0.0)
    assert schedule.due(0, 0.0)  # the first, whatever it costs
    schedule.done(0, 1.0)
    assert not schedule.due(9, 100.0)
    assert not schedule.due(10, 20.9)  # two seconds, the one to come included, beside 19.9 others
    assert (schedule.left_out, schedule.overdue) == (True, False)
    assert not schedule.due(20, 20.9)
    assert schedule.overdue
    assert schedule.due(20, 21.1)
    schedule.done(20, 2.0, once=1.99)  # will be a cheap one: 3.01 seconds beside 30.1 others
    assert not schedule.due(30, 33.0)
    assert schedule.due(30, 33.2)
    assert schedule.has(20)
    assert not schedule.has(30)
    schedule.missed(30)
    assert not schedule.due(39, 1e9)
    assert schedule.spent == 3.0
    schedule.end()
    assert not schedule.due(40, 1e9)


def test_without_a_budget_every_estimate_is_made() -> None:
    schedule = EstimateSchedule(5, None, now=0.0)
    for step in range(0, 50, 5):
        assert schedule.due(step, 0.0)
        schedule.done(step, 1e9)
    assert schedule.affords(math.inf, 0.0)
