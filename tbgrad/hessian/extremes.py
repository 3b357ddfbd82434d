"""Extreme eigenvalues of the Hessian of a loss, each with its residual bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from tbgrad.hessian.batches import BatchedLoss, Loss
from tbgrad.hessian.computation import Computation
from tbgrad.hessian.errors import HessianError
from tbgrad.hessian.iteration import Reason
from tbgrad.hessian.lanczos import Limits, extreme_eigenpairs
from tbgrad.hessian.operator import SymmetricOperator
from tbgrad.hessian.ritz import Wanted, Which


@dataclass(frozen=True, eq=False)
class Eigenvalues:
    """An estimate of k eigenvalues of a Hessian.

    Attributes:
        values: [k] float64, in falling order.
        residuals: [k] float64; an eigenvalue of the Hessian lies within values ± residuals. Where
            it converged from a cold start, the largest (smallest) of all lies within that of the
            largest (smallest) value, as far as the tolerance lets tell.
        vectors: [k, n], unit eigenvectors as rows; pass as `start` to the next estimate.
        reason: why the computation ended: "converged", "budget" (max_products), "noise floor" (more
            products would not help), "not symmetric" or "interrupted".
        hvps: Hessian–vector products spent, with those that an operator spends once to see that
            the loss is deterministic and which method is faster.
        seconds: wall-clock time spent.
        loss: value of the loss at the weights of the estimate.
        method: how products were computed, see `HessianOperator`.
    """

    values: NDArray[np.float64]
    residuals: NDArray[np.float64]
    vectors: NDArray[Any]
    reason: Reason
    hvps: int
    seconds: float
    loss: float
    method: str = ""

    @property
    def converged(self) -> bool:
        """Whether every residual met the tolerance that was asked for."""
        return self.reason == "converged"


def eigenvalues(
    loss: Loss | BatchedLoss | SymmetricOperator,
    variables: Sequence[Any] | None = None,
    *,
    k: int = 1,
    which: Which = "LA",
    tol: float = 1e-2,
    start: NDArray[Any] | None = None,
    max_products: int = 200,
    max_basis: int = 40,
    max_bytes: int | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> Eigenvalues:
    """Extreme eigenvalues of the Hessian of `loss`, by Lanczos with full re-orthogonalisation.

    Args:
        loss: callable without arguments that returns a scalar tensor, a `BatchedLoss`, or an
            operator, which saves tracing it again and brings its own variables.
        variables: Keras or TensorFlow variables, n entries in all; not given with an operator.
        k: how many eigenvalues.
        which: "LA" the largest, "SA" the smallest, "LM" the largest in magnitude, "BE" half from
            each end (one more from the top where k is odd).
        tol: converged when every residual is at most tol · |value|, where a value below a hundredth
            of the largest |Ritz value| counts as that large, and when an extreme further out would
            have been seen (in random directions, with a chance of 92 % or more each time): by more
            than tol on a cold start, by more than 30 % on a warm one.
        start: `vectors` of an estimate nearby (an earlier step), [any, n]: saves products. They are
            mixed with a random direction, so that they cannot hide a new extreme.
        max_products: stop there, with converged=False.
        max_basis: vectors kept before a restart, each with its product.
        max_bytes: memory for vectors; by default that of 10 vectors of n entries, or 64 MiB if that
            is more. Where it is too little for `max_basis`, the basis is kept in host memory, in
            half precision, without its products, and is restarted earlier.
        seed: of the random directions. Vary it from estimate to estimate, best by the step.
        progress: whether to show on standard error how far it is; by default on a terminal, after a
            second. With False, Ctrl-C is not caught.

    Returns:
        Eigenvalues; values in falling order whatever `which`. Ctrl-C ends the computation with what
        it has: not converged, with true residuals, and fewer than k values after fewer products.

    Raises:
        HessianError: there is no usable Hessian (see HessianOperator), the loss is not
            deterministic, or an argument is out of range.

    >>> w = tf.Variable([1.0, 2.0])
    >>> eigenvalues(lambda: tf.reduce_sum(w**3), [w]).values
    array([12.])
    """
    with Computation(loss, variables, "Hessian eigenvalues", progress, max_products) as computed:
        wanted, start = _checked(computed.operator.size, k, which, tol, start, max_products)
        limits = Limits(max_products, max_basis, max_bytes)
        rng = np.random.default_rng(seed)
        pairs = extreme_eigenpairs(computed.product, computed.operator, wanted, limits, rng, start)
        cost = computed.hvps, computed.seconds, computed.loss
        return Eigenvalues(*pairs, *cost, computed.operator.method)


def _checked(
    size: int, k: int, which: Which, tol: float, start: Any, max_products: int
) -> tuple[Wanted, NDArray[Any] | None]:
    if which not in get_args(Which):
        raise HessianError(f'which must be "LA", "SA", "LM" or "BE", got {which!r}.')
    if not 1 <= k <= size:
        raise HessianError(f"k must be between 1 and the number of parameters, {size}; got {k}.")
    if not tol > 0:
        raise HessianError(f"tol must be above 0, got {tol}.")
    if max_products < k:
        raise HessianError(f"max_products must be at least k = {k}, got {max_products}.")
    start = None if start is None else np.atleast_2d(np.asarray(start))
    if start is not None and (start.ndim != 2 or start.shape[1] != size):
        raise HessianError(
            f"start must have shape [any, {size}], one row a vector, got {start.shape}: pass the "
            f"vectors of an estimate with the same variables, or None."
        )
    return Wanted(k, which, tol, size, warm=start is not None), start
