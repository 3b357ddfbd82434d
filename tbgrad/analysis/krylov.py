"""Steps in a Krylov space that make the gradient, or the loss, smallest within a distance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Product = Callable[[NDArray[Any]], NDArray[Any]]

STALLED = 0.99
"""A residual that products leave at more than this share of what it was is not getting smaller."""

PATIENCE = 8
"""Products without gain after which the rest of the residual is out of reach."""


class Step(NamedTuple):
    """A step p [n], and what it promises: of the norm of g + H p, or of the loss, so much less."""

    vector: NDArray[Any]
    gain: float


class Krylov:
    """The steps p in the Krylov space of H and −g that make ‖g + H p‖ smallest.

    H is symmetric and may be singular or indefinite: what is out of its range stays in the
    residual. The space is spanned by Lanczos vectors that are kept orthogonal, [products, n]
    numbers in memory, in which H is a narrow matrix T with H V = W T (Paige and Saunders, "Solution
    of sparse indefinite systems of linear equations", SIAM Journal on Numerical Analysis 12, 1975).
    The same space answers for any distance, without more products.

    Args:
        product: H v for a vector v [n].
        gradient: g, not zero.
        enough: share of ‖g‖ at which the residual is small enough.
        max_products: most products, and the size of the space.
    """

    def __init__(
        self, product: Product, gradient: NDArray[Any], enough: float, max_products: int
    ) -> None:
        self._length = float(np.linalg.norm(gradient))
        self._vectors = [-gradient / self._length]
        self._matrix = np.zeros((1, 0))
        best = []
        for k in range(max_products):
            result = product(self._vectors[-1])
            column = np.zeros(k + 2)
            for _ in range(2):  # once is not enough in floating point
                along = np.array([vector @ result for vector in self._vectors], np.float64)
                column[: k + 1] += along
                result = result - along.astype(result.dtype) @ np.asarray(self._vectors)
            column[k + 1] = np.linalg.norm(result)
            self._matrix = np.pad(self._matrix, ((0, 1), (0, 1)))
            self._matrix[:, k] = column
            best.append(self._length - self.norm_step(np.inf).gain)
            scale = np.abs(self._matrix).max()
            if column[k + 1] <= 10 * np.finfo(result.dtype).eps * scale:
                break  # the space is whole: H maps it to itself
            if best[-1] <= enough * self._length:
                break
            if len(best) > PATIENCE and best[-1] > STALLED * best[-1 - PATIENCE]:
                break
            self._vectors.append((result / column[k + 1]).astype(result.dtype))

    def norm_step(self, radius: float) -> Step:
        """The step of at most this length that makes ‖g + H p‖ smallest."""
        left, values, right = np.linalg.svd(self._matrix, full_matrices=False)
        target = self._length * left[0]
        kept = values > 1e-12 * max(values[0], np.finfo(float).tiny)
        target, values, right = target[kept], values[kept], right[kept]
        shift = _shift(values, target, radius)
        weights = right.T @ (values * target / (values**2 + shift))
        rest = np.zeros(len(self._matrix))
        rest[0] = self._length
        residual = float(np.linalg.norm(self._matrix @ weights - rest))
        return Step(self._vector(weights), self._length - residual)

    def loss_step(self, radius: float) -> Step:
        """The step of at most this finite length that makes gᵀp + ½ pᵀH p smallest.

        By the eigenvalues of H in the space, which is small (Moré and Sorensen, "Computing a trust
        region step", SIAM Journal on Scientific and Statistical Computing 4, 1983).
        """
        size = self._matrix.shape[1]
        square = self._matrix[:size]
        values, vectors = np.linalg.eigh((square + square.T) / 2)
        target = self._length * vectors[0]
        least = max(0.0, -values[0]) * (1 + 1e-10) + 1e-12 * np.abs(values).max()
        parts = target / np.maximum(values + least, np.finfo(float).tiny)
        if np.linalg.norm(parts) > radius:
            low, high = least, least + float(np.linalg.norm(target)) / radius
            for _ in range(200):
                middle = (low + high) / 2
                longer = np.linalg.norm(target / (values + middle)) > radius
                low, high = (middle, high) if longer else (low, middle)
                if high - low <= 1e-6 * high:
                    break
            parts = target / (values + high)
        elif values[0] < 0:  # beside the gradient: as far as may be where it bends down
            parts[0] += np.sqrt(radius**2 - np.linalg.norm(parts) ** 2)
        gain = float(target @ parts - 0.5 * (values * parts) @ parts)
        return Step(self._vector(vectors @ parts), gain)

    def _vector(self, weights: NDArray[Any]) -> NDArray[Any]:
        basis = np.asarray(self._vectors[: len(weights)])
        return weights.astype(basis.dtype) @ basis


def _shift(values: NDArray[Any], target: NDArray[Any], radius: float) -> float:
    """The μ at which the y that minimises ‖T y − b‖² + μ ‖y‖² is no longer than `radius`."""

    def length(shift: float) -> float:
        return float(np.linalg.norm(values * target / (values**2 + shift)))

    if not len(values) or length(0.0) <= radius:
        return 0.0
    low, high = 0.0, float(np.linalg.norm(values * target)) / radius
    for _ in range(100):
        middle = (low + high) / 2 if not low else np.sqrt(low * high)
        low, high = (middle, high) if length(middle) > radius else (low, middle)
        if high - low <= 1e-3 * high:
            break
    return high
