"""Rows on a device with memory of its own, where each method is one call of a graph."""

# ruff: noqa: D102 - what the methods do is said once, in Rows
from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tbgrad.hessian.rows import ENOUGH, PASSES, Rows, Vector, rounding_within


class DeviceRows(Rows):
    """Rows on the device of the variables, in as much memory as there are of them."""

    def __init__(self, size: int, dtype: np.dtype[Any]) -> None:
        self._dtype = tf.as_dtype(dtype)
        self._graphs = _graphs(self._dtype)
        self._q, self._w = (tf.zeros([0, size], self._dtype) for _ in range(2))

    def vector(self, values: Any) -> Vector:
        return tf.cast(values, self._dtype)

    def inner(self, x: Vector, y: Vector) -> float:
        return float(self._graphs.inner(x, y))

    def project_out(self, x: Vector) -> Vector:
        return self._graphs.project_out(x, self._q)

    def orthonormalise(self, candidate: Vector) -> Vector | None:
        v, lengths = self._graphs.orthonormalise(self.vector(candidate), self._q)
        length, left = lengths.numpy()
        return v if 0 < length < math.inf and left > ENOUGH else None

    def add(self, q: Vector) -> None:
        self._q = tf.concat([self._q, self.vector(q)[None]], axis=0)
        self.count += 1

    def append(self, q: Vector, w: Vector) -> NDArray[np.float64]:
        q, w = self.vector(q), self.vector(w)
        self._q, self._w, both = self._graphs.append(q, w, self._q, self._w)
        self.count += 1
        products: NDArray[np.float64] = both.numpy().astype(np.float64)
        return products

    def difference(
        self, of_w: NDArray[np.float64], of_q: NDArray[np.float64]
    ) -> tuple[Any, NDArray[np.float64]]:
        vectors, lengths = self._graphs.difference(
            tf.constant(of_w, self._dtype), self._w, tf.constant(of_q, self._dtype), self._q
        )
        return vectors, lengths.numpy()

    def combined(self, coefficients: NDArray[np.float64]) -> NDArray[Any]:
        vectors: NDArray[Any] = tf.matmul(tf.constant(coefficients, self._dtype), self._q).numpy()
        return vectors

    def replace(self, coefficients: NDArray[np.float64]) -> None:
        factors = tf.constant(coefficients, self._dtype)
        self._q, self._w = tf.matmul(factors, self._q), tf.matmul(factors, self._w)
        self.count = len(coefficients)


class _Graphs(NamedTuple):
    inner: Callable[..., Any]
    project_out: Callable[..., Any]
    orthonormalise: Callable[..., Any]
    append: Callable[..., Any]
    difference: Callable[..., Any]


@cache
def _graphs(dtype: Any) -> _Graphs:
    """The graphs for vectors of a precision, of any length."""
    vector, rows = tf.TensorSpec([None], dtype), tf.TensorSpec([None, None], dtype)
    within = rounding_within(dtype.as_numpy_dtype)

    def compiled(*signature: Any) -> Callable[[Callable[..., Any]], Any]:
        return lambda function: tf.function(function, input_signature=signature, autograph=False)

    def unit(x: Any) -> tuple[Any, Any]:
        wide = tf.cast(x, tf.float64)
        length = tf.norm(wide)
        return tf.cast(wide / length, dtype), length

    def project_out(x: Any, q: Any) -> Any:
        return x - tf.linalg.matvec(q, tf.linalg.matvec(q, x), transpose_a=True)

    @compiled(vector, vector)
    def inner(x: Any, y: Any) -> Any:
        return tf.reduce_sum(tf.cast(x, tf.float64) * tf.cast(y, tf.float64))

    @compiled(vector, rows)
    def orthonormalise(x: Any, q: Any) -> tuple[Any, Any]:
        def unfinished(_: Any, left: Any) -> Any:
            return (left <= ENOUGH) & (left >= within)

        def one_pass(v: Any, _: Any) -> tuple[Any, Any]:
            return unit(project_out(v, q))

        v, length = unit(x)
        v, left = tf.while_loop(unfinished, one_pass, one_pass(v, length), None, PASSES - 1)
        return v, tf.stack([length, left])

    @compiled(vector, vector, rows, rows)
    def append(x: Any, y: Any, q: Any, w: Any) -> tuple[Any, Any, Any]:
        q, w = tf.concat([q, [x]], axis=0), tf.concat([w, [y]], axis=0)
        return q, w, tf.stack([tf.linalg.matvec(q, y), tf.linalg.matvec(w, x)])

    @compiled(rows, rows, rows, rows)
    def difference(of_w: Any, w: Any, of_q: Any, q: Any) -> tuple[Any, Any]:
        vectors = tf.matmul(of_w, w) - tf.matmul(of_q, q)
        return vectors, tf.norm(tf.cast(vectors, tf.float64), axis=1)

    graph_of_projection = compiled(vector, rows)(project_out)
    return _Graphs(inner, graph_of_projection, orthonormalise, append, difference)
