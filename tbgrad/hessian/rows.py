"""The long vectors of a basis and the arithmetic with them, where the products are.

In host memory this is NumPy. An operator on a device with memory of its own brings rows of its
framework, so that no vector crosses to the host for a product.
"""

# ruff: noqa: D102 - what the methods do is said once, in Rows
from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Vector: TypeAlias = Any
"""[n] entries: an array in host memory, a tensor on a device."""

PASSES = 4
"""Of Gram–Schmidt at most. Two are enough (Daniel, Gragg, Kaufman and Stewart, Math. Comp. 30,
1976), unless a vector lies within the rows up to rounding, where passes go on making it shorter."""

ENOUGH = 0.7
"""A pass that leaves this much of a unit vector is the last: nothing more is to be taken out."""

_CHUNK = 1 << 14  # float32 sums stay short, and a chunk of all rows in the cache


class Rows(ABC):
    """Orthonormal rows q and rows w = H q, [count, size] each."""

    count: int = 0

    @abstractmethod
    def vector(self, values: Any) -> Vector:
        """Numbers [n] as a vector of this kind and precision."""

    @abstractmethod
    def inner(self, x: Vector, y: Vector) -> float:
        """The inner product, in double precision: float32 squares overflow and vanish."""

    @abstractmethod
    def project_out(self, x: Vector) -> Vector:
        """What is left of a vector without its part in the rows q."""

    @abstractmethod
    def orthonormalise(self, candidate: Vector) -> Vector | None:
        """The unit vector along what of the candidate is orthogonal to the rows q.

        None where the candidate lies within the rows up to rounding, is zero or is not finite.
        """

    @abstractmethod
    def add(self, q: Vector) -> None:
        """Add a row q alone: of such rows only `project_out` and `orthonormalise` make sense."""

    @abstractmethod
    def append(self, q: Vector, w: Vector) -> NDArray[np.float64]:
        """Add a row; [2, count]: inner products of the new w with all q, and the new q with all w.

        `count` includes the new row.
        """

    @abstractmethod
    def difference(
        self, of_w: NDArray[np.float64], of_q: NDArray[np.float64]
    ) -> tuple[Any, NDArray[np.float64]]:
        """The vectors `of_w` [k, count] W − `of_q` [k, count] Q, and their 2-norms [k]."""

    @abstractmethod
    def combined(self, coefficients: NDArray[np.float64]) -> NDArray[Any]:
        """Linear combinations [k, n] of the rows q by coefficients [k, count], in host memory."""

    @abstractmethod
    def replace(self, coefficients: NDArray[np.float64]) -> None:
        """Put linear combinations by coefficients [k, count] in the place of all rows q and w."""


class HostRows(Rows):
    """Rows in host memory, with room for `capacity` of them.

    Sums go through einsum instead of BLAS: its threads compete with those of the training for the
    cores, which made an estimate five times slower on two busy cores, while einsum is as fast as
    one thread of BLAS.
    """

    def __init__(self, size: int, dtype: np.dtype[Any], capacity: int) -> None:
        self._within = rounding_within(dtype)
        self._q = np.empty((capacity, size), dtype)
        self._w = self._q[:0]  # room for products is made when there is one

    def vector(self, values: Any) -> Vector:
        return np.asarray(values, dtype=self._q.dtype)

    def inner(self, x: Vector, y: Vector) -> float:
        return float(np.einsum("i,i->", x, y, dtype=np.float64))

    def project_out(self, x: Vector) -> Vector:
        q = self._q[: self.count]
        return x - _combine(_products(q, x), q)

    def orthonormalise(self, candidate: Vector) -> Vector | None:
        length = self._norm(candidate)
        if not 0 < length < math.inf:
            return None
        v = (candidate / length).astype(self._q.dtype)
        for _ in range(PASSES):
            v = self.project_out(v)
            left = self._norm(v)
            if left < self._within:
                return None
            v /= v.dtype.type(left)
            if left > ENOUGH:
                return v
        return None

    def add(self, q: Vector) -> None:
        self._q[self.count] = q
        self.count += 1

    def append(self, q: Vector, w: Vector) -> NDArray[np.float64]:
        if not len(self._w):
            self._w = np.empty_like(self._q)
        self._w[self.count] = w
        self.add(q)
        return np.array([_products(self._q[: self.count], w), _products(self._w[: self.count], q)])

    def difference(
        self, of_w: NDArray[np.float64], of_q: NDArray[np.float64]
    ) -> tuple[Any, NDArray[np.float64]]:
        vectors = _combine(of_w, self._w[: self.count])
        vectors -= _combine(of_q, self._q[: self.count])
        return vectors, np.array([self._norm(row) for row in vectors])

    def combined(self, coefficients: NDArray[np.float64]) -> NDArray[Any]:
        return _combine(coefficients, self._q[: self.count])

    def replace(self, coefficients: NDArray[np.float64]) -> None:
        kept = len(coefficients)
        for rows in (self._q, self._w):
            rows[:kept] = _combine(coefficients, rows[: self.count])
        self.count = kept

    def _norm(self, x: Vector) -> float:
        return math.sqrt(self.inner(x, x))


def rounding_within(dtype: Any) -> float:
    """What a pass leaves of a unit vector within the rows is at most this: rounding."""
    return 100 * float(np.finfo(dtype).eps)


def _products(rows: NDArray[Any], vector: NDArray[Any]) -> NDArray[np.float64]:
    """The inner products of `vector` [n] with the `rows` [m, n]: shape [m]."""
    total = np.zeros(len(rows))
    for i in range(0, len(vector), _CHUNK):
        total += np.einsum("ij,j->i", rows[:, i : i + _CHUNK], vector[i : i + _CHUNK])
    return total


def _combine(coefficients: NDArray[np.float64], rows: NDArray[Any]) -> NDArray[Any]:
    """Linear combinations of the `rows` [m, n] in their own precision: [n] or [k, n]."""
    result: NDArray[Any] = np.einsum("...i,ij->...j", coefficients.astype(rows.dtype), rows)
    return result
