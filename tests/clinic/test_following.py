"""Advice that is followed to the letter: what it changes, and that it mends."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.clinic.aside import aside
from tests.clinic.case import CANCER, GAN, LSTM, MLP, RNN, WINE
from tests.clinic.following import follow
from tests.clinic.planted import planted

FOLLOWED: dict[str, tuple[Any, dict[str, Any]]] = {
    "lower learning_rate from 0.3 to 0.003": (MLP, {"rate": 0.003}),
    "raise learning_rate from 1e-6 to 2e-5": (MLP, {"rate": 2e-5}),
    "divide learning_rate by 10": (replace(MLP, rate=0.5), {"rate": 0.05}),
    "raise global_clipnorm from 0.001 to 7, 5 times the usual norm": (
        replace(MLP, settings={"global_clipnorm": 1e-3, "beta_1": 0.8}),
        {"settings": {"global_clipnorm": 7.0, "beta_1": 0.8}},
    ),
    "replace activation='tanh' by 'relu' in all hidden layers": (
        replace(MLP, activation="tanh"),
        {"activation": "relu", "initializer": "glorot_normal"},
    ),
    "replace activation='tanh' by 'relu' in all hidden layers, "
    "with kernel_initializer='he_normal'": (
        replace(MLP, activation="tanh", gain=9.0),
        {"activation": "relu", "initializer": "he_normal", "gain": 1.0},
    ),
    "set bias_initializer='zeros' in layers hidden_0 and hidden_1": (
        MLP,
        {"layers": {f"hidden_{i}": {"bias_initializer": "zeros"} for i in range(2)}},
    ),
    "set kernel_initializer='he_normal' in layers a/b, c and d in place of 'zeros'": (
        MLP,
        {"layers": {name: {"kernel_initializer": "he_normal"} for name in "acd"}},
    ),
    "set kernel_initializer='he_normal' in all hidden layers": (
        replace(MLP, gain=6.0),
        {"gain": 1.0, "initializer": "he_normal"},
    ),
    "look at the batch of step 1,060: np.isfinite(x).all()": (
        replace(MLP, spike_at=1060),
        {"spike_at": 0},
    ),
    "follow the output of layer branch to the loss in call()": (
        replace(MLP, wrong="detached"),
        {"wrong": ""},
    ),
    "lower the rate of Dropout from 0.98 to 0.5": (replace(MLP, dropout=0.98), {"dropout": 0.5}),
    "raise batch_size from 2 to 32": (replace(MLP, batch=2), {"batch": 32}),
}


@pytest.mark.parametrize("sentence", FOLLOWED)
def test_a_sentence_changes_what_it_says_and_nothing_else(sentence: str) -> None:
    recipe, changes = FOLLOWED[sentence]
    assert follow(sentence, recipe) == replace(recipe, **changes)


def test_of_models_in_turns_the_one_that_was_judged_changes_its_rate() -> None:
    lower = "lower learning_rate from 0.2 to 0.002"
    begun = replace(GAN, rate=0.2)
    generator = follow(lower, begun, "generator")
    discriminator = follow(lower, begun, "discriminator")
    assert generator is not None
    assert discriminator is not None
    assert (generator.rate, generator.discriminator_rate) == (0.002, 0.2)
    assert (discriminator.rate, discriminator.discriminator_rate) == (0.2, 0.002)


@pytest.mark.parametrize(
    ("sentence", "recipe"),
    [
        ("pray", MLP),
        ("look at the batch of step 3: np.isfinite(x).all()", replace(MLP, inf_at=4)),
        ("check that inputs and labels belong together: shuffle them alike", MLP),
        ("use recurrent_initializer='orthogonal'", LSTM),
        ("put a BatchNormalization layer before each activation", RNN),
        ("scale the inputs to mean 0 and deviation 1", replace(LSTM, data="tokens")),
    ],
)
def test_what_cannot_be_done_or_changes_nothing_is_not_followed(sentence: str, recipe: Any) -> None:
    assert follow(sentence, recipe) is None


def test_every_fault_has_the_same_training_without_it() -> None:
    for case in (*planted(), *aside()):
        assert case.healthy is not None
        assert case.healthy != case.recipe
        assert (case.healthy.data, case.healthy.steps) == (case.recipe.data, case.recipe.steps)


@pytest.mark.tensorflow
def test_faults_are_mended_by_their_first_advice(tmp_path: Any) -> None:
    from tests.benchmarks.advice import treat
    from tests.clinic.case import Fault

    short = {"steps": 120}
    cases = [
        Fault("inputs_unscaled")("raw", replace(WINE, **short), raw=True),
        Fault("dead_units")("dead", replace(CANCER, **short), bias=-10.0),
    ]
    raw, dead = treat(cases, tmp_path, rounds=1, jobs=0)
    assert raw.sentences[0].startswith("scale the inputs to mean 0 and deviation 1")
    assert raw.mended_in == 1
    assert dead.sentences == ["set bias_initializer='zeros' in layers hidden_0 and hidden_1"]
    assert dead.ends[1] <= dead.ends[0] / 2
    again = treat(cases, tmp_path, rounds=1, jobs=0)  # of the logs that are there
    assert [each.ends for each in again] == [raw.ends, dead.ends]
