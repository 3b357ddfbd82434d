"""Each rule on histories made by hand: what it finds, what it measures, what it leaves alone."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tbgrad.diagnosis import AlertSettings, Diagnosis, Record
from tbgrad.log.records import STATISTICS, Alert, CurvatureEstimate, Eigenvalue, Manifest, Parameter
from tbgrad.log.tags import MINIMUM_RATIO

LAYERS = 4


def made(activation: str = "relu", layers: int = LAYERS) -> Manifest:
    """Dense layers of 16 units, kernel and bias each."""
    rows = []
    for i in range(layers):
        for role, shape in (("kernel", (16, 16)), ("bias", (16,))):
            layer = f"dense_{i}"
            size = int(np.prod(shape))
            rows.append(
                Parameter(f"{layer}/{role}", layer, shape, size, "float32", role, activation)
            )
    return Manifest(parameters=tuple(rows))


RELU, TANH = made(), made("tanh")


def table(**columns: Any) -> np.ndarray:
    """A healthy record: norms of 1, weights of 4 (one a column), updates of a thousandth."""
    found = np.zeros((2 * LAYERS, len(STATISTICS)), np.float32)
    usual = {"norm": 1, "norm_max": 1, "weight_norm": 4, "update_norm": 4e-3, "cosine": 0.4}
    for name, values in (usual | columns).items():
        found[:, STATISTICS.index(name)] = values
    return found


def of_kernels(*values: float) -> list[float]:
    """These values in the rows of the kernels, and in those of the biases behind them."""
    return [value for value in values for _ in range(2)]


def alerts(
    steps: Any, scalars: Any = None, columns: Any = None, manifest: Manifest = RELU,
    settings: AlertSettings | None = None, curvature: Any = None,
) -> list[Alert]:  # fmt: skip
    """Those that open; scalars, columns and curvature are functions of the step."""
    diagnosis, opened = Diagnosis(settings), {}
    for step in steps:
        usual = {"loss": 2.0 * 0.98**step, "gradient/norm_max": 1.0, "learning_rate": 0.1}
        record = Record(
            step,
            usual | (scalars(step) if scalars else {}),
            table(**(columns(step) if columns else {})),
            manifest,
            curvature(step) if curvature else None,
        )
        for alert in diagnosis.update(record):
            opened.setdefault((alert.rule, alert.parameters), alert)
    assert diagnosis.failures == []
    return list(opened.values())


def one(found: list[Alert], rule: str) -> Alert:
    (alert,) = found
    assert alert.rule == rule
    assert alert.causes
    assert alert.advice
    return alert


def test_a_healthy_history_has_no_alert() -> None:
    for manifest in (RELU, TANH):
        assert alerts(range(1, 300), manifest=manifest) == []


def test_a_gradient_that_vanishes_towards_the_input() -> None:
    alert = one(
        alerts(range(1, 20), columns=lambda _: {"norm": of_kernels(1e-5, 1e-4, 0.1, 1)}),
        "vanishing_gradient",
    )
    assert alert.parameters == ("dense_0/kernel", "dense_1/kernel")
    assert "falls from 4 to 4e-05 towards the input, by a factor of 100,000" in alert.evidence
    assert alerts(range(1, 20), columns=lambda _: {"norm": of_kernels(2e-3, 0.1, 0.1, 1)}) == []


def test_large_weights_before_small_gradients_are_no_vanishing() -> None:
    """Scaling a layer up and the next one down changes norms and weights alike, and no function."""
    scaled = {"norm": of_kernels(1e-4, 1e4, 1, 1), "weight_norm": of_kernels(4e4, 4e-4, 4, 4)}
    found = alerts(range(1, 20), columns=lambda _: scaled | {"update_norm": 0})
    assert [a for a in found if a.rule == "vanishing_gradient"] == []


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
    assert "reaches 75% of the units" in alert.evidence
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
    assert "up to 50% of the weights, 500 times the usual thousandth" in alert.evidence
    assert alert.advice.startswith("divide learning_rate by about 100, to about 0.001")


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


def test_a_loss_that_diverges() -> None:
    diagnosis = Diagnosis()
    told = [a for s in range(1, 90) for a in diagnosis.update(Record(s, {"loss": 1.06**s}))]
    assert {a.rule for a in told} == {"loss_diverging"}
    alert = told[0]
    assert (alert.severity, alert.first_step < 40) == ("warning", True)
    assert told[-1].severity == "error"  # by now ten times as large
    assert told[-1].evidence != alert.evidence
    assert "times that of the first steps" in alert.evidence
    # A loss that fell far and bounces near its end, and one that may be negative, are none.
    bounces = alerts(range(1, 90), lambda s: {"loss": 2.0 * 0.8**s * (10 if s % 3 else 1)})
    assert [a for a in bounces if a.severity == "error"] == []
    assert alerts(range(1, 60), lambda s: {"loss": 0.1 - s}) == []


def test_a_loss_that_goes_to_and_fro() -> None:
    def swings(step: int) -> dict[str, float]:
        return {"loss": 1.0 + 0.1 * (-1) ** step}

    found = alerts(range(1, 90), swings, lambda _: {"cosine": -0.8})
    assert {a.rule for a in found} == {"loss_oscillating"}
    assert "cosine -0.80 on average" in found[0].evidence
    falls = alerts(range(1, 90), columns=lambda _: {"cosine": -0.8})  # at the edge, and falling
    assert falls == []


def noise(step: int) -> float:
    return float(np.random.default_rng(step).normal())


def test_a_loss_that_is_stuck() -> None:
    flat = alerts(range(1, 400), lambda s: {"loss": 2.3 + 0.05 * noise(s), "update/ratio": 3e-3})
    alert = one(flat, "loss_stuck")
    assert "labels" in alert.advice
    slow = alerts(
        range(1, 120),
        lambda s: {"loss": 2.3 - 1e-4 * s, "update/ratio": 4e-6, "learning_rate": 1e-5},
    )
    advice = "raise learning_rate tenfold, to 0.0001 and then 0.001, until the loss falls"
    assert one(slow, "loss_stuck").advice == advice
    assert slow[0].first_step < 60


@pytest.mark.parametrize(
    "loss",
    [
        lambda s: max(2.0 * 0.97**s, 0.3) + 0.01 * noise(s),  # has converged
        lambda s: 2.3 * (0.1 + 0.9 * math.exp(-s / 2000)) * (1 + 0.1 * noise(s)),  # takes its time
        lambda s: 2.3 * (1 + 0.3 * noise(s)),  # nobody can tell
        lambda s: 0.0 if s < 20 else 1e-6,  # has nothing to be set against
        lambda s: -s / 1000,
    ],
)
def test_a_loss_that_is_not_stuck(loss: Any) -> None:
    found = alerts(range(1, 600), lambda s: {"loss": loss(s), "update/ratio": 3e-3})
    assert [alert for alert in found if alert.rule != "no_gradient"] == []


def test_the_loss_of_a_run_that_is_resumed_or_has_a_rival_is_not_judged() -> None:
    def flat(_: int) -> dict[str, float]:
        return {"loss": 0.69, "update/ratio": 3e-3}

    assert alerts(range(5000, 5400), flat) == []
    assert alerts(range(1, 400), flat, manifest=replace(RELU, group="generator")) == []
    warm = alerts(
        range(1, 100), lambda s: {"loss": 2.3, "learning_rate": 1e-6 * s, "update/ratio": 1e-6}
    )
    assert warm == []


def test_a_validation_loss_that_rises() -> None:
    def course(rises: float, falls: float) -> Any:
        return lambda s: (
            ({"val_loss": 1.0 + rises * max(0, s - 100) / 100} if s % 10 == 0 else {})
            | {"loss": 2.0 * falls**s}
        )

    alert = one(alerts(range(1, 200), course(1.0, 0.98)), "overfitting")
    assert "rose from 1 to" in alert.evidence
    assert alerts(range(1, 200), course(0.1, 0.997)) == []
    gap = one(alerts(range(1, 200), course(0.1, 0.98)), "overfitting")  # 1.1 after 0.04
    assert gap.first_step > 120
    assert "falls no more and is" in gap.evidence

    def noisy(step: int) -> dict[str, float]:
        falls = 0.35 + 0.5 * math.exp(-step / 300)
        return {"val_loss": falls * (1 + 0.15 * noise(step))} if step % 10 == 0 else {}

    assert alerts(range(1, 1000), lambda s: noisy(s) | {"loss": 0.3 + 2 * 0.98**s}) == []


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


@pytest.mark.parametrize(("cosine", "rule"), [(0.02, "noise_dominated"), (0.98, "batch_too_large")])
def test_the_size_of_the_batch_against_the_noise(cosine: float, rule: str) -> None:
    found = alerts(range(1, 90), lambda s: {"loss": 2.0 - 0.003 * s}, lambda _: {"cosine": cosine})
    alert = one(found, rule)
    assert alert.severity == "info"
    assert f"cosine {cosine:.3f}" in alert.evidence
    assert alert.last_step >= 40  # not before a window of records is full


def estimate(top: float, bottom: float) -> CurvatureEstimate:
    return CurvatureEstimate(
        (Eigenvalue(top, 0.01), Eigenvalue(bottom, 0.01)), True, 9, 0.1, 1.0, 64
    )


@pytest.mark.parametrize(
    ("top", "bottom", "norm", "kind"),
    [(5, -0.1, 1e-3, "minimum"), (5, -4, 1e-3, "saddle"), (0.005, -0.005, 1e-3, "plateau"),
     (5, -0.1, 0.5, "")],
)  # fmt: skip
def test_what_the_weights_are_near(top: float, bottom: float, norm: float, kind: str) -> None:
    found = alerts(
        range(1, 200),
        lambda s: {"loss": max(2 * 0.95**s, 0.2), "gradient/norm_max": 1.0 if s < 60 else norm},
        curvature=lambda s: estimate(top, bottom) if s % 20 == 0 else None,
    )
    assert [alert.evidence.partition(":")[0] for alert in found] == ([kind] if kind else [])


@pytest.mark.parametrize(
    ("ratio", "kind", "words"),
    [(0.11, "flat", "only 11% of them are above zero"),
     (0.93, "minimum", "93% of them are above zero"),
     (None, "minimum", "how many of them are above zero was not measured")],
)  # fmt: skip
def test_a_critical_point_is_called_what_the_eigenvalues_say(
    ratio: float | None, kind: str, words: str
) -> None:
    def scalars(step: int) -> dict[str, float]:
        found = {"loss": max(2 * 0.95**step, 0.2), "gradient/norm_max": 1.0 if step < 60 else 1e-3}
        return found | ({MINIMUM_RATIO: ratio} if ratio is not None and step % 20 == 0 else {})

    alert = one(
        alerts(range(1, 200), scalars,
               curvature=lambda s: estimate(5, -0.1) if s % 20 == 0 else None),
        "critical_point",
    )  # fmt: skip
    assert alert.evidence.startswith(f"{kind}: ")
    assert words in alert.evidence
    said = " ".join([alert.evidence, alert.advice, *alert.causes])
    assert "stop" not in said
    assert "converged" not in said


def test_a_loss_that_still_falls_over_a_thousand_steps_is_at_no_critical_point() -> None:
    """27 % over 1,850 steps, in noise that hides it from any 32 records."""
    rng = np.random.default_rng(0)
    found = alerts(
        range(1, 1850, 5),
        lambda s: {
            "loss": (1 - 0.27 * s / 1850) * float(np.exp(0.05 * rng.normal())),
            "gradient/norm_max": 1.0 if s < 60 else 1e-2,
        },
        curvature=lambda s: estimate(5, -0.1) if s % 50 == 1 and s > 400 else None,
    )
    assert [a.evidence for a in found if a.rule == "critical_point"] == []


def test_what_is_silenced_is_not_told() -> None:
    dead = [0, 0, 0.75, 0.75, 0.8, 0.8, 0, 0]
    columns = {"dead_fraction": dead}
    elsewhere = AlertSettings(silence={"dead_units": "dense_1/*"})
    alert = one(alerts(range(1, 20), columns=lambda _: columns, settings=elsewhere), "dead_units")
    assert alert.parameters == ("dense_2/bias",)
    for silence in ({"dead_units": "*"}, {"dead_units": ["dense_1/*", "dense_2/*"]}):
        settings = AlertSettings(silence=silence)
        assert alerts(range(1, 20), columns=lambda _: columns, settings=settings) == []


def test_settings_from_a_file(tmp_path: Any) -> None:
    file = tmp_path / "alerts.toml"
    file.write_text('[thresholds]\ndead_units = 0.9\n[silence]\nno_gradient = ["a/*"]\n')
    settings = AlertSettings.read(file)
    assert (settings.dead_units, settings.silence) == (0.9, {"no_gradient": ["a/*"]})
    assert settings == AlertSettings(dead_units=0.9, silence={"no_gradient": ["a/*"]})


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("[thresholds]\ndead_unit = 0.9", ValueError, "'dead_unit': did you mean 'dead_units'?"),
        ("[silence]\nloss_stock = '*'", ValueError, "did you mean 'loss_stuck'?"),
        ("[silences]\n", ValueError, "did you mean 'silence'?"),
        ("[thresholds]\ndead_units = 'all'", TypeError, "dead_units is a threshold, a number"),
        ("[silence]\ndead_units = [1]", TypeError, "silence['dead_units'] is a pattern"),
        ("[thresholds", ValueError, "is not a TOML file"),
    ],
)  # fmt: skip
def test_a_file_of_settings_with_a_mistake(tmp_path: Any, text: str, error: Any, says: str) -> None:
    file = tmp_path / "alerts.toml"
    file.write_text(text)
    with pytest.raises(error) as caught:
        AlertSettings.read(file)
    assert says in str(caught.value)
    assert str(file) in str(caught.value)
