"""Faults of the set-up and of the size of the loss, each by a history, and near misses."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from tbgrad.diagnosis import Diagnosis, Record
from tbgrad.log.records import Alert, Manifest
from tests.diagnosis.histories import RELU, TANH, alerts, made, noise, of, of_kernels

CLASSES = replace(
    RELU, loss="sparse_categorical_crossentropy", logits=True, output_activation="linear",
    output_units=10,
)  # fmt: skip
REGRESSION = replace(RELU, loss="mean_squared_error")


def rules(found: list[Alert]) -> set[str]:
    return {alert.rule for alert in found}


def set_to(manifest: Manifest = CLASSES, **optimizer: Any) -> Manifest:
    return replace(manifest, optimizer={"name": "SGD", "learning_rate": 0.1} | optimizer)


def test_a_first_update_that_outweighs_the_weights_is_told_at_once() -> None:
    found = alerts(
        range(1, 40),
        lambda _: {"learning_rate": 10.0},
        lambda s: {"update_norm": 272.0 if s == 1 else 4e-3, "weight_norm": 4.0 if s == 1 else 272},
    )
    alert = of(found, "update_too_large")
    assert (alert.first_step, alert.last_step) == (1, 1)
    assert alert.advice == "lower learning_rate from 10 to 0.01"
    assert "68 times the weights" in alert.headline
    once = lambda s: {"update_norm": 1.2 if s == 1 else 4e-3}  # noqa: E731 - 30 %, once
    assert alerts(range(1, 40), columns=once) == []


def test_a_loss_at_chance_for_all_of_the_training() -> None:
    """Absurd at first, then that of a guess."""
    found = alerts(
        range(1, 400),
        lambda s: {"loss": max(2.302, 40.0 * 0.7**s) + 0.01 * noise(s), "update/ratio": 3e-3},
        manifest=CLASSES,
    )
    alert = of(found, "loss_stuck")
    assert "at chance" in alert.headline
    assert "which is chance (2.303)" in alert.evidence
    learns = alerts(
        range(1, 400),
        lambda s: {"loss": 2.302 * 0.995**s + 0.01 * noise(s), "update/ratio": 3e-3},
        manifest=CLASSES,
    )
    assert rules(learns) == set()


@pytest.mark.parametrize("manifest", [CLASSES, REGRESSION, RELU])
def test_an_absurd_loss_that_stays(manifest: Manifest) -> None:
    """A rise that never is 1.5 times what was absurd at first."""
    found = alerts(range(1, 200), lambda s: {"loss": 2.9e10 * (1 + 0.001 * s)}, manifest=manifest)
    alert = of(found, "loss_implausible")
    assert alert.first_step <= 10
    falls = alerts(range(1, 200), lambda s: {"loss": 400.0 * 0.8**s}, manifest=manifest)
    assert "loss_implausible" not in rules(falls)


def test_an_absurd_loss_that_stays_becomes_an_error() -> None:
    diagnosis = Diagnosis()
    for step in range(1, 200):
        diagnosis.update(Record(step, {"loss": 2.9e10}, manifest=CLASSES))
    assert of(diagnosis.open, "loss_implausible").severity == "error"


def test_targets_of_very_large_scale() -> None:
    found = alerts(
        range(1, 60),
        lambda s: {"loss": 1e10 * 0.999**s, "gradient/norm_max": 1e5},
        manifest=REGRESSION,
    )
    alert = of(found, "loss_implausible")
    assert alert.advice.startswith("divide the targets by 100000")
    assert alerts(range(1, 60), lambda s: {"loss": 4.0 * 0.99**s}, manifest=REGRESSION) == []


def test_a_cross_entropy_below_zero() -> None:
    found = alerts(
        range(1, 60), lambda s: {"loss": 0.7 - 0.1 * s},
        manifest=replace(RELU, loss="binary_crossentropy", logits=False, output_units=1,
                         output_activation="sigmoid"),
    )  # fmt: skip
    alert = of(found, "loss_implausible")
    assert alert.first_step < 20
    assert "binary_crossentropy cannot be negative" in alert.evidence
    assert alert.advice == "bring the labels to 0 and 1"


def test_a_loss_that_may_be_negative_is_judged_by_its_own_spread() -> None:
    rises = alerts(range(1, 90), lambda s: {"loss": -1.0 + 0.1 * noise(s) + (0.02 * s) ** 6})
    assert rules(rises) == {"loss_diverging"}
    falls = alerts(range(1, 90), lambda s: {"loss": 1.0 - 0.1 * s})
    assert falls == []


def test_inputs_that_are_not_scaled() -> None:
    """The kernel's gradient is that of the bias times the input: 16 inputs of about 100 each."""
    norms = [400.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    alert = of(alerts(range(1, 40), columns=lambda _: {"norm": norms}), "inputs_unscaled")
    assert "100" in alert.evidence
    assert "Normalization" in alert.advice
    calm = [20.0, *norms[1:]]
    assert alerts(range(1, 40), columns=lambda _: {"norm": calm}) == []
    dead = [0.75 if i < 2 else 0 for i in range(8)]
    both = alerts(range(1, 40), columns=lambda _: {"norm": norms, "dead_fraction": dead},
                  manifest=TANH)  # fmt: skip
    assert "Normalization" in of(both, "saturated_layer").advice


def test_inputs_on_both_sides_of_zero_are_not_large() -> None:
    """All samples in each step, and an odd target: what reaches the biases cancels out.

    The figures are those of `examples/early_stopping.py` with sin(4x) + x/2 for its target: behind
    tanh the ratio is as absurd as at the entrance, and no bias of the network has a gradient.
    """
    tiny = [0.9, 1e-8, 0.8, 1e-8, 0.7, 2e-8, 0.6, 1e-9]
    for manifest in (TANH, RELU):  # of linear layers no input is known to be small
        assert alerts(range(1, 40), columns=lambda _: {"norm": tiny}, manifest=manifest) == []
    # A target that is nearly odd leaves little, not nothing: of 10,000 samples a hundredth.
    little = [400.0, 1.0, 400.0, 1.0, 400.0, 1.0, 400.0, 1.0]
    assert alerts(range(1, 40), columns=lambda _: {"norm": little}, manifest=TANH) == []
    bounded = [400.0, 1.0, *[3.0, 1.0] * 3]  # inputs of the layers behind are at most one
    found = alerts(range(1, 40), columns=lambda _: {"norm": bounded}, manifest=TANH)
    assert "size of 100" in of(found, "inputs_unscaled").evidence


@pytest.mark.parametrize(
    ("loss", "logits", "activation", "units", "advice"),
    [
        (
            "sparse_categorical_crossentropy",
            False,
            "linear",
            10,
            "set from_logits=True in the loss",
        ),
        ("sparse_categorical_crossentropy", False, "relu", 10, "replace activation='relu'"),
        ("binary_crossentropy", True, "sigmoid", 1, "remove activation='sigmoid'"),
        ("binary_crossentropy", False, "softmax", 1, "activation='sigmoid' in place of 'softmax'"),
        ("categorical_crossentropy", False, "sigmoid", 1, "as many units as there are classes"),
    ],
)
def test_an_output_that_the_loss_does_not_expect(
    loss: str, logits: bool, activation: str, units: int, advice: str
) -> None:
    manifest = replace(
        RELU, loss=loss, logits=logits, output_activation=activation, output_units=units
    )
    alert = of(alerts(range(1, 3), manifest=manifest), "output_mismatch")
    assert advice in alert.advice


@pytest.mark.parametrize(
    ("loss", "logits", "activation", "units"),
    [("sparse_categorical_crossentropy", True, "linear", 10),
     ("sparse_categorical_crossentropy", False, "softmax", 10),
     ("binary_crossentropy", False, "sigmoid", 1), ("binary_crossentropy", False, "", 1),
     ("mean_squared_error", None, "linear", 1)],
)  # fmt: skip
def test_an_output_that_fits(loss: str, logits: bool | None, activation: str, units: int) -> None:
    manifest = replace(
        RELU, loss=loss, logits=logits, output_activation=activation, output_units=units
    )
    assert alerts(range(1, 30), manifest=manifest) == []


@pytest.mark.parametrize(
    ("loss", "activation", "beyond", "within"),
    [("mean_squared_error", "sigmoid", 20.0, 0.9), ("mean_absolute_error", "tanh", 2.5, 1.9)],
)
def test_targets_that_the_output_cannot_come_to(
    loss: str, activation: str, beyond: float, within: float
) -> None:
    """Classes 0 to 9 under a sigmoid and a squared error: 1 is the most that one misses 0 by."""
    manifest = replace(REGRESSION, loss=loss, output_activation=activation, output_units=1)

    def course(loss: float) -> Any:
        return lambda s: {"loss": loss + 0.01 * noise(s), "gradient/norm_max": 0.8**s}

    alert = of(alerts(range(1, 60), course(beyond), manifest=manifest), "output_mismatch")
    assert alert.advice.startswith(f"remove activation='{activation}' from the last layer")
    for loss, of_one in ((within, manifest), (beyond, replace(manifest, output_units=0))):
        found = alerts(range(1, 60), course(loss), manifest=of_one)
        assert "output_mismatch" not in rules(found)
    # A loss with further terms, of a divergence or a penalty, comes down.
    terms = lambda s: {"loss": beyond * (0.3 if s > 20 else 1), "gradient/norm_max": 0.8**s}  # noqa: E731
    assert "output_mismatch" not in rules(alerts(range(1, 60), terms, manifest=manifest))


def test_a_momentum_of_0_999() -> None:
    alert = of(alerts(range(1, 3), manifest=set_to(momentum=0.999)), "momentum_too_large")
    assert alert.advice == "lower momentum from 0.999 to 0.9"
    assert alerts(range(1, 30), manifest=set_to(momentum=0.99)) == []
    swings = lambda s: {"loss": 1.0 + 0.1 * (-1) ** s}  # noqa: E731
    found = alerts(range(1, 90), swings, lambda _: {"cosine": -0.8}, set_to(RELU, momentum=0.999))
    assert of(found, "loss_oscillating").advice == "lower momentum from 0.999 to 0.9"


def test_a_weight_decay_that_eats_the_weights() -> None:
    def eaten(step: int) -> dict[str, Any]:
        return {"weight_norm": 4 * 0.98**step, "update_norm": 4e-3 * 0.98**step}

    manifest = set_to(name="AdamW", weight_decay=10.0)
    found = alerts(range(1, 90), lambda _: {"loss": 2.3}, eaten, manifest)
    alert = of(found, "weights_decayed")
    assert alert.advice == "lower weight_decay from 10 to 0.001"  # at a rate of 0.1
    rows = tuple(replace(p, regularizer="l2(1)") for p in RELU.parameters)
    found = alerts(range(1, 90), lambda _: {"loss": 2.3}, eaten, replace(RELU, parameters=rows))
    assert of(found, "weights_decayed").advice == "lower the regularizer from l2(1) to l2(0.01)"
    learns = alerts(range(1, 90), columns=eaten, manifest=manifest)
    assert "weights_decayed" not in rules(learns)


def test_a_schedule_that_ends_too_soon() -> None:
    def ended(step: int) -> dict[str, float]:
        return {"learning_rate": 0.1 if step < 60 else 1e-7,
                "loss": max(2.3 * 0.99**step, 2.3 * 0.99**60)}  # fmt: skip

    alert = of(alerts(range(1, 200), ended), "schedule_ended")
    assert alert.advice.startswith("keep learning_rate at 0.1")
    cosine = lambda s: {"learning_rate": 0.05 * (1 + math.cos(math.pi * s / 200))}  # noqa: E731
    assert alerts(range(1, 200), cosine) == []


def test_a_training_that_goes_on_behind_the_end_of_its_schedule() -> None:
    """The loss has come far, but nothing changes for longer than anything did."""

    def falls(step: int) -> dict[str, float]:
        return {"learning_rate": 0.1 if step < 100 else 1e-6, "loss": 2.3 * 0.97 ** min(step, 100)}

    alert = of(alerts(range(1, 300), falls), "schedule_ended")
    assert alert.first_step == 199
    assert alert.advice == "end the training where its schedule ends, at step 100"
    assert alerts(range(1, 190), falls) == []


def test_a_loss_that_is_absurd_behind_many_layers_and_small_inputs() -> None:
    """Twenty-four residual blocks without normalization: each doubles what it gets."""
    deep = replace(made(layers=12), loss=CLASSES.loss, output_units=10)
    for kernel, advice in ((4.0, "put a BatchNormalization"), (400.0, "scale the inputs")):
        norms = {"norm": [kernel, 1.0] * 12}  # 16 inputs of about one, of about 100
        found = alerts(range(1, 30), lambda _: {"loss": 1e5}, lambda _, n=norms: n, deep)
        assert of(found, "loss_implausible").advice.startswith(advice)


def test_a_dropout_that_lets_next_to_nothing_through() -> None:
    manifest = replace(CLASSES, dropout=0.98, dropout_of="Dropout")
    alert = of(alerts(range(1, 3), manifest=manifest), "dropout_too_large")
    assert alert.headline == "Dropout of 0.98 lets 2 % through"
    assert alert.advice == "lower the rate of Dropout from 0.98 to 0.5"
    flat = {"loss": 2.302, "update/ratio": 1e-3}
    found = alerts(range(1, 400), lambda _: flat, manifest=manifest)
    assert of(found, "loss_stuck").advice == alert.advice
    assert alerts(range(1, 60), manifest=replace(manifest, dropout=0.8)) == []


def test_weights_that_begin_alike() -> None:
    rows = tuple(
        replace(p, initializer="zeros") if p.role == "kernel" else p for p in RELU.parameters
    )
    zero = {"weight_norm": of_kernels(0, 0, 0, 0), "norm": of_kernels(0, 0, 0, 1),
            "update_norm": of_kernels(0, 0, 0, 1e-3)}  # fmt: skip
    found = alerts(range(1, 60), lambda _: {"loss": 2.3}, lambda _: zero,
                   replace(CLASSES, parameters=rows))  # fmt: skip
    alert = of(found, "zero_initialization")
    assert "'he_normal' in all hidden layers" in alert.advice
    ones = tuple(
        replace(p, initializer="ones") if p.role == "kernel" else p for p in RELU.parameters
    )
    found = alerts(range(1, 60), lambda _: {"loss": 2.3}, manifest=replace(RELU, parameters=ones))
    assert "zero_initialization" in rules(found)
    last = tuple(replace(p, initializer="zeros") if p.path == "dense_3/kernel" else p
                 for p in RELU.parameters)  # fmt: skip
    head = {"weight_norm": of_kernels(4, 4, 4, 0.1)}
    assert alerts(range(1, 60), columns=lambda _: head,
                  manifest=replace(RELU, parameters=last)) == []  # fmt: skip


def test_a_rate_is_not_raised_while_nothing_comes_through() -> None:
    """Dead units, a gradient of zeros, a schedule that has ended: updates are tiny for that."""
    tiny = {"update/ratio": 1e-9, "loss": 2.3}
    dead = alerts(range(1, 90), lambda _: tiny, lambda _: {"dead_fraction": 1.0})
    zeros = alerts(range(1, 90), lambda _: tiny, lambda _: {"norm": 0.0})
    ended = alerts(range(1, 200), lambda s: tiny | {"learning_rate": 0.1 if s < 30 else 1e-9})
    for found in (dead, zeros, ended):
        advice = {alert.rule: alert.advice for alert in found}
        assert "loss_stuck" in advice
        assert not any("raise learning_rate" in said for said in advice.values())
    assert of(ended, "loss_stuck").advice.startswith("keep learning_rate at 0.1")


def test_what_is_dead_or_not_finite_from_the_first_step_is_not_the_work_of_a_step() -> None:
    dead = of(alerts(range(1, 20), columns=lambda _: {"dead_fraction": 1.0}), "dead_units")
    assert "learning_rate" not in dead.advice
    assert not any("step" in cause for cause in dead.causes)
    assert "all units of layers dense_0, dense_1, dense_2" in dead.headline
    lost = of(alerts(range(1, 9), lambda _: {"loss": math.nan}), "nonfinite")
    assert "np.isfinite" in lost.advice
    assert not any("diverged" in cause for cause in lost.causes)


def test_a_rate_that_was_raised_is_put_back() -> None:
    """At step 100, ahead of the fault; a schedule that comes back to where it was raises none.

    Nor is what comes long after the work of a rate that was raised epoch by epoch at first.
    """

    def run(rate: Any, fault: int = 102) -> list[Any]:
        def scalars(step: int) -> dict[str, float]:
            bad = step >= fault
            return {
                "loss": 1.5 ** (step - fault) if bad else 0.1 + 2 * 0.9**step,
                "gradient/norm_max": 60.0 if bad else 1.0,
                "learning_rate": rate(step),
            }

        return alerts(range(1, fault + 28), scalars)

    found = run(lambda s: 1e-3 if s < 100 else 0.05)
    for rule in ("gradient_spike", "loss_diverging"):
        assert of(found, rule).advice == "lower learning_rate from 0.05 to 0.001"
        assert of(found, rule).causes[0].endswith("raised from 0.001 to 0.05 at step 100")
    assert "step 102" in of(run(lambda s: 1e-3 if s < 110 else 0.05), "gradient_spike").advice
    warm = run(lambda s: 1e-3 if s < 20 else 0.05, fault=200)
    assert "step 200" in of(warm, "gradient_spike").advice
    restarts = run(lambda s: 0.05 if s < 10 or s >= 100 else 1e-3)
    assert "step 102" in of(restarts, "gradient_spike").advice


def test_units_that_are_all_dead_at_once_see_zeros() -> None:
    """But where some layer has units left, or none has, it is not for the inputs."""

    def advice(*shares: float) -> str:
        found = alerts(range(1, 20), columns=lambda _: {"dead_fraction": of_kernels(*shares)})
        return of(found, "dead_units").advice

    assert advice(1, 1, 1, 0).startswith("look at the inputs")
    for shares in ((0.4, 1, 1, 0), (1, 1, 1, 1)):
        assert "inputs" not in advice(*shares)


def test_weights_in_float16_are_what_to_change() -> None:
    half = replace(RELU, parameters=tuple(replace(p, dtype="float16") for p in RELU.parameters))
    columns = {"update_norm": 2.0}
    found = alerts(range(1, 20), columns=lambda _: columns, manifest=half)
    assert "mixed_float16" in of(found, "update_too_large").advice
    single = alerts(range(1, 20), columns=lambda _: columns)
    assert "learning_rate" in of(single, "update_too_large").advice


def test_tokens_are_finite_so_that_a_mask_is_to_be_looked_at() -> None:
    first, *others = RELU.parameters
    tokens = replace(RELU, parameters=(replace(first, role="embedding"), *others))
    lost = of(alerts(range(1, 9), lambda _: {"loss": math.nan}, manifest=tokens), "nonfinite")
    assert "mask hides every position" in lost.advice
    assert "np.isfinite" in lost.next_advice
    later = of(alerts(range(1, 9), lambda s: {"loss": math.nan if s > 6 else 2.0}, manifest=tokens),
               "nonfinite")  # fmt: skip
    assert "np.isfinite" in later.advice


def test_an_update_that_is_not_finite_is_the_work_of_the_optimizer_and_no_batch() -> None:
    """The update of step 5 is not finite, its gradient is; or what began at step 6 is the batch."""
    manifest = set_to(name="Adafactor")

    def columns(broken: int) -> Any:
        return lambda s: {
            "nonfinite": 3.0 if s >= 6 else 0, "norm": math.nan if s >= 6 else 1,
            # Of a step that is logged for its gradient, weights are those behind its update.
            "weight_norm": math.nan if s >= 6 else 4,
            "update_norm": of_kernels(math.nan if s >= broken else 4e-3, 4e-3, 4e-3, 4e-3),
        }  # fmt: skip

    found = of(alerts(range(1, 9), columns=columns(5), manifest=manifest), "nonfinite")
    assert "the update of step 5 left weights that are not finite" in found.causes[0]
    assert "Adafactor" in found.advice
    batch = of(alerts(range(1, 9), columns=columns(6), manifest=manifest), "nonfinite")
    assert "look at the batch of step 6" in batch.advice


def test_a_vanishing_gradient_names_no_layers_that_are_not_there() -> None:
    thin = {"norm": of_kernels(1e-5, 1e-4, 0.1, 1)}
    relu = of(alerts(range(1, 20), columns=lambda _: thin), "vanishing_gradient")
    assert "sigmoid" not in " ".join([*relu.causes, relu.advice])
    tanh = of(alerts(range(1, 20), columns=lambda _: thin, manifest=TANH), "vanishing_gradient")
    assert tanh.advice.startswith("replace activation='tanh' by 'relu' in all hidden layers, with")
    fast = {"update_norm": 2.0}
    large = alerts(range(1, 20), columns=lambda _: thin | fast)
    assert of(large, "vanishing_gradient").advice == "lower learning_rate from 0.1 to 0.001"
