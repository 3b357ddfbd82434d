"""Data sorted by class against everything else that looks alike in each epoch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import rankdata

from tbgrad.diagnosis import Diagnosis
from tbgrad.diagnosis.epochs import Epochs
from tbgrad.log.batches import Batches
from tbgrad.log.records import Alert
from tbgrad.log.steps import Steps
from tests.diagnosis.histories import RELU

LENGTH = 57
"""Steps of an epoch, as of 1,797 digits in batches of 32."""


def told(losses: np.ndarray, length: int = LENGTH, group: str = "") -> list[Alert]:
    """What is said of sorted data, every step of the run on file."""
    manifest = replace(RELU, batches=(Batches(1, 0, 0, length),), group=group)
    diagnosis, found = Diagnosis(), []
    norms = np.ones((len(losses), len(RELU.parameters)), np.float32)
    for start in range(0, len(losses), 100):
        some = slice(start, start + 100)
        steps = Steps(start + 1, {"loss": losses[some].astype(np.float32)}, norms[some])
        found += diagnosis.add_steps(steps, manifest)
    assert diagnosis.failures == []
    return [alert for alert in found if alert.rule == "data_sorted"]


def by_class(epochs: int, noise: float = 0.1) -> np.ndarray:
    """Ten classes after each other: the loss leaps where one begins, each time alike, and falls."""
    rng = np.random.default_rng(0)
    heights = np.random.default_rng(1).uniform(0.5, 2.0, 10)
    place = np.arange(LENGTH) / LENGTH * 10
    epoch = 0.2 + heights[place.astype(int)] * np.exp(-(place % 1))
    return np.tile(epoch, epochs) * np.exp(noise * rng.normal(size=epochs * LENGTH))


@pytest.mark.parametrize("noise", [0.05, 0.2])
def test_data_that_are_sorted_by_class(noise: float) -> None:
    alert = told(by_class(8, noise))[0]
    assert alert.first_step <= 4 * LENGTH + 1
    assert "also beside the same place" in alert.evidence
    assert "shuffle" in alert.advice


def test_a_course_that_begins_anew_with_each_epoch() -> None:
    """One leap an epoch, as of a table sorted by what is to be predicted."""
    steps = np.arange(8 * 20)
    noise = 0.02 * np.random.default_rng(0).normal(size=len(steps))
    assert told(0.2 + 2.0 * np.exp(-(steps % 20) / 3) + noise, length=20)


STEPS = np.arange(20 * LENGTH)
FALLS: dict[str, Callable[[], np.ndarray]] = {
    "to a tenth in an epoch": lambda: np.exp(-STEPS * 2.3 / LENGTH) + 1e-3,
    "as a power": lambda: 1 / (1 + STEPS / 20),
    "from a plateau": lambda: 0.01 + 2.4 / (1 + np.exp((STEPS - 80) / 10)),
    "from two plateaus": lambda: (
        0.3 / (1 + np.exp((STEPS - 150) / 8)) + 1 / (1 + np.exp((STEPS - 90) / 8)) + 0.02
    ),
    "not at all": lambda: np.ones(len(STEPS)),
}


@pytest.mark.parametrize("falls", FALLS)
@pytest.mark.parametrize("repeated", [True, False])
@pytest.mark.parametrize("size", [0.02, 0.3])
def test_data_in_a_random_order(falls: str, repeated: bool, size: float) -> None:
    """The same in each epoch, as `fit` has it where a seed is set, or another in each."""
    rng = np.random.default_rng(0)
    hard = np.tile(rng.normal(size=LENGTH), 20) if repeated else rng.normal(size=len(STEPS))
    noise = hard + 0.2 * rng.normal(size=len(STEPS))
    assert told(FALLS[falls]() * np.exp(size * noise)) == []


def test_a_random_order_that_is_repeated_is_none_late_in_a_run_either() -> None:
    """From step 512 on rules are shown the mean of several steps, which makes neighbours alike."""
    rng = np.random.default_rng(0)
    hard = np.tile(rng.normal(size=64), 140)
    assert told(np.exp(0.3 * hard + 0.05 * rng.normal(size=len(hard))), length=64) == []


def test_a_rival_is_not_judged() -> None:
    assert told(by_class(8), group="generator") == []


def test_likeness_and_smoothness_are_correlations_of_ranks() -> None:
    """Against SciPy's ranks, straight lines by least squares and NumPy's correlations."""
    losses = by_class(4)
    epochs = Epochs()
    epochs.add(1, losses.tolist(), 1, Batches(1, 0, 0, LENGTH))
    epochs.add(len(losses) + 1, [1.0], 1, Batches(1, 0, 0, LENGTH))
    pairs = []
    for before, now in pairwise(losses[LENGTH:].reshape(3, LENGTH)):
        ranks = rankdata(np.concatenate([before, now]))
        line = np.polyval(np.polyfit(np.arange(2 * LENGTH), ranks, 1), np.arange(2 * LENGTH))
        one, other = (ranks - line).reshape(2, LENGTH)
        one, other = one - one.mean(), other - other.mean()
        scale = np.linalg.norm(one) * np.linalg.norm(other)
        beside = (one[1:] @ other[:-1] + one[:-1] @ other[1:]) / 2
        pairs.append((np.corrcoef(one, other)[0, 1], beside / scale))
    assert [epochs.likeness, epochs.smoothness] == pytest.approx(np.mean(pairs, axis=0).tolist())


def test_the_error_of_the_likeness_holds_for_noise_that_is_smooth() -> None:
    """Of 400 runs whose losses wander, independent from epoch to epoch, three errors are rare."""
    rng = np.random.default_rng(0)
    scores = []
    for _ in range(400):
        noise = np.convolve(rng.normal(size=3 * 64 + 12), np.ones(12), "valid")
        epochs = Epochs()
        epochs.add(1, (5 + noise[: 3 * 64] / 12).tolist(), 1, Batches(1, 0, 0, 64))
        epochs.add(3 * 64 + 1, [1.0], 1, Batches(1, 0, 0, 64))
        scores.append(epochs.likeness / epochs.likeness_error)
    assert np.mean(np.abs(scores) > 3) < 0.01
    assert 0.5 < float(np.std(scores)) < 1.3
    assert not math.isnan(epochs.smoothness_error)
