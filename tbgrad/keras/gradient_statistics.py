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

from tbgrad.keras import sketch
from tbgrad.keras.graph import UNKNOWN, in_xla
from tbgrad.keras.parameters import Layout
from tbgrad.log.records import HistogramBins

Tensor: TypeAlias = Any  # tf.Tensor: TensorFlow ships no types

SAFE_SQUARES = (1e-30, 1e38)
"""Sums of squares that lost nothing to the range of float32."""

LANES = 128

KEYS = 512
"""Signs times exponents of float32."""

SMALL = 1 << 16
"""Gradients of up to so many values are copied together with those of their shape, or expanded."""


@dataclass(frozen=True)
class Gradient:
    """The gradient of one parameter in float32; a `sparse` one leaves out rows of exact zeros.

    `slices` are the values and the indices of its rows, as they came, of a large one that came so.
    """

    tensor: Tensor
    sparse: bool = False
    slices: tuple[Tensor, Tensor] | None = None

    @property
    def values(self) -> Tensor:
        """All values, flat."""
        return tf.reshape(self.tensor, [-1])


def prepare(gradient: Any) -> Gradient:
    """Bring a dense or sparse (`tf.IndexedSlices`) gradient into one form.

    Rows that occur several times in a sparse gradient are added up, as the optimizer does. It is
    expanded to the size of its variable only where that is small, or less than it holds itself.
    """
    if not isinstance(gradient, tf.IndexedSlices):
        return Gradient(_real(gradient))
    values = _real(gradient.values)
    slices = (values, gradient.indices)
    shape = tf.get_static_value(gradient.dense_shape)
    if shape is not None and np.prod(shape) <= SMALL:
        return Gradient(tf.math.unsorted_segment_sum(*slices, shape[0]))
    if shape is not None and shape[0] <= (values.shape[0] or 0):
        return Gradient(tf.math.unsorted_segment_sum(*slices, shape[0]), slices=slices)
    return Gradient(_sum_of_equal_rows(*slices), sparse=True, slices=slices)


def _real(tensor: Tensor) -> Tensor:
    """In float32; of complex numbers both parts, along one more axis."""
    if tensor.dtype.is_complex:
        tensor = tf.stack([tf.math.real(tensor), tf.math.imag(tensor)], axis=-1)
    return tf.cast(tensor, tf.float32)


class Blocks:
    """Small dense gradients of one layout together, large and sparse ones alone.

    What the work on a small tensor costs is the number of operations. `stacked` has a tensor
    [K, values] for each of the `groups`, which hold positions in the list of gradients.
    """

    def __init__(self, gradients: Sequence[Gradient], layouts: Sequence[Layout]) -> None:
        by_layout: dict[object, list[int]] = {}
        for i, (gradient, layout) in enumerate(zip(gradients, layouts, strict=True)):
            together = not gradient.sparse and layout.size <= SMALL
            by_layout.setdefault(layout if together else i, []).append(i)
        self.groups = list(by_layout.values())
        self.layouts = [layouts[group[0]] for group in self.groups]
        self.slices = [gradients[group[0]].slices for group in self.groups]
        self.stacked = [
            tf.reshape(tf.stack([gradients[i].tensor for i in group]), [len(group), -1])
            for group in self.groups
        ]
        self._back = np.argsort([i for group in self.groups for i in group])

    def in_order(self, blocks: Sequence[Tensor]) -> Tensor:
        """[P, …] in the order of the gradients, from a tensor [K, …] for each group."""
        return tf.gather(tf.concat(blocks, axis=0), self._back)


def _sum_of_equal_rows(values: Tensor, indices: Tensor) -> Tensor:
    """Each row that occurs once, in the order of the indices, and zeros for those left over.

    Of the latter there is at least one: without any row, there would be no largest value.
    """
    order = tf.argsort(indices)
    rows = tf.gather(indices, order)
    fresh = tf.cast(rows[1:] != rows[:-1], tf.int32)
    fresh = tf.concat([tf.zeros_like(rows[:1], tf.int32), fresh], axis=0)
    return tf.math.unsorted_segment_sum(
        tf.gather(values, order), tf.cumsum(fresh), num_segments=tf.shape(rows)[0] + 1
    )


def square_sums(gradients: Sequence[Gradient]) -> Tensor:
    """Sum of squares of every gradient: [P]. Infinite from a norm of 1.8e19 on."""
    if in_xla():
        return tf.stack([_square_sum_by_lanes(gradient.values) for gradient in gradients])
    return 2.0 * tf.stack([tf.nn.l2_loss(gradient.tensor) for gradient in gradients])


def _square_sum_by_lanes(values: Tensor) -> Tensor:
    """Sums side by side first: XLA adds one number after the other, and so three times as slowly.

    The product with ones, as it is no sum, keeps XLA from making one sum out of both.
    """
    size = values.shape.num_elements()
    if size is None or size % LANES or size == LANES:
        return 2.0 * tf.nn.l2_loss(values)
    sums = tf.reduce_sum(tf.square(tf.reshape(values, [-1, LANES])), axis=0)
    return tf.tensordot(sums, tf.ones([LANES]), 1)


def nonfinite_counts(blocks: Blocks) -> Tensor:
    """How many values of every gradient are NaN or infinite: float32 [P]."""
    return blocks.in_order(
        [
            tf.reduce_sum(tf.cast(~tf.math.is_finite(stacked), tf.float32), axis=1)
            for stacked in blocks.stacked
        ]
    )


