"""The variables of a loss as one vector."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tbgrad.hessian.errors import HessianError
from tbgrad.keras.parameters import trained


class FlatVariables:
    """Variables, flattened in the given order into one vector of `size` entries.

    `dtype` is float64 if any of them is, float32 otherwise; `on_device` tells whether they are in
    the memory of a device of its own, such as a GPU.

    Those that are not `trained` are left out.

    Raises:
        HessianError: there are none, or one is not floating point.
    """

    def __init__(self, variables: Sequence[Any]) -> None:
        self.variables = [_backend_variable(v) for v in trained(variables)]
        if not self.variables:
            raise HessianError(
                "There are no trainable variables, so there is no Hessian: variables is empty. "
                "Build the model and check that its layers are trainable."
            )
        for v in self.variables:
            if not (v.dtype.is_floating and v.shape.is_fully_defined()):
                raise HessianError(
                    f"Variable {v.name!r} ({v.dtype.name}, shape {v.shape}) has no Hessian: "
                    f"variables must be floating point and of a fixed shape."
                )
        self._sizes = [int(v.shape.num_elements()) for v in self.variables]
        self.size = sum(self._sizes)
        if not self.size:
            raise HessianError("All variables are empty (0 elements), so there is no Hessian.")
        wide = any(v.dtype == tf.float64 for v in self.variables)
        self.tf_dtype = tf.float64 if wide else tf.float32
        self.dtype: np.dtype[Any] = np.dtype(self.tf_dtype.as_numpy_dtype)
        self.on_device = not all(":CPU:" in v.device for v in self.variables)

    @property
    def signature(self) -> Any:
        """What a traced function takes for a vector."""
        return tf.TensorSpec([self.size], self.tf_dtype, "vector")

    def flat(self, tensors: Sequence[Any]) -> Any:
        """Tensors of the shapes of the variables as one vector, zeros for None."""
        return tf.concat(
            [
                tf.zeros([size], self.tf_dtype)
                if tensor is None  # the loss is linear in it, or does not use it
                else tf.reshape(tf.cast(tensor, self.tf_dtype), [-1])
                for tensor, size in zip(tensors, self._sizes, strict=True)
            ],
            axis=0,
        )

    def split(self, vector: Any) -> list[Any]:
        """A vector as tensors of the shapes and types of the variables."""
        return [
            tf.cast(tf.reshape(part, v.shape), v.dtype)
            for part, v in zip(tf.split(vector, self._sizes), self.variables, strict=True)
        ]

    def inner(self, tensors: Sequence[Any], vector: Any) -> Any:
        """The inner product of tensors of the shapes of the variables with a vector."""
        total = tf.zeros([], self.tf_dtype)
        for tensor, part in zip(tensors, tf.split(vector, self._sizes), strict=True):
            if tensor is not None:
                flat = tf.reshape(tf.cast(tensor, self.tf_dtype), [-1])
                total += tf.reduce_sum(flat * part)
        return total

    @contextlib.contextmanager
    def moving(self) -> Iterator[Callable[[Any], NDArray[Any]]]:
        """Inside, moves the variables by a vector from where they were; tells how far, rounded.

        Afterwards every bit of them is as it was.
        """
        before = [tf.identity(v) for v in self.variables]

        def move_by(vector: Any) -> NDArray[Any]:
            weights = self.flat(before)
            self._assign(self.split(weights + tf.cast(vector, self.tf_dtype)))
            return np.asarray(self.flat(self.variables) - weights)

        try:
            yield move_by
        finally:
            self._assign(before)

    def _assign(self, values: Sequence[Any]) -> None:
        for variable, value in zip(self.variables, values, strict=True):
            variable.assign(value)


def _backend_variable(variable: Any) -> Any:
    # Keras 3 variables are not tf.Variables, and a tape cannot watch them.
    inner = getattr(variable, "value", None)
    value = variable if isinstance(variable, tf.Variable) or callable(inner) else inner
    if not isinstance(value, tf.Variable):
        raise HessianError(
            f"variables must be Keras or TensorFlow variables, got {type(variable).__name__}."
        )
    return value
