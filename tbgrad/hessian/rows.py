"""The long vectors of a basis and the arithmetic with them, where the variables are.

In host memory this is NumPy. On a device with memory of its own it is TensorFlow, so that no vector
crosses to the host for a product; there, each method is one call of a graph.
"""

# ruff: noqa: D102 - what the methods do is said once, in Rows
from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import tensorflow as tf
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
    def number(self, value: float) -> Any:
        """A number in the precision of the vectors."""

    @abstractmethod
    def vector(self, values: Any) -> Vector:
        """Numbers [n] as a vector of this kind and precision."""

    @abstractmethod
    def inner(self, x: Vector, y: Vector) -> float:
        """The inner product, in double precision: float32 squares overflow and vanish."""

    @abstractmethod
    def remainder(self, x: Vector) -> Vector:
        """What is left of a vector after its part in the rows q was taken out."""

    @abstractmethod
    def outside(self, candidate: Vector) -> Vector | None:
        """The unit direction of the candidate outside the rows q; None where it lies within."""

    @abstractmethod
    def add(self, q: Vector) -> None:
        """Add a row q alone: of such rows only `remainder` and `outside` make sense."""

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
        self._smallest = _smallest(dtype)
        self._q = np.empty((capacity, size), dtype)
        self._w = self._q[:0]  # room for products is made when there is one

    def number(self, value: float) -> Any:
        return self._q.dtype.type(value)

    def vector(self, values: Any) -> Vector:
        return np.asarray(values, dtype=self._q.dtype)

    def inner(self, x: Vector, y: Vector) -> float:
        return float(np.einsum("i,i->", x, y, dtype=np.float64))

    def remainder(self, x: Vector) -> Vector:
        q = self._q[: self.count]
        return x - _combine(_products(q, x), q)

    def outside(self, candidate: Vector) -> Vector | None:
        length = self._norm(candidate)
        if not 0 < length < math.inf:
            return None
        v = (candidate / length).astype(self._q.dtype)
        for _ in range(PASSES):
            v = self.remainder(v)
            left = self._norm(v)
            if left < self._smallest:
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
        found = _combine(of_w, self._w[: self.count])
        found -= _combine(of_q, self._q[: self.count])
        return found, np.array([self._norm(row) for row in found])

    def combined(self, coefficients: NDArray[np.float64]) -> NDArray[Any]:
        return _combine(coefficients, self._q[: self.count])

    def replace(self, coefficients: NDArray[np.float64]) -> None:
        kept = len(coefficients)
        for rows in (self._q, self._w):
            rows[:kept] = _combine(coefficients, rows[: self.count])
        self.count = kept

    def _norm(self, x: Vector) -> float:
        return math.sqrt(self.inner(x, x))


class DeviceRows(Rows):
    """Rows on the device of the variables, in as much memory as there are of them."""

    def __init__(self, size: int, dtype: np.dtype[Any]) -> None:
        self._dtype = tf.as_dtype(dtype)
        self._graphs = _graphs(self._dtype)
        self._q, self._w = (tf.zeros([0, size], self._dtype) for _ in range(2))

    def number(self, value: float) -> Any:
        return tf.constant(value, self._dtype)

    def vector(self, values: Any) -> Vector:
        return tf.cast(values, self._dtype)

    def inner(self, x: Vector, y: Vector) -> float:
        return float(self._graphs.inner(x, y))

    def remainder(self, x: Vector) -> Vector:
        return self._graphs.remainder(x, self._q)

    def outside(self, candidate: Vector) -> Vector | None:
        v, lengths = self._graphs.outside(self.vector(candidate), self._q)
        length, left = lengths.numpy()
        return v if 0 < length < math.inf and left > ENOUGH else None

    def add(self, q: Vector) -> None:
        self._q = tf.concat([self._q, self.vector(q)[None]], axis=0)
        self.count += 1

    def append(self, q: Vector, w: Vector) -> NDArray[np.float64]:
        q, w = self.vector(q), self.vector(w)
        self._q, self._w, both = self._graphs.append(q, w, self._q, self._w)
        self.count += 1
        found: NDArray[np.float64] = both.numpy().astype(np.float64)
        return found

    def difference(
        self, of_w: NDArray[np.float64], of_q: NDArray[np.float64]
    ) -> tuple[Any, NDArray[np.float64]]:
        found, lengths = self._graphs.difference(
            tf.constant(of_w, self._dtype), self._w, tf.constant(of_q, self._dtype), self._q
        )
        return found, lengths.numpy()

    def combined(self, coefficients: NDArray[np.float64]) -> NDArray[Any]:
        found: NDArray[Any] = tf.matmul(tf.constant(coefficients, self._dtype), self._q).numpy()
        return found

    def replace(self, coefficients: NDArray[np.float64]) -> None:
        factors = tf.constant(coefficients, self._dtype)
        self._q, self._w = tf.matmul(factors, self._q), tf.matmul(factors, self._w)
        self.count = len(coefficients)


