"""What `GradientMonitor` logs in `model.fit`, against the same training in NumPy float64."""

import itertools
import pickle

import keras
import numpy as np
import pytest
import tensorflow as tf

import tbgrad
from tbgrad.log.records import STATISTICS
from tests.keras.conftest import BATCH, MOMENTUM, RATE, STEPS, fit
from tests.support.numpy_network import hessian

pytestmark = pytest.mark.tensorflow

MODES = {
    "default": {},
    "graph": {"jit_compile": False},
    "xla": {"jit_compile": True},
    "eager": {"run_eagerly": True},
    "steps_per_execution": {"steps_per_execution": 5},
    "xla, steps_per_execution": {"steps_per_execution": 5, "jit_compile": True},
}
EVERY, HISTOGRAMS_EVERY = 3, 6
LOGGED = [1, 3, 6, 9, 12, 15, 18, 21, 24]


def column(run, name):
    return run.statistic(name).astype(np.float64)


@pytest.mark.parametrize("mode", MODES)
def test_the_log_equals_numpy(mode, tmp_path, batches, tiny_model, oracle):
    curvature = tbgrad.Curvature(data=batches, every=10, budget=None, samples=64, tol=1e-4)
    monitor = tbgrad.GradientMonitor(tmp_path, EVERY, HISTOGRAMS_EVERY, curvature)
    model = tiny_model(**MODES[mode])
    fit(model, batches, [monitor])
    run = tbgrad.read(tmp_path)["."]
    at = np.array(LOGGED) - 1

    assert run.damage == ()
    assert "tbgrad/notes" not in run
    assert [p.path.split("/", 1)[1] for p in run.parameters] == [
        "hidden/kernel",
        "hidden/bias",
        "logits/kernel",
        "logits/bias",
    ]
    norms = oracle.norms()
    global_norms = np.linalg.norm(norms, axis=1)
    windows = np.split(np.arange(STEPS), at[:-1] + 1)
    for tag, expected in {
        "loss": np.array(oracle.losses)[at],
        "learning_rate": np.full(len(at), RATE),
        "gradient/norm": global_norms[at],
        "gradient/norm_max": [global_norms[w].max() for w in windows],
    }.items():
        np.testing.assert_array_equal(run[tag].steps, LOGGED, err_msg=tag)
        np.testing.assert_allclose(run[tag].values, expected, rtol=2e-5, err_msg=tag)
    assert "gradient/clip_factor" not in run

    gradients = [oracle.gradients[i] for i in at]
    changes = [
        [np.linalg.norm(a - b) for a, b in zip(oracle.after[i], oracle.before[i], strict=True)]
        for i in at
    ]
    weights = [[np.linalg.norm(w) for w in oracle.before[i]] for i in at]
    for name, expected, tolerance in [
        ("norm", norms[at], 5e-5),
        ("norm_max", [norms[w].max(0) for w in windows], 5e-5),
        ("mean", [[g.mean() for g in step] for step in gradients], 2e-4),
        ("std", [[g.std() for g in step] for step in gradients], 5e-5),
        ("abs_max", [[np.abs(g).max() for g in step] for step in gradients], 5e-5),
        ("zero_fraction", np.zeros_like(norms[at]), 0),
        ("dead_fraction", np.zeros_like(norms[at]), 0),
        ("nonfinite", np.zeros_like(norms[at]), 0),
        ("weight_norm", weights, 5e-5),
        ("update_norm", changes, 2e-4),
    ]:
        found, expected = column(run, name), np.array(expected)
        scale = np.abs(expected).max(axis=0)
        np.testing.assert_allclose(
            found / 1.0, expected, rtol=tolerance, atol=tolerance * scale.max(), err_msg=name
        )
    ratio = np.linalg.norm(changes, axis=1) / np.linalg.norm(weights, axis=1)
    np.testing.assert_allclose(run["update/ratio"].values, ratio, rtol=2e-4)

    cosines = [
        [
            np.sum(a * b) / np.linalg.norm(a) / np.linalg.norm(b)
            for a, b in zip(one, two, strict=True)
        ]
        for one, two in itertools.pairwise(gradients)
    ]
    assert np.isnan(column(run, "cosine")[0]).all()
    np.testing.assert_allclose(column(run, "cosine")[1:], cosines, atol=1e-3)

    check_histograms(run, oracle)
    check_curvature(run, oracle, batches)


