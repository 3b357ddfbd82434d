"""Every step of a run as records: nothing that stands out is lost, and none is counted twice."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tbgrad.diagnosis import Diagnosis, Record
from tbgrad.diagnosis.pieces import MOST, NOTABLE, SINGLE, Pieces
from tbgrad.log.steps import Steps
from tbgrad.log.tags import GRADIENT_NORM, GRADIENT_NORM_MAX, LEARNING_RATE, LOSS
from tests.support.logs import manifest

MANIFEST = manifest(1)
LATE = 100 * SINGLE
"""A step from which on steps are taken together."""


def made(first_step: int, count: int, seed: int = 0) -> Steps:
    """Steps of a calm training."""
    rng = np.random.default_rng(seed)
    norms = rng.uniform(1, 2, (count, 2)).astype(np.float32)
    scalars = {
        LOSS: rng.uniform(1, 2, count).astype(np.float32),
        LEARNING_RATE: np.linspace(1, 0.5, count, dtype=np.float32),
        GRADIENT_NORM: np.linalg.norm(norms, axis=1),
    }
    return Steps(first_step, scalars, norms)


def pieces(*parts: Steps) -> list[Record]:
    cut = Pieces()
    return [record for part in parts for record in cut.of(part, MANIFEST)]


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([1, SINGLE, 3 * SINGLE, LATE]),
    st.lists(st.sampled_from([0, 1, 2, 15, 16, 17, 100, 900]), max_size=6),
    st.integers(0, 2**31),
)
def test_pieces_follow_on_one_another_and_hold_what_was_in_them(
    first: int, counts: list[int], seed: int
) -> None:
    whole = made(first, sum(counts), seed)
    bounds = np.cumsum([0, *counts]).tolist()
    records = pieces(*(whole[a:b] for a, b in pairwise(bounds)))
    at = first
    for record in records:
        assert record.first_step == at
        assert record.steps >= 1
        at = record.step + 1
        part = whole[record.first_step - first : at - first]
        assert record.scalars[LOSS] == pytest.approx(part.scalars[LOSS].mean(), rel=1e-6)
        assert list(record.losses) == part.scalars[LOSS].tolist()
        assert record.scalars[LEARNING_RATE] == part.scalars[LEARNING_RATE][-1]
        assert record.scalars[GRADIENT_NORM] == part.scalars[GRADIENT_NORM][-1]
        assert record.scalars[GRADIENT_NORM_MAX] == part.scalars[GRADIENT_NORM].max()
        assert record.norms is not None
        np.testing.assert_array_equal(record.norms, part.norms.max(axis=0))
    assert at == first + sum(counts)


def test_the_first_steps_are_looked_at_one_by_one_and_later_ones_together() -> None:
    assert [record.steps for record in pieces(made(1, SINGLE))] == [1] * SINGLE
    together = pieces(made(LATE, 1600))
    assert len(together) <= 2 * MOST
    assert {record.steps for record in together} == {64}


def test_of_a_short_stretch_late_in_a_run_each_step_is_looked_at() -> None:
    assert [record.steps for record in pieces(made(LATE, MOST))] == [1] * MOST


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_a_step_that_ceases_to_be_finite_stands_for_itself(value: float) -> None:
    steps = made(LATE, 1600)
    steps.scalars[LOSS][777:780] = value
    steps.norms[1000:, 1] = np.inf
    steps.scalars[GRADIENT_NORM][1000:] = np.inf
    cut = {record.first_step: record for record in pieces(steps)}
    assert cut[LATE + 777].steps == 1
    assert not np.isfinite(cut[LATE + 777].scalars[LOSS])
    assert np.isfinite(cut[LATE + 780].scalars[LOSS])
    assert cut[LATE + 1000].steps == 1
    for record in cut.values():
        assert np.isinf(record.norms).any() == (record.step >= LATE + 1000)


def test_what_was_so_at_the_end_of_a_stretch_is_no_news_at_the_beginning_of_the_next() -> None:
    steps = made(LATE, 1600)
    steps.norms[800 - 5 :, 0] = np.inf
    steps.scalars[GRADIENT_NORM][800 - 5 :] = np.inf
    cut = pieces(steps[:800], steps[800:])
    assert LATE + 795 in {record.first_step for record in cut if record.steps == 1}
    assert next(record for record in cut if record.first_step == LATE + 800).steps > 1


def test_a_jump_of_the_norm_is_kept_and_counts_as_one_step() -> None:
    steps = made(LATE, 1600)
    steps.scalars[GRADIENT_NORM][[0, 500, 1599]] = 50.0
    alone = [r for r in pieces(made(LATE - 100, 100), steps) if r.scalars[GRADIENT_NORM_MAX] == 50]
    assert [(record.first_step, record.steps) for record in alone] == [
        (LATE + at, 1) for at in (0, 500, 1599)
    ]


def test_steps_that_all_stand_out_are_few_pieces() -> None:
    steps = made(LATE, 1600)
    steps.scalars[GRADIENT_NORM][::2] = 100.0
    assert len(pieces(steps)) <= 2 * MOST + 2 * NOTABLE


def test_steps_without_a_loss_have_none() -> None:
    steps = made(LATE, 800)
    bare = Steps(LATE, {GRADIENT_NORM: steps.scalars[GRADIENT_NORM]}, steps.norms)
    assert {tag for record in pieces(bare) for tag in record.scalars} == {
        GRADIENT_NORM,
        GRADIENT_NORM_MAX,
    }


@pytest.mark.parametrize("stretch", [1, 16, 800])
@pytest.mark.parametrize("broken", [5, 700, 20_011])
def test_the_first_gradient_that_is_not_finite_is_told_with_its_step(
    broken: int, stretch: int
) -> None:
    """However many steps are handed over at a time, and however late it is."""
    steps = made(1, 21_000)
    steps.norms[broken - 1, 1] = np.inf
    steps.scalars[GRADIENT_NORM][broken - 1] = np.inf
    diagnosis, told = Diagnosis(), []
    for at in range(0, len(steps), stretch):
        told += diagnosis.add_steps(steps[at : at + stretch], MANIFEST)
    first = next(alert for alert in told if alert.rule == "nonfinite")
    assert (first.first_step, first.last_step) == (broken, broken)
    assert first.parameters == (MANIFEST.names[1],)


@pytest.mark.parametrize("stretch", [1, 16, 800])
@pytest.mark.parametrize(("length", "told_at"), [(2, []), (3, [(LATE + 500, LATE + 502)])])
def test_rules_count_steps_however_they_are_handed_over(
    length: int, told_at: list[tuple[int, int]], stretch: int
) -> None:
    """A gradient that explodes at three steps in a row is told, and one at two steps is not."""
    steps = made(LATE, 1_600)
    steps.scalars[GRADIENT_NORM][500 : 500 + length] = 1e4
    diagnosis, told = Diagnosis(), []
    for at in range(0, len(steps), stretch):
        told += diagnosis.add_steps(steps[at : at + stretch], MANIFEST)
    opened = [a for a in told if a.rule == "exploding_gradient" and a.state == "open"]
    assert [(a.first_step, a.last_step) for a in opened[:1]] == told_at
