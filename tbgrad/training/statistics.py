"""Statistics of gradients as TensorFlow operations, the same for graph, XLA and eager execution.

Every function takes and returns tensors, has no side effect, and costs one or two passes over its
input. Sums are in float32 whatever the gradient's type.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from tbgrad.records import HistogramBins, Parameter

Tensor: TypeAlias = Any  # tf.Tensor: TensorFlow ships no types

COSINE_SAMPLE = 256
"""Coordinates of a parameter from which `cosine` is estimated: all of them up to this number, else
a fixed random choice. The estimate's standard error is about (1 - cosine²) / √256, at most 0.06;
one kilobyte a parameter holds the previous sample, where a copy of the gradient would be another
model."""


@dataclass(frozen=True)
class Gradient:
    """The gradient of one parameter: `values` flat float32, which may leave out exact zeros.

    `matrix` is the dense gradient in its own shape, None where only the touched rows are known.
    """

    values: Tensor
    matrix: Tensor | None


def prepare(gradient: Any) -> Gradient:
    """Bring a dense or sparse (`tf.IndexedSlices`) gradient into one form.

    Rows that occur several times in a sparse gradient are added up, as the optimizer does; the
    gradient is never expanded to the size of its variable.
    """
    if isinstance(gradient, tf.IndexedSlices):
        return Gradient(tf.reshape(_sum_of_equal_rows(gradient), [-1]), None)
    matrix = tf.cast(gradient, tf.float32)
    return Gradient(tf.reshape(matrix, [-1]), matrix)


def _sum_of_equal_rows(slices: Any) -> Tensor:
    values = tf.cast(slices.values, tf.float32)
    order = tf.argsort(slices.indices)
    rows = tf.gather(slices.indices, order)
    fresh = tf.concat([[0], tf.cast(rows[1:] != rows[:-1], tf.int32)], axis=0)
    return tf.math.unsorted_segment_sum(
        tf.gather(values, order), tf.cumsum(fresh), num_segments=tf.shape(rows)[0]
    )


def square_sums(gradients: Sequence[Gradient]) -> Tensor:
    """Sum of squares of every gradient: [P]. Infinite from a norm of 1.8e19 on."""
    return tf.stack([2.0 * tf.nn.l2_loss(gradient.values) for gradient in gradients])


def nonfinite_counts(gradients: Sequence[Gradient]) -> Tensor:
    """How many values of every gradient are NaN or infinite: float32 [P]."""
    return tf.stack(
        [
            tf.reduce_sum(tf.cast(~tf.math.is_finite(gradient.values), tf.float32))
            for gradient in gradients
        ]
    )


def norm(values: Tensor) -> Tensor:
    """L2 norm, right where the squares would overflow or vanish in float32 too."""
    largest = tf.reduce_max(tf.abs(values))
    scale = tf.where((largest > 0) & tf.math.is_finite(largest), largest, 1.0)
    return scale * tf.sqrt(tf.reduce_sum(tf.square(values / scale)))


def column_statistics(gradient: Gradient, parameter: Parameter) -> dict[str, Tensor]:
    """`norm`, `mean`, `std`, `abs_max`, `zero_fraction`, `dead_fraction` of one gradient.

    Mean and standard deviation are those of all values of the parameter's gradient (the deviation
    is the population's), the zero fraction counts exact zeros.
    """
    values = gradient.values
    size = float(parameter.size)
    left_out = size - tf.cast(tf.size(values), tf.float32)
    nonzero = tf.reduce_sum(tf.cast(tf.not_equal(values, 0.0), tf.float32))
    mean = tf.reduce_sum(values) / size
    variance = (tf.reduce_sum(tf.square(values - mean)) + left_out * tf.square(mean)) / size
    return {
        "norm": norm(values),
        "mean": mean,
        "std": tf.sqrt(variance),
        "abs_max": tf.reduce_max(tf.abs(values)),
        "zero_fraction": (size - nonzero) / size,
        "dead_fraction": _dead_fraction(gradient, parameter),
    }


def _dead_fraction(gradient: Gradient, parameter: Parameter) -> Tensor:
    """Share of output units (last axis) all of whose gradients are exactly zero."""
    if gradient.matrix is None or parameter.role not in ("kernel", "bias"):
        return tf.constant(np.nan, tf.float32)
    rank = len(parameter.shape)
    dead = tf.reduce_all(tf.equal(gradient.matrix, 0.0), axis=list(range(rank - 1)))
    return tf.reduce_mean(tf.cast(dead, tf.float32))


def sample_coordinates(parameter: Parameter, row: int) -> np.ndarray[Any, np.dtype[np.int32]]:
    """The fixed coordinates from which the cosine of this parameter is estimated, rising."""
    if parameter.size <= COSINE_SAMPLE:
        return np.arange(parameter.size, dtype=np.int32)
    chosen = np.random.default_rng(row).choice(parameter.size, COSINE_SAMPLE, replace=False)
    return np.sort(chosen).astype(np.int32)


def sample(gradient: Gradient, coordinates: np.ndarray[Any, np.dtype[np.int32]]) -> Tensor:
    """The gradient at `coordinates`, zero-padded to [COSINE_SAMPLE]; NaN for a sparse gradient."""
    if gradient.matrix is None:
        return tf.fill([COSINE_SAMPLE], np.float32(np.nan))
    taken = tf.gather(gradient.values, coordinates)
    return tf.pad(taken, [[0, COSINE_SAMPLE - len(coordinates)]])


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """Cosine between the rows of two [P, K] matrices: [P], NaN where a row is zero."""
    a = a / tf.reduce_max(tf.abs(a), axis=1, keepdims=True)
    b = b / tf.reduce_max(tf.abs(b), axis=1, keepdims=True)
    lengths = tf.norm(a, axis=1) * tf.norm(b, axis=1)
    return tf.clip_by_value(tf.reduce_sum(a * b, axis=1) / lengths, -1.0, 1.0)


def histogram(gradient: Gradient, parameter: Parameter, bins: HistogramBins) -> Tensor:
    """Counts by sign and power of two: int32 [B], columns as in `HistogramBins`.

    The bin of a value is read off the exponent bits of its float32, so no range has to be guessed.
    """
    lowest, magnitudes, zero = int(np.log2(bins.edges[0])), bins.magnitudes, bins.zero_column
    bits = tf.bitcast(gradient.values, tf.int32)
    magnitude = tf.bitwise.bitwise_and(bits, 0x7FFFFFFF)
    exponent = tf.bitwise.right_shift(magnitude, 23) - 127
    distance = 1 + tf.clip_by_value(exponent - lowest + 1, 0, magnitudes + 1)
    column = zero + tf.where(bits < 0, -distance, distance)
    column = tf.where(magnitude == 0, zero, column)
    column = tf.where(exponent == 128, bins.columns - 1, column)
    counts = tf.math.unsorted_segment_sum(tf.ones_like(column), column, bins.columns)
    left_out = parameter.size - tf.size(column)
    return counts + left_out * tf.one_hot(zero, bins.columns, dtype=tf.int32)
