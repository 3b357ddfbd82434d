"""The gradient of a loss over data, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tbgrad.hessian.batches import BatchedLoss, Loss, whole
from tbgrad.hessian.operator import require_finite
from tbgrad.hessian.tensorflow.derivatives import Derivatives
from tbgrad.hessian.tensorflow.operator import run_graph
from tbgrad.hessian.tensorflow.variables import FlatVariables
from tbgrad.keras.parameters import describe, trained


class BatchGradient(NamedTuple):
    """What one batch gives: its samples, its mean loss, and the gradient of that, [n]."""

    samples: float
    loss: float
    gradient: NDArray[Any]


class BatchGradients:
    """Goes through the batches of a loss; its function is traced once.

    Args:
        loss: as `HessianOperator` takes it, differentiable once.
        variables: likewise.

    Attributes:
        parameters: what is known of each variable, in the order in which they are flattened.

    Raises:
        HessianError: the loss is no scalar, depends on none of the variables, or is not finite.

    >>> w = tf.Variable([1.0, 2.0])
    >>> [each.gradient for each in BatchGradients(lambda: tf.reduce_sum(w**2), [w])]
    [array([2., 4.], dtype=float32)]
    """

    def __init__(self, loss: Loss | BatchedLoss, variables: Sequence[Any]) -> None:
        self._batched = loss if isinstance(loss, BatchedLoss) else whole(loss)
        self.parameters = describe(trained(variables))
        self._function = Derivatives(self._batched, FlatVariables(variables)).graph("gradient")

    def __iter__(self) -> Iterator[BatchGradient]:
        for batch, samples in self._batched.batches():
            gradient, loss = run_graph(self._function, *batch)
            require_finite(float(loss))
            yield BatchGradient(samples, float(loss), np.asarray(gradient))
