"""Units that are dead against units that rest in a batch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tbgrad.diagnosis.dead import WINDOW, DeadUnits
from tbgrad.log.batches import Batches
from tests.diagnosis.histories import RELU, alerts, one

UNITS = 64


def seen(active: np.ndarray, batch_size: int = 32) -> list[float]:
    """The share that is dead after each record; `active` [T, units] says which units were not."""
    units, dead = DeadUnits(), []
    for record in active:
        share = np.array([1 - record.mean()])
        dead.append(float(units.add(share, np.array([len(record)], float), batch_size)[0]))
    return dead


def drawn(chances: np.ndarray, seed: int) -> np.ndarray:
    """Units that are active in a batch by these chances: [WINDOW, units]."""
    return np.random.default_rng(seed).random((WINDOW, len(chances))) < chances


def test_units_that_never_get_a_gradient() -> None:
    """48 of 64: the others always do, or in half of the batches."""
    always = drawn(np.repeat([0.0, 1.0], [48, 16]), 0)
    assert seen(always)[7:] == pytest.approx([0.75] * (WINDOW - 7))
    often = [seen(drawn(np.repeat([0.0, 0.9], [48, 16]), seed))[-1] for seed in range(20)]
    assert np.median(often) > 0.65
    assert max(often) <= 0.76


def test_no_more_is_called_dead_than_is() -> None:
    """Whatever the chances of the units that are not."""
    rng = np.random.default_rng(0)
    for seed in range(100):
        dead = int(rng.integers(0, UNITS // 2))
        chances = rng.beta(*rng.uniform(0.5, 3, 2), UNITS) * rng.choice([0.2, 0.5, 1.0])
        chances[:dead] = 0
        resting = np.mean(chances < 0.05)  # less often than once in the window, for all one knows
        assert seen(drawn(chances, seed))[-1] <= resting + 0.35


@pytest.mark.parametrize("chance", [0.22, 0.05])
def test_units_that_rest_in_most_batches_are_not_dead(chance: float) -> None:
    """As in a batch of one sample, of 32 units: 78 % without gradient, other ones each time."""
    worst = [max(seen(drawn(np.full(32, chance), seed), 1)) for seed in range(30)]
    assert max(worst) < 0.7


def test_a_layer_that_is_dead_is_known_after_some_samples() -> None:
    """A hundred of them, or as many batches as one remembers."""
    none = np.zeros((WINDOW, 8))
    assert seen(none, 32)[0] == 1  # that it lasts is for the rule to see
    assert seen(none, 8).index(1) == 11
    assert seen(none, 1).index(1) == WINDOW - 1
    assert seen(none, 0).index(1) == 5


def test_a_batch_of_one_sample_raises_no_alert() -> None:
    single = replace(RELU, batches=(Batches(1, 1),))
    rests = lambda s: {"dead_fraction": np.random.default_rng(s).binomial(16, 0.8) / 16}  # noqa: E731
    assert alerts(range(1, 400), columns=rests, manifest=single) == []
    dead = [0, 0, 0.75, 0.75, 0, 0, 0, 0]
    found = alerts(range(1, 60), columns=lambda _: {"dead_fraction": dead}, manifest=single)
    assert one(found, "dead_units").parameters == ("dense_1/bias",)


def test_other_layers_begin_anew() -> None:
    units = DeadUnits()
    for _ in range(WINDOW):
        units.add(np.ones(2), np.full(2, 8.0), 0)
    assert units.add(np.ones(3), np.full(3, 8.0), 0).tolist() == [0, 0, 0]
