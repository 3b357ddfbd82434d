"""Ways to train other than plain `fit`, on a linear model whose gradients have a closed form."""

from __future__ import annotations

import copy
import itertools
import pickle

import keras
import numpy as np
import pytest
import tensorflow as tf

import tbgrad

pytestmark = pytest.mark.tensorflow

BATCH, STEPS, INPUTS, OUTPUTS, RATE = 16, 12, 5, 3, 0.05
FITTED = {"graph": {"jit_compile": False}, "xla": {"jit_compile": True}}
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


@pytest.mark.parametrize("expanded", [False, True])
@pytest.mark.parametrize("xla", [False, True])
def test_sparse_gradients_of_an_embedding(tmp_path, xla, expanded, monkeypatch):
    if not expanded:
        monkeypatch.setattr(tf, "get_static_value", lambda tensor: None)
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


@pytest.mark.parametrize("mode", FITTED)
def test_values_that_are_not_finite_are_counted_at_steps_that_are_not_logged(mode, tmp_path):
    x = keras.Input((INPUTS,))
    outputs = [keras.layers.Dense(OUTPUTS, use_bias=False, name=name)(x) for name in "abc"]
    model = keras.Model(x, outputs)
    model.compile(keras.optimizers.SGD(RATE), ["mse"] * 3, **FITTED[mode])
    y = [Y.copy() for _ in outputs]
    y[1][BATCH * 4 + 2, 0] = np.nan  # one unit of "b", from step 5 on
    y[2][BATCH * 9, :2] = np.inf  # two of "c", from step 10 on
    model.fit(X, y, batch_size=BATCH, shuffle=False, verbose=0,
              callbacks=[tbgrad.GradientMonitor(tmp_path, every=6)])  # fmt: skip
    run = tbgrad.read(tmp_path)["."]
    assert run["tbgrad/parameters"].steps.tolist() == [1, 6, 12]
    expected = [[0, 0, 0], [0, 2 * INPUTS, 0], [0, 6 * INPUTS, 3 * 2 * INPUTS]]
    np.testing.assert_array_equal(run.statistic("nonfinite"), expected)
    assert run["tbgrad/notes"].steps.tolist() == [5]
    assert run.names[1] in run["tbgrad/notes"].values[0]
    peaks = run.statistic("norm_max")
    assert np.isfinite(peaks[:, 0]).all()
    assert np.isinf(peaks[1:, 1]).all()


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


# More loops: each case has its closed form in float64, or the weights of the training themselves.

COMPILED = {
    "eager": lambda step: step,
    "graph": tf.function,
    "xla": lambda step: tf.function(step, jit_compile=True),
}
EAGER = {"eager": {"run_eagerly": True}}


def batch(step, x=X, y=Y):
    part = slice(step * BATCH, (step + 1) * BATCH)
    return x[part], y[part]


def writer_for(logdir, model, optimizer, **arguments):
    return tbgrad.GradientSummaryWriter(
        logdir, model.trainable_variables, optimizer=optimizer, **{"every": 1} | arguments
    )


def own_loop(model, optimizer, writer, compiled, x=X, steps=STEPS, apply=None):
    """A training loop of one's own; scales the loss where the optimizer wants it."""

    def train_step(xb, yb):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(xb) - yb))
            scaled = optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, model.trainable_variables)
        writer.observe(gradients, loss=loss)
        if apply is None:
            optimizer.apply(gradients, model.trainable_variables)
        else:
            apply(gradients)

    train_step = compiled(train_step)
    for step in range(steps):
        train_step(*map(tf.constant, batch(step, x)))


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


@pytest.mark.parametrize("mode", FITTED)
def test_mixed_float16_is_recorded_unscaled(mode, tmp_path, mixed_precision):
    x, expected = with_one_infinite_batch()
    model = linear()
    model.compile(keras.optimizers.SGD(RATE), "mse", **FITTED[mode])
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


