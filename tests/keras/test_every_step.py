"""Every step on file, at the defaults, against the same training in NumPy float64."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tbgrad
from tbgrad.log.norm_codes import MAX_ERROR
from tests.keras.conftest import BATCH, MOMENTUM
from tests.support.numpy_network import train

pytestmark = pytest.mark.tensorflow

EPOCHS, RATE = 4, 0.05
DRIFT = 2e-5
"""Relative; what float32 adds to a training of so few steps."""


def fit(model, data, monitor):
    model.fit(*data, batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=0, callbacks=[monitor])


def own_loop(model, data, directory, updates=1):
    """A loop of one's own, compiled by XLA, with so many updates of a batch."""
    variables, optimizer = model.trainable_variables, model.optimizer
    with tbgrad.GradientSummaryWriter(directory, variables, optimizer=optimizer) as writer:

        @tf.function(jit_compile=True)
        def step(x, y):
            for part in zip(tf.split(x, updates), tf.split(y, updates), strict=True):
                with tf.GradientTape() as tape:
                    loss = model.loss(part[1], model(part[0], training=True))
                gradients = tape.gradient(loss, variables)
                writer.observe(gradients, loss=loss)
                optimizer.apply(gradients, variables)

        for _ in range(EPOCHS):
            for batch in tf.data.Dataset.from_tensor_slices(data).batch(BATCH):
                step(*batch)


KINDS = {
    "fit": {"jit_compile": False},
    "xla": {"jit_compile": True},
    "several steps a call": {"steps_per_execution": 6},
    "accumulated": {"accumulated": 4},
    "own loop": {"updates": 1},
    "two updates a batch": {"updates": 2},
}


@pytest.mark.parametrize("kind", KINDS)
def test_all_steps_are_those_of_an_independent_training(kind, tmp_path, batches, tiny_model):
    settings = dict(KINDS[kind])
    accumulated, updates = settings.pop("accumulated", None), settings.pop("updates", None)
    optimizer = keras.optimizers.SGD(
        RATE, momentum=MOMENTUM, gradient_accumulation_steps=accumulated
    )
    model = tiny_model(optimizer, **settings)
    samples = BATCH * (accumulated or 1) // (updates or 1)
    x, labels = batches
    parts = [(x[i : i + samples], labels[i : i + samples]) for i in range(0, len(x), samples)]
    expected = train(model.get_weights(), parts * EPOCHS, RATE, MOMENTUM)
    if updates is None:
        fit(model, batches, tbgrad.GradientMonitor(tmp_path))
    else:
        own_loop(model, batches, tmp_path, updates)

    run = tbgrad.read(tmp_path)["."]
    steps = np.arange(1, len(expected.losses) + 1)
    norms = expected.norms()
    for tag, values in {
        "loss": expected.losses,
        "learning_rate": np.full(len(steps), RATE),
        "gradient/norm": np.linalg.norm(norms, axis=1),
    }.items():
        np.testing.assert_array_equal(run[tag].steps, steps)
        np.testing.assert_allclose(run[tag].values, values, rtol=DRIFT, err_msg=tag)
    names = ["hidden/kernel", "hidden/bias", "logits/kernel", "logits/bias"]
    for name, values in zip(names, norms.T, strict=True):
        np.testing.assert_array_equal(run.norm(name).steps, steps)
        np.testing.assert_allclose(run.norm(name).values, values, rtol=MAX_ERROR + DRIFT)
    lowest = run.smallest("gradient/norm")[0]
    assert lowest.step == 1 + np.argmin(np.linalg.norm(norms, axis=1))
