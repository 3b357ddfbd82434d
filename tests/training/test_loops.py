"""Ways to train other than plain `fit`, on a linear model whose gradients have a closed form."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import tbgrad

pytestmark = pytest.mark.tensorflow

BATCH, STEPS, INPUTS, OUTPUTS, RATE = 16, 12, 5, 3, 0.05
RNG = np.random.default_rng(5)
X = RNG.standard_normal((BATCH * STEPS, INPUTS)).astype(np.float32)
Y = RNG.standard_normal((BATCH * STEPS, OUTPUTS)).astype(np.float32)
W = RNG.standard_normal((INPUTS, OUTPUTS)).astype(np.float32)


def linear(name="linear", w=W):
    model = keras.Sequential([keras.Input((w.shape[0],)), keras.layers.Dense(
        w.shape[1], use_bias=False, name=name)])  # fmt: skip
    model.set_weights([w])
    return model


def gradient_norms(w=W, x=X, y=Y, steps=STEPS, update=None):
    """Norms of the gradients of the mean squared error along plain gradient descent, in float64."""
    w, norms = w.astype(np.float64), []
    for step in range(steps):
        xb = x[step * BATCH : (step + 1) * BATCH].astype(np.float64)
        yb = y[step * BATCH : (step + 1) * BATCH].astype(np.float64)
        gradient = 2 / yb.size * xb.T @ (xb @ w - yb)
        norms.append(np.linalg.norm(gradient))
        w = w - RATE * gradient if update is None else update(w, gradient)
    return np.array(norms), w


def fit(model, monitor, x=X, y=Y, **arguments):
    model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0, callbacks=[monitor], **arguments)


def norms_in(logdir, run="."):
    series = tbgrad.read(logdir)[run]["gradient/norm"]
    return series.steps, series.values


def test_the_latest_numbers_can_be_had_in_code(tmp_path):
    model = linear()
    model.compile(keras.optimizers.SGD(RATE), "mse")
    monitor = tbgrad.GradientMonitor(tmp_path, every=5)
    assert monitor.latest is None
    fit(model, monitor)
    norms, _ = gradient_norms()
    assert monitor.latest["step"] == 10
    assert monitor.latest["gradient/norm"] == pytest.approx(norms[9], rel=1e-5)
    (statistics,) = monitor.latest["parameters"].values()
    assert statistics["norm"] == pytest.approx(norms[9], rel=1e-5)


class OwnStep(keras.Model):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(self(x, training=True) - y))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {"loss": loss}


@pytest.mark.parametrize("xla", [False, True])
def test_a_train_step_of_ones_own(tmp_path, xla):
    inner = linear()
    model = OwnStep(inner.inputs, inner.outputs)
    model.compile(keras.optimizers.SGD(RATE), jit_compile=xla)
    fit(model, tbgrad.GradientMonitor(tmp_path, every=1))
    steps, norms = norms_in(tmp_path)
    np.testing.assert_array_equal(steps, np.arange(1, STEPS + 1))
    np.testing.assert_allclose(norms, gradient_norms()[0], rtol=1e-5)


def test_train_on_batch(tmp_path):
    model = linear()
    model.compile(keras.optimizers.SGD(RATE), "mse")
    with tbgrad.GradientSummaryWriter(
        tmp_path, model.trainable_variables, optimizer=model.optimizer, every=1
    ):
        for step in range(STEPS):
            batch = slice(step * BATCH, (step + 1) * BATCH)
            model.train_on_batch(X[batch], Y[batch])
    np.testing.assert_allclose(norms_in(tmp_path)[1], gradient_norms()[0], rtol=1e-5)


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


@pytest.mark.parametrize(
    ("clipping", "clip"),
    [
        ({"clipnorm": 0.3}, lambda g: g * min(1, 0.3 / np.linalg.norm(g))),
        ({"global_clipnorm": 0.3}, lambda g: g * min(1, 0.3 / np.linalg.norm(g))),
        ({"clipvalue": 0.05}, lambda g: np.clip(g, -0.05, 0.05)),
    ],
)
def test_norms_are_those_before_clipping_and_the_factor_says_what_is_left(tmp_path, clipping, clip):
    model = linear()
    model.compile(keras.optimizers.SGD(RATE, **clipping), "mse")
    fit(model, tbgrad.GradientMonitor(tmp_path, every=1))
    factors = []

    def update(w, gradient):
        factors.append(np.linalg.norm(clip(gradient)) / np.linalg.norm(gradient))
        return w - RATE * clip(gradient)

    expected, _ = gradient_norms(update=update)
    np.testing.assert_allclose(norms_in(tmp_path)[1], expected, rtol=1e-5)
    found = tbgrad.read(tmp_path)["."]["gradient/clip_factor"].values
    np.testing.assert_allclose(found, factors, rtol=1e-4)


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


def test_two_models_with_two_optimizers_log_side_by_side(tmp_path):
    """As in a GAN: each optimizer has its writer, its parameters and its run."""
    first, second = linear("generator"), linear("critic", 2 * W)
    optimizers = [keras.optimizers.SGD(RATE), keras.optimizers.SGD(RATE)]
    writers = [
        tbgrad.GradientSummaryWriter(
            tmp_path / name, model.trainable_variables, optimizer=optimizer, every=1
        )
        for name, model, optimizer in zip(("g", "c"), (first, second), optimizers, strict=True)
    ]

    @tf.function
    def train_step(x, y):
        for model, optimizer, writer in zip((first, second), optimizers, writers, strict=True):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(model(x) - y))
            gradients = tape.gradient(loss, model.trainable_variables)
            writer.observe(gradients, loss=loss)
            optimizer.apply(gradients, model.trainable_variables)

    for step in range(STEPS):
        batch = slice(step * BATCH, (step + 1) * BATCH)
        train_step(tf.constant(X[batch]), tf.constant(Y[batch]))
    for writer in writers:
        writer.close()
    np.testing.assert_allclose(norms_in(tmp_path, "g")[1], gradient_norms()[0], rtol=1e-5)
    np.testing.assert_allclose(norms_in(tmp_path, "c")[1], gradient_norms(2 * W)[0], rtol=1e-5)
    names = [tbgrad.read(tmp_path)[name].names for name in ("g", "c")]
    assert ["generator" in names[0][0], "critic" in names[1][0]] == [True, True]


def test_a_training_that_resumes_goes_on_counting_and_replaces_what_came_later(tmp_path):
    model = linear()
    model.compile(keras.optimizers.SGD(RATE), "mse")
    fit(model, tbgrad.GradientMonitor(tmp_path, every=1))
    resumed = linear()
    resumed.set_weights([gradient_norms(steps=5)[1].astype(np.float32)])  # the checkpoint of step 5
    resumed.compile(keras.optimizers.SGD(RATE), "mse")
    resumed.optimizer.iterations.assign(5)
    rest = slice(5 * BATCH, 9 * BATCH)
    fit(resumed, tbgrad.GradientMonitor(tmp_path, every=1), x=X[rest], y=Y[rest])
    steps, norms = norms_in(tmp_path)
    np.testing.assert_array_equal(steps, np.arange(1, 10))
    np.testing.assert_allclose(norms, gradient_norms(steps=9)[0], rtol=1e-5)


def test_layers_frozen_and_thawed_between_fits(tmp_path):
    model = keras.Sequential([keras.Input((INPUTS,)), keras.layers.Dense(4, name="below"),
                              keras.layers.Dense(OUTPUTS, name="above")])  # fmt: skip
    monitor = tbgrad.GradientMonitor(tmp_path, every=1)
    for trainable in (True, False, True):
        model.layers[0].trainable = trainable
        model.compile(keras.optimizers.SGD(RATE), "mse")
        fit(model, monitor)
    run = tbgrad.read(tmp_path)["."]
    np.testing.assert_array_equal(run["gradient/norm"].steps, np.arange(1, 3 * STEPS + 1))
    below = [("below" in name) for name in run.names]
    seen = np.isfinite(run.statistic("norm"))
    assert seen[:, ~np.array(below)].all()
    np.testing.assert_array_equal(seen[:, below].all(axis=1), np.repeat([True, False, True], STEPS))
    assert "tbgrad/notes" not in run


@pytest.mark.parametrize("xla", [False, True])
def test_sparse_gradients_of_an_embedding(tmp_path, xla):
    words = RNG.integers(0, 40, (BATCH * STEPS, 6))
    table = RNG.standard_normal((40, 4)).astype(np.float32)
    model = keras.Sequential([keras.Input((6,), dtype="int32"), keras.layers.Embedding(40, 4)])
    model.set_weights([table])
    target = RNG.standard_normal((BATCH * STEPS, 6, 4)).astype(np.float32)
    model.compile(keras.optimizers.SGD(RATE), "mse", jit_compile=xla)
    fit(model, tbgrad.GradientMonitor(tmp_path, every=1), x=words, y=target)
    w, norms, zeros = table.astype(np.float64), [], []
    for step in range(STEPS):
        batch = slice(step * BATCH, (step + 1) * BATCH)
        gradient = np.zeros_like(w)
        np.add.at(
            gradient, words[batch], 2 / target[batch].size * (w[words[batch]] - target[batch])
        )
        norms.append(np.linalg.norm(gradient))
        zeros.append((gradient == 0).mean())
        w -= RATE * gradient
    np.testing.assert_allclose(norms_in(tmp_path)[1], norms, rtol=1e-5)
    run = tbgrad.read(tmp_path)["."]
    np.testing.assert_allclose(run.statistic("zero_fraction")[:, 0], zeros, atol=1e-6)


def test_a_variable_without_gradient_has_a_row_that_says_so(tmp_path):
    used, unused = tf.Variable([1.0, 2.0], name="used"), tf.Variable([3.0], name="unused")
    with tbgrad.GradientSummaryWriter(tmp_path, [used, unused], every=1) as writer:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(used**2)
        writer.observe(tape.gradient(loss, [used, unused]), loss=loss)
    run = tbgrad.read(tmp_path)["."]
    assert run.names == ("used", "unused")
    assert run.statistic("norm")[0, 0] == pytest.approx(np.sqrt(20))
    assert np.isnan(run.statistic("norm")[0, 1])
    assert run.statistic("weight_norm")[0, 1] == 3.0


def test_bfloat16_variables(tmp_path):
    variable = tf.Variable(tf.cast([3.0, 4.0], tf.bfloat16))
    with tbgrad.GradientSummaryWriter(tmp_path, [variable], every=1) as writer:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(variable**2)
        writer.observe(tape.gradient(loss, [variable]), loss=loss)
    run = tbgrad.read(tmp_path)["."]
    assert run.statistic("norm")[0, 0] == 10.0
    assert run.parameters[0].dtype == "bfloat16"


NAMES = ("dense/kernel", "a:b c", "層/カーネル", "x" * 300, "same", "same", "<b>&", "..")


def test_names_of_every_kind(tmp_path):
    variables = [keras.Variable(np.ones(2, np.float32)) for _ in NAMES]
    for variable, name in zip(variables, NAMES, strict=True):
        variable._path = name
    with tbgrad.GradientSummaryWriter(tmp_path, variables, every=1) as writer:
        writer.observe([tf.constant([float(i), 0.0]) for i in range(len(NAMES))])
    run = tbgrad.read(tmp_path)["."]
    assert run.names == (*NAMES[:5], "same (2)", *NAMES[6:])
    np.testing.assert_array_equal(run.statistic("norm")[0], np.arange(len(NAMES)))


@pytest.mark.parametrize(("count", "xla"), [(1000, False), (200, True)])
def test_models_of_many_parameters(tmp_path, count, xla):
    values = RNG.standard_normal((count, 3)).astype(np.float32)
    variables = [tf.Variable(value, name=f"v{i}") for i, value in enumerate(values)]
    with tbgrad.GradientSummaryWriter(tmp_path, variables, every=1) as writer:

        @tf.function(jit_compile=xla)
        def step():
            with tf.GradientTape() as tape:
                loss = tf.add_n([tf.reduce_sum(v**2) for v in variables])
            writer.observe(tape.gradient(loss, variables), loss=loss)

        step()
        step()
    run = tbgrad.read(tmp_path)["."]
    expected = np.linalg.norm(2 * values.astype(np.float64), axis=1)
    np.testing.assert_allclose(run.statistic("norm"), [expected] * 2, rtol=1e-6)
    assert run["gradient/norm"].steps.tolist() == [1, 2]
