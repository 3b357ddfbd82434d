"""Operators whose matrix is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tbgrad.hessian.tensorflow.linear import SymmetricOperator
from tbgrad.hessian.tensorflow.variables import FlatVariables


class MatrixOperator(SymmetricOperator):
    """The products of a matrix, with a loss of one."""

    def __init__(self, matrix: np.ndarray) -> None:
        super().__init__(FlatVariables([tf.Variable(np.zeros(len(matrix), matrix.dtype))]))
        self.matrix = matrix

    def _product(self, vector: Any) -> tuple[Any, float]:
        return tf.constant(self.matrix @ vector.numpy()), 1.0


def interrupting(matrix: np.ndarray, after: int) -> MatrixOperator:
    """As if Ctrl-C were pressed during the product after so many."""

    class Interrupted(MatrixOperator):
        def _product(self, vector: Any) -> tuple[Any, float]:
            if self.products == after:
                raise KeyboardInterrupt
            return super()._product(vector)

    return Interrupted(matrix)


class DiagonalOperator(SymmetricOperator):
    """Of any size: its eigenvalues are the numbers on the diagonal."""

    def __init__(self, diagonal: np.ndarray) -> None:
        super().__init__(FlatVariables([tf.Variable(np.zeros_like(diagonal))]))
        self.diagonal = diagonal

    def _product(self, vector: Any) -> tuple[Any, float]:
        return tf.constant(self.diagonal * vector.numpy()), 1.0
