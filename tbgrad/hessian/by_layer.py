"""Extreme eigenvalues of each layer's own block of the Hessian."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tbgrad.hessian.batches import BatchedLoss, Loss
from tbgrad.hessian.extremes import Eigenvalues, eigenvalues


def layer_eigenvalues(
    loss: Loss | BatchedLoss, variables: Sequence[Any], **settings: Any
) -> dict[str, Eigenvalues]:
    """Extreme eigenvalues of the diagonal block of each layer, by the path of the layer.

    A block holds all other layers still. Its largest eigenvalue is at most that of the whole
    Hessian, and may be far below it: what layers do together is not in any block.

    Args:
        loss: as for `eigenvalues`, but not an operator.
        variables: Keras or TensorFlow variables; those of one layer make a block.
        settings: of `eigenvalues`, the same for each block; k is at most the size of a block.

    Raises:
        HessianError: as for `eigenvalues`.

    >>> w, b = tf.Variable([1.0, 2.0], name="w"), tf.Variable(3.0, name="b")
    >>> blocks = layer_eigenvalues(lambda: tf.reduce_sum(w**3) + b**2, [w, b])
    """
    from tbgrad.keras.parameters import describe, trained  # its package asks for TensorFlow

    blocks: dict[str, list[Any]] = {}
    variables = trained(variables)
    for variable, parameter in zip(variables, describe(variables), strict=True):
        blocks.setdefault(parameter.layer or parameter.path, []).append(variable)
    wanted = settings.pop("k", 1)
    return {
        name: eigenvalues(loss, block, k=min(wanted, _size(block)), **settings)
        for name, block in blocks.items()
    }


def _size(variables: Sequence[Any]) -> int:
    return sum(int(np.prod(variable.shape)) for variable in variables)
