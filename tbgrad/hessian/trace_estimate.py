"""The trace of the Hessian: the sum of its eigenvalues, with a standard error."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from tbgrad.hessian.basis import Basis
from tbgrad.hessian.batches import BatchedLoss, Loss
from tbgrad.hessian.computation import Computation
from tbgrad.hessian.errors import HessianError, Interrupted
from tbgrad.hessian.memory import vectors_in
from tbgrad.hessian.rows import Vector
from tbgrad.hessian.tensorflow.linear import SymmetricOperator

Method = Literal["hutch++", "hutchinson"]

WORKING = 2
"""Vectors that a sample works with besides those of the basis."""

MIN_SAMPLES = 8
"""So many random samples there are at least."""

PRIOR = 24
"""The bound of the variance counts as much as so many samples."""

MORE = 1.25
"""Whether the samples are enough is asked each time there are so many times more: who asks after
each of them stops where their spread happens to look small."""

LOOK_BACK = 5
"""Over so many directions it is judged whether more of them are worth their products."""


@dataclass(frozen=True, eq=False)
class Trace:
    """An estimate of the trace of a Hessian.

    Attributes:
        value: the estimate; unbiased but for when it stops.
        standard_error: of the value. The truth lies within one in two thirds of the cases, within
            two in 95 of 100 or more, however few the samples.
        converged: whether the standard error met the tolerance.
        samples: [m] what the mean was taken of; each estimates the trace.
        hvps: Hessian–vector products spent, with those that an operator spends once.
        seconds: wall-clock time spent.
        loss: value of the loss at the weights of the estimate.
    """

    value: float
    standard_error: float
    converged: bool
    samples: NDArray[np.float64]
    hvps: int
    seconds: float
    loss: float


def trace(
    loss: Loss | BatchedLoss | SymmetricOperator,
    variables: Sequence[Any] | None = None,
    *,
    method: Method = "hutch++",
    tol: float = 0.05,
    max_products: int = 500,
    max_basis: int = 40,
    max_bytes: int | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> Trace:
    """The trace of the Hessian of `loss`.

    "hutchinson" is the mean of zᵀ H z over random signs z (Hutchinson, Communications in Statistics
    19, 1990). Its variance, 2 (‖H‖² − Σ Hᵢᵢ²), is made of the largest eigenvalues. "hutch++" takes
    those out first: with an orthonormal basis Q of what H magnifies, the trace is that of Qᵀ H Q,
    which is exact, and the mean on the rest (Meyer, Musco, Musco and Woodruff, "Hutch++: optimal
    stochastic trace estimation", 2021). Q is a Krylov basis here, whose products are known as it
    grows, so that a direction costs one product in place of two; it grows as long as a direction
    saves more samples than it costs.

    Args:
        loss: as for `eigenvalues`.
        variables: likewise.
        method: "hutch++" or "hutchinson".
        tol: converged when the standard error is at most tol · |value|.
        max_products: stop there, with converged=False.
        max_basis: directions of Q at most, each with its product.
        max_bytes: memory for vectors; by default that of 10 vectors of n entries, or 64 MiB if that
            is more. It may leave room for fewer directions.
        seed: of the random vectors.
        progress: as for `eigenvalues`.

    Returns:
        Trace. Ctrl-C ends the computation with the samples it has.

    Raises:
        HessianError: as for `eigenvalues`.

    >>> w = tf.Variable([1.0, 2.0])
    >>> round(trace(lambda: tf.reduce_sum(w**3), [w]).value, 4)
    18.0
    """
    if method not in get_args(Method):
        raise HessianError(f"method is one of {get_args(Method)}, got {method!r}.")
    if not tol > 0:
        raise HessianError(f"tol must be above 0, got {tol}.")
    if max_products < 2:
        raise HessianError(f"max_products must be at least 2, got {max_products}.")
    with Computation(loss, variables, "Hessian trace", progress) as computation:
        operator = computation.operator
        rng = np.random.default_rng(seed)
        samples: list[float] = []
        squares: list[float] = []
        spent = 0
        pairs = (vectors_in(max_bytes, operator.size, operator.dtype) - WORKING) // 2
        room = min(operator.size, max_basis, max_products // 2, max(1, pairs))
        basis = Basis(operator.size, operator.dtype, room, operator.on_device, operator.error)
        try:
            if method == "hutch++":
                for spent in _deflate(basis, computation, tol, rng):
                    computation.show(spent, max_products, "products at most")
            complete = basis.count == operator.size
            wanted = MIN_SAMPLES
            while not complete and spent < max_products:
                sample, square = _sample(basis, computation, rng)
                samples.append(sample)
                squares.append(square)
                spent += 1
                computation.show(spent, max_products, "products at most")
                if len(samples) >= wanted:
                    if _error(samples, squares) <= tol * abs(np.mean(samples)):
                        break
                    wanted = math.ceil(MORE * wanted)
        except Interrupted:
            if not samples:
                raise
            complete = False
        every = np.array([basis.trace] if complete else samples)
        error = 0.0 if complete else _error(samples, squares)
        return Trace(
            value=float(every.mean()),
            standard_error=error,
            converged=error <= tol * abs(float(every.mean())),
            samples=every,
            hvps=computation.hvps,
            seconds=computation.seconds,
            loss=computation.loss,
        )


def _deflate(
    basis: Basis, computation: Computation, tol: float, rng: np.random.Generator
) -> Iterator[int]:
    """Fill the basis with a Krylov space while that saves samples; yields the products spent."""
    z = _signs(basis, rng)
    proposal, sizes = computation.product(z), [0.0]
    first = abs(basis.rows.inner(z, proposal))  # a sample of the trace
    yield 1
    while not basis.full:
        q = basis.rows.outside(proposal)
        if q is None:
            return  # H makes nothing new of it
        proposal = computation.product(q)
        basis.append(q, proposal)
        yield 1 + basis.count
        sizes.append(float(np.sum(basis.projected**2)))
        if len(sizes) > LOOK_BACK:
            # Taking out a part of squared Frobenius norm g saves 2 g / (tol · trace)² samples.
            gain = (sizes[-1] - sizes[-1 - LOOK_BACK]) / LOOK_BACK
            if 2 * gain < (tol * max(first, abs(basis.trace))) ** 2:
                return


def _sample(
    basis: Basis, computation: Computation, rng: np.random.Generator
) -> tuple[float, float]:
    """One unbiased estimate of the trace: exact within the basis, random outside of it.

    And one of the squared Frobenius norm of what is outside of it.
    """
    z = _signs(basis, rng)
    for _ in range(2):  # once more for what rounding left
        z = basis.rows.remainder(z)
    product = computation.product(z)
    outside = basis.rows.remainder(product)
    sample = basis.trace + basis.rows.inner(z, product)
    return sample, basis.rows.inner(outside, outside)


def _signs(basis: Basis, rng: np.random.Generator) -> Vector:
    return basis.rows.vector(rng.choice(np.array([-1.0, 1.0]), basis.size))


def _error(samples: Sequence[float], squares: Sequence[float]) -> float:
    """The standard error of their mean.

    From few samples their own spread is known badly. Their variance is at most 2 ‖A‖², for A
    outside of the basis, and of that there are as many estimates, which scatter far less: those
    decide as much as PRIOR samples would.
    """
    count = len(samples)
    if not count:
        return math.inf
    bound = 2 * float(np.mean(squares))
    spread = float(np.var(samples, ddof=1)) if count > 1 else 0.0
    variance = (PRIOR * bound + (count - 1) * spread) / (PRIOR + count - 1)
    return math.sqrt(variance / count)
