"""A tiny Keras classifier with the same weights and batches as the NumPy oracle's."""

from __future__ import annotations

import gc

import numpy as np
import pytest

RATE, MOMENTUM, BATCH, STEPS = 0.2, 0.9, 16, 24


@pytest.fixture(scope="module", autouse=True)
def little_left_to_collect():
    """What trainings leave behind, graphs above all, slows no collection in later modules."""
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def batches():
    rng = np.random.default_rng(11)
    x = rng.standard_normal((BATCH * STEPS, 5)).astype(np.float32)
    labels = (x[:, 0] + 0.5 * x[:, 1] ** 2 > 0.3).astype(np.int32) + (x[:, 2] > 1)
    return x, labels.astype(np.int32)


@pytest.fixture
def tiny_model():
    """Builds the compiled model: 5 -> 4 tanh -> 3, softmax cross-entropy."""
    import keras

    def build(optimizer=None, **settings):
        keras.utils.set_random_seed(5)
        model = keras.Sequential(
            [
                keras.layers.Input((5,)),
                keras.layers.Dense(4, activation="tanh", name="hidden"),
                keras.layers.Dense(3, name="logits"),
            ]
        )
        model.compile(
            optimizer=optimizer or keras.optimizers.SGD(RATE, momentum=MOMENTUM),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            **settings,
        )
        return model

    return build


@pytest.fixture
def oracle(batches, tiny_model):
    """The same training in NumPy float64."""
    from tests.support.numpy_network import train

    x, labels = batches
    steps = [(x[i : i + BATCH], labels[i : i + BATCH]) for i in range(0, len(x), BATCH)]
    return train(tiny_model().get_weights(), steps, RATE, MOMENTUM)


def fit(model, batches, callbacks, **settings):
    x, labels = batches
    model.fit(
        x,
        labels,
        batch_size=BATCH,
        epochs=1,
        shuffle=False,
        verbose=0,
        callbacks=callbacks,
        **settings,
    )
