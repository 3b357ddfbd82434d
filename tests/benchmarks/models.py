"""Models and data of the benchmarks: small enough for a processor, of three kinds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers


def mlp(kind: type = keras.Model) -> Any:
    """12 layers of 128: many small tensors and a step of a few milliseconds, the worst case."""
    inputs = keras.Input((64,))
    x = inputs
    for _ in range(12):
        x = layers.Dense(128, activation="relu")(x)
    return kind(inputs, layers.Dense(10)(x))


def cnn(kind: type = keras.Model) -> Any:
    """About 0.25 million parameters on 28 × 28 pictures."""
    inputs = keras.Input((28, 28, 1))
    x = layers.Conv2D(32, 3, activation="relu")(inputs)
    x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(64, 3, activation="relu")(x)
    x = layers.MaxPooling2D()(x)
    x = layers.Flatten()(x)
    x = layers.Dense(144, activation="relu")(x)
    return kind(inputs, layers.Dense(10)(x))


def transformer(kind: type = keras.Model) -> Any:
    """4 blocks of width 128 with 4 heads on sequences of 64 tokens."""
    inputs = keras.Input((64,), dtype="int32")
    x = layers.Embedding(1000, 128)(inputs)
    for _ in range(4):
        y = layers.LayerNormalization()(x)
        x = layers.Add()([x, layers.MultiHeadAttention(4, 32)(y, y)])
        y = layers.LayerNormalization()(x)
        y = layers.Dense(512, activation="gelu")(y)
        x = layers.Add()([x, layers.Dense(128)(y)])
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))
    return kind(inputs, layers.Dense(10)(x))


def batch_of(shape: tuple[int, ...], samples: int, tokens: int = 0) -> Any:
    """One batch of random data, repeated for ever, so that the pipeline costs nothing."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, tokens, (samples, *shape)) if tokens else rng.normal(size=(samples, *shape))
    y = rng.integers(0, 10, samples)
    dtype = np.int32 if tokens else np.float32
    return tf.data.Dataset.from_tensors((x.astype(dtype), y.astype(np.int32))).repeat()


MODELS: dict[str, tuple[Callable[[type], Any], Callable[[], Any]]] = {
    "MLP": (mlp, lambda: batch_of((64,), 128)),
    "CNN": (cnn, lambda: batch_of((28, 28, 1), 64)),
    "transformer": (transformer, lambda: batch_of((64,), 16, tokens=1000)),
}