@pytest.mark.parametrize("kind", COMPILED)
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
    """True norms, clip factors and norms of the updates: one a group of three batches."""
    w, found = W.astype(np.float64), []
    for group in range(STEPS // ACCUMULATED):
        gradients = []
        for step in range(ACCUMULATED * group, ACCUMULATED * (group + 1)):
            xb, yb = (part.astype(np.float64) for part in batch(step))
            gradients.append(2 / yb.size * xb.T @ (xb @ w - yb))
        gradient = np.mean(gradients, axis=0)
        norm = np.linalg.norm(gradient)
        factor = min(1, CLIP / norm)
        new = w * (1 - RATE * DECAY) - RATE * factor * gradient
        found.append((norm, factor, np.linalg.norm(new - w)))
        w = new
    return np.transpose(found)


def accumulating():
    return keras.optimizers.SGD(
        RATE, gradient_accumulation_steps=ACCUMULATED, clipnorm=CLIP, weight_decay=DECAY
    )


def check_accumulated(logdir):
    run = tbgrad.read(logdir)["."]
    norms, factors, updates = accumulated_training()
    steps = np.arange(1, STEPS // ACCUMULATED + 1)
    np.testing.assert_array_equal(run["gradient/norm"].steps, steps)
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
    for _ in range(3):
        fit(model, tbgrad.GradientMonitor(tmp_path, every=1))
    np.testing.assert_array_equal(norms_in(tmp_path)[0], range(1, 3 * STEPS // ACCUMULATED + 1))


@pytest.mark.parametrize("kind", COMPILED)
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
    norms = accumulated_training()[0]
    np.testing.assert_array_equal(run["gradient/norm_max"].steps, [1, 4])
    np.testing.assert_allclose(
        run["gradient/norm_max"].values, [norms[0], norms[1:].max()], rtol=1e-5
    )


@pytest.mark.parametrize("kind", COMPILED)
@pytest.mark.parametrize("clipping", ["clipnorm", "global_clipnorm", "clipvalue"])
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


def test_an_optimizer_that_knows_its_variables_needs_none(tmp_path):
    model = linear()
    optimizer = keras.optimizers.SGD(RATE, clipvalue=0.05)
    optimizer.build(model.trainable_variables)
    with writer_for(tmp_path, model, optimizer) as writer:
        own_loop(model, optimizer, writer, tf.function, apply=lambda g: optimizer.apply(g))
    expected, _ = gradient_norms(update=lambda w, g: w - RATE * np.clip(g, -0.05, 0.05))
    np.testing.assert_allclose(norms_in(tmp_path)[1], expected, rtol=1e-5)


@pytest.mark.parametrize("mode", FITTED | EAGER)
def test_train_on_batch_shows_loss_and_stops_with_the_writer(mode, tmp_path):
    model = linear()
    model.compile(keras.optimizers.SGD(RATE), "mse", **(FITTED | EAGER)[mode])
    losses = []
    with writer_for(tmp_path, model, model.optimizer):
        for step in range(6):
            losses.append(float(model.train_on_batch(*batch(step))))
            model.reset_metrics()
    assert "apply" not in vars(model.optimizer)
    for step in range(6, STEPS):
        model.train_on_batch(*batch(step))
    run = tbgrad.read(tmp_path)["."]
    np.testing.assert_array_equal(run["gradient/norm"].steps, np.arange(1, 7))
    np.testing.assert_allclose(run["gradient/norm"].values, gradient_norms()[0][:6], rtol=1e-5)
    np.testing.assert_allclose(run["loss"].values, losses, rtol=1e-5)
    _, weights = gradient_norms()
    np.testing.assert_allclose(model.get_weights()[0], weights, rtol=1e-4, atol=1e-6)


def test_train_on_batch_with_the_monitor_and_its_hooks_called_by_hand(tmp_path):
    model = linear()
    model.compile(keras.optimizers.SGD(RATE), "mse")
    monitor = tbgrad.GradientMonitor(tmp_path, every=1)
    monitor.set_model(model)
    monitor.on_train_begin()
    for step in range(STEPS):
        monitor.on_train_batch_begin(step)
        model.train_on_batch(*batch(step))
    monitor.on_train_end()
    np.testing.assert_allclose(norms_in(tmp_path)[1], gradient_norms()[0], rtol=1e-5)
    assert "apply" not in vars(model.optimizer)


class Adversaries(keras.Model):
    """Two sub-networks and two optimizers in one `train_step`."""

    def __init__(self):
        super().__init__()
        self.generator, self.critic = linear("generator"), linear("critic", 2 * W)

    def compile(self, optimizer, critic_optimizer, **settings):
        super().compile(optimizer, **settings)
        self.critic_optimizer = critic_optimizer

    def call(self, x):
        return self.generator(x)

    def train_step(self, data):
        x, y = data
        losses = {}
        for part, optimizer in (
            (self.generator, self.optimizer),
            (self.critic, self.critic_optimizer),
        ):
            with tf.GradientTape() as tape:
                losses[part.name] = tf.reduce_mean(tf.square(part(x) - y))
            gradients = tape.gradient(losses[part.name], part.trainable_variables)
            optimizer.apply(gradients, part.trainable_variables)
        return losses


@pytest.mark.parametrize("mode", FITTED)
def test_two_optimizers_in_one_train_step(mode, tmp_path):
    model = Adversaries()
    model.compile(keras.optimizers.SGD(RATE), keras.optimizers.SGD(RATE), **FITTED[mode])
    model(X[:1])
    model.critic_optimizer.build(model.critic.trainable_variables)
    with writer_for(tmp_path / "c", model.critic, model.critic_optimizer):
        fit(model, tbgrad.GradientMonitor(tmp_path / "g", every=1))
    runs = tbgrad.read(tmp_path)
    np.testing.assert_allclose(norms_in(tmp_path, "g")[1], gradient_norms()[0], rtol=1e-5)
    np.testing.assert_allclose(norms_in(tmp_path, "c")[1], gradient_norms(2 * W)[0], rtol=1e-5)
    assert [name.split("/", 1)[1] for name in runs["c"].names] == ["critic/kernel"]
    row = [name.split("/", 1)[1] for name in runs["g"].names].index("generator/kernel")
    np.testing.assert_allclose(runs["g"].statistic("norm")[:, row], gradient_norms()[0], rtol=1e-5)
    assert "apply" not in vars(model.optimizer)
    assert "apply" not in vars(model.critic_optimizer)


def test_a_loop_that_resumes_from_a_checkpoint(tmp_path):
    def new():
        model, optimizer = linear(), keras.optimizers.SGD(RATE)
        optimizer.build(model.trainable_variables)
        return model, optimizer, tf.train.Checkpoint(model=model, optimizer=optimizer)

    model, optimizer, checkpoint = new()
    with writer_for(tmp_path / "run", model, optimizer, every=3) as writer:
        own_loop(model, optimizer, writer, tf.function, steps=5)
        path = checkpoint.save(str(tmp_path / "checkpoint"))
        own_loop(model, optimizer, writer, tf.function)  # on to step 17
    assert norms_in(tmp_path / "run")[0].tolist() == [1, 3, 6, 9, 12, 15]
    model, optimizer, checkpoint = new()
    checkpoint.restore(path).assert_consumed()
    with writer_for(tmp_path / "run", model, optimizer, every=3) as writer:
        own_loop(model, optimizer, writer, tf.function, steps=6)
    steps, norms = norms_in(tmp_path / "run")
    # The first step of a session is logged too.
    np.testing.assert_array_equal(steps, [1, 3, 6, 9])
    first, w = gradient_norms(steps=5)
    second, _ = gradient_norms(w=w, steps=6)
    np.testing.assert_allclose(norms, np.r_[first, second][[0, 2, 5, 8]], rtol=1e-5)
    assert tbgrad.read(tmp_path / "run")["."].damage == ()


def two_layers():
    return keras.Sequential([keras.Input((INPUTS,)), keras.layers.Dense(4, name="below"),
                             keras.layers.Dense(OUTPUTS, name="above")])  # fmt: skip


def test_a_loop_of_ones_own_that_freezes_a_layer(tmp_path):
    model, optimizer = two_layers(), keras.optimizers.SGD(RATE)
    variables = list(model.trainable_variables)
    optimizer.build(variables)
    weights = [model.get_weights()]
    with tbgrad.GradientSummaryWriter(tmp_path, variables, optimizer=optimizer, every=1) as writer:

        @tf.function
        def train_step(x, y, frozen):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(model(x) - y))
            gradients = tape.gradient(loss, variables)
            if frozen:
                gradients = [None, None, *gradients[2:]]
            writer.observe(gradients, loss=loss)
            trained = slice(2 * frozen, None)
            optimizer.apply(gradients[trained], variables[trained])

        for step, frozen in enumerate((False, True, False)):
            train_step(*map(tf.constant, batch(step)), frozen)
            weights.append(model.get_weights())
    run = tbgrad.read(tmp_path)["."]
    seen = np.isfinite(run.statistic("norm"))
    np.testing.assert_array_equal(seen[:, :2], [[True] * 2, [False] * 2, [True] * 2])
    assert seen[:, 2:].all()
    changes = [
        [np.linalg.norm(new.astype(np.float64) - old) for new, old in zip(*pair, strict=True)]
        for pair in itertools.pairwise(weights)
    ]
    np.testing.assert_allclose(run.statistic("update_norm"), changes, rtol=1e-4)
    assert run["gradient/norm"].steps.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("dtype", "mode"), [("bfloat16", "graph"), ("bfloat16", "xla"), ("float64", "graph")]
)
def test_models_of_other_number_types(dtype, mode, tmp_path):
    w = (np.round(W * 8) / 8).astype(np.float32)  # the same in all of them
    model = keras.Sequential(
        [keras.Input((INPUTS,)), keras.layers.Dense(OUTPUTS, use_bias=False, dtype=dtype)]
    )
    model.set_weights([w])
    model.compile(keras.optimizers.SGD(RATE, clipnorm=0.5), "mse", **FITTED[mode])
    fit(model, tbgrad.GradientMonitor(tmp_path, every=1), *batch(0))
    run = tbgrad.read(tmp_path)["."]
    assert run.parameters[0].dtype == dtype
    bits = {"bfloat16": 8, "float64": 24}[dtype]
    error = 4 * 2.0**-bits + 1e-5
    norm = gradient_norms(w=w, steps=1)[0][0]
    assert run["gradient/norm"].values[0] == pytest.approx(norm, rel=error)
    assert run["gradient/clip_factor"].values[0] == pytest.approx(0.5 / norm, rel=error)
    assert run.statistic("weight_norm")[0, 0] == pytest.approx(np.linalg.norm(w), rel=1e-5)
    change = model.get_weights()[0].astype(np.float64) - w
    assert run.statistic("update_norm")[0, 0] == pytest.approx(np.linalg.norm(change), rel=error)


def test_layers_with_names_of_every_kind(tmp_path):
    names = ["with space", "層 ü", "a.b-c>d", "x" * 200, "<b>&amp;"]
    model = keras.Sequential([keras.Input((INPUTS,))])
    for name in names:
        model.add(keras.layers.Dense(INPUTS, use_bias=False, name=name))
    variables = [
        *(variable.value for variable in model.trainable_variables),
        *(tf.Variable([1.0], name=name) for name in ("a/b", "a:b c", "same", "same")),
    ]
    kept = [*model.trainable_variables, *variables[len(names) :]]
    with tbgrad.GradientSummaryWriter(tmp_path, kept, every=1, histograms_every=1) as writer:
        writer.observe([variable * 1.0 for variable in variables])
    run = tbgrad.read(tmp_path)["."]
    layers = [name.removesuffix("/kernel") for name in run.names]
    assert [layer.split("/")[-1] for layer in layers[: len(names)]] == names
    assert run.names[len(names) :] == ("a/b", "a:b c", "same", "same (2)")
    expected = [np.linalg.norm(variable.numpy()) for variable in variables]
    np.testing.assert_allclose(run.statistic("norm")[0], expected, rtol=1e-5)
    assert all(f"gradient_histogram/{name}" in run for name in run.names)


OPTIMIZERS = {
    "adam": lambda o: o.Adam(0.05, weight_decay=0.1, amsgrad=True),
    "adam, moving average": lambda o: o.Adam(0.05, use_ema=True, ema_overwrite_frequency=3),
    "adamw": lambda o: o.AdamW(0.05, weight_decay=0.1, global_clipnorm=0.3),
    "adamax": lambda o: o.Adamax(0.05, clipvalue=0.1),
    "nadam": lambda o: o.Nadam(0.05, clipnorm=0.3),
    "lamb": lambda o: o.Lamb(0.05),
    "lion": lambda o: o.Lion(0.01),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_train_the_same_and_show_what_they_changed(name, tmp_path):
    trained, weights = [], []
    for monitored in (False, True):
        inputs = keras.Input((INPUTS,))
        layer = keras.layers.Dense(OUTPUTS, kernel_constraint=keras.constraints.MaxNorm(1.8))
        model = keras.Model(inputs, layer(inputs))
        model.set_weights([W, np.zeros(OUTPUTS)])
        model.compile(OPTIMIZERS[name](keras.optimizers), "mse", jit_compile=False)
        writer = writer_for(tmp_path, model, model.optimizer) if monitored else None
        weights = [model.get_weights()]
        for step in range(8):
            model.train_on_batch(*batch(step))
            weights.append(model.get_weights())
        if writer:
            writer.close()
        trained.append([*model.get_weights(), *(v.numpy() for v in model.optimizer.variables)])
    for without, with_writer in zip(*trained, strict=True):
        np.testing.assert_array_equal(with_writer, without)
    changes = [
        [np.linalg.norm(new.astype(np.float64) - old) for new, old in zip(*pair, strict=True)]
        for pair in itertools.pairwise(weights)
    ]
    run = tbgrad.read(tmp_path)["."]
    np.testing.assert_allclose(run.statistic("update_norm"), changes, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(
        run.statistic("weight_norm"),
        [[np.linalg.norm(part) for part in parts] for parts in weights[:-1]],
        rtol=1e-5,
    )


@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer")  # as without monitor
def test_copies_of_model_and_optimizer_carry_no_trace(tmp_path):
    """Taken in the middle of a monitored training and after it."""
    shadowed = {"apply", "_all_reduce_sum_gradients", "_clip_gradients", "scale_loss"}
    model = linear()
    model.compile(keras.optimizers.Adam(RATE), "mse")
    monitor = tbgrad.GradientMonitor(tmp_path / "log", every=1)
    copies = []

    def take():
        keras.models.clone_model(model)
        model.save(tmp_path / "model.keras")
        tf.train.Checkpoint(model=model, optimizer=model.optimizer).save(str(tmp_path / "c"))
        loaded = keras.models.load_model(tmp_path / "model.keras")
        again = pickle.loads(pickle.dumps(model))
        np.testing.assert_array_equal(loaded.get_weights(), model.get_weights())
        np.testing.assert_array_equal(again.get_weights(), model.get_weights())
        settings = keras.optimizers.serialize(model.optimizer)
        copies.extend(
            [
                loaded.optimizer,
                again.optimizer,
                pickle.loads(pickle.dumps(model.optimizer)),
                copy.deepcopy(model.optimizer),
                keras.optimizers.deserialize(settings),
            ]
        )

    class Takes(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 5:
                assert shadowed <= set(vars(model.optimizer))
                take()

    model.fit(X, Y, batch_size=BATCH, shuffle=False, verbose=0, callbacks=[monitor, Takes()])
    take()
    assert len(copies) == 10
    for optimizer in [*copies, model.optimizer]:
        assert not shadowed & set(vars(optimizer))
    saved = [name for name, _ in tf.train.list_variables(str(tmp_path / "c-1"))]
    assert not any("tbgrad" in name for name in saved)
    before = len(norms_in(tmp_path / "log")[0])
    assert before == STEPS
    other = linear()
    other.compile(copies[2], "mse")
    other.fit(X, Y, batch_size=BATCH, verbose=0)
    assert len(norms_in(tmp_path / "log")[0]) == before


def signal_to_noise(optimizer, gradients, clip=lambda gradient: gradient):
    """From all gradients so far, in float64: weighted means, then the two equations solved."""
    rows = []
    for t in range(1, len(gradients) + 1):
        seen = np.stack([clip(g) for g in gradients[:t]]).reshape(t, -1)
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


@pytest.mark.parametrize("mode", FITTED | EAGER)
@pytest.mark.parametrize("kind", ["Adam", "AdamW", "Nadam", "Lamb", "SGD", "RMSprop", "Lion"])
def test_the_signal_to_noise_ratio_follows_from_the_moments(kind, mode, tmp_path):
    model = linear()
    optimizer = getattr(keras.optimizers, kind)(1e-9)  # the weights stay: closed-form gradients
    model.compile(optimizer, "mse", **(FITTED | EAGER)[mode])
    fit(model, tbgrad.GradientMonitor(tmp_path, every=1))
    found = tbgrad.read(tmp_path)["."].statistic("snr")[:, 0]
    if kind in ("SGD", "RMSprop", "Lion"):
        assert np.isnan(found).all()
        return
    gradients = []
    gradient_norms(update=lambda w, gradient: gradients.append(gradient) or w)
    expected = signal_to_noise(optimizer, gradients)
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-4)
    assert (expected[1:] > 0).any()


def test_the_signal_to_noise_ratio_is_that_of_the_gradients_drawn():
    """Many draws of a known mean and variance: the estimate's mean is their ratio."""
    from tbgrad.training.moments import signal_to_noise as estimate

    rng = np.random.default_rng(2)
    variable = keras.Variable(np.zeros(4000, np.float32))
    optimizer = keras.optimizers.Adam(0.0, beta_2=0.9)
    optimizer.build([variable])
    found = []
    for step in range(60):
        draw = 0.5 + rng.standard_normal(4000)
        optimizer.apply([tf.constant(draw, tf.float32)])
        if step >= 30:
            found.append(float(estimate(optimizer, [variable])[0]))
    assert np.mean(found) == pytest.approx(0.25, rel=0.05)


def two_named_layers():
    return keras.Sequential(
        [keras.Input((INPUTS,)), keras.layers.Dense(4, name="body"),
         keras.layers.Dense(OUTPUTS, name="head")], name="net")  # fmt: skip


@pytest.mark.parametrize(
    ("selection", "paths"),
    [
        ({"include": "*/kernel"}, ["net/body/kernel", "net/head/kernel"]),
        ({"exclude": ["*/body/*"]}, ["net/head/kernel", "net/head/bias"]),
        ({"include": ["net/head/*", "*body*"], "exclude": "*bias"},
         ["net/body/kernel", "net/head/kernel"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["fit", "loop"])
def test_parameters_are_chosen_by_patterns(kind, selection, paths, tmp_path):
    model, optimizer = two_named_layers(), keras.optimizers.SGD(RATE, global_clipnorm=1.0)
    model.compile(optimizer, "mse")
    if kind == "fit":
        fit(model, tbgrad.GradientMonitor(tmp_path, every=1, **selection))
    else:
        optimizer.build(model.trainable_variables)
        with writer_for(tmp_path, model, optimizer, **selection) as writer:
            own_loop(model, optimizer, writer, COMPILED["graph"])
    run = tbgrad.read(tmp_path)["."]
    assert list(run.names) == paths
    norms = np.linalg.norm(run.statistic("norm"), axis=1)
    np.testing.assert_allclose(run["gradient/norm"].values, norms, rtol=1e-5)
    assert len(norms) == STEPS
    assert "tbgrad/notes" not in run


def test_patterns_that_leave_nothing_get_a_sentence(tmp_path, caplog):
    model = two_named_layers()
    with pytest.raises(ValueError, match=r"include=\['none'\] .* leave no parameter to observe"):
        tbgrad.GradientSummaryWriter(tmp_path, model.trainable_variables, include="none")
    with pytest.raises(TypeError, match="exclude is a pattern of parameter paths"):
        tbgrad.GradientMonitor(tmp_path, exclude=[3])
    model.compile("sgd", "mse")
    fit(model, tbgrad.GradientMonitor(tmp_path, include="none"))
    (record,) = caplog.records
    assert "there are net/body/kernel, net/body/bias" in record.getMessage()


@pytest.mark.parametrize("kind", ["fit", "XLA", "loop", "executions"])
def test_a_schedule_logs_densely_at_first(kind, tmp_path):
    schedule, histograms = {0: 1, 4: 3, 9: 2}, {0: 2, 5: 6}
    model, optimizer = linear(), keras.optimizers.SGD(RATE)
    if kind == "loop":
        with tbgrad.GradientSummaryWriter(
            tmp_path, model.trainable_variables, every=schedule, histograms_every=histograms
        ) as writer:
            own_loop(model, optimizer, writer, COMPILED["graph"])
    else:
        model.compile(
            optimizer,
            "mse",
            jit_compile=kind == "XLA",
            steps_per_execution=5 if kind == "executions" else 1,
        )
        fit(model, tbgrad.GradientMonitor(tmp_path, every=schedule, histograms_every=histograms))
    run = tbgrad.read(tmp_path)["."]
    assert run["gradient/norm"].steps.tolist() == [1, 2, 3, 4, 6, 10, 12]
    assert run["tbgrad/histograms"].steps.tolist() == [1, 2, 4, 6, 12]
    np.testing.assert_allclose(
        run["gradient/norm"].values,
        gradient_norms()[0][run["gradient/norm"].steps - 1],
        rtol=1e-5,
    )
    assert run.manifest.cadences["every"] == 2


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ({}, "as a schedule names the step at which each part begins"),
        ({1: 10}, "the first of them 0"),
        ({0: 1, 10: 0}, r"every\[10\] is a number of steps"),
        ({0: 1, "ten": 10}, "as a schedule names"),
    ],
)
def test_schedules_that_are_none_get_a_sentence(schedule, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        tbgrad.GradientMonitor(tmp_path, every=schedule)


def test_complex_variables(tmp_path):
    w = tf.Variable(np.array([1 + 2j, 3 - 1j, 0.5j], np.complex64), name="w")
    with tbgrad.GradientSummaryWriter(tmp_path, [w], every=1) as writer:
        for _ in range(3):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(tf.abs(w) ** 2)
            (gradient,) = tape.gradient(loss, [w])
            writer.observe([gradient], loss=loss)
            w.assign_sub(0.1 * gradient)
    run = tbgrad.read(tmp_path)["."]
    lengths = np.linalg.norm([1 + 2j, 3 - 1j, 0.5j]) * 0.8 ** np.arange(3)
    np.testing.assert_allclose(run.statistic("norm")[:, 0], 2 * lengths, rtol=1e-5)
    np.testing.assert_allclose(run.statistic("weight_norm")[:, 0], lengths, rtol=1e-5)
    assert run.parameters[0].shape == (3,)
    assert run.parameters[0].dtype == "complex64"
    assert run["tbgrad/histograms"].values.sum() == 6
