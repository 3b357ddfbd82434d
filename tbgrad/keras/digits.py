"""The training behind `tbgrad demo`: a small convolutional classifier of handwritten digits.

Run as `python -m tbgrad.keras.digits LOGDIR EPOCHS SEED`; silent but for errors.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
from sklearn.datasets import load_digits

from tbgrad.keras.callback import GradientMonitor
from tbgrad.keras.curvature import Curvature

BATCH_SIZE = 128


def digits() -> tuple[Any, Any]:
    """The 1,797 scanned digits of scikit-learn: [1797, 8, 8, 1] in 0…1, and one-hot labels."""
    x, y = load_digits(return_X_y=True)
    return (x / 16.0).reshape(-1, 8, 8, 1).astype(np.float32), np.eye(10, dtype=np.float32)[y]


def classifier() -> Any:
    """Two convolutions and two dense layers, compiled with momentum SGD.

    The smoothed labels keep the loss, and so the gradients, from dying away on so small a set.
    """
    model = keras.Sequential(
        [
            keras.layers.Input((8, 8, 1)),
            keras.layers.Conv2D(16, 3, padding="same", activation="relu", name="conv_1"),
            keras.layers.Conv2D(32, 3, padding="same", activation="relu", name="conv_2"),
            keras.layers.MaxPooling2D(name="pool"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(24, activation="relu", name="dense_1"),
            keras.layers.Dense(10, name="logits"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.SGD(0.1, momentum=0.9),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
        metrics=["accuracy"],
    )
    return model


def train(logdir: Path, epochs: int, seed: int) -> None:
    """Train with the monitor attached."""
    keras.utils.set_random_seed(seed)
    x, y = digits()
    whole = len(x) // BATCH_SIZE * BATCH_SIZE  # the five left over would make a noisy step an epoch
    x, y = x[:whole], y[:whole]
    monitor = GradientMonitor(
        logdir,
        every=5,
        histograms_every=50,
        curvature=Curvature(data=(x, y), every=50, budget=None),
    )
    classifier().fit(x, y, batch_size=BATCH_SIZE, epochs=epochs, verbose=0, callbacks=[monitor])


if __name__ == "__main__":
    train(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
