"""What one random vector sees of a spectrum: a Gauss quadrature by Lanczos, and bounds from it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tbgrad.hessian.computation import Computation
from tbgrad.hessian.errors import Interrupted
from tbgrad.hessian.memory import vectors_in
from tbgrad.hessian.rows import Rows, Vector, rows_for

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
    """

    diagonal: NDArray[np.float64]
    beside: NDArray[np.float64]
    noise: float

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


def quadrature(
    computation: Computation,
    steps: int,
    rng: np.random.Generator,
    max_bytes: int | None,
    done: int = 0,
    total: int = 0,
) -> Quadrature:
    """Lanczos from one random vector; Ctrl-C leaves the steps there are.

    The first vectors are kept, as many as there is memory for, and all later ones are made
    orthogonal to them: they hold the outliers, whose directions rounding brings back again and
    again. What is lost of the orthogonality of the others makes clusters of nodes in the place of
    one, whose weights add up to its weight (Greenbaum, "Behavior of slightly perturbed Lanczos and
    conjugate-gradient recurrences", Linear Algebra and its Applications 113, 1989).
    """
    operator = computation.operator
    steps = min(steps, operator.size)
    room = vectors_in(max_bytes, operator.size, operator.dtype) - LAST
    capacity = max(1, min(steps, room))
    rows: Rows = rows_for(operator.size, operator.dtype, capacity, operator.on_device)
    diagonal: list[float] = []
    beside: list[float] = []
    lost = 0.0
    q = rows.outside(rng.standard_normal(operator.size))
    before: Vector = None
    while q is not None and len(diagonal) < steps:
        try:
            w = computation.product(q)
        except Interrupted:
            if not diagonal:
                raise
            break
        computation.show(done + len(diagonal) + 1, total)
        if rows.count < capacity:
            rows.add(q)
        diagonal.append(rows.inner(q, w))
        w = rows.vector(w) - rows.number(diagonal[-1]) * q
        if before is not None:
            w = w - rows.number(beside[-1]) * before
        rest = rows.remainder(w)
        lost = max(lost, math.sqrt(rows.inner(w - rest, w - rest)))
        w = rows.remainder(rest)
        before, length = q, math.sqrt(rows.inner(w, w))
        scale = max(map(abs, diagonal))
        # Below its rounding what is left is no direction.
        small = 4 * float(np.finfo(operator.dtype).eps) * max(scale, *beside, length)
        q = w / rows.number(length) if length > small else None
        beside.append(length if q is not None else 0.0)
    if len(diagonal) == operator.size:
        beside[-1] = 0.0
    nodes, _ = _tridiagonal(np.array(diagonal), np.array(beside[:-1]))
    size = float(np.abs(nodes).max())
    rounding = max(float(np.finfo(operator.dtype).eps) * size, lost)
    noise = max(NOISE_FACTOR * rounding, operator.error * size)
    return Quadrature(np.array(diagonal), np.array(beside), noise)


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
    found: NDArray[np.float64] = normal**power @ weights
    return found


def _tridiagonal(
    diagonal: NDArray[np.float64], beside: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Eigenvalues, rising, and the squares of the first entries of their unit vectors."""
    values, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1))
    return values.astype(np.float64), vectors[0].astype(np.float64) ** 2
