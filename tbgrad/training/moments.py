"""The signal-to-noise ratio of gradients, from the moments that an optimizer keeps anyway."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

Tensor: TypeAlias = Any  # tf.Tensor: TensorFlow ships no types


def signal_to_noise(optimizer: Any, variables: Sequence[Any]) -> Tensor:
    """Squared length of the mean gradient over its variance, for every variable: [P].

    From the running means that Adam, AdamW, Nadam and LAMB keep, m of the gradient and v of its
    squares, both corrected for their start at zero: E |m|² = |µ|² + c σ² and E Σv = |µ|² + σ²,
    where c is the sum of the squared weights in m, solved for |µ|²/σ², at least 0. It is that of
    the applied gradient and of about the last 1/(1-β₁) updates. NaN where the optimizer keeps no
    such means, has not met the variable, or has made fewer than two updates.

    The batch size over this ratio estimates the simple gradient noise scale of McCandlish et al.,
    "An empirical model of large-batch training", 2018.
    """
    unknown = tf.constant(np.nan, tf.float32)
    if not all(hasattr(optimizer, name) for name in ("_momentums", "_velocities", "beta_2")):
        return tf.fill([len(variables)], unknown)
    updates = tf.cast(tf.convert_to_tensor(optimizer.iterations), tf.float32)
    beta_1, beta_2 = tf.constant(optimizer.beta_1), tf.constant(optimizer.beta_2)
    seen_1, seen_2 = 1.0 - beta_1**updates, 1.0 - beta_2**updates
    memory = (1.0 - beta_1) * (2.0 - seen_1) / ((1.0 + beta_1) * seen_1)

    def ratio(variable: Any) -> Tensor:
        index = optimizer._trainable_variables_indices.get(optimizer._var_key(variable))
        if index is None or optimizer._momentums[index] is None:
            return unknown
        mean, square = (
            tf.cast(tf.convert_to_tensor(moments[index]), tf.float32)
            for moments in (optimizer._momentums, optimizer._velocities)
        )
        length = 2.0 * tf.nn.l2_loss(mean) / seen_1**2
        power = tf.reduce_sum(square) / seen_2
        noise = (power - length) / (1.0 - memory)
        return tf.maximum(power - noise, 0.0) / tf.maximum(noise, 0.0)

    ratios = tf.stack([ratio(variable) for variable in variables])
    return tf.where(updates > 1.0, ratios, unknown)
