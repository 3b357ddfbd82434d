"""What the optimizer does to the gradient, and the update that comes of it."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

import tbgrad
from tests.support.linear_model import (
    COMPILED,
    EAGER,
    FITTED,
    INPUTS,
    OUTPUTS,
    RATE,
    RNG,
    W,
    batch,
    fit,
    gradient_norms,
    linear,
    writer_for,
)

pytestmark = pytest.mark.tensorflow


def test_weight_decay_and_constraints_show_in_the_update(tmp_path):
    inputs = keras.Input((INPUTS,))
    layer = keras.layers.Dense(OUTPUTS, use_bias=False, kernel_constraint="non_neg")
    model = keras.Model(inputs, layer(inputs))
    model.set_weights([np.abs(W)])
    model.compile(keras.optimizers.SGD(RATE, weight_decay=0.1), "mse")
    fit(model, tbgrad.GradientMonitor(tmp_path, every=1))
    updates = []

    def update(w, gradient):
        new = np.maximum(w * (1 - RATE * 0.1) - RATE * gradient, 0)
        updates.append(np.linalg.norm(new - w))
        return new

    gradient_norms(w=np.abs(W), update=update)
    run = tbgrad.read(tmp_path)["."]
    np.testing.assert_allclose(run.statistic("update_norm")[:, 0], updates, rtol=1e-4)


@pytest.mark.parametrize(
    ("clipping", "kind"),
    [
        ("clipnorm", "graph"),
        ("clipnorm", "xla"),
        ("global_clipnorm", "eager"),
        ("clipvalue", "graph"),
    ],
)
def test_sparse_gradients_are_clipped_too(clipping, kind, tmp_path):
    """Rows that occur twice add up, before clipping as after it."""
    table = RNG.standard_normal((10, 4)).astype(np.float32)
    variable = keras.Variable(table, name="table")
    optimizer = keras.optimizers.SGD(RATE, **{clipping: 0.05})
    optimizer.build([variable])
    rows = [1, 1, 3, 7]
    with tbgrad.GradientSummaryWriter(tmp_path, [variable], optimizer=optimizer, every=1) as writer:

        def train_step():
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(tf.gather(variable.value, rows) ** 2)
            gradients = tape.gradient(loss, [variable.value])
            assert isinstance(gradients[0], tf.IndexedSlices)
            writer.observe(gradients, loss=loss)
            optimizer.apply(gradients, [variable])

        COMPILED[kind](train_step)()
    gradient = np.zeros((10, 4))
    np.add.at(gradient, rows, 2 * table[rows].astype(np.float64))
    norm = np.linalg.norm(gradient)
    run = tbgrad.read(tmp_path)["."]
    assert run["gradient/norm"].values[0] == pytest.approx(norm, rel=1e-5)
    # The optimizer's own result says what it applied.
    update = np.linalg.norm(variable.numpy().astype(np.float64) - table)
    assert run.statistic("update_norm")[0, 0] == pytest.approx(update, rel=1e-4)
    factor = run["gradient/clip_factor"].values[0]
    assert factor == pytest.approx(update / RATE / norm, rel=1e-4)
    assert factor < 1
    assert run.statistic("zero_fraction")[0, 0] == pytest.approx(0.7)


def signal_to_noise(optimizer, gradients):
    """From all gradients so far, in float64: weighted means, then the two equations solved."""
    rows = []
    for t in range(1, len(gradients) + 1):
        seen = np.stack(gradients[:t]).reshape(t, -1)
        first, second = (
            (lambda w: w / w.sum())(beta ** np.arange(t)[::-1])
            for beta in (optimizer.beta_1, optimizer.beta_2)
        )
        length = np.sum((first @ seen) ** 2)
        power = np.sum(second @ seen**2)
        system = np.array([[1, np.sum(first**2)], [1, 1]])
        if t == 1:
            rows.append(np.nan)
        else:
            mean, noise = np.linalg.solve(system, [length, power])
            rows.append(max(mean, 0) / noise)
    return np.array(rows)


OPTIMIZERS = {
    "adam": lambda o: o.Adam(0.05, weight_decay=0.1, amsgrad=True),
    "adam, moving average": lambda o: o.Adam(0.05, use_ema=True, ema_overwrite_frequency=3),
    "adamw": lambda o: o.AdamW(0.05, weight_decay=0.1, global_clipnorm=0.3),
    "adamax": lambda o: o.Adamax(0.05, clipvalue=0.1),
    "nadam": lambda o: o.Nadam(0.05, clipnorm=0.3),
    "lamb": lambda o: o.Lamb(0.05),
    "lion": lambda o: o.Lion(0.01),
    "rmsprop": lambda o: o.RMSprop(0.01),
}
WITH_MOMENTS = {"adam", "adam, moving average", "adamw", "nadam", "lamb"}
"""Of the first and of the second power, both plain means."""


def constrained(name):
    inputs = keras.Input((INPUTS,))
    layer = keras.layers.Dense(
        OUTPUTS, use_bias=False, kernel_constraint=keras.constraints.MaxNorm(1.8)
    )
    model = keras.Model(inputs, layer(inputs))
    model.set_weights([W])
    model.compile(OPTIMIZERS[name](keras.optimizers), "mse", jit_compile=False)
    return model


def clipped(gradient, optimizer):
    """As the optimizer clips the only gradient."""
    limit = optimizer.clipnorm or optimizer.global_clipnorm
    return gradient * min(1, limit / np.linalg.norm(gradient)) if limit else gradient


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_train_the_same_and_show_what_they_changed(name, tmp_path):
    trained = []
    for monitored in (False, True):
        model = constrained(name)
        writer = writer_for(tmp_path, model, model.optimizer) if monitored else None
        weights = [W.astype(np.float64)]
        for step in range(8):
            model.train_on_batch(*batch(step))
            weights.append(model.get_weights()[0].astype(np.float64))
        if writer:
            writer.close()
        trained.append([*model.get_weights(), *(v.numpy() for v in model.optimizer.variables)])
    for without, with_writer in zip(*trained, strict=True):
        np.testing.assert_array_equal(with_writer, without)
    run = tbgrad.read(tmp_path)["."]
    changes = [np.linalg.norm(new - old) for old, new in itertools.pairwise(weights)]
    np.testing.assert_allclose(run.statistic("update_norm")[:, 0], changes, rtol=1e-4, atol=1e-7)
    lengths = [np.linalg.norm(w) for w in weights[:-1]]
    np.testing.assert_allclose(run.statistic("weight_norm")[:, 0], lengths, rtol=1e-5)
    found = run.statistic("snr")[:, 0]
    if name in WITH_MOMENTS:
        gradients = [
            clipped(2 / y.size * x.T.astype(np.float64) @ (x @ w - y), model.optimizer)
            for (x, y), w in zip(map(batch, range(8)), weights[:-1], strict=True)
        ]
        expected = signal_to_noise(model.optimizer, gradients)
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-4)
        assert (expected[1:] > 0).any()
    else:
        assert np.isnan(found).all()


@pytest.mark.parametrize("mode", ["xla", "eager"])
def test_the_signal_to_noise_ratio_follows_from_the_moments(mode, tmp_path):
    model = linear()
    optimizer = keras.optimizers.Adam(1e-9)  # the weights stay: closed-form gradients
    model.compile(optimizer, "mse", **(FITTED | EAGER)[mode])
    fit(model, tbgrad.GradientMonitor(tmp_path, every=1))
    found = tbgrad.read(tmp_path)["."].statistic("snr")[:, 0]
    gradients = []
    gradient_norms(update=lambda w, gradient: gradients.append(gradient) or w)
    expected = signal_to_noise(optimizer, gradients)
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-4)
    assert (expected[1:] > 0).any()


def test_the_signal_to_noise_ratio_is_that_of_the_gradients_drawn():
    """Many draws of a known mean and variance: the estimate's mean is their ratio."""
    from tbgrad.keras.moments import signal_to_noise as estimate
    from tbgrad.keras.parameters import Layout

    rng = np.random.default_rng(2)
    variable = keras.Variable(np.zeros(4000, np.float32))
    optimizer = keras.optimizers.Adam(0.0, beta_2=0.9)
    optimizer.build([variable])
    layout = Layout((4000,), 4000, None, 1)
    found = []
    for step in range(60):
        draw = 0.5 + rng.standard_normal(4000)
        optimizer.apply([tf.constant(draw, tf.float32)])
        if step >= 30:
            found.append(float(estimate(optimizer, [variable], [layout])[0]))
    assert np.mean(found) == pytest.approx(0.25, rel=0.05)
