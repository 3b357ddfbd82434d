"""Scaled losses and accumulated gradients."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import tbgrad
from tests.support.linear_model import (
    BATCH,
    COMPILED,
    EAGER,
    FITTED,
    RATE,
    STEPS,
    W,
    X,
    Y,
    batch,
    fit,
    gradient_norms,
    linear,
    norms_in,
    own_loop,
    writer_for,
)

pytestmark = pytest.mark.tensorflow


def test_scaled_losses_are_unscaled_and_a_skipped_step_is_no_step(tmp_path):
    x = X.copy()
    x[4 * BATCH] = np.inf
    model = linear()
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(RATE), 1024.0)
    model.compile(optimizer, "mse", jit_compile=False)
    fit(model, tbgrad.GradientMonitor(tmp_path, every=1), x=x)
    steps, norms = norms_in(tmp_path)
    np.testing.assert_array_equal(steps, np.arange(1, STEPS))
    kept = np.r_[0 : 4 * BATCH, 5 * BATCH : len(X)]
    expected, _ = gradient_norms(x=X[kept], y=Y[kept], steps=STEPS - 1)
    np.testing.assert_allclose(norms, expected, rtol=1e-5)
    run = tbgrad.read(tmp_path)["."]
    np.testing.assert_array_equal(run["loss_scale"].values, [1024.0] * 4 + [512.0] * (STEPS - 5))
    np.testing.assert_array_equal(run["skipped_updates"].values, np.arange(1, STEPS) == 5)


def test_updates_that_are_skipped_between_two_logged_steps_are_counted(tmp_path):
    x = X.copy()
    x[[4 * BATCH, 6 * BATCH, 7 * BATCH]] = np.inf
    model = linear()
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(RATE), 1024.0)
    model.compile(optimizer, "mse", jit_compile=False)
    fit(model, tbgrad.GradientMonitor(tmp_path, every=4), x=x)
    run = tbgrad.read(tmp_path)["."]
    assert run["skipped_updates"].steps.tolist() == [1, 4, 8]
    assert run["skipped_updates"].values.tolist() == [0, 0, 3]
    assert run["loss_scale"].values.tolist() == [1024, 1024, 128]


@pytest.fixture
def mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy("float32")


def with_one_infinite_batch():
    """The fifth batch has an infinite value; and the training without that batch."""
    x = X.copy()
    x[4 * BATCH] = np.inf
    kept = np.r_[0 : 4 * BATCH, 5 * BATCH : len(X)]
    return x, gradient_norms(x=X[kept], y=Y[kept], steps=STEPS - 1)[0]


def test_mixed_float16_is_recorded_unscaled(tmp_path, mixed_precision):
    x, expected = with_one_infinite_batch()
    model = linear()
    model.compile(keras.optimizers.SGD(RATE), "mse", jit_compile=True)
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    model.optimizer.initial_scale = 1024.0  # at the default of 2 ** 15 some more steps overflow
    fit(model, tbgrad.GradientMonitor(tmp_path, every=1), x=x)
    steps, norms = norms_in(tmp_path)
    np.testing.assert_array_equal(steps, np.arange(1, STEPS))
    np.testing.assert_allclose(norms, expected, rtol=2e-3)  # float16 has 11 bits
    assert float(model.optimizer.dynamic_scale.numpy()) == 512.0  # halved once
    run = tbgrad.read(tmp_path)["."]
    assert (run.statistic("nonfinite") == 0).all()
    assert np.isfinite(run["gradient/norm_max"].values).all()


@pytest.mark.parametrize("kind", ["eager", "graph"])
def test_a_loop_of_ones_own_that_scales_its_loss(kind, tmp_path):
    x, expected = with_one_infinite_batch()
    model = linear()
    inner = keras.optimizers.SGD(RATE, clipnorm=1e6)
    optimizer = keras.optimizers.LossScaleOptimizer(inner, 1024.0)
    optimizer.build(model.trainable_variables)
    with writer_for(tmp_path, model, optimizer) as writer:
        own_loop(model, optimizer, writer, COMPILED[kind], x=x)
    steps, norms = norms_in(tmp_path)
    np.testing.assert_array_equal(steps, np.arange(1, STEPS))
    np.testing.assert_allclose(norms, expected, rtol=1e-5)
    run = tbgrad.read(tmp_path)["."]
    np.testing.assert_allclose(run["gradient/clip_factor"].values, 1.0, rtol=1e-6)
    assert not {"apply", "_clip_gradients"} & set(vars(inner))
    assert "scale_loss" not in vars(optimizer)


ACCUMULATED, CLIP, DECAY = 3, 0.3, 0.1


def accumulated_training():
    """Losses, true norms, clip factors and norms of the updates: one a group of three batches."""
    w, found = W.astype(np.float64), []
    for group in range(STEPS // ACCUMULATED):
        gradients, losses = [], []
        for step in range(ACCUMULATED * group, ACCUMULATED * (group + 1)):
            xb, yb = (part.astype(np.float64) for part in batch(step))
            gradients.append(2 / yb.size * xb.T @ (xb @ w - yb))
            losses.append(np.mean((xb @ w - yb) ** 2))
        gradient = np.mean(gradients, axis=0)
        norm = np.linalg.norm(gradient)
        factor = min(1, CLIP / norm)
        new = w * (1 - RATE * DECAY) - RATE * factor * gradient
        found.append((np.mean(losses), norm, factor, np.linalg.norm(new - w)))
        w = new
    return np.transpose(found)


def accumulating():
    return keras.optimizers.SGD(
        RATE, gradient_accumulation_steps=ACCUMULATED, clipnorm=CLIP, weight_decay=DECAY
    )


def check_accumulated(logdir):
    run = tbgrad.read(logdir)["."]
    losses, norms, factors, updates = accumulated_training()
    steps = np.arange(1, STEPS // ACCUMULATED + 1)
    np.testing.assert_array_equal(run["gradient/norm"].steps, steps)
    np.testing.assert_allclose(run["loss"].values, losses, rtol=1e-5)
    np.testing.assert_allclose(run["gradient/norm"].values, norms, rtol=1e-5)
    np.testing.assert_allclose(run["gradient/clip_factor"].values, factors, rtol=1e-5)
    np.testing.assert_allclose(run.statistic("update_norm")[:, 0], updates, rtol=1e-4)


@pytest.mark.parametrize("mode", FITTED | EAGER)
def test_accumulated_gradients_are_clipped_decayed_and_counted_once(mode, tmp_path):
    model = linear()
    model.compile(accumulating(), "mse", **(FITTED | EAGER)[mode])
    fit(model, tbgrad.GradientMonitor(tmp_path, every=1))
    check_accumulated(tmp_path)


def test_a_training_that_accumulates_goes_on_counting_updates(tmp_path):
    model = linear()
    model.compile(accumulating(), "mse")
    for _ in range(2):
        fit(model, tbgrad.GradientMonitor(tmp_path, every=1))
    np.testing.assert_array_equal(norms_in(tmp_path)[0], range(1, 2 * STEPS // ACCUMULATED + 1))


@pytest.mark.parametrize("kind", ["eager", "graph"])
def test_accumulated_gradients_of_a_loop_of_ones_own(kind, tmp_path):
    model, optimizer = linear(), accumulating()
    optimizer.build(model.trainable_variables)
    with writer_for(tmp_path, model, optimizer) as writer:
        own_loop(model, optimizer, writer, COMPILED[kind])
    check_accumulated(tmp_path)


def test_the_peaks_of_accumulated_updates_cover_the_window(tmp_path):
    model = linear()
    model.compile(accumulating(), "mse")
    fit(model, tbgrad.GradientMonitor(tmp_path, every=4))
    run = tbgrad.read(tmp_path)["."]
    norms = accumulated_training()[1]
    np.testing.assert_array_equal(run["gradient/norm_max"].steps, [1, 4])
    np.testing.assert_allclose(
        run["gradient/norm_max"].values, [norms[0], norms[1:].max()], rtol=1e-5
    )
