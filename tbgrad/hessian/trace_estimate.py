"""The trace of the Hessian: the sum of its eigenvalues, with a standard error."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from tbgrad.hessian.basis import Basis
from tbgrad.hessian.batches import BatchedLoss, Loss
from tbgrad.hessian.computation import Computation
from tbgrad.hessian.errors import HessianError
from tbgrad.hessian.iteration import Iteration, Reason, run
from tbgrad.hessian.memory import vectors_in
from tbgrad.hessian.operator import SymmetricOperator
from tbgrad.hessian.rows import Vector

Method = Literal["hutch++", "hutchinson"]

WORKING = 2
"""Vectors that a sample works with besides those of the basis."""

MIN_SAMPLES = 8
"""Random samples before the stopping rule is checked for the first time."""

PRIOR = 24
"""The bound of the variance has the weight of so many samples in the standard error."""

MORE = 1.25
"""The stopping rule is checked each time the samples have become so many times more. Checked after
each of them, it would stop too early, where their spread happens to look small."""

LOOK_BACK = 5
"""What a further direction would gain is judged by the last so many of them."""


@dataclass(frozen=True, eq=False)
class Trace:
    """An estimate of the trace of a Hessian.

    Attributes:
        value: the estimate; unbiased but for when it stops.
        standard_error: of the value. The truth lies within one in two thirds of the cases, within
            two in 95 of 100 or more, however few the samples.
        reason: why it ended: "converged", "budget" or "interrupted".
        samples: [m] what the mean was taken of; each estimates the trace.
        hvps: Hessian–vector products spent, with those that an operator spends once.
        seconds: wall-clock time spent.
        loss: value of the loss at the weights of the estimate.
    """

    value: float
    standard_error: float
    reason: Reason
    samples: NDArray[np.float64]
    hvps: int
    seconds: float
    loss: float

    @property
    def converged(self) -> bool:
        """Whether the standard error met the tolerance."""
        return self.reason == "converged"


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
    _check(method, tol, max_products)
    with Computation(loss, variables, "Hessian trace", progress, at_most=max_products) as computed:
        operator = computed.operator
        pairs = (vectors_in(max_bytes, operator.size, operator.dtype) - WORKING) // 2
        basis = Basis(operator, min(operator.size, max_basis, max_products // 2, max(1, pairs)))
        rng = np.random.default_rng(seed)
        deflate = method == "hutch++"
        mean = run(SampledTrace(computed.product, basis, tol, max_products, rng, deflate))
        return Trace(*mean, computed.hvps, computed.seconds, computed.loss)


def _check(method: str, tol: float, max_products: int) -> None:
    if method not in get_args(Method):
        raise HessianError(f"method is one of {get_args(Method)}, got {method!r}.")
    if not tol > 0:
        raise HessianError(f"tol must be above 0, got {tol}.")
    if max_products < 2:
        raise HessianError(f"max_products must be at least 2, got {max_products}.")


class _Mean(NamedTuple):
    value: float
    standard_error: float
    reason: Reason
    samples: NDArray[np.float64]


class SampledTrace(Iteration[_Mean]):
    """The state of an estimate of a trace: a basis that grows first if `deflate`, then samples."""

    def __init__(
        self,
        product: Callable[[Vector], Vector],
        basis: Basis,
        tol: float,
        max_products: int,
        rng: np.random.Generator,
        deflate: bool,
    ) -> None:
        self._product, self._basis, self._rng = product, basis, rng
        self._tol, self._max_products = tol, max_products
        self._growing = deflate
        self._proposal: Vector = None  # what may be the next direction of the basis
        self._first = 0.0
        self._squares_in_basis: list[float] = []
        self._samples: list[float] = []
        self._squares: list[float] = []
        self._asked_at = MIN_SAMPLES
        self._products = 0

    @property
    def started(self) -> bool:
        """Whether there is a sample."""
        return bool(self._samples)

    def step(self) -> Reason | None:
        """A direction more in the basis, or a sample more."""
        if self._growing:
            self._growing = self._grow()
        else:
            self._sample()
        if self._basis.complete or self._enough():
            return "converged"
        spent = self._products >= self._max_products and not self._growing
        return "budget" if spent else None

    def finish(self, reason: Reason) -> _Mean:
        """The mean of the samples; exact where the basis is all there is."""
        exact = self._basis.complete
        samples = np.array([self._basis.trace] if exact else self._samples)
        error = 0.0 if exact else _standard_error(self._samples, self._squares)
        value = float(samples.mean())
        if error <= self._tol * abs(value):
            reason = "converged"
        return _Mean(value, error, reason, samples)

    def _grow(self) -> bool:
        """Add a direction of a Krylov space to the basis; whether another one saves samples."""
        rows, sizes = self._basis.rows, self._squares_in_basis
        if not sizes:
            z = self._signs()
            self._proposal = self._product(z)
            self._products += 1
            self._first = abs(rows.inner(z, self._proposal))  # a sample of the trace
            sizes.append(0.0)
            return not self._basis.full
        q = rows.orthonormalise(self._proposal)
        if q is None:
            return False  # H makes nothing new of it
        self._proposal = self._product(q)
        self._products += 1
        self._basis.append(q, self._proposal)
        sizes.append(float(np.sum(self._basis.projected**2)))
        if self._basis.full:
            return False
        if len(sizes) <= LOOK_BACK:
            return True
        # Taking out a part of squared Frobenius norm g saves 2 g / (tol · trace)² samples.
        gain = (sizes[-1] - sizes[-1 - LOOK_BACK]) / LOOK_BACK
        return 2 * gain >= (self._tol * max(self._first, abs(self._basis.trace))) ** 2

    def _sample(self) -> None:
        """One unbiased estimate of the trace: exact within the basis, random outside of it.

        And one of the squared Frobenius norm of what is outside of it.
        """
        rows = self._basis.rows
        z = self._signs()
        for _ in range(2):  # once more for what rounding left
            z = rows.project_out(z)
        product = self._product(z)
        self._products += 1
        rest = rows.project_out(product)
        self._samples.append(self._basis.trace + rows.inner(z, product))
        self._squares.append(rows.inner(rest, rest))

    def _enough(self) -> bool:
        if len(self._samples) < self._asked_at:
            return False
        self._asked_at = math.ceil(MORE * self._asked_at)
        error = _standard_error(self._samples, self._squares)
        return bool(error <= self._tol * abs(np.mean(self._samples)))

    def _signs(self) -> Vector:
        signs = self._rng.choice(np.array([-1.0, 1.0]), self._basis.size)
        return self._basis.rows.vector(signs)


def _standard_error(samples: Sequence[float], squares: Sequence[float]) -> float:
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
