"""What a Keras model says of itself: its loss and its output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from tbgrad.keras import internals, layers
from tbgrad.keras.names import snake_case


def loss(model: Any) -> tuple[str, bool | None]:
    """The name of the loss a model was compiled with, and whether it takes logits.

    "" and None where that is not known. Several losses that are not the same are named in a row.
    """
    chosen = keras.tree.flatten(getattr(model, "loss", None))
    names: dict[str, bool | None] = {}
    for each in chosen:
        if each is not None:
            names.update([_loss(each)])
    logits = set(names.values())
    return ", ".join(names), logits.pop() if len(logits) == 1 else None


def _loss(chosen: Any) -> tuple[str, bool | None]:
    try:
        found = keras.losses.get(chosen)
    except ValueError:
        return str(chosen), None
    if isinstance(found, keras.losses.Loss):
        name = snake_case(type(found).__name__)
        logits = found.get_config().get("from_logits")
    else:
        name, logits = str(getattr(found, "__name__", "")), False
    return name, bool(logits) if "crossentropy" in name and logits is not None else None


def output(model: Any) -> tuple[str, int]:
    """The name of the activation that the one output of a model comes from, and its units.

    "" and 0 where that is not known.
    """
    outputs = keras.tree.flatten(getattr(model, "outputs", None))
    shape: tuple[Any, ...] = getattr(outputs[0], "shape", ()) if len(outputs) == 1 else ()
    units = int(shape[-1]) if len(shape) > 1 and shape[-1] else 0
    return _activation(model), units


def _activation(model: Any) -> str:
    """What the last layer does that is no mere change of shape, where layers have an order.

    "dropout" where it leaves out some of its outputs.
    """
    for layer in reversed(model.layers if layers.is_ordered(model) else ()):
        if isinstance(layer, keras.Model):
            return _activation(layer)
        if isinstance(layer, keras.layers.Lambda):
            return ""  # anything may be in there
        if type(layer).__name__.endswith("Dropout") and float(getattr(layer, "rate", 0.0)) > 0:
            return "dropout"
        is_softmax = isinstance(layer, keras.layers.Softmax)
        name = "softmax" if is_softmax else layers.activation_of(layer)
        if name or layer.weights:
            return name or "linear"
    return ""


def dropout(model: Any) -> tuple[float, str]:
    """The largest rate of dropout, and what has it: "Dropout", "recurrent_dropout of LSTM"."""
    found = [(0.0, "")]
    for layer in internals.layers(model):
        kind = type(layer).__name__
        names = ("rate",) if kind.endswith("Dropout") else ("dropout", "recurrent_dropout")
        for name in names:
            rate = getattr(layer, name, None)
            if isinstance(rate, int | float):
                found.append((float(rate), kind if name == "rate" else f"{name} of {kind}"))
    return max(found, key=lambda one: one[0])


def facts(model: Any) -> Mapping[str, Any]:
    """What a manifest says of a model, by the names it has there."""
    name, logits = loss(model)
    activation, units = output(model)
    rate, rate_of = dropout(model)
    return {
        "loss": name,
        "logits": logits,
        "output_activation": activation,
        "output_units": units,
        "dropout": rate,
        "dropout_of": rate_of,
    }