def rows_for(size: int, dtype: np.dtype[Any], capacity: int, on_device: bool) -> Rows:
    """Rows where the variables are, with room for `capacity` of them."""
    return DeviceRows(size, dtype) if on_device else HostRows(size, dtype, capacity)


def _smallest(dtype: Any) -> float:
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


class _Graphs(NamedTuple):
    inner: Callable[..., Any]
    remainder: Callable[..., Any]
    outside: Callable[..., Any]
    append: Callable[..., Any]
    difference: Callable[..., Any]


@cache
def _graphs(dtype: Any) -> _Graphs:
    """The graphs for vectors of a precision, of any length."""
    vector, rows = tf.TensorSpec([None], dtype), tf.TensorSpec([None, None], dtype)
    smallest = _smallest(dtype.as_numpy_dtype)

    def compiled(*signature: Any) -> Callable[[Callable[..., Any]], Any]:
        return lambda function: tf.function(function, input_signature=signature, autograph=False)

    def unit(x: Any) -> tuple[Any, Any]:
        wide = tf.cast(x, tf.float64)
        length = tf.norm(wide)
        return tf.cast(wide / length, dtype), length

    def without(x: Any, q: Any) -> Any:
        return x - tf.linalg.matvec(q, tf.linalg.matvec(q, x), transpose_a=True)

    @compiled(vector, vector)
    def inner(x: Any, y: Any) -> Any:
        return tf.reduce_sum(tf.cast(x, tf.float64) * tf.cast(y, tf.float64))

    @compiled(vector, rows)
    def outside(x: Any, q: Any) -> tuple[Any, Any]:
        def unfinished(_: Any, left: Any) -> Any:
            return (left <= ENOUGH) & (left >= smallest)

        def one_pass(v: Any, _: Any) -> tuple[Any, Any]:
            return unit(without(v, q))

        v, length = unit(x)
        v, left = tf.while_loop(unfinished, one_pass, one_pass(v, length), None, PASSES - 1)
        return v, tf.stack([length, left])

    @compiled(vector, vector, rows, rows)
    def append(x: Any, y: Any, q: Any, w: Any) -> tuple[Any, Any, Any]:
        q, w = tf.concat([q, [x]], axis=0), tf.concat([w, [y]], axis=0)
        return q, w, tf.stack([tf.linalg.matvec(q, y), tf.linalg.matvec(w, x)])

    @compiled(rows, rows, rows, rows)
    def difference(of_w: Any, w: Any, of_q: Any, q: Any) -> tuple[Any, Any]:
        found = tf.matmul(of_w, w) - tf.matmul(of_q, q)
        return found, tf.norm(tf.cast(found, tf.float64), axis=1)

    return _Graphs(inner, compiled(vector, rows)(without), outside, append, difference)
