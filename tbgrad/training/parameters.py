"""Trainable variables as `Parameter` records: names, owners, roles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tbgrad.records import Parameter, distinct

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


def describe(variables: Sequence[Any]) -> tuple[Parameter, ...]:
    """One record a variable, in the same order; repeated names get a number each.

    Raises:
        ValueError: there are no variables.
    """
    if not variables:
        raise ValueError(
            "variables is empty: the model has no trainable weights. Build it (call it on a batch) "
            "and check that its layers are not frozen with trainable=False."
        )
    names = [getattr(v, "path", None) or v.name.removesuffix(":0") for v in variables]
    records = []
    for variable, name, path in zip(variables, names, distinct(names), strict=True):
        layer, _, attribute = name.rpartition("/")
        shape = tuple(int(length) for length in variable.shape)
        dtype = variable.dtype
        records.append(
            Parameter(
                path=path,
                layer=layer,
                shape=shape,
                size=int(np.prod(shape)),
                dtype=dtype if isinstance(dtype, str) else dtype.name,
                role=_ROLES.get(attribute, "other"),
            )
        )
    return tuple(records)
