"""Operators whose matrix is known, in NumPy and in TensorFlow."""

from __future__ import annotations

from typing import Any

import numpy as np

from tbgrad.hessian.operator import SymmetricOperator


class MatrixOperator(SymmetricOperator):
    """The products of a matrix, with a loss of one."""

    def __init__(self, matrix: np.ndarray) -> None:
        super().__init__(len(matrix), matrix.dtype)
        self.matrix = matrix

    def multiply(self, vector: Any) -> tuple[Any, float]:
        return self.matrix @ vector, 1.0


class DiagonalOperator(MatrixOperator):
    """Of any size: its eigenvalues are the numbers on the diagonal, which is its matrix."""

    def multiply(self, vector: Any) -> tuple[Any, float]:
        return self.matrix * vector, 1.0


def interrupting(matrix: np.ndarray, after: int) -> MatrixOperator:
    """As if Ctrl-C were pressed during the product after so many."""

    class Interrupted(MatrixOperator):
        def multiply(self, vector: Any) -> tuple[Any, float]:
            if self.products == after:
                raise KeyboardInterrupt
            return super().multiply(vector)

    return Interrupted(matrix)


def on_device(matrix: np.ndarray) -> SymmetricOperator:
    """The products of a matrix, or of a diagonal, as tensors on a device with its own memory."""
    import tensorflow as tf

    from tbgrad.hessian.tensorflow.operator import TensorFlowOperator
    from tbgrad.hessian.tensorflow.variables import FlatVariables

    class OnDevice(TensorFlowOperator):
        def multiply_tensor(self, vector: Any) -> tuple[Any, float]:
            image = matrix @ vector.numpy() if matrix.ndim == 2 else matrix * vector.numpy()
            return tf.constant(image), 1.0

    operator = OnDevice(FlatVariables([tf.Variable(np.zeros(len(matrix), matrix.dtype))]))
    operator.on_device = True
    return operator
