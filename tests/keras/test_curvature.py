"""Curvature during training: what is logged against NumPy, how often, and within which time."""

from __future__ import annotations

import signal
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

import tbgrad
from tests.keras.conftest import BATCH, STEPS, fit
from tests.support.linear_model import (
    RATE,
    W,
    batch,
    linear,
    own_loop,
    writer_for,
)
from tests.support.numpy_network import hessian

pytestmark = pytest.mark.tensorflow


def exact_spectrum(model, batches, count=64):
    """All eigenvalues at the weights that the model has now, on the monitor's own choice."""
    return np.linalg.eigvalsh(exact_hessian(model, batches, count))


def exact_hessian(model, batches, count=64):
    chosen = np.sort(np.random.default_rng(0).choice(BATCH * STEPS, count, replace=False))
    weights = [w.astype(np.float64) for w in model.get_weights()]
    return hessian(weights, batches[0][chosen].astype(np.float64), batches[1][chosen])


def test_eigenvalues_trace_and_density_are_logged(tmp_path, batches, tiny_model):
    model = tiny_model()
    curvature = tbgrad.Curvature(
        data=batches, every=6, samples=64, k=2, trace=True, density_every=12, budget=None, tol=1e-3
    )
    fit(model, batches, [tbgrad.GradientMonitor(tmp_path, curvature=curvature)])
    run = tbgrad.read(tmp_path)["."]
    assert run["tbgrad/curvature"].steps.tolist() == [0, 6, 12, 18, 24]
    last = run["tbgrad/curvature"].values[-1]
    true = exact_spectrum(model, batches)
    found = [eigenvalue.value for eigenvalue in last.eigenvalues]
    np.testing.assert_allclose(found, true[[-1, -2, 1, 0]], atol=2e-3 * true[-1])
    assert abs(last.trace - true.sum()) <= 5 * last.trace_error + 1e-5
    assert run["curvature/trace"].values[-1] == pytest.approx(last.trace, rel=1e-6)
    assert last.method in ("reverse over reverse", "forward over reverse")
    density = run["tbgrad/spectrum"]
    assert density.steps.tolist() == [0, 12, 24]
    grid, values = density.values[-1]
    assert np.sum(values[:-1] * np.diff(grid)) == pytest.approx(1, abs=0.01)
    assert (grid[0] < true[0], grid[-1] > true[-1]) == (True, True)
    assert run["curvature/minimum_ratio"].steps.tolist() == [0, 12, 24]
    for name, share in (
        ("minimum_ratio", np.mean(true > 1e-5)),
        ("negative_fraction", np.mean(true < -1e-5)),
    ):
        interval = getattr(last, name)
        assert interval.low - 1e-6 <= share <= interval.high + 1e-6
        assert run[f"curvature/{name}"].values[-1] == pytest.approx(interval.value)
    assert last.zero_fraction.value == pytest.approx(np.mean(np.abs(true) <= 1e-5), abs=0.1)


@pytest.mark.parametrize("most", [5000, 10], ids=["all", "too_many"])
def test_the_whole_spectrum_at_the_end(most, tmp_path, batches, tiny_model, monkeypatch):
    """The last estimate alone has the share above zero; of too many it is estimated, and said."""
    monkeypatch.setattr("tbgrad.hessian.MAX_SIZE", most)
    model = tiny_model()
    curvature = tbgrad.Curvature(data=batches, every=12, samples=64, spectrum_at_end=True)
    fit(model, batches, [tbgrad.GradientMonitor(tmp_path, curvature=curvature)])
    run = tbgrad.read(tmp_path)["."]
    assert run["tbgrad/spectrum"].steps.tolist() == [24]
    true = exact_spectrum(model, batches)
    interval = run["tbgrad/curvature"].values[-1].minimum_ratio
    assert interval.low - 1e-6 <= np.mean(true > 1e-5) <= interval.high + 1e-6
    said = [text for _, text in run.notes if "spectrum_at_end" in text]
    assert len(said) == (most == 10)
    if most == 5000:
        ratio = run["curvature/minimum_ratio"].values[-1]
        assert ratio == pytest.approx(np.mean(true > 1e-5), abs=2 / len(true))


