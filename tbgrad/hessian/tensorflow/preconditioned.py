"""The Hessian as an adaptive optimizer sees it: D^−½ A D^−½ with its own diagonal D."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tbgrad.hessian.errors import HessianError
from tbgrad.hessian.tensorflow.operator import TensorFlowOperator


class PreconditionedOperator(TensorFlowOperator):
    """D^−½ A D^−½ of an operator A and a positive diagonal D, with the eigenvalues of D⁻¹A.

    Args:
        operator: A.
        diagonal: D, of shape [n], as `preconditioner` gives it.

    Raises:
        HessianError: the diagonal has another shape, or is not positive.
    """

    def __init__(self, operator: TensorFlowOperator, diagonal: NDArray[Any]) -> None:
        super().__init__(operator.variables)
        self._operator = operator
        self.deterministic, self.method = operator.deterministic, operator.method
        self.error = operator.error
        self.precondition(diagonal)

    def precondition(self, diagonal: NDArray[Any]) -> None:
        """Take another diagonal, as the optimizer's changes from step to step."""
        if np.shape(diagonal) != (self.size,):
            raise HessianError(
                f"diagonal has shape {np.shape(diagonal)}, but the variables have {self.size} "
                f"entries."
            )
        if not (np.isfinite(diagonal) & (diagonal > 0)).all():
            raise HessianError("The diagonal of a preconditioner is finite and above zero.")
        self._scale = tf.constant(1 / np.sqrt(diagonal), self.variables.tf_dtype)

    def begin(self) -> None:
        """What is to be seen to ahead of every computation: that of A, where A has begun."""
        if not self.deterministic:
            self.prepare()
            return
        with self._counted():
            self._operator.begin()

    def relative_error(self) -> float:
        """That of A."""
        with self._counted():
            self.error = self._operator.relative_error()
        return self.error

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        before = self._operator.products
        yield
        self.products += self._operator.products - before

    def multiply_tensor(self, vector: Any) -> tuple[Any, float]:
        """D^−½ A D^−½ v and the loss, for a tensor v [n]."""
        flat, loss = self._operator.multiply_tensor(self._scale * vector)
        self._operator.products += 1
        return self._scale * flat, loss
