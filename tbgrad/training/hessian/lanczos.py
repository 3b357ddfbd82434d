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
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Which = Literal["LA", "SA", "LM", "BE"]

MIX = 1.0
"""Length of the random direction that is added to a unit warm start. Lanczos takes it out again at
no cost in products (0.01 to 1.0 cost the same on networks), and it lets a new extreme be seen."""

AHEAD = 0.3
"""A warm start follows the extreme it was given, and looks only for a new one this much further out
(relatively). Looking for all that is further out than `tol`, as a cold start does, costs what a
cold start costs."""

UNSEEN = 0.1
"""How small a share of the expected size an extreme's part in a random direction may be before it
goes unseen: a normal variate is smaller with a probability of 8 %."""

SCALE_FLOOR = 0.01
"""Below this share of the largest |Ritz value| an eigenvalue counts as zero in `tol`."""


@dataclass(frozen=True, eq=False)
class RitzPairs:
    """What Lanczos found: `values` [k] falling, `residuals` [k], `vectors` [k, n] unit rows.

    An eigenvalue lies within values ± residuals. `products` is what it cost.
    """

    values: NDArray[np.float64]
    residuals: NDArray[np.float64]
    vectors: NDArray[Any]
    converged: bool
    products: int


def extreme_eigenpairs(
    product: Callable[[NDArray[Any]], NDArray[Any]],
    size: int,
    *,
    k: int,
    which: Which,
    tol: float,
    rng: np.random.Generator,
    dtype: np.dtype[Any],
    start: NDArray[Any] | None = None,
    max_products: int = 200,
    max_basis: int = 40,
) -> RitzPairs:
    """The k eigenpairs of the symmetric operator v -> product(v) that `which` names.

    Converged means that every residual bound is at most tol · max(|θ|, SCALE_FLOOR · largest |θ|),
    and that an eigenvalue further out would have been seen. The residual alone does not tell that:
    a pair may be exact and not extreme. A start block as wide as the number of values wanted at one
    end finds multiple eigenvalues.
    """
    top, bottom = _ends(k, which)
    block = k if which == "LM" else max(top, bottom)
    basis = _Basis(size, dtype, min(size, max(max_basis, 2 * (k + block) + 2)))
    queue = _start_directions(start, min(block, size), size, rng)
    warm = start is not None
    ahead = AHEAD if warm else tol
    unseen = UNSEEN * (MIX / math.hypot(1.0, MIX) if warm else 1.0) / math.sqrt(size)
    products = 0
    while True:
        q = basis.new_direction(queue.pop(0), rng)
        basis.append(q, product(q))
        products += 1
        if queue and products < max_products:
            continue
        values, s = basis.ritz()
        wanted = _wanted(values, k, which)
        theta, s_wanted = values[wanted], s[:, wanted]
        residual_vectors = basis.residual_vectors(theta, s_wanted)
        raw = np.array([_norm(r) for r in residual_vectors])
        scale = float(np.abs(values).max())
        noise = basis.noise(scale)
        allowed = tol * np.maximum(np.abs(theta), SCALE_FLOOR * scale)
        good = raw + noise <= allowed
        settled = bool(len(wanted) == k and good.all())
        missed = basis.missed(_beyond(values, which, ahead), unseen, noise) if settled else None
        # Below the noise of the products a residual vector is no direction to go.
        stalled = bool(len(wanted) == k and not settled and (good | (raw <= noise)).all())
        converged = settled and missed is None
        if converged or stalled or products >= max_products or basis.count == size:
            vectors = basis.vectors(s_wanted)
            return RitzPairs(theta, raw + noise, vectors, converged, products)
        if missed is None:
            excess = (raw + noise) / np.maximum(allowed, np.finfo(np.float64).tiny)
            missed = residual_vectors[int(np.argmax(excess))]
        queue.append(missed)
        if basis.full:
            basis.compress(s[:, _wanted(values, basis.capacity // 2, which)])


class _Basis:
    """Orthonormal rows q, their products w, and the projected matrix."""

    def __init__(self, size: int, dtype: np.dtype[Any], capacity: int) -> None:
        self.capacity = capacity
        self.count = 0
        self._size = size
        self._eps = float(np.finfo(dtype).eps)
        self._q = np.empty((capacity, size), dtype)
        self._w = np.empty((capacity, size), dtype)
        self._projected = np.zeros((capacity, capacity))
        self._asymmetry = np.zeros(capacity)
        self._largest_asymmetry = 0.0
        self._restarted = False

    @property
    def full(self) -> bool:
        return self.count == self.capacity

    def new_direction(self, proposal: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
        """The proposal orthogonal to the basis; a random one where it lies within the basis."""
        for candidate in (proposal, *(rng.standard_normal(self._size) for _ in range(3))):
            q = self._orthogonalised(candidate)
            if q is not None:
                return q
        raise ArithmeticError("no direction orthogonal to the basis was found")

    def _orthogonalised(self, candidate: NDArray[Any]) -> NDArray[Any] | None:
        norm = _norm(candidate)
        if not (norm > 0 and math.isfinite(norm)):
            return None
        v = (candidate / norm).astype(self._q.dtype)
        q = self._q[: self.count]
        # Two passes are enough (Daniel, Gragg, Kaufman and Stewart, Math. Comp. 30, 1976), unless
        # the candidate lies in the basis up to rounding, where passes go on making it shorter.
        for _ in range(4):
            v -= (q @ v) @ q
            left = _norm(v)
            if left < 100 * self._eps:
                return None
            v /= v.dtype.type(left)
            if left > 0.7:
                return v
        return None

    def append(self, q: NDArray[Any], w: NDArray[Any]) -> None:
        m = self.count
        self._q[m], self._w[m] = q, w
        forward = (self._q[: m + 1] @ self._w[m]).astype(np.float64)
        backward = (self._w[: m + 1] @ self._q[m]).astype(np.float64)
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
            u: NDArray[Any] = c.astype(self._w.dtype) @ self._w[: self.count]
            u -= (a @ c).astype(self._q.dtype) @ self._q[: self.count]
            if _norm(u) > max(unseen * scale, noise * float(np.linalg.norm(c))):
                return u
        return None

    def ritz(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Ritz values, rising, and their coefficients in the basis as columns."""
        values, s = np.linalg.eigh(self._projected[: self.count, : self.count])
        return values, s

    def residual_vectors(self, theta: NDArray[np.float64], s: NDArray[np.float64]) -> NDArray[Any]:
        rows = s.T.astype(self._q.dtype)
        result = rows @ self._w[: self.count]
        result -= (theta[:, None] * rows).astype(self._q.dtype) @ self._q[: self.count]
        return result

    def vectors(self, s: NDArray[np.float64]) -> NDArray[Any]:
        rows: NDArray[Any] = s.T.astype(self._q.dtype) @ self._q[: self.count]
        return rows

    def compress(self, s: NDArray[np.float64]) -> None:
        """Go on with the Ritz vectors of the coefficients `s` alone: the thick restart."""
        rows, kept = s.T.astype(self._q.dtype), s.shape[1]
        self._q[:kept] = rows @ self._q[: self.count]
        self._w[:kept] = rows @ self._w[: self.count]
        self._projected[:kept, :kept] = s.T @ self._projected[: self.count, : self.count] @ s
        self._asymmetry[:] = 0.0
        self._restarted = True
        self.count = kept


def _ends(k: int, which: Which) -> tuple[int, int]:
    """How many values are wanted at the top and at the bottom; LM may want all at either."""
    return {"LA": (k, 0), "SA": (0, k), "LM": (k, k), "BE": (k - k // 2, k // 2)}[which]


def _beyond(values: NDArray[np.float64], which: Which, ahead: float) -> list[float]:
    """Outside of which values a missed eigenvalue would make the answer wrong."""
    if not values.any():
        return []  # a random direction in the null space means that there is nothing else
    if which == "LM":
        outpost = (1 + ahead) * float(np.abs(values).max())
        return [outpost, -outpost]
    top, bottom = float(values[-1]), float(values[0])
    scale = max(abs(top), abs(bottom))
    above = top + ahead * max(abs(top), SCALE_FLOOR * scale)
    below = bottom - ahead * max(abs(bottom), SCALE_FLOOR * scale)
    return {"LA": [above], "SA": [below], "BE": [above, below]}[which]


def _wanted(values: NDArray[np.float64], k: int, which: Which) -> NDArray[np.intp]:
    """Indices of the wanted among the rising `values`, in falling order of the values."""
    k = min(k, len(values))
    if which == "LM":
        chosen = np.argsort(-np.abs(values), kind="stable")[:k]
        return np.sort(chosen)[::-1]
    top, bottom = _ends(k, which)
    rising: NDArray[np.intp] = np.r_[:bottom, len(values) - top : len(values)]
    return rising[::-1]


def _start_directions(
    start: NDArray[Any] | None, block: int, size: int, rng: np.random.Generator
) -> list[NDArray[Any]]:
    given = [] if start is None else [v / _norm(v) for v in start if 0 < _norm(v) < math.inf]
    directions = []
    for i in range(block):
        direction = rng.standard_normal(size)
        # Dealt out: one direction carries a vector of the top and one of the bottom, which part
        # after one more product, while a direction of its own would cost a product for each.
        if own := given[i::block]:
            direction = sum(own) / math.sqrt(len(own)) + MIX * direction / _norm(direction)
        directions.append(direction)
    return directions


def _norm(vector: NDArray[Any]) -> float:
    return math.sqrt(float(np.einsum("i,i->", vector, vector, dtype=np.float64)))
