"""What a Keras optimizer says of itself: its updates, its settings, its learning rate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import tensorflow as tf

from tbgrad.keras import internals

Tensor: TypeAlias = Any  # tf.Tensor: TensorFlow ships no types


def innermost(optimizer: Any) -> Any:
    """The optimizer that updates the variables, inside any `LossScaleOptimizer`."""
    while hasattr(optimizer, "inner_optimizer"):
        optimizer = optimizer.inner_optimizer
    return optimizer


def children(optimizer: Any) -> list[Any]:
    """The optimizers that a `MultiOptimizer` hands the parts of an update to; none of others."""
    return list(getattr(optimizer, "optimizers", ()))


def updates_done(optimizer: Any) -> int:
    """How many updates of the variables the optimizer has made; 0 of none."""
    if optimizer is None:
        return 0
    return int(tf.convert_to_tensor(innermost(optimizer).iterations))


def calls_of(optimizer: Any) -> int:
    """How often the optimizer was applied; of gradients that it accumulates, for each part."""
    return int(tf.convert_to_tensor(internals.calls(innermost(optimizer))))


def learning_rate(optimizer: Any) -> Tensor:
    """That of the coming update; of a `MultiOptimizer` the largest of its children."""
    if not children(optimizer):
        return optimizer.learning_rate
    rates = [tf.cast(child.learning_rate, tf.float32) for child in children(optimizer)]
    return tf.reduce_max(tf.stack(rates))


def settings(optimizer: Any) -> Mapping[str, object]:
    """The optimizer's name and its plain settings, for the manifest."""
    if optimizer is None:
        return {}
    inner = innermost(optimizer)
    plain: dict[str, object] = {
        key: value
        for key, value in inner.get_config().items()
        if (value is True or (isinstance(value, int | float) and value is not False))
        and (inner.use_ema or not key.startswith("ema_"))
    }
    return {"name": type(inner).__name__, **plain}
