"""Extreme eigenpairs in little memory: thick-restart Lanczos on a basis of half precision.

Without the products of the basis, all that is needed of them is in the projected matrix and in the
last residual: H Q = Q A + r eᵀ (Wu and Simon, "Thick-restart Lanczos method for large symmetric
eigenvalue problems", SIAM J. Matrix Anal. Appl. 22, 2000). Rows of half precision are as good as
whole ones for keeping a new vector orthogonal: their rounding points anywhere, and of a given
direction n dimensions have next to nothing in it. What it leaves in an eigenvector is told by a
product with it at the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tbgrad.hessian.errors import Interrupted
from tbgrad.hessian.iteration import Iteration, Reason
from tbgrad.hessian.operator import underflow
from tbgrad.hessian.ritz import RitzPairs, Wanted
from tbgrad.hessian.rows import Vector

HALF_FROM = 100_000
"""Vectors of so many entries are kept in half precision: in fewer, its rounding has a direction."""

KEPT = 0.8
"""Share of the basis that goes on after a restart: with little room, the more the better."""

AIM = 0.7
"""The search ends at bounds of this share of the tolerance: putting the eigenvectors together from
rows of half precision adds to them."""

_CHUNK = 1 << 13


class LeanBasis:
    """Orthonormal rows in host memory, long ones in half precision, and Q H Qᵀ.

    After `append`, `projected` [count, count] and `beta`, the length of the last residual, describe
    the Krylov relation.
    """

    def __init__(self, size: int, dtype: np.dtype[np.floating], capacity: int) -> None:
        half = np.float16 if dtype == np.float32 else np.float32
        self._rows = np.empty((capacity, size), half if size >= HALF_FROM else dtype)
        self._scale = math.sqrt(size)  # entries of the order of one: none is lost below the range
        self._dtype = dtype
        self._a = np.zeros((capacity, capacity))
        self._eps = float(np.finfo(dtype).eps)
        self.size, self.capacity, self.count = size, capacity, 0
        self.beta = 0.0
        self.restarted = False

    @property
    def projected(self) -> NDArray[np.float64]:
        """Q H Qᵀ."""
        inside: NDArray[np.float64] = self._a[: self.count, : self.count]
        return inside

    def append(
        self, q: NDArray[np.floating], w: NDArray[np.floating]
    ) -> NDArray[np.floating] | None:
        """Add a unit row and its product; the next row to multiply, None where there is none."""
        m = self.count
        np.multiply(q, self._scale, out=self._rows[m], casting="unsafe")
        self.count += 1
        w = np.array(w, self._dtype)  # what was given may not be written to
        total = np.zeros(m + 1)
        for _ in range(2):  # once more for what rounding within the rows has left
            part = self.coefficients(w)
            self._subtract(part, w)
            total += part
        self._a[m, : m + 1] = self._a[: m + 1, m] = total
        self.beta = _length(w)
        if self.beta <= 4 * self._eps * float(np.abs(self.projected).max()):
            return None
        w /= self._dtype.type(self.beta)
        return w

    def noise(self, scale: float) -> float:
        """Estimate from above of the rounding of a product with a unit vector (2-norm)."""
        return 4 * self._eps * scale + underflow(scale, self.size, self._dtype)

    def restart(self, values: NDArray[np.float64], s: NDArray[np.float64]) -> None:
        """Go on with the Ritz vectors of the coefficients `s` [count, kept] alone."""
        kept = s.shape[1]
        for chunk in _chunks(self.size):
            self._rows[:kept, chunk] = s.T.astype(self._dtype) @ self._block(chunk)
        self._a[:] = 0.0
        self._a[np.arange(kept), np.arange(kept)] = values
        self.count, self.restarted = kept, True

    def into_vectors(self, coefficients: NDArray[np.float64]) -> NDArray[np.floating]:
        """Unit vectors [k, n]: combinations of the rows by coefficients [k, count].

        It is the end of the rows: their memory is free.
        """
        vectors = np.empty((len(coefficients), self.size), self._dtype)
        for chunk in _chunks(self.size):
            vectors[:, chunk] = coefficients.astype(self._dtype) @ self._block(chunk)
        for row in vectors:
            row /= self._dtype.type(_length(row))
        self._rows = self._rows[:0].copy()
        return vectors

    def coefficients(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """The inner products of all rows with a vector."""
        total = np.zeros(self.count)
        for chunk in _chunks(self.size):
            total += np.einsum("ij,j->i", self._block(chunk), x[chunk])
        return total / self._scale

    def excludes_beyond(self, levels: list[float], unseen: float, noise: float) -> bool:
        """Whether an eigenvector of a value beyond a level would have been seen.

        It is as `Basis.direction_beyond` has it: in a Krylov space the part of H Q c that is
        outside of the basis is its last coefficient alone.
        """
        a = self.projected
        scale = float(np.abs(a).max())
        identity = np.eye(self.count)
        for mu in levels:
            c = np.linalg.solve((mu / scale) * identity - a / scale, identity[0])
            if self.beta * abs(c[-1]) > max(unseen * scale, noise * float(np.linalg.norm(c))):
                return False
        return True

    def _subtract(self, coefficients: NDArray[np.float64], x: NDArray[np.floating]) -> None:
        factors = (coefficients / self._scale).astype(self._dtype)
        for chunk in _chunks(self.size):
            x[chunk] -= np.einsum("i,ij->j", factors, self._block(chunk))

    def _block(self, chunk: slice) -> NDArray[np.floating]:
        return self._rows[: self.count, chunk].astype(self._dtype)


def _chunks(size: int) -> list[slice]:
    return [slice(i, i + _CHUNK) for i in range(0, size, _CHUNK)]


def _length(x: NDArray[np.floating]) -> float:
    return math.sqrt(float(np.einsum("i,i->", x, x, dtype=np.float64)))


class _Estimate(NamedTuple):
    """All Ritz `values`, rising, their `coefficients` as columns, and of the `chosen` the bounds.

    `allowed` are bounds with which they have converged, `noise` is in all of them.
    """

    values: NDArray[np.float64]
    coefficients: NDArray[np.float64]
    chosen: NDArray[np.intp]
    bounds: NDArray[np.float64]
    allowed: NDArray[np.float64]
    noise: float


class LeanLanczos(Iteration[RitzPairs]):
    """The state of a search for extreme eigenpairs in little memory.

    Args:
        product: H v for a unit vector, which is in host memory.
        basis: with room for more rows than twice k, and none yet.
        start: [n], not zero.
        wanted: which eigenvalues.
        max_products: at which to stop, with those for the vectors of the result.
        error: products may be off by this share of the largest eigenvalue.
    """

    def __init__(
        self,
        product: Callable[[Vector], Vector],
        basis: LeanBasis,
        start: NDArray[np.floating],
        wanted: Wanted,
        max_products: int,
        error: float,
    ) -> None:
        self._product, self._basis, self._wanted = product, basis, wanted
        self._max_products, self._error = max_products, error
        start /= np.linalg.norm(start)
        self._next = start
        self._estimate: _Estimate | None = None
        self._products = 0

    @property
    def started(self) -> bool:
        """Whether there is a Ritz pair."""
        return self._estimate is not None

    def step(self) -> Reason | None:
        """Multiply the next direction, and look at what the basis tells then."""
        basis, wanted, last = self._basis, self._wanted, self._estimate
        w = self._product(self._next)
        self._products += 1
        if last is not None and basis.count == basis.capacity:
            kept = wanted.indices(last.values, max(wanted.k, int(KEPT * basis.capacity)))
            basis.restart(last.values[kept], last.coefficients[:, kept])
        following = basis.append(self._next, w)
        estimate = self._estimate = self._estimated()
        enough = len(estimate.chosen) == wanted.k
        # The rounding of the basis comes on top in the end.
        settled = enough and bool((estimate.bounds <= AIM * estimate.allowed).all())
        if settled and not basis.restarted:
            levels = wanted.levels_beyond(estimate.values)
            settled = basis.excludes_beyond(levels, wanted.unseen, estimate.noise)
        if settled:
            return "converged"
        if following is None or (enough and (estimate.bounds <= 2 * estimate.noise).all()):
            return "noise floor"
        self._next = following
        spent = self._products + len(estimate.chosen) >= self._max_products
        return "budget" if spent else None

    def finish(self, reason: Reason) -> RitzPairs:
        """The wanted Ritz pairs, with their residuals by a product with each vector."""
        assert self._estimate is not None
        estimate, wanted = self._estimate, self._wanted
        chosen = estimate.chosen
        vectors = self._basis.into_vectors(estimate.coefficients[:, chosen].T)
        theta, residuals = estimate.values[chosen].copy(), estimate.bounds.copy()
        for i, y in enumerate(vectors):
            try:
                w = np.asarray(self._product(y))
            except Interrupted:
                continue  # the bound of the basis is what is known
            theta[i] = float(np.einsum("i,i->", y, w, dtype=np.float64))
            residuals[i] = _distance(w, theta[i], y) + estimate.noise
        if reason == "converged" and not (residuals <= estimate.allowed).all():
            reason = "noise floor"
        if reason == "converged" and not wanted.warm:
            # That no eigenvalue lies beyond is known to the tolerance alone.
            known = wanted.allowed(theta, float(np.abs(theta).max()))
            for i, _ in wanted.extremes:
                residuals[i] = max(residuals[i], known[i])
        return RitzPairs(theta, residuals, vectors, reason)

    def _estimated(self) -> _Estimate:
        values, s = np.linalg.eigh(self._basis.projected)
        chosen = self._wanted.indices(values)
        scale = float(np.abs(values).max())
        noise = max(self._basis.noise(scale), self._error * scale)
        bounds = self._basis.beta * np.abs(s[-1, chosen]) + noise
        allowed = self._wanted.allowed(values[chosen], scale)
        return _Estimate(values, s, chosen, bounds, allowed, noise)


def _distance(w: NDArray[np.floating], theta: float, y: NDArray[np.floating]) -> float:
    """‖w − θ y‖, in chunks, so that no vector more is needed."""
    factor = w.dtype.type(theta)
    square = 0.0
    for chunk in _chunks(len(y)):
        away = w[chunk] - factor * y[chunk]
        square += float(np.einsum("i,i->", away, away, dtype=np.float64))
    return math.sqrt(square)
