"""What a graph under construction will become, and how to build it cheaply."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, TypeAlias

import tensorflow as tf

Tensor: TypeAlias = Any  # tf.Tensor: TensorFlow ships no types


def in_xla() -> bool:
    """Whether what is traced now will be compiled by XLA."""
    graph = tf.compat.v1.get_default_graph()
    while graph is not None:
        context = graph._get_control_flow_context()
        while context is not None:
            if context.IsXLAContext():
                return True
            context = context.outer_context
        graph = getattr(graph, "outer_graph", None)
    return False


def rarely(condition: Tensor, rare: Callable[[], Any], usual: Callable[[], Any]) -> Any:
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
            with contextlib.suppress(AttributeError):  # an optimisation, without a public name
                op._set_attr("_lower_using_switch_merge", tf.compat.v1.AttrValue(b=False))
    return result
