"""A growing orthonormal basis and what the operator makes of it.

All sums over the n entries of a vector go through the three functions below instead of BLAS: its
threads compete with those of the training for the cores, which made an estimate five times slower
on two busy cores, while these are as fast as one thread of BLAS.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

_CHUNK = 1 << 14  # float32 sums stay short, and a chunk of all rows in the cache


def products(rows: NDArray[Any], vector: NDArray[Any]) -> NDArray[np.float64]:
    """The inner products of `vector` [n] with the `rows` [m, n]: shape [m]."""
    total = np.zeros(len(rows))
    for i in range(0, len(vector), _CHUNK):
        total += np.einsum("ij,j->i", rows[:, i : i + _CHUNK], vector[i : i + _CHUNK])
    return total


def combine(coefficients: NDArray[np.float64], rows: NDArray[Any]) -> NDArray[Any]:
    """Linear combinations of the `rows` [m, n] in their own precision: [n] or [k, n]."""
    result: NDArray[Any] = np.einsum("...i,ij->...j", coefficients.astype(rows.dtype), rows)
    return result


def norm(vector: NDArray[Any]) -> float:
    """The 2-norm, summed in double precision: squares of float32 neither overflow nor vanish."""
    return math.sqrt(float(np.einsum("i,i->", vector, vector, dtype=np.float64)))


class Basis:
    """Orthonormal rows q, their products w = H q, and the projected matrix Q H Qᵀ.

    Rows have `size` entries of `dtype`; there is room for `capacity` of them.
    """

    def __init__(self, size: int, dtype: np.dtype[Any], capacity: int) -> None:
        self.capacity = capacity
        self.count = 0
        self.size = size
        self._eps = float(np.finfo(dtype).eps)
        self._q = np.empty((capacity, size), dtype)
        self._w = np.empty((capacity, size), dtype)
        self._projected = np.zeros((capacity, capacity))
        self._asymmetry = np.zeros(capacity)
        self._largest_asymmetry = 0.0
        self._restarted = False

    @property
    def full(self) -> bool:
        """Whether the next row needs a `compress` first."""
        return self.count == self.capacity

    @property
    def directions(self) -> NDArray[Any]:
        """The rows q: [count, size]."""
        rows: NDArray[Any] = self._q[: self.count]
        return rows

    @property
    def projected(self) -> NDArray[np.float64]:
        """Q H Qᵀ: [count, count]."""
        inside: NDArray[np.float64] = self._projected[: self.count, : self.count]
        return inside

    @property
    def trace(self) -> float:
        """The trace of Q H Qᵀ."""
        return float(np.trace(self.projected))

    def new_direction(self, proposal: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
        """The proposal orthogonal to the basis; a random one where it lies within the basis."""
        for _ in range(4):
            q = self.orthogonalised(proposal)
            if q is not None:
                return q
            proposal = rng.standard_normal(self.size)
        raise ArithmeticError("no direction orthogonal to the basis was found")

    def orthogonalised(self, candidate: NDArray[Any]) -> NDArray[Any] | None:
        """The unit direction of the candidate outside the basis; None where it lies within."""
        length = norm(candidate)
        if not 0 < length < math.inf:
            return None
        v = (candidate / length).astype(self._q.dtype)
        q = self._q[: self.count]
        # Two passes are enough (Daniel, Gragg, Kaufman and Stewart, Math. Comp. 30, 1976), unless
        # the candidate lies in the basis up to rounding, where passes go on making it shorter.
        for _ in range(4):
            v -= combine(products(q, v), q)
            left = norm(v)
            if left < 100 * self._eps:
                return None
            v /= v.dtype.type(left)
            if left > 0.7:
                return v
        return None

    def append(self, q: NDArray[Any], w: NDArray[Any]) -> None:
        """Add a direction from `new_direction` and its product."""
        m = self.count
        self._q[m], self._w[m] = q, w
        forward, backward = products(self._q[: m + 1], w), products(self._w[: m + 1], q)
        # ⟨q_i, H q_m⟩ = ⟨H q_i, q_m⟩ but for the rounding of the products, which shows here.
        difference = (forward[:m] - backward[:m]) ** 2
        self._asymmetry[:m] += difference
        self._asymmetry[m] = difference.sum()
        self._largest_asymmetry = max(self._largest_asymmetry, float(self._asymmetry.max()))
        self._projected[m, : m + 1] = self._projected[: m + 1, m] = (forward + backward) / 2
        self.count += 1

    def noise(self, scale: float) -> float:
        """Estimate from above of the rounding error of a product with a unit vector (2-norm)."""
        # The rounding is largest where the products are large, which is what the basis spans: its
        # part in there was at least a third of all of it on networks compared with float64 twins.
        return 4 * max(self._eps * scale, math.sqrt(self._largest_asymmetry))

    def missed(self, outposts: list[float], unseen: float, noise: float) -> NDArray[Any] | None:
        """Where to look for an eigenvector beyond an outpost; None if it would have been seen.

        Let v be a unit eigenvector of eigenvalue μ. With A = Qᵀ H Q, the start q_0 and
        c = (μ − A)⁻¹ e_0, (μ − H) Q c = q_0 − u where u = (I − Q Qᵀ) H Q c, and the product of
        v with the left side is zero. So its part in the start is ⟨q_0, v⟩ = ⟨u, v⟩ ≤ ‖u‖, which
        falls as μ goes outward: a random start excludes every v beyond where ‖u‖ ≤ `unseen`.
        """
        if self._restarted:
            return None  # the start is no longer in the basis, but has been multiplied often enough
        a = self._projected[: self.count, : self.count]
        scale = float(np.abs(a).max())
        identity = np.eye(self.count)
        for mu in outposts:
            c = np.linalg.solve((mu / scale) * identity - a / scale, identity[0])
            u = combine(c, self._w[: self.count])
            u -= combine(a @ c, self._q[: self.count])
            if norm(u) > max(unseen * scale, noise * float(np.linalg.norm(c))):
                return u
        return None

    def ritz(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Ritz values, rising, and their coefficients in the basis as columns."""
        # NumPy's eigh wakes the threads of OpenBLAS from 26 rows on, and beside a training they
        # wait for a core 50 times longer than they work.
        with tf.device("CPU:0"):
            values, s = tf.linalg.eigh(self._projected[: self.count, : self.count])
        return values.numpy(), s.numpy()

    def residual_vectors(self, theta: NDArray[np.float64], s: NDArray[np.float64]) -> NDArray[Any]:
        """H y − θ y of the Ritz pairs (θ, y = Q s), one row a pair."""
        residuals = combine(s.T, self._w[: self.count])
        residuals -= combine(theta[:, None] * s.T, self._q[: self.count])
        return residuals

    def vectors(self, s: NDArray[np.float64]) -> NDArray[Any]:
        """The Ritz vectors y = Q s, one row a vector."""
        return combine(s.T, self._q[: self.count])

    def compress(self, s: NDArray[np.float64]) -> None:
        """Go on with the Ritz vectors of the coefficients `s` alone: the thick restart."""
        kept = s.shape[1]
        self._q[:kept] = combine(s.T, self._q[: self.count])
        self._w[:kept] = combine(s.T, self._w[: self.count])
        self._projected[:kept, :kept] = s.T @ self._projected[: self.count, : self.count] @ s
        self._asymmetry[:] = 0.0
        self._restarted = True
        self.count = kept
