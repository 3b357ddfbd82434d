"""What the graph of a loss is made of, where that decides about its second derivative."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from tbgrad.hessian.verification import Structure

_KINKS = frozenset(
    {"Relu", "Relu6", "LeakyRelu", "Selu", "Abs", "Sign", "Floor", "Ceil", "Round", "Rint"}
    | {"Maximum", "Minimum", "Max", "Min", "MaxPool", "MaxPoolV2", "MaxPool3D", "TopKV2"}
    | {"MaxPoolWithArgmax", "FractionalMaxPool", "Dilation2D", "ClipByValue", "SegmentMax"}
    | {"SegmentMin", "UnsortedSegmentMax", "UnsortedSegmentMin"}
)
_COMPARISONS = frozenset({"Greater", "GreaterEqual", "Less", "LessEqual"})
_FOREIGN = frozenset({"PyFunc", "PyFuncStateless", "EagerPyFunc"})
_STOPS = "StopGradient"


def structure_of(graph: Any) -> Structure:
    """The structure of a graph that has been built as far as the loss."""
    kinks = quantised = stops = False
    unsure: set[str] = set()
    for kind, attributes, inside in _operations(graph):
        if kind in _KINKS or (kind in _COMPARISONS and _floating(attributes)):
            kinks = True
        elif kind == _STOPS:
            stops = stops or not inside
            if inside:
                unsure.add(kind)
        elif kind == "IdentityN" and "_gradient_op_type" in attributes:
            unsure.add("tf.custom_gradient")
        elif kind in _FOREIGN:
            unsure.add(kind)
        elif kind.startswith(("FakeQuant", "Quantize")) and not kind.endswith("Gradient"):
            quantised = True
            unsure.add(kind)
    return Structure(kinks, quantised, stops, frozenset(unsure))


def differentiate_stops(graph: Any) -> None:
    """Make what a graph computes depend on the inputs of StopGradient, and not on its outputs.

    Values stay as they are. Where a gradient has been built in the graph, stopped as it should be,
    its own derivative thus becomes that of what it computes. `tf.nn.moments` relies on a stop: it
    takes the mean for a constant in the variance, which is right for a gradient and wrong for the
    derivative of one.
    """
    for operation in graph.get_operations():
        if operation.type == _STOPS:
            stopped = operation.outputs[0]
            for consumer in list(stopped.consumers()):
                for i, tensor in enumerate(consumer.inputs):
                    if tensor is stopped:
                        consumer._update_input(i, operation.inputs[0])


def _operations(graph: Any) -> Iterator[tuple[str, Any, bool]]:
    """Type, attributes and whether it is inside a function, of each operation."""
    for operation in graph.get_operations():
        yield operation.type, operation.node_def.attr, False
    for function in graph._functions.values():
        for node in function.cached_definition.node_def:
            yield node.op, node.attr, True


def _floating(attributes: Any) -> bool:
    return bool(tf.as_dtype(attributes["T"].type).is_floating)
