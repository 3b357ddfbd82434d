"""What the first advice names: which layers, which value."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from tbgrad.diagnosis.change import amount
from tbgrad.log.batches import Batches
from tests.diagnosis.histories import RELU, TANH, alerts, made, noise, of_kernels
from tests.diagnosis.test_rules_of_setup import of, set_to

WIDE = {"norm": 1e4, "norm_max": 1e4, "weight_norm": of_kernels(40, 40, 40, 4)}


def leaps(_: int) -> dict[str, float]:
    return {"gradient/norm_max": 1e4, "loss": 2.0}


@pytest.mark.parametrize(
    ("manifest", "norms", "advice"),
    [
        (RELU, (40, 40, 40, 4), "set kernel_initializer='he_normal' in all hidden layers"),
        (TANH, (40, 40, 40, 4), "set kernel_initializer='glorot_uniform' in all hidden layers"),
        (RELU, (4, 40, 4, 4), "set kernel_initializer='he_normal' in layer dense_1"),
        (RELU, (40, 4, 40, 4), "set kernel_initializer='he_normal' in layers dense_0 and dense_2"),
    ],
)
def test_weights_that_begin_too_large_are_named(manifest: Any, norms: Any, advice: str) -> None:
    wide = WIDE | {"weight_norm": of_kernels(*norms)}
    found = alerts(range(1, 20), leaps, lambda _: wide, manifest)
    assert of(found, "exploding_gradient").advice == advice


@pytest.mark.parametrize(
    ("norm", "depth", "told"), [(12, 8, True), (5.6, 16, False), (12, 3, False)]
)
def test_weights_that_are_too_large_by_little_add_up(norm: float, depth: int, told: bool) -> None:
    # Into a unit: 12 / 4 = 3, which is 2.1 times what suits relu; 2.1 ** 7 > 100.
    large = {"weight_norm": of_kernels(*[norm] * depth)} | dict.fromkeys(("norm", "norm_max"), 1e4)
    opened = alerts(range(1, 20), leaps, lambda _: large, made(layers=depth))
    found = of(opened, "exploding_gradient")
    assert ("together" in found.causes[0]) is told
    assert ("layers make" in found.causes[0]) is told


@pytest.mark.parametrize(("norm", "told"), [(1.28, True), (4.0, False)])
def test_weights_that_are_too_small_by_little_add_up(norm: float, told: bool) -> None:
    # Into a unit: 0.32, as of a variance of 0.1 over the inputs; the gradient falls alike.
    fading = {"norm": of_kernels(*[10.0 ** (i - 12) for i in range(12)]),
              "weight_norm": of_kernels(*[norm] * 12)}  # fmt: skip
    found = alerts(range(1, 20), columns=lambda _: fading, manifest=made(layers=12))
    advice = of(found, "vanishing_gradient").advice
    assert (advice == "set kernel_initializer='he_normal' in all hidden layers") is told


def test_a_recurrence_that_begins_too_large() -> None:
    parameters = tuple(
        replace(p, path=p.path.replace("kernel", "recurrent_kernel")) for p in RELU.parameters
    )
    found = alerts(range(1, 20), leaps, lambda _: WIDE, replace(RELU, parameters=parameters))
    assert of(found, "exploding_gradient").advice == "use recurrent_initializer='orthogonal'"


def test_all_biases_that_begin_far_from_zero_are_named() -> None:
    parameters = tuple(
        replace(p, initializer="constant") if p.role == "bias" else p for p in RELU.parameters
    )
    weights = [4, 4, 4, 80, 4, 80, 4, 4]  # of 16 biases each: 1, 20, 20 and 1
    dead = {"weight_norm": weights, "dead_fraction": of_kernels(0, 1, 1, 0)}
    found = alerts(range(1, 20), columns=lambda _: dead,
                   manifest=replace(RELU, parameters=parameters))  # fmt: skip
    assert of(found, "dead_units").advice == (
        "set bias_initializer='zeros' in layers dense_1 and dense_2"
    )


def test_a_clip_is_raised_to_a_guard() -> None:
    found = alerts(
        range(1, 40),
        lambda _: {"gradient/norm_max": 1.4, "gradient/clip_factor": 1e-3},
        manifest=set_to(global_clipnorm=1e-3),
    )
    assert of(found, "clipping_always").advice == (
        "raise global_clipnorm from 0.001 to 7, 5 times the usual norm"
    )


def test_a_batch_is_made_as_large_as_its_noise_asks() -> None:
    parted = replace(RELU, batches=(Batches(1, 2, 100, 200),))
    found = alerts(range(1, 80), lambda s: {"loss": 2 + 0.1 * noise(s)},
                   lambda s: {"cosine": 0.04 * (-1) ** s + 0.05}, parted)  # fmt: skip
    assert of(found, "noise_dominated").advice == "raise batch_size from 2 to 32"


@pytest.mark.parametrize(
    ("optimizer", "rate", "update", "advice"),
    [
        ("Adam", 0.3, 6.0, "lower learning_rate from 0.3 to 0.001"),  # by 100 is near it
        ("SGD", 0.3, 6.0, "lower learning_rate from 0.3 to 0.003"),
        ("Adam", 3e-3, 2.0, "lower learning_rate from 0.003 to 3e-5"),  # it is not far away
        ("Adam", 1e3, 2.0, "lower learning_rate from 1000 to 10"),  # nor is 10 near it
    ],
)
def test_a_new_rate_near_the_default_is_the_default(
    optimizer: str, rate: float, update: float, advice: str
) -> None:
    found = alerts(range(1, 20), lambda _: {"learning_rate": rate},
                   lambda _: {"update_norm": update}, set_to(name=optimizer))  # fmt: skip
    assert of(found, "update_too_large").advice == advice


@pytest.mark.parametrize(
    ("optimizer", "rate", "update", "advice"),
    [
        ("SGD", 5e-6, 1e-6, "raise learning_rate from 5e-6 to 0.015"),
        ("SGD", 5e-6, 1e-9, "raise learning_rate from 5e-6 to 0.05"),
        ("Adam", 1e-5, 1e-5, "raise learning_rate from 1e-5 to 0.001"),
    ],
)
def test_a_rate_that_is_far_too_low_is_raised_as_far_as_was_measured(
    optimizer: str, rate: float, update: float, advice: str
) -> None:
    found = alerts(
        range(1, 90),
        lambda s: {"learning_rate": rate, "loss": 2.3 + 0.01 * noise(s), "update/ratio": update},
        lambda _: {"update_norm": 4 * update},
        set_to(name=optimizer),
    )
    assert of(found, "loss_stuck").advice == advice


def test_where_only_the_last_layer_trains_that_is_said() -> None:
    def norms(trained: int) -> dict[str, Any]:
        return {"norm": of_kernels(*[math.nan] * (4 - trained), *[1.0] * trained)}

    last = of(alerts(range(1, 9), columns=lambda _: norms(1)), "no_gradient")
    assert last.advice.startswith("train all of model.trainable_variables")
    two = of(alerts(range(1, 9), columns=lambda _: norms(2)), "no_gradient")
    assert two.advice == "follow the output of layer dense_0 to the loss in call()"


def test_one_unit_that_is_always_one() -> None:
    lambda_behind = replace(RELU, loss="binary_crossentropy", logits=False, output_units=1)
    found = alerts(range(1, 9), columns=lambda _: {"norm": 0.0}, manifest=lambda_behind)
    assert of(found, "no_gradient").advice.startswith("give the last layer activation='sigmoid'")
    ten = replace(lambda_behind, output_units=10)
    found = alerts(range(1, 9), columns=lambda _: {"norm": 0.0}, manifest=ten)
    assert of(found, "no_gradient").advice.startswith("check the last layer")


@pytest.mark.parametrize(
    ("loss", "advice"),
    [
        ("my_likelihood", "keep what a logarithm, a root or a quotient gets in the loss "
         "my_likelihood away from zero: add keras.config.epsilon()"),
        ("binary_crossentropy", "look at the batch of step 1: np.isfinite(x).all(), also of "
         "labels"),
    ],
)  # fmt: skip
def test_a_loss_by_hand_that_never_was_finite(loss: str, advice: str) -> None:
    found = alerts(range(1, 9), lambda _: {"loss": math.nan},
                   lambda _: {"nonfinite": 3.0}, replace(RELU, loss=loss))  # fmt: skip
    (lost, *_) = [alert for alert in found if alert.rule == "nonfinite"]
    assert lost.advice == advice


def test_a_new_value_has_one_digit_or_two_where_the_first_is_a_one() -> None:
    assert [amount(x) for x in (0.015, 1.04, 0.0995, 7.2, 13, 1.96, 2.4e-5)] == [
        "0.015", "1", "0.1", "7", "13", "2", "2e-5",
    ]  # fmt: skip


def test_a_rate_with_which_updates_grew_late_is_not_a_hundred_times_too_large() -> None:
    grown = lambda s: {"update_norm": 8.0 if s > 30 else 4e-3}  # noqa: E731
    late = of(alerts(range(1, 50), columns=grown), "update_too_large")
    assert late.advice == "lower learning_rate from 0.1 to 0.01"
    early = of(alerts(range(1, 50), columns=lambda _: {"update_norm": 8.0}), "update_too_large")
    assert early.advice == "lower learning_rate from 0.1 to 0.001"
