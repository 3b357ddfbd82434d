"""Tensors as matrices of rows, so that the work on them is a few operations for all of them.

What the work on a small tensor costs is the number of operations: to the training step as to the
compiler. Small dense tensors lie one after another in one matrix; a large or a sparse one has a
matrix of its own.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tbgrad.keras.gradients import SMALL, Gradient, prepare
from tbgrad.keras.graph import in_xla
from tbgrad.keras.parameters import Layout

Tensor: TypeAlias = Any  # tf.Tensor: TensorFlow ships no types

WIDTH = 512
LANES = 128


class Matrix(ABC):
    """One tensor, or many, as rows.

    Attributes:
        layouts: those of its K tensors.
        values: their numbers, [rows, width].
        sizes: of the tensors, [K].
        tensor: which of them each row belongs to, [rows, 1], or [1, 1] where there is one.
    """

    def __init__(self, values: Tensor, layouts: Sequence[Layout], tensor: NDArray[Any]) -> None:
        self.values = values
        self.layouts = layouts
        self.sizes = np.array([layout.size for layout in layouts], np.float32)
        self.tensor = tensor

    def holding(self, values: Tensor) -> Any:
        """The same, with other numbers."""
        matrix = copy.copy(self)
        matrix.values = values
        return matrix

    def spread(self, told: Tensor) -> Tensor:
        """What is told of the tensors, [K], beside their rows."""
        return tf.gather(told, self.tensor)

    @abstractmethod
    def sums(self, *of: Tensor) -> Tensor:
        """For each tensor the sums of some [rows, width]: [K, how many]."""

    @abstractmethod
    def largest(self) -> Tensor:
        """The largest magnitude of each tensor: [K]."""

    @abstractmethod
    def by_layout(self, of: Tensor) -> list[tuple[slice, Tensor]]:
        """Some [rows, width] by the layouts of the tensors: which they are, and [count, size]."""


class SingleMatrix(Matrix):
    """A tensor of its own matrix; without its rows of zeros where it came without them.

    `slices` are the rows as they came.
    """

    def __init__(self, gradient: Gradient, layout: Layout) -> None:
        whole = not gradient.sparse and layout.size % LANES == 0
        width = LANES if whole else layout.size // layout.shape[0]
        rows = -1 if gradient.sparse else layout.size // width
        values = tf.reshape(gradient.tensor, [rows, width])
        super().__init__(values, [layout], np.zeros((1, 1), np.int32))
        self.slices = gradient.slices

    @property
    def left_out(self) -> Tensor | None:
        """Zeros that it leaves out, where it may."""
        if self.values.shape[0] is not None:
            return None
        rows, width = tf.unstack(tf.shape(self.values))
        return self.sizes[0] - tf.cast(rows * width, tf.float32)

    def sums(self, *of: Tensor) -> Tensor:
        """As the base says."""
        return tf.stack([_sum(part) for part in of])[tf.newaxis]

    def largest(self) -> Tensor:
        """As the base says."""
        return tf.reduce_max(_magnitudes(self.values, 0))[tf.newaxis]

    def by_layout(self, of: Tensor) -> list[tuple[slice, Tensor]]:
        """As the base says."""
        return [(slice(0, 1), tf.reshape(of, [1, -1]))]


class PackedMatrix(Matrix):
    """Tensors one after another, each filled up with zeros to whole rows.

    Those of as many rows are neighbours, and so are those of one layout among them. What is told of
    rows is gathered by tensor: a sum by segment would be as good, but XLA adds it up row by row,
    and a graphics processor in no certain order.
    """

    def __init__(self, tensors: Sequence[Tensor], layouts: Sequence[Layout]) -> None:
        self._rows = rows = [_rows(layout) for layout in layouts]
        self._first = np.cumsum([0, *rows])
        blanks = [count * WIDTH - layout.size for layout, count in zip(layouts, rows, strict=True)]
        zeros = {blank: tf.zeros([blank]) for blank in {*blanks} - {0}}
        flat = tf.constant([-1])
        parts = []
        for tensor, blank in zip(tensors, blanks, strict=True):
            parts.append(tensor if tensor.shape.rank == 1 else tf.reshape(tensor, flat))
            if blank:
                parts.append(zeros[blank])
        values = tf.reshape(tf.concat(parts, axis=0), [sum(rows), WIDTH])
        super().__init__(values, layouts, np.repeat(np.arange(len(rows)), rows)[:, np.newaxis])
        places = self._first[:-1, np.newaxis] + np.arange(max(rows))
        self._places = np.where(places < self._first[1:, np.newaxis], places, self._first[-1])

    def _by_tensor(self, of_rows: Tensor) -> Tensor:
        """[rows, …] to [K, most rows, …], with zeros in the place of rows that are not there."""
        zeros = tf.zeros_like(of_rows[:1])
        return tf.gather(tf.concat([of_rows, zeros], axis=0), self._places)

    def sums(self, *of: Tensor) -> Tensor:
        """As the base says."""
        by_row = tf.stack([_row_sums(part) for part in of], axis=1)
        return tf.reduce_sum(self._by_tensor(by_row), axis=1)

    def largest(self) -> Tensor:
        """As the base says."""
        return tf.reduce_max(self._by_tensor(_magnitudes(self.values, 1)), axis=1)

    def by_layout(self, of: Tensor) -> list[tuple[slice, Tensor]]:
        """As the base says."""
        parts = []
        for start, end in _neighbours(self.layouts):
            part = tf.reshape(of[self._first[start] : self._first[end]], [end - start, -1])
            size = self.layouts[start].size
            part = part if part.shape[1] == size else part[:, :size]
            parts.append((slice(start, end), part))
        return parts

    @property
    def filled(self) -> Tensor | None:
        """Where there are numbers of tensors: [rows, width]; None for everywhere."""
        before = WIDTH * (np.array(self._rows) - 1)
        rest = self.sizes.astype(np.int64) - before
        if (rest == WIDTH).all():
            return None
        count = np.full(self.tensor.shape, WIDTH)
        count[self._first[1:] - 1, 0] = rest
        return tf.range(WIDTH)[tf.newaxis] < tf.constant(count, tf.int32)

    def of_as_many_rows(self) -> list[Tensor]:
        """The neighbours that have one number of rows: [count, rows × width] each."""
        parts = []
        for start, end in _neighbours(self._rows):
            part = self.values[self._first[start] : self._first[end]]
            parts.append(tf.reshape(part, [end - start, -1]))
        return parts


class Matrices:
    """Tensors as matrices, which it goes through."""

    def __init__(self, gradients: Sequence[Gradient], layouts: Sequence[Layout]) -> None:
        packed, alone = _packed(layouts, [gradient.sparse for gradient in gradients])
        self._all: list[PackedMatrix | SingleMatrix] = [
            SingleMatrix(gradients[i], layouts[i]) for i in alone
        ]
        if packed:
            tensors = [gradients[i].tensor for i in packed]
            self._all.append(PackedMatrix(tensors, [layouts[i] for i in packed]))
        self._back = np.argsort([*alone, *packed])

    def __iter__(self) -> Iterator[PackedMatrix | SingleMatrix]:
        return iter(self._all)

    @classmethod
    def of(cls, tensors: Iterable[Any], layouts: Sequence[Layout]) -> Matrices:
        """Those of tensors as they are."""
        return cls([prepare(tensor) for tensor in tensors], layouts)

    @property
    def values(self) -> list[Tensor]:
        """The numbers in each matrix: [rows, width]."""
        return [matrix.values for matrix in self._all]

    def holding(self, values: Iterable[Tensor]) -> Matrices:
        """The same, with other numbers in each."""
        other = copy.copy(self)
        pairs = zip(self._all, values, strict=True)
        other._all = [matrix.holding(numbers) for matrix, numbers in pairs]
        return other

    def minus(self, others: Matrices) -> Matrices:
        """What is left where others, of the same layouts, are taken away."""
        pairs = zip(self.values, others.values, strict=True)
        return self.holding(ours - theirs for ours, theirs in pairs)

    @property
    def squares(self) -> Tensor:
        """Sums of squares: [P]. Infinite from a norm of 1.8e19 on."""
        return self.in_order([matrix.sums(tf.square(matrix.values))[:, 0] for matrix in self._all])

    @property
    def sums(self) -> Tensor:
        """Sums of the values: [P]."""
        return self.in_order([matrix.sums(matrix.values)[:, 0] for matrix in self._all])

    def in_order(self, told: Sequence[Tensor]) -> Tensor:
        """[P, …] in the order of the tensors, from what is told of those of each matrix."""
        return tf.gather(tf.concat(told, axis=0), self._back)

    def arrays_in_order(self, told: Sequence[Any]) -> Any:
        """The same of arrays."""
        return np.concatenate(told)[self._back]


def count_of_matrices(layouts: Sequence[Layout]) -> int:
    """How many matrices dense tensors of these layouts take."""
    packed, alone = _packed(layouts, [False] * len(layouts))
    return len(alone) + bool(packed)


def _packed(layouts: Sequence[Layout], sparse: Sequence[bool]) -> tuple[list[int], list[int]]:
    """Positions of the tensors that lie in one matrix, in their order there, and of the others."""
    small = [i for i, layout in enumerate(layouts) if layout.size <= SMALL and not sparse[i]]
    first = {layouts[i]: i for i in reversed(small)}
    small.sort(key=lambda i: (_rows(layouts[i]), first[layouts[i]], i))
    return small, [i for i in range(len(layouts)) if i not in set(small)]


def _rows(layout: Layout) -> int:
    """Rows that a tensor takes; one without numbers takes one of zeros."""
    return max(1, -(-layout.size // WIDTH))


def _neighbours(of: Sequence[Any]) -> list[tuple[int, int]]:
    """Where each stretch of equal ones starts and ends."""
    starts = [k for k, each in enumerate(of) if k == 0 or each != of[k - 1]]
    return list(pairwise([*starts, len(of)]))


def _row_sums(values: Tensor) -> Tensor:
    """[rows, width] to [rows]; under XLA side by side first: it is three times as slow otherwise.

    The product with ones, as it is no sum, keeps XLA from making one sum out of both.
    """
    if not in_xla():
        return tf.reduce_sum(values, axis=1)
    parts = tf.reshape(values, [-1, WIDTH // LANES, LANES])
    return tf.linalg.matvec(tf.reduce_sum(parts, axis=1), tf.ones([LANES]))


def _sum(values: Tensor) -> Tensor:
    """[rows, width] to the sum of all, as above."""
    if not in_xla():
        return tf.reduce_sum(values)
    return tf.tensordot(tf.reduce_sum(values, axis=0), tf.ones([values.shape[1]]), 1)


def _magnitudes(values: Tensor, axis: int) -> Tensor:
    """The largest along an axis; XLA on a processor is four times as fast with both ends."""
    if not in_xla():
        return tf.reduce_max(tf.abs(values), axis=axis)
    both = tf.reduce_max(values, axis=axis), -tf.reduce_min(values, axis=axis)
    return tf.maximum(*both)
