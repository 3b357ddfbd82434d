"""A growing orthonormal basis and what the operator makes of it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tbgrad.hessian.rows import Rows, Vector, rows_for


class Basis:
    """Orthonormal rows q, their products w = H q, and the projected matrix Q H Qᵀ.

    Rows have `size` entries of `dtype`; there is room for `capacity` of them. They are tensors
    `on_device`, NumPy arrays otherwise.
    """

    def __init__(
        self,
        size: int,
        dtype: np.dtype[Any],
        capacity: int,
        on_device: bool = False,
        error: float = 0.0,
    ) -> None:
        self.capacity = capacity
        self.size = size
        self.rows: Rows = rows_for(size, dtype, capacity, on_device)
        self._eps, self._error = float(np.finfo(dtype).eps), error
        self._projected = np.zeros((capacity, capacity))
        self._asymmetry = np.zeros(capacity)
        self._largest_asymmetry = 0.0
        self.restarted = False

    @property
    def count(self) -> int:
        """How many rows there are."""
        return self.rows.count

    @property
    def full(self) -> bool:
        """Whether the next row needs a `compress` first."""
        return self.count == self.capacity

    @property
    def projected(self) -> NDArray[np.float64]:
        """Q H Qᵀ: [count, count]."""
        inside: NDArray[np.float64] = self._projected[: self.count, : self.count]
        return inside

    @property
    def trace(self) -> float:
        """The trace of Q H Qᵀ."""
        return float(np.trace(self.projected))

    def new_direction(self, proposal: Vector, rng: np.random.Generator) -> Vector:
        """The proposal orthogonal to the basis; a random one where it lies within the basis."""
        for _ in range(4):
            q = self.rows.outside(proposal)
            if q is not None:
                return q
            proposal = rng.standard_normal(self.size)
        raise ArithmeticError("no direction orthogonal to the basis was found")

    def append(self, q: Vector, w: Vector) -> None:
        """Add a direction from `new_direction` and its product."""
        m = self.count
        forward, backward = self.rows.append(q, w)
        # ⟨q_i, H q_m⟩ = ⟨H q_i, q_m⟩ but for the rounding of the products, which shows here.
        difference = (forward[:m] - backward[:m]) ** 2
        self._asymmetry[:m] += difference
        self._asymmetry[m] = difference.sum()
        self._largest_asymmetry = max(self._largest_asymmetry, float(self._asymmetry.max()))
        self._projected[m, : m + 1] = self._projected[: m + 1, m] = (forward + backward) / 2

    def noise(self, scale: float) -> float:
        """Estimate from above of the error of a product with a unit vector (2-norm)."""
        # The rounding is largest where the products are large, which is what the basis spans: its
        # part in there was at least a third of all of it on networks compared with float64 twins.
        rounding = max(self._eps * scale, math.sqrt(self._largest_asymmetry))
        return max(4 * rounding, self._error * scale)

    def missed(self, outposts: list[float], unseen: float, noise: float) -> Vector | None:
        """Where to look for an eigenvector beyond an outpost; None if it would have been seen.

        Let v be a unit eigenvector of eigenvalue μ. With A = Qᵀ H Q, the start q_0 and
        c = (μ − A)⁻¹ e_0, (μ − H) Q c = q_0 − u where u = (I − Q Qᵀ) H Q c, and the product of
        v with the left side is zero. So its part in the start is ⟨q_0, v⟩ = ⟨u, v⟩ ≤ ‖u‖, which
        falls as μ goes outward: a random start excludes every v beyond where ‖u‖ ≤ `unseen`.
        """
        if self.restarted:
            return None  # the start is no longer in the basis, but has been multiplied often enough
        a = self.projected
        scale = float(np.abs(a).max())
        identity = np.eye(self.count)
        for mu in outposts:
            c = np.linalg.solve((mu / scale) * identity - a / scale, identity[0])
            u, length = self.rows.difference(c[None], (a @ c)[None])
            if length[0] > max(unseen * scale, noise * float(np.linalg.norm(c))):
                return u[0]
        return None

    def ritz(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Ritz values, rising, and their coefficients in the basis as columns."""
        # NumPy's eigh wakes the threads of OpenBLAS from 26 rows on, and beside a training they
        # wait for a core 50 times longer than they work.
        with tf.device("CPU:0"):
            values, s = tf.linalg.eigh(self.projected)
        return values.numpy(), s.numpy()

    def residuals(
        self, theta: NDArray[np.float64], s: NDArray[np.float64]
    ) -> tuple[Any, NDArray[np.float64]]:
        """H y − θ y of the Ritz pairs (θ, y = Q s), one row a pair, and their 2-norms."""
        return self.rows.difference(s.T, theta[:, None] * s.T)

    def vectors(self, s: NDArray[np.float64]) -> NDArray[Any]:
        """The Ritz vectors y = Q s, one row a vector, in host memory."""
        return self.rows.combined(s.T)

    def compress(self, s: NDArray[np.float64]) -> None:
        """Go on with the Ritz vectors of the coefficients `s` alone: the thick restart."""
        kept = s.shape[1]
        self._projected[:kept, :kept] = s.T @ self.projected @ s
        self.rows.replace(s.T)
        self._asymmetry[:] = 0.0
        self.restarted = True
