"""A loss over more samples than fit into memory at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tbgrad.hessian.errors import HessianError

Loss = Callable[[], Any]
"""A zero-argument callable that returns the loss as a scalar tensor."""


@dataclass(frozen=True)
class BatchedLoss:
    """The mean over batches of the loss of one batch, each weighted by its samples.

    `loss` takes the tensors of a batch and returns a scalar, the mean over its samples. `batches`
    yields the tensors and the weight of each batch, the same ones in all at every call; one is in
    memory at a time. `signature` is their `tf.TensorSpec`s.
    """

    loss: Callable[..., Any]
    batches: Callable[[], Iterable[tuple[tuple[Any, ...], float]]]
    signature: tuple[Any, ...]


def whole(loss: Loss) -> BatchedLoss:
    """A loss without arguments as one batch."""
    return BatchedLoss(loss, lambda: [((), 1.0)], ())


def mean_over(batched: BatchedLoss, function: Callable[..., tuple[Any, Any]]) -> tuple[Any, float]:
    """The weighted means over all batches of what `function` makes of one: a vector and a loss.

    Raises:
        HessianError: there is no batch.
    """
    mean: Any = None
    mean_loss = total = 0.0
    for batch, weight in batched.batches():
        vector, loss = function(*batch)
        total += weight
        share = weight / total
        mean = vector if mean is None else mean + share * (vector - mean)
        mean_loss += share * (float(loss) - mean_loss)
    if mean is None:
        raise HessianError("The data of the loss have no batch: give at least one sample.")
    return mean, mean_loss
