"""Extreme eigenpairs of a symmetric operator by Lanczos with full re-orthogonalisation.

The basis Q and its products W = H Q are both kept. Rayleigh–Ritz on them gives Ritz pairs (θ, y)
and the residual vector W s − θ Q s itself, so that nothing rests on the three-term recurrence: a
breakdown, a warm start from several vectors and a thick restart need no formula of their own. From
a single start vector the residuals are all parallel to the next Lanczos vector, and this is Lanczos
(Parlett, "The Symmetric Eigenvalue Problem", 1998, ch. 13); after a restart it is thick-restart
Lanczos (Wu and Simon, SIAM J. Matrix Anal. Appl. 22, 2000).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tbgrad.hessian.basis import Basis
from tbgrad.hessian.errors import HessianError
from tbgrad.hessian.iteration import Iteration, Reason, run
from tbgrad.hessian.lean import HALF_FROM, LeanBasis, LeanLanczos
from tbgrad.hessian.memory import not_enough, require_free, vectors_in
from tbgrad.hessian.operator import SymmetricOperator
from tbgrad.hessian.ritz import RitzPairs, Wanted, start_directions
from tbgrad.hessian.rows import Vector

WORKING = 2
"""Vectors that a step works with besides those of the basis."""

SURELY_UNSEEN = 0.0125
"""As `ritz.UNSEEN` with a probability of 1 %: for how far out an eigenvalue may be after all."""


class Limits(NamedTuple):
    """What a search may take, as arguments of `eigenvalues` say."""

    max_products: int = 200
    max_basis: int = 40
    max_bytes: int | None = None


def extreme_eigenpairs(
    product: Callable[[Vector], Vector],
    operator: SymmetricOperator,
    wanted: Wanted,
    limits: Limits,
    rng: np.random.Generator,
    start: NDArray[Any] | None = None,
) -> RitzPairs:
    """The wanted eigenpairs of an operator, by its `product` with unit vectors.

    Converged means that every residual bound is at most tol · max(|θ|, SCALE_FLOOR · largest |θ|),
    and that an eigenvalue further out would have been seen. The residual alone does not tell that:
    a pair may be exact and not extreme.

    Raises:
        HessianError: there is too little memory.
    """
    size, dtype, k = operator.size, operator.dtype, wanted.k
    capacity = min(size, max(limits.max_basis, 2 * (k + wanted.block) + 2))
    room = vectors_in(limits.max_bytes, size, dtype)
    if 2 * capacity + WORKING <= room:
        basis = Basis(operator, capacity)
        directions = start_directions(start, min(wanted.block, size), size, rng)
        return run(Lanczos(product, basis, directions, wanted, limits.max_products, rng))
    rows = min(2 * capacity, (2 if size >= HALF_FROM else 1) * (room - WORKING), size)
    if rows < 2 * k + 4:
        raise HessianError(not_enough(k, size, dtype, 2 * k + 4 + WORKING))
    require_free((room + k) * size * dtype.itemsize)
    lean = LeanBasis(size, dtype, rows)
    direction = start_directions(start, 1, size, rng)[0].astype(dtype)
    error, max_products = operator.relative_error(), limits.max_products
    return run(LeanLanczos(product, lean, direction, wanted, max_products, error))


class _Estimate(NamedTuple):
    """All Ritz `values`, rising, their `coefficients` as columns, and the wanted pairs, falling.

    Those are `chosen` among all, of values `theta`, with `residual_vectors` H y − θ y as rows, and
    their 2-norms `raw`, off by `noise` at most and converged up to `allowed`. Where all have,
    `missed` is a direction that may hide an eigenvalue further out; None where that is excluded.
    """

    values: NDArray[np.float64]
    coefficients: NDArray[np.float64]
    theta: NDArray[np.float64]
    chosen: NDArray[np.intp]
    residual_vectors: Any
    raw: NDArray[np.float64]
    noise: float
    allowed: NDArray[np.float64]
    missed: Vector | None

    @property
    def settled(self) -> NDArray[np.bool_]:
        """[k], which residuals have converged."""
        return self.raw + self.noise <= self.allowed


class Lanczos(Iteration[RitzPairs]):
    """The state of a search for extreme eigenpairs.

    Args:
        product: H v for a unit vector v.
        basis: empty, with room for more rows than twice k.
        directions: where to begin.
        wanted: which eigenvalues.
        max_products: at which to stop.
        rng: of directions where the basis gives none.
    """

    def __init__(
        self,
        product: Callable[[Vector], Vector],
        basis: Basis,
        directions: list[NDArray[Any]],
        wanted: Wanted,
        max_products: int,
        rng: np.random.Generator,
    ) -> None:
        self._product, self._basis, self._wanted = product, basis, wanted
        self._queue: list[Vector] = list(directions)
        self._max_products, self._rng = max_products, rng
        self._estimate: _Estimate | None = None
        self._products = 0

    @property
    def started(self) -> bool:
        """Whether there is a Ritz pair."""
        return self._basis.count > 0

    def step(self) -> Reason | None:
        """Multiply the next direction, and look at what the basis tells then."""
        basis = self._basis
        q = basis.new_direction(self._queue.pop(0), self._rng)
        basis.append(q, self._product(q))
        self._products += 1
        if self._queue and self._products < self._max_products:
            return None
        estimate = self._estimate = self._estimated()
        reason = self._reason(estimate)
        if reason is None:
            self._queue.append(_next_direction(estimate))
            if basis.full:
                kept = self._wanted.indices(estimate.values, basis.capacity // 2)
                basis.compress(estimate.coefficients[:, kept])
        return reason

    def finish(self, reason: Reason) -> RitzPairs:
        """The wanted Ritz pairs, with bounds of their errors."""
        if reason == "interrupted" or self._estimate is None:
            self._estimate = self._estimated()
        estimate = self._estimate
        bounds = estimate.raw + estimate.noise
        if reason == "converged" and not self._wanted.warm and not self._basis.complete:
            self._widen(bounds, estimate)
        vectors = self._basis.vectors(estimate.coefficients[:, estimate.chosen])
        return RitzPairs(estimate.theta, bounds, vectors, reason)

    def _estimated(self) -> _Estimate:
        basis, wanted = self._basis, self._wanted
        values, coefficients = basis.ritz()
        chosen = wanted.indices(values)
        theta = values[chosen]
        residual_vectors, raw = basis.residuals(theta, coefficients[:, chosen])
        scale = float(np.abs(values).max())
        noise = basis.noise(scale)
        allowed = wanted.allowed(theta, scale)
        estimate = _Estimate(
            values, coefficients, theta, chosen, residual_vectors, raw, noise, allowed, None
        )
        if len(chosen) < wanted.k or not estimate.settled.all():
            return estimate
        levels = wanted.levels_beyond(values)
        return estimate._replace(missed=basis.direction_beyond(levels, wanted.unseen, noise))

    def _reason(self, estimate: _Estimate) -> Reason | None:
        enough, settled = len(estimate.theta) == self._wanted.k, estimate.settled
        if enough and settled.all() and estimate.missed is None:
            return "converged"
        # Below the noise of the products a residual vector is no direction to go.
        stalled = not settled.all() and (settled | (estimate.raw <= estimate.noise)).all()
        if (enough and stalled) or self._basis.complete:
            scale = float(np.abs(estimate.values).max())
            return "not symmetric" if self._basis.asymmetric(scale) else "noise floor"
        return "budget" if self._products >= self._max_products else None

    def _widen(self, bounds: NDArray[np.float64], estimate: _Estimate) -> None:
        """Widen the bound of an extreme value to where an eigenvalue beyond would have been seen.

        A residual tells that there is an eigenvalue, not that none lies beyond. Where a restart has
        lost the start, that is known to the tolerance alone.
        """
        basis, allowed = self._basis, estimate.allowed
        unseen = SURELY_UNSEEN / math.sqrt(basis.size)
        for i, outward in self._wanted.extremes:
            if not bounds[i] > 0:
                continue
            if basis.restarted:
                bounds[i] = max(bounds[i], allowed[i])
                continue
            for reach in np.geomspace(bounds[i], max(allowed[i], bounds[i]), 7):
                bounds[i] = reach
                level = estimate.theta[i] + outward * reach
                if basis.direction_beyond([level], unseen, estimate.noise) is None:
                    break


def _next_direction(estimate: _Estimate) -> Vector:
    """The residual vector of the pair that is furthest from its tolerance, if none was missed."""
    if estimate.missed is not None:
        return estimate.missed
    excess = (estimate.raw + estimate.noise) / np.maximum(
        estimate.allowed, np.finfo(np.float64).tiny
    )
    return estimate.residual_vectors[int(np.argmax(excess))]
