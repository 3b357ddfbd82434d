"""The matrix of the derivatives of the gradient, by differences of it and nothing else of ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf


def gradient_of(loss: Callable[[], Any], variables: list[Any]) -> Callable[[np.ndarray], Any]:
    """The gradient as a function of all weights as one vector; by a tape of its own."""
    values = [v if isinstance(v, tf.Variable) else v.value for v in variables]

    @tf.function(autograph=False)
    def gradient() -> Any:
        with tf.GradientTape() as tape:
            value = loss()
        found = tape.gradient(value, values, unconnected_gradients="zero")
        return tf.concat([tf.reshape(tf.convert_to_tensor(g), [-1]) for g in found], 0)

    def at(flat: np.ndarray) -> Any:
        position = 0
        for v in values:
            size = int(np.prod(v.shape))
            v.assign(tf.cast(flat[position : position + size].reshape(v.shape), v.dtype))
            position += size
        return gradient().numpy().astype(np.float64)

    return at


def differenced(loss: Callable[[], Any], variables: list[Any], h: float = 3e-5) -> np.ndarray:
    """The matrix of the derivatives of the gradient, by four-point central differences."""
    at = gradient_of(loss, variables)
    flat = np.concatenate([np.ravel(v.numpy()) for v in variables])
    columns = []
    for e in h * np.eye(len(flat)):
        before, after = at(flat - e), at(flat + e)
        far_before, far_after = at(flat - 2 * e), at(flat + 2 * e)
        columns.append((8 * (after - before) - (far_after - far_before)) / (12 * h))
    at(flat)
    return np.array(columns)
