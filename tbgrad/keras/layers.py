"""What a Keras model says of its layers: the activation behind each, and which do not train."""

from __future__ import annotations

from typing import Any

import keras

from tbgrad.keras import internals

_ACTIVATION_LAYERS = (
    keras.layers.Activation,
    keras.layers.ReLU,
    keras.layers.LeakyReLU,
    keras.layers.PReLU,
    keras.layers.ELU,
)


def activations(model: Any) -> dict[str, str]:
    """Name of the activation of every layer with a kernel, by the layer's path.

    An activation that is a layer of its own belongs to the layer with weights before it, which can
    be told of models whose layers are listed in their order: `Sequential` and functional ones. Of
    recurrent layers nothing is said: they have several.
    """
    ordered = isinstance(model, keras.Sequential) or hasattr(model, "operations")
    found: dict[str, str] = {}
    last = None
    for layer in internals.layers(model):
        if ordered and isinstance(layer, _ACTIVATION_LAYERS):
            if last is not None and found[last] == "linear":
                found[last] = _name(getattr(layer, "activation", type(layer)))
        elif hasattr(layer, "kernel") and callable(getattr(layer, "activation", None)):
            if isinstance(layer, keras.layers.RNN) or hasattr(layer, "recurrent_activation"):
                continue
            last = layer.path
            found[last] = _name(layer.activation)
    return found


def halved(model: Any) -> frozenset[str]:
    """Paths of the layers that compute in 16 bits."""
    return frozenset(
        layer.path
        for layer in internals.layers(model)
        if getattr(layer, "compute_dtype", "") in ("float16", "bfloat16")
    )


def frozen(model: Any) -> tuple[str, ...]:
    """Paths of the layers that have weights to train and were told not to: `trainable=False`."""
    return tuple(
        layer.path
        for layer in internals.layers(model)
        if not layer.trainable and any(hasattr(layer, name) for name in ("kernel", "embeddings"))
    )


def _name(activation: Any) -> str:
    return str(getattr(activation, "__name__", "")).lower()