@pytest.mark.parametrize("kind", [keras.optimizers.Adam, keras.optimizers.RMSprop])
def test_adaptive_optimizers_are_judged_in_their_own_coordinates(
    kind, tmp_path, batches, tiny_model
):
    model = tiny_model(kind(0.02))
    curvature = tbgrad.Curvature(data=batches, every=10, samples=64, budget=None, tol=1e-3)
    fit(model, batches, [tbgrad.GradientMonitor(tmp_path, curvature=curvature)])
    run = tbgrad.read(tmp_path)["."]
    first, *_, last = run["tbgrad/curvature"].values
    assert first.preconditioned is None  # there are no squares of gradients yet
    assert np.isnan(first.stability)
    squares = np.concatenate([np.ravel(v.numpy()) for v in model.optimizer._velocities])
    adam = kind is keras.optimizers.Adam
    diagonal = np.sqrt(squares + (0 if adam else 1e-7)) + (1e-7 if adam else 0)
    if adam:
        diagonal *= (1 - 0.9**STEPS) / np.sqrt(1 - 0.999**STEPS)
    quotient = exact_hessian(model, batches) / np.sqrt(np.outer(diagonal, diagonal))
    sharpest = np.linalg.eigvalsh(quotient)[-1]
    assert last.preconditioned.value == pytest.approx(sharpest, rel=2e-3)
    threshold = 38 / 0.02 if adam else 2 / 0.02
    assert last.stability_threshold == pytest.approx(threshold, rel=1e-5)
    assert last.stability == pytest.approx(sharpest / threshold, rel=2e-3)
    assert run["curvature/stability"].values[-1] == pytest.approx(last.stability, rel=1e-6)
    assert last.lambda_max.value == pytest.approx(exact_spectrum(model, batches)[-1], rel=2e-3)


def test_mixed_precision_is_estimated_in_single_precision(tmp_path, batches, tiny_model):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = tiny_model()
        curvature = tbgrad.Curvature(data=batches, every=10, samples=64, budget=None, tol=1e-3)
        fit(model, batches, [tbgrad.GradientMonitor(tmp_path, curvature=curvature)])
        assert {layer.compute_dtype for layer in model.layers} == {"float16"}
    finally:
        keras.config.set_dtype_policy("float32")
    last = tbgrad.read(tmp_path)["."]["tbgrad/curvature"].values[-1]
    true = exact_spectrum(model, batches)
    assert last.lambda_max.value == pytest.approx(true[-1], abs=last.lambda_max.residual + 1e-5)
    assert last.lambda_min.value == pytest.approx(true[0], abs=last.lambda_min.residual + 1e-5)
    assert last.converged


def curved_loss(model):
    """The probe of a loop of one's own: mean squares, whose Hessian is 2/outputs · XᵀX/samples."""
    x, y = map(tf.constant, batch(0))
    return lambda: tf.reduce_mean(tf.square(model(x) - y))


def test_a_loop_of_ones_own(tmp_path):
    model, optimizer = linear(), keras.optimizers.SGD(RATE)
    optimizer.build(model.trainable_variables)
    loss = curved_loss(model)
    settings = tbgrad.Curvature(every=4, budget=None)
    found = []
    with writer_for(tmp_path, model, optimizer) as writer:

        def estimate(_):
            found.append(writer.curvature(loss, settings))

        own_loop(model, optimizer, writer, tf.function, steps=10, before=estimate)
    run = tbgrad.read(tmp_path)["."]
    assert run["tbgrad/curvature"].steps.tolist() == [0, 4, 8, 10]
    assert [estimate is not None for estimate in found[:9]] == [True, *[False] * 3] * 2 + [True]
    x = batch(0)[0].astype(np.float64)
    true = np.linalg.eigvalsh(2 / (W.shape[1] * len(x)) * x.T @ x)
    for estimate in run["tbgrad/curvature"].values:
        top = estimate.lambda_max
        assert top.value == pytest.approx(true[-1], abs=top.residual + 1e-5)
        assert estimate.stability_threshold == pytest.approx(2 / RATE, rel=1e-5)
    assert found[0].lambda_max.value == run["tbgrad/curvature"].values[0].lambda_max.value


