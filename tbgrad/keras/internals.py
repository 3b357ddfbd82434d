"""Every private name of Keras and TensorFlow in use, and what is relied on of each.

A release that renames one breaks tests/keras/test_internals.py, and nothing else of ours has to be
looked through. Where a name is missing, what needs it does without, or the monitoring ends with a
sentence, and the training goes on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

CLIP = "_clip_gradients"
"""Method of an optimizer: receives the gradient that it acts on (unscaled, accumulated)."""

REDUCE = "_all_reduce_sum_gradients"
"""Method of an optimizer: adds the gradients up over the replicas."""

UPDATE = "_backend_update_step"
"""Method of an optimizer: changes the variables."""

SKIP = "_stateful_handle_non_finite_grads"
"""Method of a `LossScaleOptimizer`: leaves an update out."""

DTYPE_POLICY = "_dtype_policy"
"""Attribute of a layer behind its property `dtype_policy`."""

EPOCH = "catch_stop_iteration"
"""Method of what `fit` goes through: the context of its loop over the batches of an epoch."""

_VARIABLES = "_trainable_variables"
_CALLS = "_iterations"
_FIRST_MOMENTS, _SECOND_MOMENTS = "_momentums", "_velocities"
_LARGEST_SECOND_MOMENTS = "_velocity_hats"
_MEANS = "_average_gradients"
_INDICES, _KEY = "_trainable_variables_indices", "_var_key"
_LAYERS = "_flatten_layers"
_BUILD = "_symbolic_build"
_WORKERS = "_in_multi_worker_mode"
_CONTEXT = "_get_control_flow_context"
_SET_ATTRIBUTE, _LOWER = "_set_attr", "_lower_using_switch_merge"

OPTIMIZER = (CLIP, REDUCE, UPDATE, _VARIABLES, _CALLS, _INDICES, _KEY)
ADAM = (_FIRST_MOMENTS, _SECOND_MOMENTS)
AMSGRAD = (_LARGEST_SECOND_MOMENTS,)
RMSPROP = (_SECOND_MOMENTS, _MEANS)
LOSS_SCALE_OPTIMIZER = (SKIP,)
LAYER = (DTYPE_POLICY,)
MODEL = (_LAYERS, _BUILD)
STRATEGY = (_WORKERS,)
GRAPH = (_CONTEXT,)
OPERATION = (_SET_ATTRIBUTE,)


def variables(optimizer: Any) -> list[Any]:
    """The variables that an optimizer was built for."""
    return list(getattr(optimizer, _VARIABLES))


def calls(optimizer: Any) -> Any:
    """How often an optimizer was applied, a variable; `iterations` leaves accumulated parts out."""
    return getattr(optimizer, _CALLS)


def keeps_moments(optimizer: Any) -> bool:
    """Whether an optimizer keeps running means of the gradient and of its squares, as Adam does."""
    return all(hasattr(optimizer, name) for name in (*ADAM, "beta_2"))


def index(optimizer: Any, variable: Any) -> int | None:
    """The position of a variable among those of an optimizer; None where it is none of them."""
    found: int | None = getattr(optimizer, _INDICES).get(getattr(optimizer, _KEY)(variable))
    return found


def moments(optimizer: Any, variable: Any) -> tuple[Any, Any] | None:
    """The running means of a variable's gradient and of its squares; None where there are none."""
    at = index(optimizer, variable)
    first, second = (getattr(optimizer, name) for name in ADAM)
    return None if at is None or first[at] is None else (first[at], second[at])


def squares(optimizer: Any, index: int, *, largest: bool = False) -> Any:
    """The running mean of a gradient's squares that Adam or RMSprop divides by, or its largest."""
    name = _LARGEST_SECOND_MOMENTS if largest else _SECOND_MOMENTS
    return getattr(optimizer, name)[index]


def mean(optimizer: Any, index: int) -> Any:
    """The running mean of a gradient that a centred RMSprop keeps."""
    return getattr(optimizer, _MEANS)[index]


def layers(model: Any, *, itself: bool = False) -> Iterator[Any]:
    """All layers of a model, each ahead of those within it; none of what is no model.

    Keras itself lists those within another backwards.
    """
    listed: set[int] = set()

    def within(owner: Any) -> Iterator[Any]:
        for layer in getattr(owner, _LAYERS)(include_self=False, recursive=False):
            if id(layer) not in listed:
                listed.add(id(layer))
                yield layer
                yield from within(layer)

    if hasattr(model, _LAYERS):
        if itself:
            yield model
        yield from within(model)


def build(model: Any, batch: Any) -> None:
    """Have a model create the variables of its optimizer, metrics and loss for such a batch.

    `batch` is what a step is given, with a shape and a dtype in place of each tensor.
    """
    getattr(model, _BUILD)(data_batch=batch)


def several_workers(strategy: Any) -> bool:
    """Whether the replicas of a strategy are in several processes."""
    return bool(getattr(strategy.extended, _WORKERS)())


def control_flow_context(graph: Any) -> Any:
    """The innermost context that operations are added in; it knows whether it is one of XLA."""
    return getattr(graph, _CONTEXT)()


def keep_as_call(conditional: Any) -> None:
    """Have a conditional run as one operation; TensorFlow lowers it to many otherwise."""
    import tensorflow as tf

    with contextlib.suppress(AttributeError):  # an optimisation: without it all is as right
        getattr(conditional, _SET_ATTRIBUTE)(_LOWER, tf.compat.v1.AttrValue(b=False))
