"""Statistics of gradients as TensorFlow operations, the same for graph, XLA and eager execution.

Every function takes and returns tensors, has no side effect, and costs one or two passes over its
input. Sums are in float32 whatever the gradient's type.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
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


def groups(layouts: Sequence[Layout], sparse: Sequence[bool] | None = None) -> list[list[int]]:
    """Positions of the tensors that are taken together: small dense ones of one layout."""
    by_layout: dict[object, list[int]] = {}
    for i, layout in enumerate(layouts):
        together = layout.size <= SMALL and not (sparse is not None and sparse[i])
        by_layout.setdefault(layout if together else i, []).append(i)
    return list(by_layout.values())


class Blocks:
    """Small dense gradients of one layout together, large and sparse ones alone.

    What the work on a small tensor costs is the number of operations. `stacked` has a tensor
    [K, values] for each of the `groups`, which hold positions in the list of gradients.
    """

    def __init__(self, gradients: Sequence[Gradient], layouts: Sequence[Layout]) -> None:
        self.groups = groups(layouts, [gradient.sparse for gradient in gradients])
        self.layouts = [layouts[group[0]] for group in self.groups]
        self.slices = [gradients[group[0]].slices for group in self.groups]
        self.stacked = [
            tf.reshape(tf.stack([gradients[i].tensor for i in group]), [len(group), -1])
            for group in self.groups
        ]
        self._back = np.argsort([i for group in self.groups for i in group])

    @classmethod
    def of(cls, tensors: Iterable[Any], layouts: Sequence[Layout]) -> Blocks:
        """Those of tensors as they are."""
        return cls([prepare(tensor) for tensor in tensors], layouts)

    def minus(self, stacked: Sequence[Tensor]) -> Blocks:
        """What is left where others, stacked alike, are taken away."""
        rest = copy.copy(self)
        rest.stacked = [ours - other for ours, other in zip(self.stacked, stacked, strict=True)]
        return rest

    @property
    def squares(self) -> Tensor:
        """Sums of squares: [P]. Infinite from a norm of 1.8e19 on."""
        return self.in_order([_square_sums_of_rows(stacked) for stacked in self.stacked])

    @property
    def sums(self) -> Tensor:
        """Sums of the values: [P]."""
        return self.in_order([tf.reduce_sum(stacked, axis=1) for stacked in self.stacked])

    def in_order(self, blocks: Sequence[Tensor]) -> Tensor:
        """[P, …] in the order of the gradients, from a tensor [K, …] for each group."""
        return tf.gather(tf.concat(blocks, axis=0), self._back)

    def in_place(self, of_groups: Sequence[Any]) -> list[Any]:
        """For every gradient what is told of its group."""
        told = {i: each for group, each in zip(self.groups, of_groups, strict=True) for i in group}
        return [told[i] for i in range(len(told))]


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


def square_sums(gradients: Sequence[Gradient], layouts: Sequence[Layout]) -> Tensor:
    """Sum of squares of every gradient: [P]. Infinite from a norm of 1.8e19 on.

    XLA compiles one operation for all of a layout; without it a copy of them would cost more.
    """
    if in_xla():
        return Blocks(gradients, layouts).squares
    return 2.0 * tf.stack([tf.nn.l2_loss(gradient.tensor) for gradient in gradients])


def _square_sums_of_rows(values: Tensor) -> Tensor:
    """[K, size] to [K]; under XLA side by side first: it adds three times as slowly otherwise.

    The product with ones, as it is no sum, keeps XLA from making one sum out of both.
    """
    count, size = values.shape
    if not in_xla() or size is None or size % LANES or size == LANES:
        return tf.reduce_sum(tf.square(values), axis=1)
    sums = tf.reduce_sum(tf.square(tf.reshape(values, [count, -1, LANES])), axis=1)
    return tf.linalg.matvec(sums, tf.ones([LANES]))


def norm(values: Tensor) -> Tensor:
    """L2 norm of each row, right where squares overflow or vanish in float32 too: [K, n] to [K]."""
    largest = tf.reduce_max(tf.abs(values), axis=-1, keepdims=True)
    scale = tf.where((largest > 0) & tf.math.is_finite(largest), largest, 1.0)
    scaled = tf.sqrt(tf.reduce_sum(tf.square(values / scale), axis=-1, keepdims=True))
    return tf.squeeze(scale * scaled, axis=-1)


def norms(blocks: Blocks, squares: Tensor | None = None) -> Tensor:
    """L2 norm of every tensor: [P]. `squares` are the sums of squares, where known.

    One pass over each; more only when a square overflows or vanishes in float32. XLA, which takes
    minutes to compile a conditional of all of them within another, makes two passes.
    """

    def scaled() -> Tensor:
        return blocks.in_order([norm(stacked) for stacked in blocks.stacked])

    if in_xla():
        return scaled()
    squares = blocks.squares if squares is None else squares

    exact = (squares > SAFE_SQUARES[0]) & (squares < SAFE_SQUARES[1])
    return tf.cond(tf.reduce_all(exact), lambda: tf.sqrt(squares), scaled)


def column_statistics(blocks: Blocks) -> dict[str, Tensor]:
    """`mean`, `std`, `abs_max`, `zero_fraction`, `dead_fraction` of every gradient: [P] each.

    Mean and standard deviation are those of all values of the parameter's gradient (the deviation
    is the population's), the zero fraction counts exact zeros, the dead fraction output units all
    of whose gradients are exactly zero; it is UNKNOWN where the tensor has no such units.
    """
    pairs = zip(blocks.stacked, blocks.layouts, strict=True)
    sums = blocks.in_order([_block_statistics(*pair) for pair in pairs])
    total, squares, nonzero, dead, largest = tf.unstack(sums, axis=1)
    sizes = tf.constant(blocks.in_place([float(layout.size) for layout in blocks.layouts]))
    units = blocks.in_place([float(layout.units or 0) for layout in blocks.layouts])
    has_units = np.array(units) > 0
    return {
        "mean": total / sizes,
        "std": tf.sqrt(squares / sizes),
        "abs_max": largest,
        "zero_fraction": (sizes - nonzero) / sizes,
        "dead_fraction": tf.where(has_units, dead / np.maximum(units, 1.0), UNKNOWN),
    }


def _block_statistics(stacked: Tensor, layout: Layout) -> Tensor:
    """Of K gradients of one layout: sum, sum of squared differences to the mean, values that are
    not zero, dead units, largest magnitude: [K, 5].

    Sums of all are sums over units, which XLA finds side by side.
    """
    count, units = stacked.shape[0], layout.units or 1
    size = float(layout.size)
    if layout.after > 1:
        stacked = tf.reshape(stacked, [count, -1, units, layout.after])
        stacked = tf.transpose(stacked, [0, 1, 3, 2])
    stacked = tf.reshape(stacked, [count, -1, units])
    total = tf.reduce_sum(tf.reduce_sum(stacked, axis=1), axis=1)
    mean = tf.reshape(total / size, [count, 1, 1])
    squares = tf.reduce_sum(tf.square(stacked - mean), axis=1)
    nonzero = tf.reduce_sum(tf.cast(tf.not_equal(stacked, 0.0), tf.float32), axis=1)
    dead = tf.cast(tf.equal(nonzero, 0.0), tf.float32)
    sums = tf.reduce_sum(tf.stack([squares, nonzero, dead]), axis=-1)
    if stacked.shape[1] is None:  # rows of zeros are left out
        rest = size - tf.cast(tf.shape(stacked)[1] * units, tf.float32)
        none = tf.zeros([count])
        sums += tf.stack([rest * tf.square(total / size), none, none])
    # Largest and smallest, not the largest magnitude: XLA on a processor is four times as fast.
    both = tf.stack([tf.reduce_max(stacked, axis=1), -tf.reduce_min(stacked, axis=1)])
    largest = tf.maximum(tf.reduce_max(both, axis=[0, 2]), 0.0)
    return tf.stack([total, *tf.unstack(sums), largest], axis=1)


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
    keys = []
    first = 0
    for stacked in blocks.stacked:
        count = stacked.shape[0]
        rows = KEYS * np.arange(first, first + count, dtype=np.int32)[:, np.newaxis] + KEYS // 2
        exponents = tf.bitwise.right_shift(tf.bitcast(stacked, tf.int32), 23)
        keys.append(tf.reshape(exponents + rows, [-1]))
        first += count
    counts = tf.reshape(_count(tf.concat(keys, axis=0), first * KEYS), [first, KEYS])
    columns = tf.math.unsorted_segment_sum(tf.transpose(counts), _columns(bins), bins.columns)
    columns = blocks.in_order([tf.transpose(columns)])
    sizes = np.array(blocks.in_place([layout.size for layout in blocks.layouts]), np.int32)
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