def check_histograms(run, oracle):
    histograms = run["tbgrad/histograms"]
    bins = run.manifest.histogram_bins
    np.testing.assert_array_equal(histograms.steps, [1, 6, 12, 18, 24])
    for step, counts in zip(histograms.steps, histograms.values, strict=True):
        for row, gradient in enumerate(oracle.gradients[step - 1]):
            values = gradient.ravel()
            expected = [
                ((values >= low) & (values < high)).sum()
                if low >= 0
                else ((values > low) & (values <= high)).sum()
                for low, high in bins.bounds
            ]
            assert counts[row].sum() == values.size
            # A value within float32 rounding of an edge may fall on either side of it.
            difference = counts[row, :-1] - np.array(expected)
            assert np.abs(difference).sum() <= 2
            native = run[f"gradient_histogram/{run.parameters[row].path}"]
            index = list(native.steps).index(step)
            buckets = native.values[index]
            assert buckets[:, 2].sum() == values.size
            assert np.abs(buckets[:, :2]).max() == pytest.approx(np.abs(values).max(), rel=1)


def check_curvature(run, oracle, batches):
    estimates = run["tbgrad/curvature"]
    assert estimates.steps[0] == 0
    assert estimates.steps[-1] == STEPS
    chosen = np.sort(np.random.default_rng(0).choice(BATCH * STEPS, 64, replace=False))
    x, labels = batches[0][chosen].astype(np.float64), batches[1][chosen]
    weights = [oracle.before[0], *oracle.after]
    for step, estimate in zip(estimates.steps, estimates.values, strict=True):
        exact = np.linalg.eigvalsh(hessian(weights[step], x, labels))
        for found, value in ((estimate.lambda_max, exact[-1]), (estimate.lambda_min, exact[0])):
            assert found.value == pytest.approx(value, abs=found.residual + 1e-4 * exact[-1])
            assert found.residual < 1e-3 * exact[-1]
        assert estimate.converged
        assert estimate.samples == 64
        threshold = (2 + 2 * MOMENTUM) / RATE
        assert estimate.stability_threshold == pytest.approx(threshold, rel=1e-5)
    stability = [e.lambda_max.value / e.stability_threshold for e in estimates.values]
    np.testing.assert_allclose(run["curvature/stability"].values, stability, rtol=1e-6)


@pytest.mark.parametrize(
    ("clipping", "clip"),
    [
        ({"clipnorm": 0.05}, lambda g: g * min(1, 0.05 / np.linalg.norm(g))),
        ({"clipvalue": 0.01}, lambda g: np.clip(g, -0.01, 0.01)),
        ({"global_clipnorm": 0.1}, None),
    ],
)
def test_clipping_shows_as_a_factor_beside_the_true_norm(
    clipping, clip, tmp_path, batches, tiny_model, oracle
):
    model = tiny_model(keras.optimizers.SGD(RATE, **clipping))
    fit(model, batches, [tbgrad.GradientMonitor(tmp_path, every=1)], steps_per_epoch=1)
    run = tbgrad.read(tmp_path)["."]
    true = np.linalg.norm(oracle.norms()[0])
    applied = (
        0.1
        if clip is None
        else np.linalg.norm([np.linalg.norm(clip(g)) for g in oracle.gradients[0]])
    )
    assert run["gradient/norm"].values[0] == pytest.approx(true, rel=1e-5)
    assert run["gradient/clip_factor"].values[0] == pytest.approx(applied / true, rel=1e-5)


