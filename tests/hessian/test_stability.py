"""Stability thresholds against the optimizers themselves, iterated on a quadratic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
hessian = pytest.importorskip("tbgrad.hessian")

SGD: Any = keras.optimizers.SGD


def growth(settings: dict[str, Any], sharpness: float, steps: int = 400) -> float:
    """How much |w| grows when Keras' own optimizer iterates on ½ λ w²."""
    optimizer = SGD(**settings)
    w = keras.Variable(1.0, dtype="float64")
    optimizer.build([w])

    @tf.function(autograph=False)
    def step() -> Any:
        optimizer.apply([sharpness * w.value], [w])
        return tf.abs(w.value)

    sizes = [float(step()) for _ in range(steps)]
    # The amplitude, not one value of an oscillation.
    return max(sizes[-20:]) / max(sizes[:20])


@pytest.mark.parametrize("decay", [None, 0.8])
@pytest.mark.parametrize(
    ("settings", "formula"),
    [
        ({"learning_rate": 0.1}, "2/η"),
        ({"learning_rate": 0.1, "momentum": 0.5}, "(2+2β)/η"),
        ({"learning_rate": 0.02, "momentum": 0.9}, "(2+2β)/η"),
        ({"learning_rate": 0.1, "momentum": 0.5, "nesterov": True}, "(2+2β)/(η(1+2β))"),
        ({"learning_rate": 0.02, "momentum": 0.9, "nesterov": True}, "(2+2β)/(η(1+2β))"),
    ],
)
def test_the_optimizer_diverges_above_and_converges_below(
    settings: dict[str, Any], formula: str, decay: float | None
) -> None:
    settings = settings | {"weight_decay": decay}
    threshold, text = hessian.stability_threshold(SGD(**settings))
    if decay is None:
        assert text == formula
    else:
        assert "weight decay" in text
        assert threshold < hessian.stability_threshold(SGD(**settings | {"weight_decay": None}))[0]
    assert growth(settings, 0.97 * threshold) < 0.5
    assert growth(settings, 1.03 * threshold) > 2


def test_the_values_of_the_formulas() -> None:
    values = [
        hessian.stability_threshold(SGD(0.1, **settings))[0]
        for settings in ({}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True})
    ]
    np.testing.assert_allclose(values, [20, 38, 38 / 2.8], rtol=1e-6)


def test_a_schedule_counts_with_its_current_value() -> None:
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([1], [0.1, 0.01])
    optimizer = SGD(schedule)
    w = keras.Variable(1.0)
    assert hessian.stability_threshold(optimizer)[0] == pytest.approx(20)
    for _ in range(3):
        optimizer.apply([w.value * 0], [w])
    assert hessian.stability_threshold(optimizer)[0] == pytest.approx(200)


def test_the_optimizer_inside_counts() -> None:
    wrapped = keras.optimizers.LossScaleOptimizer(SGD(0.1, momentum=0.9))
    assert hessian.stability_threshold(wrapped)[0] == pytest.approx(38)


def test_accumulation_does_not_matter_and_clipping_is_said() -> None:
    accumulating = SGD(0.1, gradient_accumulation_steps=4)
    assert hessian.stability_threshold(accumulating) == (pytest.approx(20), "2/η")
    for clip in ("clipnorm", "clipvalue", "global_clipnorm"):
        threshold, text = hessian.stability_threshold(SGD(0.1, **{clip: 1.0}))
        assert threshold == pytest.approx(20)
        assert "clipping" in text
    averaged = SGD(0.1, use_ema=True, ema_overwrite_frequency=10)
    assert "moving average" in hessian.stability_threshold(averaged)[1]


def test_where_no_threshold_is_known_the_text_says_why() -> None:
    class Own(keras.optimizers.SGD):
        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            pass

    for optimizer in (keras.optimizers.Adam(), keras.optimizers.RMSprop(), Own()):
        threshold, text = hessian.stability_threshold(optimizer)
        assert threshold is None
        assert type(optimizer).__name__ in text
    threshold, text = hessian.stability_threshold(SGD(0.0))
    assert threshold is None
    assert "learning rate is 0" in text
