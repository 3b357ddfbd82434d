"""The signal-to-noise ratio of gradients, from the moments that an optimizer keeps anyway."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import tensorflow as tf

from tbgrad.keras import internals
from tbgrad.keras.gradient_statistics import square_sums, sums
from tbgrad.keras.graph import INFINITE, UNKNOWN
from tbgrad.keras.optimizers import children
from tbgrad.keras.parameters import Layout

Tensor: TypeAlias = Any  # tf.Tensor: TensorFlow ships no types


def signal_to_noise(
    optimizer: Any, variables: Sequence[Any], layouts: Sequence[Layout], more: int = 0
) -> Tensor:
    """Squared length of the mean gradient over its variance, for every variable: [P].

    `layouts` are those of the variables.

    From the running means that Adam, AdamW, Nadam and LAMB keep, m of the gradient and v of its
    squares, both corrected for their start at zero: E |m|² = |µ|² + c σ² and E Σv = |µ|² + σ²,
    where c is the sum of the squared weights in m, solved for |µ|²/σ², at least 0. It is that of
    the applied gradient and of about the last 1/(1-β₁) updates. UNKNOWN where the optimizer keeps
    no such means, has not met the variable, or has made fewer than two updates; INFINITE where the
    gradient has no variance. `more` are updates that it has made and not yet counted.

    The batch size over this ratio estimates the simple gradient noise scale of McCandlish et al.,
    "An empirical model of large-batch training", 2018.
    """
    if parts := children(optimizer):  # each variable is known to one of them
        by_part = [signal_to_noise(part, variables, layouts, more) for part in parts]
        return tf.reduce_max(tf.stack(by_part), axis=0)
    if not internals.keeps_moments(optimizer) or not optimizer.beta_1 > 0:
        return tf.fill([len(variables)], UNKNOWN)
    updates = tf.cast(tf.convert_to_tensor(optimizer.iterations) + more, tf.float32)
    counted = tf.maximum(updates, 2.0)
    beta_1, beta_2 = tf.constant(optimizer.beta_1), tf.constant(optimizer.beta_2)
    seen_1, seen_2 = 1.0 - beta_1**counted, 1.0 - beta_2**counted
    memory = (1.0 - beta_1) * (2.0 - seen_1) / ((1.0 + beta_1) * seen_1)

    moments = [internals.moments(optimizer, variable) for variable in variables]
    rows = [row for row, known in enumerate(moments) if known is not None]
    if not rows:
        return tf.fill([len(variables)], UNKNOWN)
    met = [layouts[row] for row in rows]
    means, squares = zip(*(known for known in moments if known is not None), strict=True)
    length = square_sums(list(map(tf.convert_to_tensor, means)), met) / seen_1**2
    power = sums(list(map(tf.convert_to_tensor, squares)), met) / seen_2
    noise = (power - length) / (1.0 - memory)
    signal = tf.maximum(power - noise, 0.0)
    quotient = tf.math.divide_no_nan(signal, noise)
    ratios = tf.where(noise > 0.0, quotient, tf.where(signal > 0.0, INFINITE, UNKNOWN))
    ratios = tf.where(updates > 1.0, ratios, UNKNOWN)
    known = tf.constant([[row] for row in rows])
    return tf.tensor_scatter_nd_update(tf.fill([len(variables)], UNKNOWN), known, ratios)
