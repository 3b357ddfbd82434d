"""Trainable variables as `Parameter` records: names, owners, roles."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tbgrad.keras.layers import LayerFacts
from tbgrad.keras.names import Names, full_name
from tbgrad.log.records import Parameter
from tbgrad.monitoring.selection import Selection

_ROLES = {
    "kernel": "kernel",
    "recurrent_kernel": "kernel",
    "depthwise_kernel": "kernel",
    "pointwise_kernel": "kernel",
    "bias": "bias",
    "embeddings": "embedding",
    "gamma": "normalization",
    "beta": "normalization",
}


def tensorflow_variable(variable: Any) -> Any:
    """The `tf.Variable` behind a Keras variable, or the argument itself where it is one."""
    return variable.value if hasattr(variable, "path") else variable


def trained(variables: Sequence[Any]) -> list[Any]:
    """The variables without those that an optimizer overwrites with their gradient.

    Keras keeps the scales of float8 layers so: a state among the weights, which no step descends.
    """
    return [v for v in variables if not getattr(v, "overwrite_with_gradient", False)]


def selected(variables: Sequence[Any], selection: Selection, names: Names) -> list[Any]:
    """Those of `variables` that are observed, and trained.

    Raises:
        ValueError: there are variables and none of them is.
    """
    chosen = [v for v in trained(variables) if is_selected(v, selection, names)]
    if variables and not chosen:
        known = ", ".join(names.of(variables[:5])) + (", …" if len(variables) > 5 else "")
        raise ValueError(
            f"include={list(selection.include)} and exclude={list(selection.exclude)} leave no "
            f"parameter to observe; there are {known}"
        )
    return chosen


def is_selected(variable: Any, selection: Selection, names: Names) -> bool:
    """Whether a variable is observed, by its name or by what Keras calls it."""
    full = full_name(variable)
    return selection.has(names.name(full), full)


def describe(
    variables: Sequence[Any],
    names: Names | None = None,
    facts: Mapping[str, LayerFacts] | None = None,
) -> tuple[Parameter, ...]:
    """One record a variable, in the same order; repeated names get a number each.

    `facts` are those of the layers that are known, by the paths that Keras has for them.

    Raises:
        ValueError: there are no variables.
    """
    if not variables:
        raise ValueError(
            "variables is empty: the model has no trainable weights. Build it (call it on a batch) "
            "and check that its layers are not frozen with trainable=False."
        )
    names = names or Names(variables)
    records = []
    for variable, path in zip(variables, names.of(variables), strict=True):
        full = full_name(variable)
        layer, _, attribute = full.rpartition("/")
        shape = tuple(int(length) for length in variable.shape)
        dtype = variable.dtype
        role = _ROLES.get(attribute, "other")
        known = (facts or {}).get(layer, LayerFacts())
        records.append(
            Parameter(
                path=path,
                layer=names.layer(layer),
                shape=shape,
                size=int(np.prod(shape)),
                dtype=dtype if isinstance(dtype, str) else dtype.name,
                role=role,
                activation=known.activation,
                full_path=full if full != path else "",
                initializer=known.initializers.get(attribute, ""),
                regularizer=known.regularizers.get(attribute, ""),
                normalization=known.normalization,
            )
        )
    return tuple(records)


@dataclass(frozen=True)
class Layout:
    """How the real numbers of a gradient lie in memory.

    `size` counts them. Where the tensor has output units, they are `units` in number, along an axis
    of the gradient as [-1, units, after]; elsewhere `units` is None.
    """

    shape: tuple[int, ...]
    size: int
    units: int | None = None
    after: int = 1


def layouts(parameters: Sequence[Parameter]) -> tuple[Layout, ...]:
    """The layout of every parameter; the others of its layer tell what its output units are.

    Units are the columns of a dense layer, the filters of a convolution (channels of a depthwise
    one), the cells of a recurrent layer with all their gates, the dimensions of each head in
    attention, the dimensions of an embedding.
    """
    by_layer: dict[str, list[Parameter]] = {}
    for parameter in parameters:
        by_layer.setdefault(parameter.layer, []).append(parameter)
    layouts_of_rows = []
    for parameter in parameters:
        units, after = _units(parameter, by_layer[parameter.layer])
        shape, size = parameter.shape, parameter.size
        if parameter.dtype.startswith("complex"):
            shape, size, after = (*shape, 2), 2 * size, 2 * after
        layouts_of_rows.append(Layout(shape, size, units, after))
    return tuple(layouts_of_rows)


def _units(parameter: Parameter, layer: Sequence[Parameter]) -> tuple[int | None, int]:
    """Number of output units and the numbers behind each of them."""
    shape = parameter.shape
    if parameter.role not in ("kernel", "bias", "embedding"):
        return None, 1
    if not shape:
        return 1, 1
    cells = {p.shape[-2] for p in layer if _attribute(p) == "recurrent_kernel" and len(p.shape) > 1}
    if cells and parameter.role != "embedding":
        return cells.pop(), 1
    if parameter.role == "embedding" or len(shape) == 1:
        return shape[-1], 1
    if parameter.role == "bias":
        return parameter.size, 1
    name = parameter.layer.rpartition("/")[2]
    if _attribute(parameter) == "depthwise_kernel" or "depthwise" in name:
        return math.prod(shape[-2:]), 1
    if "transpose" in name:
        return shape[-2], shape[-1]
    biases = {p.size for p in layer if p.role == "bias"}
    if biases and shape[-1] not in biases:
        if math.prod(shape[-2:]) in biases:
            return math.prod(shape[-2:]), 1
        if shape[-2] in biases:
            return shape[-2], shape[-1]
    if name in ("query", "key", "value") and len(shape) == 3:
        return math.prod(shape[-2:]), 1
    return shape[-1], 1


def _attribute(parameter: Parameter) -> str:
    """The name of the variable in its layer."""
    return parameter.path.removeprefix(f"{parameter.layer}/").partition(" (")[0]
