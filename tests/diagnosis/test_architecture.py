"""Causes that lie in how a model is put together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tbgrad.log.batches import Batches
from tbgrad.log.records import Alert, Manifest
from tests.diagnosis.histories import RELU, alerts, noise, of, of_kernels


def each(manifest: Manifest = RELU, **fields: Any) -> Manifest:
    return replace(manifest, parameters=tuple(replace(p, **fields) for p in manifest.parameters))


def stuck(manifest: Manifest) -> Alert:
    flat = {"update/ratio": 3e-3, "learning_rate": 1e-3}
    return of(
        alerts(range(1, 400), lambda s: flat | {"loss": 2.3 + 0.02 * noise(s)}, manifest=manifest),
        "loss_stuck",
    )


def test_layers_without_an_activation() -> None:
    """Where something between them is not known, they may have one."""
    linear = each(activation="linear", normalization="none")
    assert stuck(linear).advice == "give all hidden layers activation='relu'"
    assert "4 layers without an activation" in stuck(linear).causes[0]
    for other in (each(linear, normalization=""), each(linear, activation="tanh"), RELU):
        assert "activation" not in stuck(other).advice


def test_a_softmax_within_the_network() -> None:
    assert stuck(each(activation="softmax")).advice.startswith("replace activation='softmax' by")
    thin = {"norm": of_kernels(1e-6, 1e-4, 0.1, 1)}
    vanishing = alerts(range(1, 20), columns=lambda _: thin, manifest=each(activation="softmax"))
    assert "softmax" in of(vanishing, "vanishing_gradient").advice
    *first, kernel, bias = RELU.parameters
    last = (replace(kernel, activation="softmax"), replace(bias, activation="softmax"))
    assert "softmax" not in stuck(replace(RELU, parameters=(*first, *last))).advice


def test_an_optimizer_that_does_not_keep_the_first_weights() -> None:
    assert stuck(replace(RELU, optimizer={"name": "Ftrl"})).advice.startswith("train with another")
    assert "another" not in stuck(replace(RELU, optimizer={"name": "Adam"})).advice


def test_a_batch_normalization_over_one_sample() -> None:
    first, *others = each(normalization="after").parameters
    scale = replace(first, path="batch_normalization/gamma", layer="batch_normalization",
                    shape=(16,), size=16, role="normalization")  # fmt: skip
    normalised = replace(RELU, parameters=(first, scale, *others[1:]))

    def advice(size: int, layer: str = "batch_normalization") -> str:
        rows = (first, replace(scale, layer=layer), *others[1:])
        batches = (Batches(1, size),)
        return stuck(replace(normalised, parameters=rows, batches=batches)).advice

    assert advice(1) == "raise batch_size from 1 to 32"
    assert "batch_size" not in advice(2)
    assert "batch_size" not in advice(1, layer="layer_normalization")


def test_a_normalization_of_the_one_unit_of_the_output() -> None:
    dead = {"dead_fraction": 1.0}
    unit = replace(each(normalization="after"), output_units=1)
    found = of(alerts(range(1, 20), columns=lambda _: dead, manifest=unit), "dead_units")
    assert found.advice == "remove the normalization behind the last layer"
    assert "inputs" not in of(alerts(range(1, 20), columns=lambda _: dead), "dead_units").advice


def test_what_comes_behind_the_last_layer() -> None:
    def advice(**output: Any) -> str:
        settings = {"loss": "binary_crossentropy", "logits": False, "output_units": 1} | output
        found = alerts(range(1, 20), manifest=replace(RELU, **settings))
        return of(found, "output_mismatch").advice

    assert advice(output_activation="tanh").endswith("of the last layer by 'sigmoid'")
    assert advice(output_activation="dropout") == "remove the Dropout behind the last layer"
    classes = {"loss": "categorical_crossentropy", "output_units": 10}
    assert advice(output_activation="relu", **classes).endswith("of the last layer by 'softmax'")


def test_targets_beyond_the_output_where_others_are_within() -> None:
    """Half of the targets of -5 to 5 are below what a sigmoid gives; those above still move it."""

    def found(level: float) -> list[Alert]:
        unit = replace(RELU, loss="mean_squared_error", output_activation="sigmoid", output_units=1)
        return alerts(range(1, 300), lambda s: {"loss": 18 * (level + (1 - level) * 0.97**s)},
                      manifest=unit)  # fmt: skip

    assert "targets beyond what sigmoid can give" in of(found(0.8), "output_mismatch").causes[0]
    assert not [alert for alert in found(0.2) if alert.rule == "output_mismatch"]


def test_the_scale_of_targets_is_that_of_the_very_first_loss() -> None:
    """The second one is the work of a step already."""
    losses = [2.4e11, 1e16, 5e21, 5e21, 5e21]
    squared = replace(RELU, loss="mean_squared_error")
    found = alerts(range(1, 40), lambda s: {"loss": losses[min(s, 5) - 1]}, manifest=squared)
    assert of(found, "loss_implausible").advice.startswith("divide the targets by 500000 ")


def test_an_explosion_of_inputs_that_are_measured_to_be_scaled() -> None:
    large = {"gradient/norm_max": 6e4, "loss": 400.0}

    def advice(weight: float, inputs: float) -> str:
        columns = {"norm": [inputs * 4, 1, 1, 1, 1, 1, 1, 1], "weight_norm": weight}
        found = alerts(range(1, 20), lambda _: large, lambda _: columns)
        return of(found, "exploding_gradient").advice

    assert advice(12, 0.5).startswith("set kernel_initializer=")
    assert advice(4, 0.5).startswith("scale the inputs")
    assert advice(12, 50).startswith("scale the inputs")
