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
from tbgrad.hessian.lanczos import Which, extreme_eigenpairs
from tbgrad.hessian.rows import Vector
from tbgrad.hessian.tensorflow.linear import SymmetricOperator


@dataclass(frozen=True, eq=False)
class Eigenvalues:
    """An estimate of k eigenvalues of a Hessian.

    Attributes:
        values: [k] float64, in falling order.
        residuals: [k] float64; an eigenvalue of the Hessian lies within values ± residuals. Where
            it converged from a cold start, the largest (smallest) of all lies within that of the
            largest (smallest) value, as far as the tolerance lets tell.
        vectors: [k, n], unit eigenvectors as rows; pass as `start` to the next estimate.
        converged: whether every residual met the tolerance that was asked for.
        hvps: Hessian–vector products spent, with those that an operator spends once to see that
            the loss is deterministic and which method is faster.
        seconds: wall-clock time spent.
        loss: value of the loss at the weights of the estimate.
        method: how products were computed, see `HessianOperator`.
    """

    values: NDArray[np.float64]
    residuals: NDArray[np.float64]
    vectors: NDArray[Any]
    converged: bool
    hvps: int
    seconds: float
    loss: float
    method: str = ""


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
        HessianError: the loss or the variables do not have a usable Hessian (see
            HessianOperator), the loss is not deterministic, or an argument is out of range.

    >>> w = tf.Variable([1.0, 2.0])
    >>> eigenvalues(lambda: tf.reduce_sum(w**3), [w]).values
    array([12.])
    """
    with Computation(loss, variables, "Hessian eigenvalues", progress) as computation:
        operator = computation.operator
        start = _checked(operator.size, k, which, tol, start, max_products)

        def product(vector: Vector) -> Vector:
            result = computation.product(vector)
            computation.show(computation.hvps, max_products, "products at most")
            return result

        found = extreme_eigenpairs(
            product,
            operator.size,
            k=k,
            which=which,
            tol=tol,
            rng=np.random.default_rng(seed),
            dtype=operator.dtype,
            start=start,
            max_products=max_products,
            max_basis=max_basis,
            max_bytes=max_bytes,
            on_device=operator.on_device,
            error=operator.error,
        )
        return Eigenvalues(
            values=found.values,
            residuals=found.residuals,
            vectors=found.vectors,
            converged=found.converged,
            hvps=computation.hvps,
            seconds=computation.seconds,
            loss=computation.loss,
            method=operator.method,
        )


def _checked(
    size: int, k: int, which: str, tol: float, start: Any, max_products: int
) -> NDArray[Any] | None:
    if which not in get_args(Which):
        raise HessianError(f'which must be "LA", "SA", "LM" or "BE", got {which!r}.')
    if not 1 <= k <= size:
        raise HessianError(f"k must be between 1 and the number of parameters, {size}; got {k}.")
    if not tol > 0:
        raise HessianError(f"tol must be above 0, got {tol}.")
    if max_products < k:
        raise HessianError(f"max_products must be at least k = {k}, got {max_products}.")
    if start is None:
        return None
    vectors: NDArray[Any] = np.atleast_2d(np.asarray(start))
    if vectors.ndim != 2 or vectors.shape[1] != size:
        raise HessianError(
            f"start must have shape [any, {size}], one row a vector, got {vectors.shape}: pass the "
            f"vectors of an estimate with the same variables, or None."
        )
    return vectors
