"""A sketch of every gradient, a few hundred numbers that keep angles, from which `cosine` is told.

A count sketch (Charikar, Chen and Farach-Colton, 2002): every coordinate goes, with a random sign,
into one of `BUCKETS` sums. The product of two sketches is an unbiased estimate of that of the
gradients, whatever they look like: nothing is left out, a sparse or an uneven gradient is met as
well as any other, and one that fits into the buckets is kept as it is.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from tbgrad.keras.graph import UNKNOWN

Tensor: TypeAlias = Any  # tf.Tensor: TensorFlow ships no types

BUCKETS = 512
"""Numbers a parameter: two kilobytes, where a copy of the gradient would be another model. The
standard error of a cosine c is about (1 - c²) / √512: 0.044 at right angles, none at c = ±1.
Measured over 100 seeds (`python -m tests.benchmarks.cosine`, c = 0.3): 0.041 for normal gradients,
0.039 of rank one, 0.043 where rows are alike, 0.061 where a few values outweigh all others (two of
which may meet in one sum), 0.007 for the words of two batches. No mean error was beyond chance."""

ROUND = 64
"""So many coordinates of a bucket have signs of their own; those of further rounds get one more."""

_SIGNS = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (ROUND, BUCKETS))
_PRIME = 0x9E3779B1  # 2³² over the golden ratio, rounded to odd: Knuth's multiplicative hashing


def of_dense(stacked: Tensor) -> Tensor:
    """The sketches of K gradients of one size: [K, size] to [K, BUCKETS]."""
    count, size = stacked.shape
    if size <= BUCKETS:
        return tf.pad(stacked, [[0, 0], [0, BUCKETS - size]])
    depth = -(-size // BUCKETS)
    rounds = -(-depth // ROUND)
    depth = min(depth, ROUND)
    padded = tf.pad(stacked, [[0, 0], [0, rounds * depth * BUCKETS - size]])
    parts = tf.reshape(padded, [count, rounds, depth, BUCKETS])
    if rounds > 1:
        signs = np.random.default_rng(1).choice(np.array([-1, 1], np.int8), (rounds, BUCKETS))
        turned = tf.cast(tf.constant(signs), tf.float32)[:, tf.newaxis, :]
        parts = tf.reduce_sum(parts * turned, axis=1)
    else:
        parts = parts[:, 0]
    return tf.reduce_sum(parts * tf.cast(tf.constant(_SIGNS[:depth]), tf.float32), axis=1)


def of_rows(values: Tensor, rows: Tensor) -> Tensor:
    """The sketch [1, BUCKETS] of a gradient that has `values` in these rows, and zeros elsewhere.

    A row may come several times. Where a row's numbers go, and with which signs, is told from its
    index alone.
    """
    values = tf.reshape(values, [tf.shape(values)[0], -1])
    width = tf.shape(values)[1]
    hashed = tf.cast(rows, tf.int64) * _PRIME % 2**32
    hashed = tf.bitwise.bitwise_xor(hashed, hashed // 2**15) * _PRIME % 2**32
    shift = tf.cast(hashed // 2**16 % BUCKETS, tf.int32)
    pattern = tf.cast(hashed // 2**26, tf.int32) % ROUND
    flipped = tf.cast(1 - 2 * (hashed // 2**8 % 2), tf.float32)
    column = tf.range(width)
    buckets = (shift[:, tf.newaxis] + column[tf.newaxis, :]) % BUCKETS
    signs = tf.gather(tf.cast(tf.constant(_SIGNS), tf.float32), pattern)
    signs = tf.gather(signs, column % BUCKETS, axis=1) * flipped[:, tf.newaxis]
    summed = tf.math.unsorted_segment_sum(
        tf.reshape(values * signs, [-1]), tf.reshape(buckets, [-1]), BUCKETS
    )
    return summed[tf.newaxis, :]


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """Cosine between the rows of two [P, BUCKETS] matrices: [P], UNKNOWN where a row is zero."""
    largest = [tf.reduce_max(tf.abs(x), axis=1, keepdims=True) for x in (a, b)]
    known = (largest[0] > 0) & (largest[1] > 0)
    a, b = (x / tf.where(known, scale, 1.0) for x, scale in zip((a, b), largest, strict=True))
    lengths = tf.norm(a, axis=1) * tf.norm(b, axis=1)
    known = known[:, 0] & (lengths > 0)
    cosines = tf.reduce_sum(a * b, axis=1) / tf.where(known, lengths, 1.0)
    return tf.where(known, tf.clip_by_value(cosines, -1.0, 1.0), UNKNOWN)