def test_a_loss_that_fails_ends_the_estimates_with_one_note(tmp_path, caplog):
    model, optimizer = linear(), keras.optimizers.SGD(RATE)
    settings, found = tbgrad.Curvature(every=1), []
    with writer_for(tmp_path, model, optimizer) as writer:

        def estimate(_):
            found.append(writer.curvature(lambda: tf.constant(1.0), settings))

        own_loop(model, optimizer, writer, tf.function, steps=6, before=estimate)
    assert found == [None] * 6
    run = tbgrad.read(tmp_path)["."]
    assert len(run["loss"]) == 6
    notes = [r.getMessage() for r in caplog.records if "no curvature" in r.getMessage()]
    assert len(notes) == 1
    assert "depends on none of the variables" in notes[0]


def test_ctrl_c_during_an_estimate_ends_the_training(tmp_path):
    model, optimizer = linear(), keras.optimizers.SGD(RATE)
    plain, pressed = curved_loss(model), []

    def press():
        if len(pressed) == 6:  # in the midst of the iteration
            signal.raise_signal(signal.SIGINT)
        pressed.append(None)

    def loss():
        with tf.control_dependencies([tf.py_function(press, [], [])]):
            return tf.identity(plain())

    with writer_for(tmp_path, model, optimizer) as writer, pytest.raises(KeyboardInterrupt):
        writer.curvature(loss)
    assert len(pressed) > 6


def test_the_schedule_stretches_itself_to_keep_the_budget(tmp_path, caplog):
    model, optimizer = linear(), keras.optimizers.SGD(RATE)
    plain = curved_loss(model)

    def slow():
        nap = tf.py_function(lambda: time.sleep(0.002), [], [])
        with tf.control_dependencies([nap]):
            return tf.identity(plain())

    settings = tbgrad.Curvature(every=1, budget=0.2)
    x, y = map(tf.constant, batch(0))
    begun, estimates, spent = time.monotonic(), 0, 0.0
    with writer_for(tmp_path, model, optimizer, every=50) as writer:
        # On a machine that is busy otherwise, three of them may take longer.
        while time.monotonic() - begun < (4 if estimates > 2 else 120):
            before = time.monotonic()
            if writer.curvature(slow, settings) is not None:
                estimates += 1
                spent += time.monotonic() - before
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(model(x) - y))
            gradients = tape.gradient(loss, model.trainable_variables)
            writer.observe(gradients, loss=loss)
            optimizer.apply(gradients, model.trainable_variables)
            time.sleep(0.002)
    assert estimates > 2
    assert spent / (time.monotonic() - begun) < 0.3
    notes = tbgrad.read(tmp_path)["."]["tbgrad/notes"].values
    (told,) = [text for text in notes if "come less often" in text]
    assert "more than 20 % of the time: they come less often than every 1 steps" in told


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"k": 0}, "k is at least 1"),
        ({"budget": 0}, "budget is a share above 0"),
        ({"budget": float("nan")}, "budget is a share above 0"),
        ({"density_every": 0}, "density_every"),
        ({"k": 40}, "max_products is at least 2 k = 80"),
        ({"data": np.zeros(3)}, "Curvature.data is"),
    ],
)
def test_settings_out_of_range_get_a_sentence(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        tbgrad.Curvature(**settings)


def test_a_monitor_needs_data(tmp_path):
    with pytest.raises(ValueError, match=r"tbgrad.Curvature\(data="):
        tbgrad.GradientMonitor(tmp_path, curvature=tbgrad.Curvature())


@pytest.mark.filterwarnings("ignore:Layer InputLayer does not have a `quantize`:UserWarning")
def test_the_scales_of_float8_layers_are_no_weights(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(320, 8)).astype("f")
    model = keras.Sequential(
        [keras.Input((8,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(1)]
    )
    model.quantize("float8")
    model.compile(keras.optimizers.Adam(0.01), "mse")
    curvature = tbgrad.Curvature(data=(x, x[:, :1]), budget=None)
    monitor = tbgrad.GradientMonitor(tmp_path, every=1, curvature=curvature)
    model.fit(x, x[:, :1], epochs=3, verbose=0, callbacks=[monitor])
    run = tbgrad.read(tmp_path)["."]
    names = [parameter.path.split("/")[-1] for parameter in run.manifest.parameters]
    assert names == ["kernel", "bias"] * 2
    assert "tbgrad/alerts" not in run
    last = run["tbgrad/curvature"].values[-1]
    assert last.preconditioned is not None
    assert 0 < last.lambda_max.value < 100
    assert last.method != "finite differences"
