"""Arguments of Keras and TensorFlow, checked with a sentence for the user."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tbgrad.keras.names import full_name
from tbgrad.keras.parameters import tensorflow_variable
from tbgrad.keras.supported import foreign


def check_optimizer(optimizer: Any) -> Any:
    """`optimizer` as it is.

    Raises:
        TypeError: it is not one of Keras 3.
    """
    if optimizer is not None and (sentence := foreign(optimizer, "optimizer")):
        raise TypeError(sentence)
    return optimizer


def check_gradients(gradients: Iterable[Any], variables: Sequence[Any]) -> list[Any]:
    """Gradients in the order of the variables, from such a list or from pairs in any order.

    Raises:
        ValueError: they do not belong to the variables, by number or by shape.
    """
    remedy = "pass tape.gradient(loss, variables) for the same variables as to the writer"
    in_order = list(gradients)
    if in_order and all(isinstance(each, tuple) and len(each) == 2 for each in in_order):
        by_variable = {id(tensorflow_variable(variable)): each for each, variable in in_order}
        known = [id(tensorflow_variable(variable)) for variable in variables]
        if not set(by_variable) <= set(known):
            raise ValueError(f"gradients has pairs with other variables: {remedy}")
        in_order = [by_variable.get(each) for each in known]
    if len(in_order) != len(variables):
        raise ValueError(
            f"gradients has {len(in_order)} entries for {len(variables)} variables: {remedy}"
        )
    for gradient, variable in zip(in_order, variables, strict=True):
        shape = getattr(gradient, "shape", None)
        known_shape = tuple(variable.shape)
        if shape is None or getattr(shape, "rank", len(known_shape)) is None:
            continue
        lengths = tuple(shape)
        fits = len(lengths) == len(known_shape) and all(
            a is None or b is None or a == b for a, b in zip(lengths, known_shape, strict=True)
        )
        if not fits:
            raise ValueError(
                f"the gradient of {full_name(variable)} has shape {lengths}, the variable "
                f"{known_shape}: {remedy}"
            )
    return in_order
