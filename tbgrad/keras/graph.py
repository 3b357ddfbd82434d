"""What a graph under construction will become, and how to build it cheaply."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tbgrad.keras import internals

Tensor: TypeAlias = Any  # tf.Tensor: TensorFlow ships no types

UNKNOWN = np.finfo(np.float32).min
"""What is not known, inside the graph. NaN there would be taken for a fault of the training by
`tf.debugging.enable_check_numerics`, which then ends it."""

INFINITE = np.finfo(np.float32).max
"""What is beyond all numbers, inside the graph, likewise."""


def from_graph(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Values that were computed in the graph, with NaN and infinity in their own right."""
    values = np.where(values == UNKNOWN, np.float32(np.nan), values)
    return np.where(values == INFINITE, np.float32(np.inf), values)


def own_variable(value: Any, dtype: Any) -> Any:
    """A variable of the monitor's own."""
    return tf.Variable(tf.cast(value, dtype), trainable=False, name="tbgrad")


def in_xla() -> bool:
    """Whether what is traced now will be compiled by XLA."""
    graph = tf.compat.v1.get_default_graph()
    while graph is not None:
        context = internals.control_flow_context(graph)
        while context is not None:
            if context.IsXLAContext():
                return True
            context = context.outer_context
        graph = getattr(graph, "outer_graph", None)
    return False


def conditional_call(condition: Tensor, rare: Callable[[], Any], usual: Callable[[], Any]) -> Any:
    """`tf.cond` that costs next to nothing when `condition` is false.

    Outside XLA, TensorFlow turns a conditional into one Switch for each of its inputs, which run at
    every step: half of the monitor's time on a model of many small tensors. As a call it is one
    operation.
    """
    graph = tf.compat.v1.get_default_graph()
    before = {op.name for op in graph.get_operations()}
    result = tf.cond(condition, rare, usual)
    for op in graph.get_operations():
        if op.type in ("If", "StatelessIf") and op.name not in before:
            internals.keep_as_call(op)
    return result
