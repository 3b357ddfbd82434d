"""What a Keras model says of its layers: what is behind each, and which do not train."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras

from tbgrad.keras import internals
from tbgrad.keras.names import snake_case

_ACTIVATION_LAYERS = (
    keras.layers.Activation,
    keras.layers.ReLU,
    keras.layers.LeakyReLU,
    keras.layers.PReLU,
    keras.layers.ELU,
)

_ENDS = ("inputs", "outputs")

_NORMALIZED: dict[tuple[bool | None, bool | None], str] = {
    (True, True): "both",
    (True, False): "before",
    (True, None): "before",
    (False, True): "after",
    (None, True): "after",
    (False, False): "none",
}

_OF_KERNELS = ("recurrent_kernel", "depthwise_kernel", "pointwise_kernel")
"""Variables whose initializer and regularizer are called as they are, without "kernel"."""


@dataclass(frozen=True)
class LayerFacts:
    """What is known of a layer: see `tbgrad.Parameter`; names of initializers by variable."""

    activation: str = ""
    initializers: Mapping[str, str] = field(default_factory=dict)
    regularizers: Mapping[str, str] = field(default_factory=dict)
    normalization: str = ""


def facts(model: Any) -> dict[str, LayerFacts]:
    """What is known of every layer with weights, by the layer's path."""
    behind, normalized = activations(model), normalizations(model)
    return {
        layer.path: LayerFacts(
            behind.get(layer.path, ""),
            dict(_settings(layer, "initializer", lambda one: snake_case(type(one).__name__))),
            dict(_settings(layer, "regularizer", _regularizer)),
            normalized.get(layer.path, ""),
        )
        for layer in internals.layers(model)
        if layer.path is not None
    }


def _settings(layer: Any, kind: str, name: Callable[[Any], str]) -> Iterator[tuple[str, str]]:
    """The names of a layer's initializers or regularizers, by the variable they are for."""
    variables = ("kernel", "bias", "embeddings", "gamma", "beta", *_OF_KERNELS)
    for variable in variables:
        attribute = variable.removesuffix("_kernel") if variable in _OF_KERNELS else variable
        chosen = getattr(layer, f"{attribute}_{kind}", None)
        if chosen is not None:
            yield variable, name(chosen)


def _regularizer(chosen: Any) -> str:
    """Its name, with its strength where it has one of Keras' own."""
    name = snake_case(type(chosen).__name__)
    strengths = [getattr(chosen, part, None) for part in ("l1", "l2", "factor")]
    known = [f"{float(one):g}" for one in strengths if isinstance(one, int | float)]
    return f"{name}({', '.join(known)})" if known else name


def normalizations(model: Any) -> dict[str, str]:
    """Whether a layer that normalises is "before" or "after" a layer, "both" or "none", by path.

    Nothing but activations, dropout and the like may be between the two. Known of layers of
    `Sequential` and functional models that are called once.
    """
    listed = [layer for layer in internals.layers(model) if end(layer, "output") is not None]
    makes = {id(layer.output): layer for layer in listed if end(layer, "input") is not None}
    takes = {id(layer.input): layer for layer in makes.values()}
    outer = {id(t) for t in keras.tree.flatten([getattr(model, n, None) for n in _ENDS])}

    def normalized(tensor: Any, neighbours: Mapping[int, Any], side: str) -> bool | None:
        layer = neighbours.get(id(tensor))
        if layer is None or isinstance(layer, keras.Model):
            return False if layer is None and id(tensor) in outer else None
        if _normalizes(layer):
            return True
        return False if layer.weights else normalized(end(layer, side), neighbours, side)

    found = {}
    for layer in makes.values():
        if layer.path is not None and layer.weights and not _normalizes(layer):
            before = normalized(layer.input, makes, "input")
            after = normalized(layer.output, takes, "output")
            found[layer.path] = _NORMALIZED.get((before, after), "")
    return found


def end(layer: Any, side: str) -> Any:
    """The one tensor that a layer takes or makes; None where it has none, or several."""
    try:
        tensor = getattr(layer, side)
    except (AttributeError, ValueError):
        return None
    return tensor if isinstance(tensor, keras.KerasTensor) else None


def _normalizes(layer: Any) -> bool:
    return type(layer).__name__.endswith("Normalization")


def activations(model: Any) -> dict[str, str]:
    """Name of the activation of every layer with a kernel, by the layer's path.

    An activation that is a layer of its own belongs to the layer with weights before it, which can
    be told of models whose layers are listed in their order: `Sequential` and functional ones. Of
    recurrent layers nothing is said: they have several.
    """
    listed = list(internals.layers(model, itself=True))
    models = [owner for owner in listed if isinstance(owner, keras.Model) and is_ordered(owner)]
    ordered = {id(layer) for owner in models for layer in owner.layers}
    found: dict[str, str] = {}
    last = None
    for layer in listed:
        if id(layer) in ordered and isinstance(layer, _ACTIVATION_LAYERS):
            if last is not None and found[last] == "linear":
                found[last] = activation_of(layer)
            continue
        recurrent = isinstance(layer, keras.layers.RNN) or hasattr(layer, "recurrent_activation")
        if recurrent or id(layer) not in ordered:
            last = None
        applies = hasattr(layer, "kernel") and callable(getattr(layer, "activation", None))
        if applies and not recurrent:
            found[layer.path] = activation_of(layer)
            last = layer.path if id(layer) in ordered else None
    return found


def is_ordered(model: Any) -> bool:
    """Whether a model's layers are listed in their order."""
    return isinstance(model, keras.Sequential) or hasattr(model, "operations")


def activation_of(layer: Any) -> str:
    """The name of the activation that a layer applies, or is; "" of others."""
    activation = getattr(layer, "activation", None)
    if activation is None and isinstance(layer, _ACTIVATION_LAYERS):
        activation = type(layer)
    return str(getattr(activation, "__name__", "")).lower()


def halved(model: Any) -> frozenset[str]:
    """Paths of the layers that compute in 16 bits."""
    return frozenset(
        layer.path
        for layer in internals.layers(model)
        # One that is not built has no path, and no variables either.
        if layer.path and getattr(layer, "compute_dtype", "") in ("float16", "bfloat16")
    )


def centred(model: Any) -> frozenset[str]:
    """Paths of the layers whose bias a BatchNormalization takes away again, as far as is known."""
    listed = [layer for layer in internals.layers(model) if end(layer, "output") is not None]
    takers: dict[int, list[Any]] = {}
    for layer in listed:
        for tensor in keras.tree.flatten(_inputs(layer)):
            takers.setdefault(id(tensor), []).append(layer)
    outer = {id(t) for t in keras.tree.flatten(getattr(model, "outputs", None))}
    found = []
    for layer in listed:
        behind = takers.get(id(layer.output), [])
        alone = len(behind) == 1 and id(layer.output) not in outer
        centres = alone and isinstance(behind[0], keras.layers.BatchNormalization)
        if centres and behind[0].trainable and activation_of(layer) in ("", "linear"):
            found.append(layer.path)
    return frozenset(path for path in found if path)


def _inputs(layer: Any) -> Any:
    """The tensors that a layer takes; None where it is called several times, or never."""
    try:
        return layer.input
    except (AttributeError, ValueError):
        return None


def frozen(model: Any) -> tuple[str, ...]:
    """Paths of the layers that have weights to train and were told not to: `trainable=False`."""
    return tuple(
        layer.path
        for layer in internals.layers(model)
        if not layer.trainable and any(hasattr(layer, name) for name in ("kernel", "embeddings"))
    )