def norm(values: Tensor) -> Tensor:
    """L2 norm of each row, right where squares overflow or vanish in float32 too: [K, n] to [K]."""
    largest = tf.reduce_max(tf.abs(values), axis=-1)
    scale = tf.where((largest > 0) & tf.math.is_finite(largest), largest, 1.0)
    scaled = values / scale[..., tf.newaxis]
    return scale * tf.sqrt(tf.reduce_sum(tf.square(scaled), axis=-1))


def norms(
    gradients: Sequence[Gradient], layouts: Sequence[Layout], squares: Tensor | None = None
) -> Tensor:
    """L2 norm of every gradient: [P]. `squares` are the sums of squares, where known.

    One pass over each; more only when a square overflows or vanishes in float32.
    """
    squares = square_sums(gradients) if squares is None else squares

    def scaled() -> Tensor:
        blocks = Blocks(gradients, layouts)
        return blocks.in_order([norm(stacked) for stacked in blocks.stacked])

    exact = (squares > SAFE_SQUARES[0]) & (squares < SAFE_SQUARES[1])
    return tf.cond(tf.reduce_all(exact), lambda: tf.sqrt(squares), scaled)


def column_statistics(blocks: Blocks) -> dict[str, Tensor]:
    """`mean`, `std`, `abs_max`, `zero_fraction`, `dead_fraction` of every gradient: [P] each.

    Mean and standard deviation are those of all values of the parameter's gradient (the deviation
    is the population's), the zero fraction counts exact zeros, the dead fraction output units all
    of whose gradients are exactly zero; it is UNKNOWN where the tensor has no such units.
    """
    of_blocks = [
        _block_statistics(stacked, layout)
        for stacked, layout in zip(blocks.stacked, blocks.layouts, strict=True)
    ]
    return {name: blocks.in_order([each[name] for each in of_blocks]) for name in of_blocks[0]}


def _block_statistics(stacked: Tensor, layout: Layout) -> dict[str, Tensor]:
    """The statistics of K gradients of one layout: [K] each."""
    count, units = stacked.shape[0], layout.units or 1
    size = float(layout.size)
    left_out = size - tf.cast(tf.shape(stacked)[1], tf.float32)
    if layout.after > 1:
        stacked = tf.reshape(stacked, [count, -1, units, layout.after])
        stacked = tf.transpose(stacked, [0, 1, 3, 2])
    stacked = tf.reshape(stacked, [count, -1, units])

    def total(each: Tensor) -> Tensor:
        return tf.reduce_sum(tf.reduce_sum(each, axis=1), axis=1)

    # Largest and smallest, not the largest magnitude: XLA on a processor is four times as fast.
    high, low = tf.reduce_max(stacked, axis=1), tf.reduce_min(stacked, axis=1)
    mean = total(stacked) / size
    squares = total(tf.square(stacked - mean[:, tf.newaxis, tf.newaxis]))
    dead = tf.reduce_mean(tf.cast((high <= 0.0) & (low >= 0.0), tf.float32), axis=1)
    nonzero = total(tf.cast(tf.not_equal(stacked, 0.0), tf.float32))
    return {
        "mean": mean,
        "std": tf.sqrt((squares + left_out * tf.square(mean)) / size),
        "abs_max": tf.maximum(tf.reduce_max(tf.maximum(high, -low), axis=1), 0.0),
        "zero_fraction": (size - nonzero) / size,
        "dead_fraction": tf.fill([count], UNKNOWN) if layout.units is None else dead,
    }


def sketches(blocks: Blocks) -> Tensor:
    """The sketch of every gradient: [P, sketch.BUCKETS]."""
    # What comes in rows is taken so, expanded or not: a batch of another size may be the next.
    return blocks.in_order(
        [
            sketch.of_dense(stacked) if slices is None else sketch.of_rows(*slices)
            for stacked, slices in zip(blocks.stacked, blocks.slices, strict=True)
        ]
    )


def histograms(blocks: Blocks, bins: HistogramBins) -> Tensor:
    """Counts by sign and power of two: int32 [P, B], columns as in `HistogramBins`.

    The bin of a value is read off the sign and exponent bits of its float32, so no range has to be
    guessed. What is below the smallest normal number, 1.2e-38, counts as zero.
    """
    pairs = zip(blocks.stacked, blocks.layouts, strict=True)
    return blocks.in_order([_block_histograms(*pair, bins) for pair in pairs])


def _block_histograms(stacked: Tensor, layout: Layout, bins: HistogramBins) -> Tensor:
    count = stacked.shape[0]
    first = tf.constant(KEYS * np.arange(count)[:, np.newaxis] + KEYS // 2, tf.int32)
    key = tf.bitwise.right_shift(tf.bitcast(stacked, tf.int32), 23) + first
    counts = tf.reshape(_count(tf.reshape(key, [-1]), count * KEYS), [count, KEYS])
    columns = tf.math.unsorted_segment_sum(tf.transpose(counts), _columns(bins), bins.columns)
    left_out = layout.size - tf.shape(stacked)[1]
    blank = left_out * tf.one_hot(bins.zero_column, bins.columns, dtype=tf.int32)
    return tf.transpose(columns) + blank


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
