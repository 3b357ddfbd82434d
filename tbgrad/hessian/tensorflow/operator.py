"""What operators on the variables of a loss in TensorFlow have in common, and their graphs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tbgrad.hessian.errors import HessianError, NoSecondDerivativeError
from tbgrad.hessian.operator import SymmetricOperator
from tbgrad.hessian.rows import Rows, Vector
from tbgrad.hessian.tensorflow.rows import DeviceRows
from tbgrad.hessian.tensorflow.variables import FlatVariables


class TensorFlowOperator(SymmetricOperator):
    """A symmetric operator A on the flattened variables of a loss.

    Attributes:
        variables: they.
        on_device: whether vectors stay tensors on a device with memory of its own; otherwise they
            are arrays.
    """

    def __init__(self, variables: FlatVariables) -> None:
        super().__init__(variables.size, variables.dtype)
        self.variables = variables
        self.on_device = variables.on_device

    @abstractmethod
    def multiply_tensor(self, vector: Any) -> tuple[Any, float]:
        """A v and the loss, for a tensor v [n]."""

    def multiply(self, vector: Vector) -> tuple[Vector, float]:
        """A v, a tensor if `on_device`, and the loss."""
        result, loss = self.multiply_tensor(tf.cast(vector, self.variables.tf_dtype))
        return result if self.on_device else result.numpy(), loss

    def rows(self, capacity: int) -> Rows:
        """Room for `capacity` vectors of n entries, on the device of the variables."""
        return DeviceRows(self.size, self.dtype) if self.on_device else super().rows(capacity)

    # NumPy's solvers wake the threads of OpenBLAS from 26 rows on, and beside a training they wait
    # for a core 50 times longer than they work.

    def eigh(self, matrix: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Eigenvalues and eigenvectors, by the threads of TensorFlow."""
        with tf.device("CPU:0"):
            values, vectors = tf.linalg.eigh(matrix)
        return values.numpy(), vectors.numpy()

    def eigvalsh(self, matrix: NDArray[Any]) -> NDArray[Any]:
        """Eigenvalues, by the threads of TensorFlow."""
        with tf.device("CPU:0"):
            values: NDArray[Any] = tf.linalg.eigvalsh(matrix).numpy()
        return values

    def _as_vector(self, vector: Any) -> Vector:
        return vector if tf.is_tensor(vector) else np.asarray(vector, dtype=self.dtype)

    def _is_finite(self, vector: Vector) -> bool:
        return bool(_all_finite(vector)) if self.on_device else super()._is_finite(vector)


@partial(tf.function, autograph=False, reduce_retracing=True)
def _all_finite(vector: Any) -> Any:
    return tf.reduce_all(tf.math.is_finite(vector))


def traced(function: Callable[..., Any], *signature: Any) -> Any:
    """The function as a graph; raises NoSecondDerivativeError where that is what it lacks."""
    try:
        return tf.function(function, autograph=False).get_concrete_function(*signature)
    except (LookupError, NotImplementedError) as error:
        raise NoSecondDerivativeError(error) from error


def run_graph(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a graph makes of its arguments; raises as `traced` does."""
    try:
        return function(*arguments)
    except (tf.errors.UnimplementedError, tf.errors.NotFoundError) as error:
        raise NoSecondDerivativeError(error) from error


def checked_scalar(value: Any, dtype: Any) -> Any:
    """What a loss returned, in `dtype`; raises HessianError where it is no scalar."""
    if not (tf.is_tensor(value) and value.dtype.is_floating and value.shape.rank == 0):
        what = (
            f"a {value.dtype.name} tensor of shape {value.shape}"
            if tf.is_tensor(value)
            else type(value).__name__
        )
        raise HessianError(
            f"loss must return a scalar floating-point tensor, got {what}: reduce it, "
            f"for example with tf.reduce_mean."
        )
    return tf.cast(value, dtype)
