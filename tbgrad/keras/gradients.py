"""Dense and sparse gradients in one form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

Tensor: TypeAlias = Any  # tf.Tensor: TensorFlow ships no types

SMALL = 1 << 16
"""Gradients of up to so many values are expanded, and copied to lie with others."""


@dataclass(frozen=True)
class Gradient:
    """The gradient of one parameter in float32; a `sparse` one leaves out rows of exact zeros.

    `slices` are the values and the indices of its rows, as they came, of a large one that came so.
    """

    tensor: Tensor
    sparse: bool = False
    slices: tuple[Tensor, Tensor] | None = None


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
