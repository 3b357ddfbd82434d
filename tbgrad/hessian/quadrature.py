"""What one random vector sees of a spectrum: a Gauss quadrature by Lanczos, and bounds from it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tbgrad.hessian.iteration import Iteration, Reason
from tbgrad.hessian.memory import vectors_in
from tbgrad.hessian.operator import SymmetricOperator, underflow
from tbgrad.hessian.rows import Rows, Vector

NOISE_FACTOR = 4.0
"""The noise is so many times the rounding that was seen."""

LAST = 3
"""Vectors that a step of Lanczos works with besides those that it keeps."""


@dataclass(frozen=True, eq=False)
class Quadrature:
    """The spectral measure of a random unit vector, known by the steps of Lanczos from it.

    Attributes:
        diagonal: [m], of the tridiagonal matrix.
        beside: [m], beside it; the last is what leads to one step more, 0 where there is none.
        noise: eigenvalues are known up to so much: the rounding of the products.
        reason: why there are no more steps, "converged" where `complete`.
    """

    diagonal: NDArray[np.float64]
    beside: NDArray[np.float64]
    noise: float
    reason: Reason

    @property
    def complete(self) -> bool:
        """Whether the nodes are all the eigenvalues that the vector sees."""
        return bool(self.beside[-1] == 0)

    @cached_property
    def nodes_and_weights(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Nodes, rising, and weights, which sum to 1: exact for polynomials below 2 m."""
        return _tridiagonal(self.diagonal, self.beside[:-1])

    def above(self, level: float) -> tuple[float, float]:
        """What the measure above a level is at least and at most.

        No measure with the same moments has more below a level, or less, than the one that has a
        node there has beside its node (Chebyshev, Markov and Stieltjes; the quadrature with a given
        node: Golub, "Some modified matrix eigenvalue problems", SIAM Review 15, 1973).
        """
        if self.complete:
            nodes, weights = self.nodes_and_weights
            share = float(weights[nodes > level].sum())
            return share, share
        # Seen from the scale of the matrix; a level at a node moves by a rounding.
        scale = float(np.abs(self.diagonal).max() + self.beside.max())
        shifted = (self.diagonal - level) / scale
        beside = self.beside / scale
        matrix = np.diag(shifted) + np.diag(beside[:-1], 1) + np.diag(beside[:-1], -1)
        end = np.zeros(len(shifted))
        end[-1] = beside[-1] ** 2
        last = np.linalg.lstsq(matrix, end, rcond=None)[0][-1]
        nodes, weights = _tridiagonal(np.append(shifted, last), beside)
        there = int(np.argmin(np.abs(nodes)))
        least = float(weights[there + 1 :].sum())
        return least, min(1.0, least + float(weights[there]))


class LanczosQuadrature(Iteration[Quadrature]):
    """The state of Lanczos from one random vector.

    The first vectors are kept, as many as there is memory for, and all later ones are made
    orthogonal to them: they hold the outliers, whose directions rounding brings back again and
    again. What is lost of the orthogonality of the others makes clusters of nodes in the place of
    one, whose weights add up to its weight (Greenbaum, "Behavior of slightly perturbed Lanczos and
    conjugate-gradient recurrences", Linear Algebra and its Applications 113, 1989).

    Args:
        product: A v for a unit vector v.
        operator: A.
        steps: at which to stop.
        rng: of the random vector.
        max_bytes: as for `spectral_density`.
    """

    def __init__(
        self,
        product: Callable[[Vector], Vector],
        operator: SymmetricOperator,
        steps: int,
        rng: np.random.Generator,
        max_bytes: int | None = None,
    ) -> None:
        self._product, self._operator = product, operator
        self._eps = float(np.finfo(operator.dtype).eps)
        self._steps = min(steps, operator.size)
        room = vectors_in(max_bytes, operator.size, operator.dtype) - LAST
        self._capacity = max(1, min(self._steps, room))
        self._rows: Rows = operator.rows(self._capacity)
        self._diagonal: list[float] = []
        self._beside: list[float] = []
        self._lost = 0.0  # of orthogonality to the rows, before it was restored
        self._q: Vector = self._rows.orthonormalise(rng.standard_normal(operator.size))
        self._before: Vector = None

    @property
    def started(self) -> bool:
        """Whether there is a node."""
        return bool(self._diagonal)

    def step(self) -> Reason | None:
        """One step of the three-term recurrence."""
        rows, q = self._rows, self._q
        w = self._product(q)
        if rows.count < self._capacity:
            rows.add(q)
        self._diagonal.append(rows.inner(q, w))
        w = w - self._diagonal[-1] * q
        if self._before is not None:
            w = w - self._beside[-1] * self._before
        rest = rows.project_out(w)
        self._lost = max(self._lost, math.sqrt(rows.inner(w - rest, w - rest)))
        w = rows.project_out(rest)
        length = math.sqrt(rows.inner(w, w))
        scale = max(map(abs, self._diagonal))
        # Below its rounding what is left is no direction.
        if not length > 4 * self._eps * max(scale, *self._beside, length):
            length = 0.0
        self._beside.append(length)
        if not length or len(self._diagonal) == self._operator.size:
            self._beside[-1] = 0.0
            return "converged"
        self._before, self._q = q, w / length
        return "budget" if len(self._diagonal) == self._steps else None

    def finish(self, reason: Reason) -> Quadrature:
        """The quadrature by the steps so far."""
        diagonal, beside = np.array(self._diagonal), np.array(self._beside)
        nodes, _ = _tridiagonal(diagonal, beside[:-1])
        size = float(np.abs(nodes).max())
        rounding = max(self._eps * size, self._lost)
        noise = max(NOISE_FACTOR * rounding, self._operator.relative_error() * size)
        noise += underflow(size, self._operator.size, self._operator.dtype)
        return Quadrature(diagonal, beside, noise, reason)


def gaussians(
    nodes: NDArray[np.float64],
    weights: NDArray[np.float64],
    points: NDArray[np.float64],
    width: float,
    power: int = 1,
) -> NDArray[np.float64]:
    """At each point, the weighted sum of a power of the Gaussians about the nodes."""
    away = (points[:, None] - nodes) / width
    normal = np.exp(-0.5 * away**2) / (width * math.sqrt(2 * math.pi))
    sums: NDArray[np.float64] = normal**power @ weights
    return sums


def _tridiagonal(
    diagonal: NDArray[np.float64], beside: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Eigenvalues, rising, and the squares of the first entries of their unit vectors."""
    values, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1))
    return values.astype(np.float64), vectors[0].astype(np.float64) ** 2
