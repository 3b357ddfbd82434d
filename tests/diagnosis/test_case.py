"""When alerts open and close, against a slow reading of what a rule says."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tbgrad.diagnosis import Diagnosis, Moment, Record, Rule
from tbgrad.diagnosis.rule import Advice
from tests.diagnosis.test_engine import MANIFEST, table


def planted(opens_after: int, closes_after: int) -> Rule:
    return Rule(
        name="loss_stuck", shows="loss", severity="info",
        applies=lambda moment: moment.record.scalars.get("hit"),
        evidence=lambda *_: "planted", causes=(), advice=Advice(""),
        opens_after=opens_after, closes_after=closes_after,
    )  # fmt: skip


def _in_second_row(moment: Moment) -> Any:
    hit = moment.record.scalars.get("hit")
    return None if hit is None else np.array([False, hit, False, False])


def lasted(seen: list[tuple[int, int, bool]], value: bool, steps: int) -> bool:
    """Whether the newest records say so for so many steps, of which a quarter, or three, were seen.

    Of records as first step, last step and what they say.
    """
    streak = list(itertools.takewhile(lambda record: record[2] == value, reversed(seen)))
    if not streak:
        return False
    spanned = streak[0][1] - streak[-1][0] + 1
    least = max(math.ceil(steps / 4), min(steps, 3))
    return spanned >= steps and sum(last - first + 1 for first, last, _ in streak) >= least


RECORDS = st.tuples(
    st.integers(0, 12), st.integers(1, 4), st.sampled_from([True, True, False, None])
)


@pytest.mark.parametrize("of_a_row", [False, True])
@pytest.mark.parametrize(("opens_after", "closes_after"), [(1, 1), (2, 3), (10, 5), (20, 40)])
@settings(max_examples=200, deadline=None)
@given(history=st.lists(RECORDS, max_size=60))
def test_alerts_open_and_close_as_a_slow_reading_of_the_rule_says(
    opens_after: int, closes_after: int, of_a_row: bool, history: list[tuple[int, int, bool | None]]
) -> None:
    """The oracle goes over the whole history anew at every record."""
    rule = planted(opens_after, closes_after)
    if of_a_row:
        rule = replace(rule, applies=_in_second_row)
    diagnosis = Diagnosis(rules=[rule])
    seen: list[tuple[int, int, bool]] = []
    is_open, opened, step = False, 0, 0
    for gap, width, hit in history:
        first, step = step + gap + 1, step + gap + width
        said = {} if hit is None else {"hit": hit}
        told = diagnosis.update(Record(step, said, table(), MANIFEST, first_step=first))
        if hit is None:
            assert told == []
            continue
        seen.append((first, step, hit))
        if is_open and lasted(seen, False, closes_after * 2 ** (opened - 1)):
            is_open = False
            assert [a.state for a in told] == ["closed"]
        elif not is_open:
            is_open = lasted(seen, True, opens_after)
            opened += is_open
            assert [a.state for a in told] == ["open"] * is_open
        assert bool(diagnosis.open) == is_open
