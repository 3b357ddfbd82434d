"""Statistics of gradients as TensorFlow operations, the same for graph, XLA and eager execution.

Every function takes and returns tensors, has no side effect, and costs one or two passes over its
input. Sums are in float32 whatever the gradient's type.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from tbgrad.keras import sketch
from tbgrad.keras.gradients import prepare
from tbgrad.keras.graph import UNKNOWN, in_xla
from tbgrad.keras.matrices import Matrices, PackedMatrix, SingleMatrix
from tbgrad.keras.parameters import Layout
from tbgrad.log.records import HistogramBins

Tensor: TypeAlias = Any  # tf.Tensor: TensorFlow ships no types

SAFE_SQUARES = (1e-30, 1e38)
"""Sums of squares that lost nothing to the range of float32."""

KEYS = 512
"""Signs times exponents of float32."""


def halved_squares(tensors: Iterable[Any]) -> list[Tensor]:
    """Half the sum of squares of every tensor, one operation each; infinite from 1.8e38 on."""
    return [tf.nn.l2_loss(prepare(tensor).tensor) for tensor in tensors]


def square_sums(tensors: Sequence[Any], layouts: Sequence[Layout]) -> Tensor:
    """Sum of squares of every tensor: [P]. Infinite from a norm of 1.8e19 on.

    XLA compiles one operation for all of them; without it a copy of them would cost more.
    """
    if in_xla():
        return Matrices.of(tensors, layouts).squares
    return 2.0 * tf.stack(halved_squares(tensors))


def sums(tensors: Sequence[Any], layouts: Sequence[Layout]) -> Tensor:
    """Sum of the values of every tensor, likewise: [P]."""
    if in_xla():
        return Matrices.of(tensors, layouts).sums
    return tf.stack([tf.reduce_sum(prepare(tensor).tensor) for tensor in tensors])


def norms(matrices: Matrices, squares: Tensor) -> Tensor:
    """L2 norm of every tensor, of which `squares` are the sums of squares: [P].

    Right where a square overflows or vanishes in float32, too, which takes more passes; outside XLA
    they are made only then. XLA takes minutes to compile a conditional of all within another.
    """

    def scaled() -> Tensor:
        return matrices.in_order([_norms(matrix) for matrix in matrices])

    if in_xla():
        return scaled()
    exact = (squares > SAFE_SQUARES[0]) & (squares < SAFE_SQUARES[1])
    return tf.cond(tf.reduce_all(exact), lambda: tf.sqrt(squares), scaled)


def _norms(matrix: SingleMatrix | PackedMatrix) -> Tensor:
    """L2 norms of its tensors."""
    largest = matrix.largest()
    scale = tf.where((largest > 0) & tf.math.is_finite(largest), largest, 1.0)
    return scale * tf.sqrt(matrix.sums(tf.square(matrix.values / matrix.spread(scale)))[:, 0])


def column_statistics(matrices: Matrices) -> dict[str, Tensor]:
    """`mean`, `std`, `abs_max`, `zero_fraction`, `dead_fraction` of every gradient: [P] each.

    Mean and standard deviation are those of all values of the parameter's gradient (the deviation
    is the population's), the zero fraction counts exact zeros, the dead fraction output units all
    of whose gradients are exactly zero; it is UNKNOWN where the tensor has no such units.
    """
    told = matrices.in_order([_of_matrix(matrix) for matrix in matrices])
    mean, variance, zeros, dead, largest = tf.unstack(told, axis=1)
    return {
        "mean": mean,
        "std": tf.sqrt(variance),
        "abs_max": largest,
        "zero_fraction": zeros,
        "dead_fraction": dead,
    }


def _of_matrix(matrix: SingleMatrix | PackedMatrix) -> Tensor:
    """Of its K gradients: mean, variance, share of zeros, share of dead units, largest: [K, 5]."""
    nonzero = tf.not_equal(matrix.values, 0.0)
    sums, counts = tf.unstack(matrix.sums(matrix.values, tf.cast(nonzero, tf.float32)), axis=1)
    mean, zeros = sums / matrix.sizes, (matrix.sizes - counts) / matrix.sizes
    away = matrix.values - matrix.spread(mean)
    if isinstance(matrix, PackedMatrix) and matrix.filled is not None:
        away = tf.where(matrix.filled, away, 0.0)
    squares = matrix.sums(tf.square(away))[:, 0]
    if isinstance(matrix, SingleMatrix) and matrix.left_out is not None:
        squares += matrix.left_out * tf.square(mean)
    dead = [
        _dead(part, zeros[which], matrix.layouts[which.start])
        for which, part in matrix.by_layout(nonzero)
    ]
    columns = [mean, squares / matrix.sizes, zeros, tf.concat(dead, axis=0), matrix.largest()]
    return tf.stack(columns, axis=1)


def _dead(nonzero: Tensor, zeros: Tensor, layout: Layout) -> Tensor:
    """Of K of a layout, [K, size], the shares of output units all of whose values are zero: [K].

    `zeros` are their shares of zeros.
    """
    if layout.units is None:
        return tf.fill([nonzero.shape[0]], UNKNOWN)
    if layout.units == layout.size:
        return zeros
    by_unit = tf.reshape(nonzero, [nonzero.shape[0], -1, layout.units, layout.after])
    alive = tf.reduce_any(by_unit, axis=[1, 3])
    return tf.reduce_mean(tf.cast(~alive, tf.float32), axis=1)


def sketches(matrices: Matrices) -> Tensor:
    """The sketch of every gradient: [P, sketch.BUCKETS]."""
    told = []
    for matrix in matrices:
        if isinstance(matrix, PackedMatrix):
            told += [sketch.of_dense(part) for part in matrix.of_as_many_rows()]
        # What comes in rows is taken so, expanded or not: a batch of another size may be the next.
        elif matrix.slices is not None:
            told.append(sketch.of_rows(*matrix.slices))
        else:
            told.append(sketch.of_dense(tf.reshape(matrix.values, [1, -1])))
    return matrices.in_order(told)


def histograms(matrices: Matrices, bins: HistogramBins) -> Tensor:
    """Counts by sign and power of two: int32 [P, B], columns as in `HistogramBins`.

    The bin of a value is read off the sign and exponent bits of its float32, so no range has to be
    guessed. What is below the smallest normal number, 1.2e-38, counts as zero.
    """
    counted = []
    for matrix in matrices:
        exponents = tf.bitwise.right_shift(tf.bitcast(matrix.values, tf.int32), 23)
        keys = exponents + (KEYS * matrix.tensor + KEYS // 2).astype(np.int32)
        count = len(matrix.layouts)
        counted.append(tf.reshape(_count(tf.reshape(keys, [-1]), count * KEYS), [count, KEYS]))
    counts = matrices.in_order(counted)
    columns = tf.math.unsorted_segment_sum(tf.transpose(counts), _columns(bins), bins.columns)
    columns = tf.transpose(columns)
    # Rows that are left out, or filled up.
    sizes = matrices.arrays_in_order([matrix.sizes for matrix in matrices]).astype(np.int32)
    blank = sizes - tf.reduce_sum(columns, axis=1)
    zeros = np.arange(bins.columns) == bins.zero_column
    return columns + blank[:, tf.newaxis] * zeros.astype(np.int32)


def _count(keys: Tensor, size: int) -> Tensor:
    """How often each of the numbers below `size` occurs: int32 [size]."""
    if in_xla():
        return tf.math.unsorted_segment_sum(tf.ones_like(keys), keys, size)
    none = tf.zeros([0], tf.int32)  # of no weights, it counts; eight times as fast as adding up
    return tf.raw_ops.DenseBincount(input=keys, size=size, weights=none, binary_output=False)


def _columns(bins: HistogramBins) -> np.ndarray[Any, np.dtype[np.int32]]:
    """The histogram column of each key: 256 exponents of negative, 256 of positive values."""
    exponent = np.arange(256) - 127
    lowest = int(np.log2(bins.edges[0]))
    distance = 1 + np.clip(exponent - lowest + 1, 0, bins.magnitudes + 1)
    distance[0] = 0
    distance[-1] = bins.columns - 1 - bins.zero_column
    negative = bins.zero_column - distance
    negative[-1] = bins.columns - 1
    return np.concatenate([negative, bins.zero_column + distance]).astype(np.int32)
