"""A history that opens each rule about gradients, layers and updates, and near misses."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tbgrad.diagnosis import Diagnosis, Record
from tbgrad.log.batches import Batches
from tbgrad.log.steps import Steps
from tests.diagnosis.histories import LAYERS, RELU, TANH, alerts, noise, of_kernels, one, table


def test_a_healthy_history_has_no_alert() -> None:
    for manifest in (RELU, TANH):
        assert alerts(range(1, 300), manifest=manifest) == []


def test_a_gradient_that_vanishes_towards_the_input() -> None:
    alert = one(
        alerts(range(1, 20), columns=lambda _: {"norm": of_kernels(1e-5, 1e-4, 0.1, 1)}),
        "vanishing_gradient",
    )
    assert alert.parameters == ("dense_0/kernel", "dense_1/kernel")
    assert "falls from 4 to 4e-5 towards the input, by a factor of 100,000" in alert.evidence
    assert alerts(range(1, 20), columns=lambda _: {"norm": of_kernels(2e-3, 0.1, 0.1, 1)}) == []


def test_large_weights_before_small_gradients_are_no_vanishing() -> None:
    """Scaling a layer up and the next one down changes norms and weights alike, and no function."""
    scaled = {"norm": of_kernels(1e-4, 1e4, 1, 1), "weight_norm": of_kernels(4e4, 4e-4, 4, 4)}
    found = alerts(range(1, 20), columns=lambda _: scaled | {"update_norm": 0})
    assert [a for a in found if a.rule == "vanishing_gradient"] == []


def test_a_gradient_that_reaches_the_embedding_does_not_vanish() -> None:
    """Small embeddings make attention uniform at first: query and key hardly get a gradient."""
    first, *others = RELU.parameters
    words = replace(first, path="words/embeddings", layer="words", role="embedding")
    manifest = replace(RELU, parameters=(words, *others))
    norms = lambda above: lambda _: {"norm": [above, 1, 1e-4, 1e-4, 1, 1, 1, 1]}  # noqa: E731
    assert alerts(range(1, 20), columns=norms(1.0), manifest=manifest) == []
    found = alerts(range(1, 20), columns=norms(1e-5), manifest=manifest)
    alert = one(found, "vanishing_gradient")
    assert alert.parameters == ("words/embeddings", "dense_1/kernel")


def test_the_gradient_of_a_log_density_grows_with_what_is_learned() -> None:
    """The narrower a density, the larger its gradient: that is no explosion."""
    falls = lambda s: {"loss": -0.03 * s, "gradient/norm_max": 5 + 1.5 * s}  # noqa: E731
    assert alerts(range(1, 200), falls) == []
    bursts = lambda s: {"loss": -1.0, "gradient/norm_max": 5.0 if s < 60 else 600.0}  # noqa: E731
    found = alerts(range(1, 90), bursts)
    assert "exploding_gradient" in {alert.rule for alert in found}


def test_of_layers_that_normalise_it_is_a_step_that_makes_a_gradient_vanish() -> None:
    gamma = replace(RELU.parameters[-1], path="norm/gamma", layer="norm", role="normalization")
    manifest = replace(RELU, parameters=(*RELU.parameters[:-1], gamma))
    thin = {"norm": [1e-4, 1e-4, 1, 1, 1, 1, 1, 1]}
    found = alerts(range(1, 40), columns=lambda s: thin if s > 5 else {}, manifest=manifest)
    alert = one(found, "vanishing_gradient")
    assert alert.advice == "lower learning_rate from 0.1 to 0.01"
    assert alert.next_advice == "begin with a warm-up of the learning rate"
    assert alert.causes == ("updates that are too large: before them it came through",)
    at_once = one(alerts(range(1, 20), columns=lambda _: thin, manifest=manifest), alert.rule)
    assert at_once.advice == "put a residual connection around the layers of the deep part"
    assert at_once.causes == ("many layers without residual connections",)


def test_a_small_gradient_in_the_midst_is_no_vanishing() -> None:
    assert alerts(range(1, 20), columns=lambda _: {"norm": of_kernels(1, 1e-5, 1, 1)}) == []


@pytest.mark.parametrize(("norm", "loss", "opens"), [(150, 2.0, True), (150, 4e4, False)])
def test_a_gradient_that_explodes_against_the_loss(norm: float, loss: float, opens: bool) -> None:
    found = alerts(range(1, 9), lambda _: {"gradient/norm_max": norm, "loss": loss})
    assert bool(found) == opens
    if opens:
        assert (
            "the gradient norm is 150 at a loss of 2" in one(found, "exploding_gradient").evidence
        )


def test_a_loss_and_gradients_that_are_not_finite() -> None:
    found = alerts(range(1, 9), lambda s: {"loss": math.nan if s > 4 else 1.0})
    assert (one(found, "nonfinite").severity, found[0].first_step) == ("error", 5)
    bad = [0, 0, 3, 0, 0, 0, 0, 0]
    found = alerts(range(1, 9), columns=lambda s: {"nonfinite": bad if s > 5 else 0})
    assert one(found, "nonfinite").parameters == ("dense_1/kernel",)


def test_dead_units_of_a_layer() -> None:
    dead = [0, 0, 0.75, 0.75, 0, 0, 0, 0]
    alert = one(alerts(range(1, 20), columns=lambda _: {"dead_fraction": dead}), "dead_units")
    assert alert.parameters == ("dense_1/bias",)
    assert "75 % of the units of layer dense_1 are dead" in alert.evidence
    assert alerts(range(1, 20), columns=lambda _: {"dead_fraction": 0.6}) == []
    # A batch whose units are all at rest now and then is none.
    assert alerts(range(1, 60), columns=lambda s: {"dead_fraction": 1.0 if s % 7 else 0}) == []


def test_units_without_gradient_are_saturated_where_the_activation_saturates() -> None:
    dead = [0, 0, 0.75, 0.75, 0, 0, 0, 0]
    found = alerts(range(1, 20), columns=lambda _: {"dead_fraction": dead}, manifest=TANH)
    assert one(found, "saturated_layer").parameters == ("dense_1/bias",)
    large = {
        "weight_norm": of_kernels(80, 4, 4, 4),
        "update_norm": of_kernels(8e-2, 4e-3, 4e-3, 4e-3),
    }
    found = alerts(range(1, 20), columns=lambda _: large, manifest=TANH)
    assert one(found, "saturated_layer").parameters == ("dense_0/kernel",)
    assert "a norm of 20" in found[0].evidence
    assert alerts(range(1, 20), columns=lambda _: large) == []  # relu has no such end
    output = {
        "weight_norm": of_kernels(4, 4, 4, 80),
        "update_norm": of_kernels(4e-3, 4e-3, 4e-3, 8e-2),
    }
    assert alerts(range(1, 20), columns=lambda _: output, manifest=TANH) == []


def test_gradients_of_zeros_are_none() -> None:
    stays = alerts(range(1, 30), lambda _: {"loss": 0.7}, lambda _: {"norm": 0})
    assert len(one(stays, "no_gradient").parameters) == 2 * LAYERS
    assert "exactly zero: the loss does not depend on them" in stays[0].evidence

    def hinge(step: int) -> dict[str, Any]:
        return {"norm": 1 if step < 40 else 0, "dead_fraction": 0 if step < 40 else 1}

    done = alerts(range(1, 90), lambda s: {"loss": max(0.0, 2.0 - 0.05 * s)}, hinge)
    assert done == []


def test_a_gradient_that_is_not_finite_is_not_missing() -> None:
    lost = {"norm": of_kernels(math.nan, 1, 1, 1), "nonfinite": of_kernels(2, 0, 0, 0)}
    assert {a.rule for a in alerts(range(1, 9), columns=lambda _: lost)} == {"nonfinite"}


def test_updates_that_are_too_large() -> None:
    large = {"update_norm": of_kernels(4e-3, 2.0, 4e-3, 4e-3)}
    alert = one(alerts(range(1, 9), columns=lambda _: large), "update_too_large")
    assert alert.parameters == ("dense_1/kernel",)
    assert "up to 50 % of the weights, 500 times the usual thousandth" in alert.evidence
    assert alert.advice == "lower learning_rate from 0.1 to 0.001"


def test_weights_that_begin_at_zero_may_grow() -> None:
    def growing(step: int) -> dict[str, Any]:
        return {
            "weight_norm": of_kernels(4, 4, 4, 0.02 * step),
            "update_norm": of_kernels(4e-3, 4e-3, 4e-3, 0.02),
        }

    assert alerts(range(1, 40), columns=growing) == []


def test_layers_that_want_another_rate() -> None:
    slow = {"update_norm": of_kernels(4e-3, 1e-6, 4e-3, 4e-3)}
    alert = one(alerts(range(1, 20), columns=lambda _: slow), "layer_rate_mismatch")
    assert alert.parameters == ("dense_1/kernel",)
    assert "dense_1/kernel × 4,000" in alert.advice
    assert (
        alerts(range(1, 20), columns=lambda _: {"update_norm": of_kernels(4e-3, 1e-4, 4e-3, 4e-3)})
        == []
    )


def test_layers_that_do_not_train() -> None:
    alert = one(alerts(range(1, 3), manifest=replace(RELU, frozen=("base",))), "not_trainable")
    assert (alert.severity, alert.parameters) == ("info", ("base",))


def test_updates_that_are_skipped() -> None:
    found = alerts(range(1, 3), lambda _: {"skipped_updates": 25.0, "loss_scale": 8.0})
    assert "25 updates were skipped" in one(found, "loss_scale_collapse").evidence
    assert alerts(range(1, 9), lambda _: {"skipped_updates": 15.0, "loss_scale": 8.0}) == []


def test_a_spike_of_the_gradient() -> None:
    def spike(step: int) -> dict[str, float]:
        return {"gradient/norm_max": 60.0 if step == 50 else 1.0 + 0.1 * noise(step)}

    def moved(step: int) -> dict[str, Any]:
        return {"norm_max": of_kernels(1, 1, 50, 1) if step == 50 else 1}

    alert = one(alerts(range(1, 60), spike, moved), "gradient_spike")
    assert (alert.first_step, alert.last_step) == (50, 50)
    assert "largest in dense_2/kernel, 50" in alert.evidence
    # Gradients that always vary by orders of magnitude, and small ones near the end, are none.
    wild = alerts(range(1, 200), lambda s: {"gradient/norm_max": 10.0 ** noise(s)})
    assert wild == []
    end = alerts(range(1, 99), lambda s: {"gradient/norm_max": 0.5 if s == 90 else 2 * 0.9**s})
    assert end == []


@pytest.mark.parametrize(
    ("batches", "opens"),
    [
        (Batches(1, 64, 1797, 29), False),  # five samples in the last batch of an epoch
        (Batches(1, 0, 0, 29), False),  # of a dataset nobody knows how many
        (Batches(1, 64, 1856, 29), True),  # as many as in any other
        (Batches(1, 64, 1797, 30), True),  # the epoch ends elsewhere
        (Batches(1), True),
    ],
)
def test_the_gradient_of_a_short_batch_is_no_spike(batches: Batches, opens: bool) -> None:
    """The short batch is the 29th, as is the 58th."""
    manifest = replace(RELU, batches=(batches,))
    spike = lambda s: {"gradient/norm_max": 60.0 if s == 29 else 1.0 + 0.1 * noise(s)}  # noqa: E731
    found = [alert.rule for alert in alerts(range(1, 60), spike, manifest=manifest)]
    assert found == (["gradient_spike"] if opens else [])
    early = lambda s: {"gradient/norm_max": 60.0 if s == 28 else 1.0 + 0.1 * noise(s)}  # noqa: E731
    assert len(alerts(range(1, 60), early, manifest=manifest)) == 1


def test_short_batches_are_known_where_steps_are_taken_together() -> None:
    """In a long run, and in one that was read in bounded memory."""
    manifest = replace(RELU, batches=(Batches(1, 64, 1797, 29),))
    for short in (True, False):
        norms = np.ones(8 * 29 * 10, np.float32)
        losses = (2.0 * 0.9997 ** np.arange(len(norms))).astype(np.float32)
        norms[29 * 70 + (28 if short else 10)] = 60.0
        diagnosis, told = Diagnosis(), []
        for start in range(0, len(norms), 100):
            some = norms[start : start + 100]
            scalars = {"loss": losses[start : start + 100], "gradient/norm": some}
            rows = np.repeat(some[:, None], len(RELU.parameters), axis=1)
            told += diagnosis.add_steps(Steps(start + 1, scalars, rows), manifest)
        assert {a.rule for a in told} == (set() if short else {"gradient_spike"})
        diagnosis, told = Diagnosis(), []
        for start in range(0, len(norms), 8):
            some = norms[start : start + 8]
            loss, peak = float(losses[start]), float(some.max())
            scalars = {"loss": loss, "gradient/norm": 1.0, "gradient/norm_max": peak}
            rows = np.full(len(RELU.parameters), some.max())
            bucket = Record(start + 8, scalars, None, manifest, None, rows, start + 1)
            told += diagnosis.update(bucket)
        assert {a.rule for a in told} == (set() if short else {"gradient_spike"})


def test_the_batch_to_look_at_is_that_of_the_first_spike_however_long_it_lasts() -> None:
    diagnosis, told = Diagnosis(), []
    for step in range(1, 50):
        peak = {40: 90.0, 46: 9e3}.get(step, 1.0)
        scalars = {"loss": 2.0, "gradient/norm_max": peak, "learning_rate": 0.1}
        told += diagnosis.update(Record(step, scalars, table(), RELU))
    spikes = [alert for alert in told if alert.rule == "gradient_spike"]
    assert [alert.last_step for alert in spikes] == [40, 46]
    assert {alert.advice for alert in spikes} == {"look at the batch of step 40"}


@pytest.mark.parametrize(("loss", "rules"), [(0.05, []), (0.9, ["gradient_spike"])])
def test_a_spike_near_the_end_is_told_of_where_the_loss_is_lost(
    loss: float, rules: list[str]
) -> None:
    def converged(step: int) -> dict[str, float]:
        spike = {"loss": loss, "gradient/norm_max": 60.0}
        calm = {"loss": max(2.0 * 0.9**step, 0.002), "gradient/norm_max": 1.0 + 0.1 * noise(step)}
        return spike if step == 90 else calm

    assert [alert.rule for alert in alerts(range(1, 99), converged)] == rules