@pytest.mark.parametrize("jit", [False, True])
def test_accumulated_gradients_count_as_one_step(jit, tmp_path, batches, tiny_model):
    from tests.support.numpy_network import gradient

    optimizer = keras.optimizers.SGD(RATE, gradient_accumulation_steps=4)
    model = tiny_model(optimizer, jit_compile=jit)
    weights = [w.astype(np.float64) for w in model.get_weights()]
    fit(model, batches, [tbgrad.GradientMonitor(tmp_path, every=1)])
    norm = tbgrad.read(tmp_path)["."]["gradient/norm"]
    x, labels = batches
    whole = gradient(weights, x[: 4 * BATCH].astype(np.float64), labels[: 4 * BATCH])
    np.testing.assert_array_equal(norm.steps, np.arange(1, STEPS // 4 + 1))
    expected = np.sqrt(sum(np.sum(g**2) for g in whole))
    assert norm.values[0] == pytest.approx(expected, rel=1e-5)


def noisy_model(**settings):
    keras.utils.set_random_seed(2)
    model = keras.Sequential(
        [
            keras.layers.Input((5,)),
            keras.layers.Dense(16, activation="relu", kernel_constraint="max_norm"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(3, kernel_regularizer="l2"),
        ]
    )
    model.compile(
        keras.optimizers.AdamW(0.01, weight_decay=0.1, global_clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        **settings,
    )
    return model


@pytest.mark.parametrize("mode", ["graph", "eager", "xla"])
def test_training_is_the_same_with_and_without_the_monitor(mode, tmp_path, batches):
    weights, states = [], []
    for monitored in (False, True):
        model = noisy_model(**MODES[mode])
        curvature = tbgrad.Curvature(data=batches, every=10, budget=None, samples=32)
        monitor = tbgrad.GradientMonitor(tmp_path, 2, 4, curvature)
        history = model.fit(
            *batches, batch_size=BATCH, epochs=2, verbose=0, callbacks=[monitor] * monitored
        )
        weights.append([*model.get_weights(), *(v.numpy() for v in model.optimizer.variables)])
        states.append(history.history["loss"])
    assert len(tbgrad.read(tmp_path)["."]["gradient/norm"]) > 10
    for without, with_monitor in zip(*weights, strict=True):
        if mode == "xla":
            np.testing.assert_allclose(with_monitor, without, rtol=1e-4, atol=1e-6)
        else:
            np.testing.assert_array_equal(with_monitor, without)
    np.testing.assert_allclose(*states, rtol=1e-4 if mode == "xla" else 0)


def test_no_trace_is_left_on_model_or_optimizer(tmp_path, batches, tiny_model):
    saved = []

    class Saves(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 5:
                self.model.save(tmp_path / "during.keras")
                saved.append(pickle.loads(pickle.dumps(self.model)).get_weights())
                saved.append(self.model.get_weights())
                keras.models.clone_model(self.model)

    model = tiny_model()
    monitor = tbgrad.GradientMonitor(tmp_path / "log")
    fit(model, batches, [monitor, Saves()])
    for name in ("apply", "_clip_gradients", "scale_loss"):
        assert name not in vars(model.optimizer)
    np.testing.assert_equal(saved[0], saved[1])
    loaded = keras.models.load_model(tmp_path / "during.keras")
    np.testing.assert_equal(loaded.get_weights(), saved[1])
    shapes = [v.shape for v in model.optimizer.variables]
    assert [v.shape for v in loaded.optimizer.variables] == shapes

    before = len(tbgrad.read(tmp_path / "log")["."]["gradient/norm"])
    fit(model, batches, [])
    assert len(tbgrad.read(tmp_path / "log")["."]["gradient/norm"]) == before
    assert monitor._session._attachment.tap.count == STEPS


def test_a_second_fit_continues_the_run_and_a_new_compile_is_seen(tmp_path, batches, tiny_model):
    model = tiny_model()
    monitor = tbgrad.GradientMonitor(tmp_path, every=8)
    fit(model, batches, [monitor])
    fit(model, batches, [monitor])
    run = tbgrad.read(tmp_path)["."]
    np.testing.assert_array_equal(run["loss"].steps, [1, 8, 16, 24, 32, 40, 48])
    model.get_layer("hidden").trainable = False
    model.compile(keras.optimizers.SGD(0.01), model.loss)
    fit(model, batches, [monitor])
    run = tbgrad.read(tmp_path)["."]
    np.testing.assert_array_equal(run["loss"].steps, [1, 8, 16, 24, 32, 40, 48, 49, 56, 64, 72])
    assert run["learning_rate"].values[-1] == pytest.approx(0.01)
    assert [p.path.split("/")[1] for p in run.manifest.parameters] == ["logits", "logits"]
    norms = {
        p.path.split("/", 1)[1]: run.statistic("norm")[:, i] for i, p in enumerate(run.parameters)
    }
    assert np.isfinite(norms["logits/kernel"]).all()
    assert np.isfinite(norms["hidden/kernel"][:7]).all()
    assert np.isnan(norms["hidden/kernel"][7:]).all()


def test_a_custom_train_step_is_seen(tmp_path, batches):
    class Custom(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(3)
            self.unused = keras.layers.Dense(2)

        def call(self, x):
            self.unused(x)
            return self.dense(x)

        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                loss = self.compute_loss(y=y, y_pred=self(x, training=True))
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
            return {"loss": loss}

    model = Custom()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    with pytest.warns(UserWarning, match="Gradients do not exist"):
        fit(model, batches, [tbgrad.GradientMonitor(tmp_path)])
    run = tbgrad.read(tmp_path)["."]
    norm = run.statistic("norm")[-1]
    assert np.isfinite(norm[:2]).all()
    assert np.isnan(norm[2:]).all()
    assert np.isfinite(run.statistic("weight_norm")[-1]).all()
    assert run["gradient/norm"].values[-1] == pytest.approx(np.linalg.norm(norm[:2]), rel=1e-6)


@pytest.mark.parametrize("jit", [False, True])
def test_nonfinite_steps_between_logged_ones_are_counted(jit, tmp_path, batches, tiny_model):
    x, labels = batches
    x = x.copy()
    x[4 * BATCH] = np.nan  # the fifth of 24 steps; the weights are spoilt from there on
    model = tiny_model(keras.optimizers.SGD(0.0), jit_compile=jit)
    fit(model, (x, labels), [tbgrad.GradientMonitor(tmp_path, every=8)])
    run = tbgrad.read(tmp_path)["."]
    assert run["gradient/norm_max"].values[1] == np.inf
    index = STATISTICS.index("nonfinite")
    assert run["tbgrad/parameters"].values[0, :, index].sum() == 0
    assert (run["tbgrad/parameters"].values[1, :, index] > 0).all()
