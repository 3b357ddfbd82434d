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


SAFE_SQUARES = (1e-30, 1e38)
"""Sums of squares that lost nothing to the range of float32."""

LANES = 128

SMALL = 1 << 16
"""Gradients of up to so many values are copied together with those of their shape."""


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
    if in_xla():
        return tf.stack([_square_sum_by_lanes(gradient.values) for gradient in gradients])
    return tf.stack([2.0 * tf.nn.l2_loss(gradient.values) for gradient in gradients])


def _square_sum_by_lanes(values: Tensor) -> Tensor:
    """Sums side by side first: XLA adds one number after the other, and so three times as slowly.

    The product with ones, as it is no sum, keeps XLA from making one sum out of both.
    """
    size = values.shape.num_elements()
    if size is None or size % LANES or size == LANES:
        return 2.0 * tf.nn.l2_loss(values)
    sums = tf.reduce_sum(tf.square(tf.reshape(values, [-1, LANES])), axis=0)
    return tf.tensordot(sums, tf.ones([LANES]), 1)


def in_xla() -> bool:
    """Whether what is traced now will be compiled by XLA."""
    graph = tf.compat.v1.get_default_graph()
    while graph is not None:
        context = graph._get_control_flow_context()
        while context is not None:
            if context.IsXLAContext():
                return True
            context = context.outer_context
        graph = getattr(graph, "outer_graph", None)
    return False


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


def norms(tensors: Sequence[Tensor], squares: Tensor | None = None) -> Tensor:
    """L2 norm of every tensor: [P]. `squares` are their sums of squares, where known.

    One pass over each; more only when a square overflows or vanishes in float32.
    """
    values = [tf.reshape(tf.cast(tensor, tf.float32), [-1]) for tensor in tensors]
    if squares is None:
        squares = tf.stack([2.0 * tf.nn.l2_loss(flat) for flat in values])
    exact = (squares > SAFE_SQUARES[0]) & (squares < SAFE_SQUARES[1])
    return tf.cond(
        tf.reduce_all(exact),
        lambda: tf.sqrt(squares),
        lambda: tf.stack([norm(flat) for flat in values]),
    )


def column_statistics(
    gradients: Sequence[Gradient], parameters: Sequence[Parameter]
) -> dict[str, Tensor]:
    """`mean`, `std`, `abs_max`, `zero_fraction`, `dead_fraction` of every gradient: [P] each.

    Mean and standard deviation are those of all values of the parameter's gradient (the deviation
    is the population's), the zero fraction counts exact zeros. Small gradients of one shape are
    taken together: what the work on a small tensor costs is the number of operations.
    """
    groups = _alike(gradients, parameters)
    blocks = [
        _block_statistics([gradients[i] for i in positions], parameters[positions[0]])
        for positions in groups
    ]
    back = np.argsort([i for positions in groups for i in positions])
    columns = {
        name: tf.gather(tf.concat([block[name] for block in blocks], axis=0), back)
        for name in blocks[0]
    }
    of_units = np.array([parameter.role in ("kernel", "bias") for parameter in parameters])
    columns["dead_fraction"] = tf.where(of_units, columns["dead_fraction"], np.float32(np.nan))
    return columns


def _alike(gradients: Sequence[Gradient], parameters: Sequence[Parameter]) -> list[list[int]]:
    """Positions of dense gradients of one shape together; large and sparse ones alone."""
    groups: dict[object, list[int]] = {}
    for i, (gradient, parameter) in enumerate(zip(gradients, parameters, strict=True)):
        together = gradient.matrix is not None and parameter.size <= SMALL
        groups.setdefault(parameter.shape if together else i, []).append(i)
    return list(groups.values())


def _block_statistics(block: Sequence[Gradient], parameter: Parameter) -> dict[str, Tensor]:
    """The statistics of K gradients of one shape: [K] each."""
    sparse = block[0].matrix is None
    units = 1 if sparse or not parameter.shape else parameter.shape[-1]
    values = [gradient.values for gradient in block]
    stacked = tf.stack(values) if len(values) > 1 else values[0][tf.newaxis]
    stacked = tf.reshape(stacked, [len(block), -1, units])
    size = float(parameter.size)
    left_out = size - tf.cast(tf.size(values[0]), tf.float32)

    def total(each: Tensor) -> Tensor:
        return tf.reduce_sum(tf.reduce_sum(each, axis=1), axis=1)

    # Largest and smallest, not the largest magnitude: XLA on a processor is four times as fast.
    high, low = tf.reduce_max(stacked, axis=1), tf.reduce_min(stacked, axis=1)
    mean = total(stacked) / size
    squares = total(tf.square(stacked - mean[:, tf.newaxis, tf.newaxis]))
    dead = tf.cast(tf.equal(high, 0.0) & tf.equal(low, 0.0), tf.float32)
    nonzero = total(tf.cast(tf.not_equal(stacked, 0.0), tf.float32))
    return {
        "mean": mean,
        "std": tf.sqrt((squares + left_out * tf.square(mean)) / size),
        "abs_max": tf.maximum(tf.reduce_max(high, axis=1), -tf.reduce_min(low, axis=1)),
        "zero_fraction": (size - nonzero) / size,
        "dead_fraction": tf.fill([len(block)], np.float32(np.nan))
        if sparse
        else tf.reduce_mean(dead, axis=1),
    }


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
