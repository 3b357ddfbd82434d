"""A growing orthonormal basis and what the operator makes of it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad.hessian.operator import SymmetricOperator, underflow
from tbgrad.hessian.rows import Rows, Vector

ASYMMETRIC = 1e-2
"""An operator counts as not symmetric where ⟨u, A v⟩ and ⟨v, A u⟩ differ by more than this share of
its largest eigenvalue, and by ten times what its products are known to be off."""


class Basis:
    """Orthonormal rows q, their products w = H q, and the projected matrix Q H Qᵀ.

    There is room for `capacity` rows of the operator's size, where the operator keeps them.
    """

    def __init__(self, operator: SymmetricOperator, capacity: int) -> None:
        self.capacity = capacity
        self.size = operator.size
        self.rows: Rows = operator.rows(capacity)
        self._operator = operator
        self._eps, self._error = float(np.finfo(operator.dtype).eps), operator.relative_error()
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
    def complete(self) -> bool:
        """Whether the rows span the whole space."""
        return self.count == self.size

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
            q = self.rows.orthonormalise(proposal)
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
        lost = underflow(scale, self.size, self._operator.dtype)
        return max(4 * rounding, self._error * scale) + lost

    def asymmetric(self, scale: float) -> bool:
        """Whether the operator is not symmetric by more than its products may be off."""
        return math.sqrt(self._largest_asymmetry) > max(ASYMMETRIC, 10 * self._error) * scale

    def direction_beyond(self, levels: list[float], unseen: float, noise: float) -> Vector | None:
        """Where to look for an eigenvector of a value beyond a level; None if there is none.

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
        for mu in levels:
            c = np.linalg.solve((mu / scale) * identity - a / scale, identity[0])
            u, length = self.rows.difference(c[None], (a @ c)[None])
            if length[0] > max(unseen * scale, noise * float(np.linalg.norm(c))):
                return u[0]
        return None

    def ritz(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Ritz values, rising, and their coefficients in the basis as columns."""
        return self._operator.eigh(self.projected)

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
