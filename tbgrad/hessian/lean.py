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

import numpy as np
from numpy.typing import NDArray

from tbgrad.hessian.errors import Interrupted

HALF_FROM = 100_000
"""Vectors of so many entries are kept in half precision: in fewer, its rounding has a direction."""

KEPT = 0.8
"""Share of the basis that goes on after a restart: with little room, the more the better."""

AIM = 0.7
"""Bounds are to be so much below the tolerance before the eigenvectors are put together."""

_CHUNK = 1 << 13


class LeanBasis:
    """Orthonormal rows in host memory, long ones in half precision, and Q H Qᵀ.

    After `step`, `projected` [count, count] and `beta` describe the Krylov relation, and `last` is
    the direction to multiply next.
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

    def step(self, q: NDArray[np.floating], w: NDArray[np.floating]) -> NDArray[np.floating] | None:
        """Add a unit row and take its product in; the next row, None where there is none."""
        m = self.count
        np.multiply(q, self._scale, out=self._rows[m], casting="unsafe")
        self.count += 1
        w = np.array(w, self._dtype)  # what was given may not be written to
        found = np.zeros(m + 1)
        for _ in range(2):  # once more for what rounding within the rows has left
            part = self.coefficients(w)
            self._subtract(part, w)
            found += part
        self._a[m, : m + 1] = self._a[: m + 1, m] = found
        self.beta = _length(w)
        if self.beta <= 4 * self._eps * float(np.abs(self.projected).max()):
            return None
        w /= self._dtype.type(self.beta)
        return w

    def noise(self, scale: float) -> float:
        """Estimate from above of the rounding of a product with a unit vector (2-norm)."""
        return 4 * self._eps * scale

    def restart(self, values: NDArray[np.float64], s: NDArray[np.float64]) -> None:
        """Go on with the Ritz vectors of the coefficients `s` [count, kept] alone."""
        kept = s.shape[1]
        for i in range(0, self.size, _CHUNK):
            chunk = slice(i, i + _CHUNK)
            self._rows[:kept, chunk] = s.T.astype(self._dtype) @ self._block(chunk)
        self._a[:] = 0.0
        self._a[np.arange(kept), np.arange(kept)] = values
        self.count, self.restarted = kept, True

    def last_of(self, coefficients: NDArray[np.float64]) -> NDArray[np.floating]:
        """Unit vectors [k, n]: combinations of the rows by coefficients [k, count].

        It is the end of the rows: their memory is free.
        """
        found = np.empty((len(coefficients), self.size), self._dtype)
        for i in range(0, self.size, _CHUNK):
            chunk = slice(i, i + _CHUNK)
            found[:, chunk] = coefficients.astype(self._dtype) @ self._block(chunk)
        for row in found:
            row /= self._dtype.type(_length(row))
        self._rows = self._rows[:0].copy()
        return found

    def coefficients(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """The inner products of all rows with a vector."""
        total = np.zeros(self.count)
        for i in range(0, self.size, _CHUNK):
            chunk = slice(i, i + _CHUNK)
            total += np.einsum("ij,j->i", self._block(chunk), x[chunk])
        return total / self._scale

    def _subtract(self, coefficients: NDArray[np.float64], x: NDArray[np.floating]) -> None:
        factors = (coefficients / self._scale).astype(self._dtype)
        for i in range(0, self.size, _CHUNK):
            chunk = slice(i, i + _CHUNK)
            x[chunk] -= np.einsum("i,ij->j", factors, self._block(chunk))

    def _block(self, chunk: slice) -> NDArray[np.floating]:
        return self._rows[: self.count, chunk].astype(self._dtype)


def _length(x: NDArray[np.floating]) -> float:
    return math.sqrt(float(np.einsum("i,i->", x, x, dtype=np.float64)))


def lean_eigenpairs(
    product: Callable[[NDArray[np.floating]], NDArray[np.floating]],
    basis: LeanBasis,
    start: NDArray[np.floating],
    *,
    wanted: Callable[[NDArray[np.float64], int], NDArray[np.intp]],
    beyond: Callable[[NDArray[np.float64]], list[float]],
    k: int,
    tol: float,
    scale_floor: float,
    unseen: float,
    error: float,
    max_products: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.floating], bool, int]:
    """Values, bounds, vectors [k, n], whether they have converged, and the products spent.

    Args:
        product: H v for a unit vector in host memory.
        basis: with room for more rows than twice k, and none yet.
        start: [n], not zero.
        wanted: indices of the k wanted among rising values, in falling order.
        beyond: outside of which values a missed one would make the answer wrong.
        k, tol, scale_floor, max_products: as for `extreme_eigenpairs`.
        unseen: how small the part of an eigenvector in the start may be and go unseen.
        error: products may be off by this share of the largest eigenvalue.
    """
    start /= np.linalg.norm(start)
    q: NDArray[np.floating] | None = start
    products = 0
    while q is not None:
        try:
            following = basis.step(q, product(q))
            products += 1
        except Interrupted:
            if not basis.count:
                raise
            max_products, following = 0, None
        values, s = np.linalg.eigh(basis.projected)
        chosen = wanted(values, k)
        scale = float(np.abs(values).max())
        noise = max(basis.noise(scale), error * scale)
        allowed = tol * np.maximum(np.abs(values[chosen]), scale_floor * scale)
        bounds = basis.beta * np.abs(s[-1, chosen]) + noise
        # The rounding of the basis comes on top in the end.
        settled = len(chosen) == k and bool((bounds <= AIM * allowed).all())
        if settled and not basis.restarted:
            settled = _nothing_beyond(basis, beyond(values), unseen, noise)
        stalled = len(chosen) == k and bool((bounds <= 2 * noise).all())
        if settled or stalled or following is None or products + len(chosen) >= max_products:
            break
        if basis.count == basis.capacity:
            kept = wanted(values, max(k, int(KEPT * basis.capacity)))
            basis.restart(values[kept], s[:, kept])
        q = following
    vectors = basis.last_of(s[:, chosen].T)
    theta, residuals = values[chosen].copy(), np.empty(len(chosen))
    for i, y in enumerate(vectors):
        try:
            w = product(y)
        except Interrupted:
            residuals[i] = bounds[i]
            continue
        products += 1
        theta[i] = float(np.einsum("i,i->", y, w, dtype=np.float64))
        along = w.dtype.type(theta[i])
        square = 0.0
        for j in range(0, basis.size, _CHUNK):
            away = w[j : j + _CHUNK] - along * y[j : j + _CHUNK]
            square += float(np.einsum("i,i->", away, away, dtype=np.float64))
        residuals[i] = math.sqrt(square) + noise
    return theta, residuals, vectors, settled and bool((residuals <= allowed).all()), products


def _nothing_beyond(basis: LeanBasis, outposts: list[float], unseen: float, noise: float) -> bool:
    """Whether an eigenvector beyond an outpost would have been seen, as `Basis.missed` has it.

    In a Krylov space the part of H Q c that is outside of the basis is its last coefficient alone.
    """
    a = basis.projected
    scale = float(np.abs(a).max())
    identity = np.eye(basis.count)
    for mu in outposts:
        c = np.linalg.solve((mu / scale) * identity - a / scale, identity[0])
        if basis.beta * abs(c[-1]) > max(unseen * scale, noise * float(np.linalg.norm(c))):
            return False
    return True
