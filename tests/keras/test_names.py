"""Parameters are called the same from run to run, and by both of their names."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import tbgrad
from tbgrad.keras import layers as facts
from tbgrad.keras import model_facts
from tbgrad.keras.names import Names
from tests.support.linear_model import fit

pytestmark = pytest.mark.tensorflow
layers = keras.layers
X = np.random.default_rng(2).standard_normal((70, 4)).astype(np.float32)


class Block(layers.Layer):
    def __init__(self, **settings):
        super().__init__(**settings)
        self.inner, self.own = layers.Dense(4), layers.Dense(4, name="own")

    def build(self, shape):
        self.scale = self.add_weight(shape=(4,))
        super().build(shape)

    def call(self, x):
        return self.own(self.inner(x)) * self.scale


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.one, self.two = Block(), Block()

    def call(self, x):
        return self.two(self.one(x))


def sequential():
    inner = keras.Sequential([layers.Dense(4), layers.Dense(3, name="head")])
    return keras.Sequential([keras.Input((4,)), layers.Dense(4), inner])


def functional():
    entry = keras.Input((4,))
    hidden = layers.Dense(3)(layers.Dense(4)(entry))
    return keras.Model(entry, keras.Sequential([layers.Dense(2)])(hidden))


def recurrent():
    entry = keras.Input((4, 1))
    return keras.Model(entry, layers.Bidirectional(layers.LSTM(3))(entry))


NAMES = {
    Subclassed: (
        "block/variable", "block/dense/kernel", "block/dense/bias", "block/own/kernel",
        "block/own/bias", "block_1/variable_1", "block_1/dense_1/kernel", "block_1/dense_1/bias",
        "block_1/own/kernel", "block_1/own/bias",
    ),
    sequential: (
        "dense_1/kernel", "dense_1/bias", "sequential/dense/kernel", "sequential/dense/bias",
        "sequential/head/kernel", "sequential/head/bias",
    ),
    functional: (
        "dense_1/kernel", "dense_1/bias", "dense/kernel", "dense/bias",
        "sequential/dense_2/kernel", "sequential/dense_2/bias",
    ),
    recurrent: tuple(
        f"bidirectional/{way}_lstm/lstm_cell/{part}"
        for way in ("forward", "backward")
        for part in ("kernel", "recurrent_kernel", "bias")
    ),
}  # fmt: skip


@pytest.mark.parametrize("make", NAMES)
def test_names_do_not_depend_on_what_was_built_before(make):
    for _ in range(3):
        model = make()
        model(np.ones((2, 4), np.float32))
        variables = model.trainable_variables
        assert Names(variables, model).of(variables) == NAMES[make]
        assert Names(variables).of(variables) == NAMES[make]  # as in a loop of one's own


def test_names_stay_where_a_layer_is_frozen_and_where_variables_are_bare():
    model = sequential()
    model.layers[0].trainable = False
    variables = model.trainable_variables
    assert Names(variables, model).of(variables) == NAMES[sequential][2:]
    bare = [keras.Variable([1.0]) for _ in range(2)]
    assert Names(bare).of(bare) == ("variable", "variable_1")
    assert Names([bare[0], bare[0]]).of([bare[0], bare[0]]) == ("variable", "variable (2)")


def test_patterns_and_silence_know_both_names(tmp_path):
    model = sequential()
    model.compile(keras.optimizers.SGD(1e-3), "mse")
    full = model.layers[0].path
    for name, pattern in {"new": "dense_1/*", "full": f"{full}/*"}.items():
        monitor = tbgrad.GradientMonitor(tmp_path / name, every=1, include=pattern)
        model.fit(X, X[:, :3], batch_size=35, verbose=0, callbacks=[monitor])
        run = tbgrad.read(tmp_path)[name]
        assert run.names == ("dense_1/kernel", "dense_1/bias")
        assert [p.full_path for p in run.parameters] == [f"{full}/kernel", f"{full}/bias"]
        assert {p.layer for p in run.parameters} == {"dense_1"}
    x = X.copy()
    x[0] = np.nan
    for name, patterns in {"loud": (), "all": (f"{full}/*", "sequential/*")}.items():
        alerts = tbgrad.AlertSettings(silence={"nonfinite": patterns} if patterns else {})
        monitor = tbgrad.GradientMonitor(tmp_path / name, every=1, alerts=alerts)
        model = keras.models.clone_model(model)
        model.compile(keras.optimizers.SGD(1e-3), "mse")
        full_names = [variable.path.rsplit("/", 1)[0] for variable in model.trainable_variables]
        if patterns:
            alerts.silence["nonfinite"] = tuple(full_names and [f"{n}/*" for n in full_names])
        model.fit(x, X[:, :3], batch_size=35, verbose=0, callbacks=[monitor])
        run = tbgrad.read(tmp_path)[name]
        assert ("tbgrad/alerts" in run) == (not patterns)


def test_the_manifest_knows_the_model_and_its_data(tmp_path):
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Normalization(mean=0.0, variance=1.0),
            layers.Dense(4, kernel_initializer="he_normal", kernel_regularizer="l2"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Dense(4, bias_initializer="ones"),
            layers.Dense(3),
            layers.Softmax(),
        ]
    )
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    monitor = tbgrad.GradientMonitor(tmp_path, every=1)
    y = np.zeros(70, np.int32)
    model.fit(X, y, batch_size=32, epochs=2, verbose=0, callbacks=[monitor])
    model.fit(X, y, batch_size=32, epochs=2, verbose=0, callbacks=[monitor])
    model.fit(X, y, batch_size=35, epochs=2, verbose=0, callbacks=[monitor])
    manifest = tbgrad.read(tmp_path)["."].manifest
    assert (manifest.loss, manifest.logits) == ("sparse_categorical_crossentropy", True)
    assert (manifest.output_activation, manifest.output_units) == ("softmax", 3)
    told = [(b.first_step, b.batch_size, b.samples, b.steps_per_epoch) for b in manifest.batches]
    assert told == [(1, 32, 70, 3), (13, 35, 70, 2)]
    first, bias, _, _, second, ones, third, _ = manifest.parameters
    assert (first.initializer, first.regularizer) == ("he_normal", "l2(0.01)")
    assert (bias.initializer, bias.regularizer) == ("zeros", "")
    assert ones.initializer == "ones"
    assert [p.normalization for p in (first, second, third)] == ["both", "before", "none"]


def test_the_largest_dropout_of_a_model():
    model = keras.Sequential(
        [
            keras.Input((4, 4)),
            layers.SpatialDropout1D(0.2),
            layers.LSTM(3, dropout=0.5, recurrent_dropout=0.9),
            layers.Dense(2),
        ]
    )
    assert model_facts.dropout(model) == (0.9, "recurrent_dropout of LSTM")
    inputs = keras.Input((4, 4))
    attention = layers.MultiHeadAttention(2, 2, dropout=0.4)
    model = keras.Model(inputs, layers.Dropout(0.1)(attention(inputs, inputs)))
    assert model_facts.dropout(model) == (0.4, "dropout of MultiHeadAttention")
    assert model_facts.dropout(keras.Sequential([layers.Dense(2)])) == (0.0, "")


def test_what_is_not_known_of_a_model_is_empty():
    assert model_facts.facts(None) == {
        "loss": "", "logits": None, "output_activation": "", "output_units": 0,
        "dropout": 0.0, "dropout_of": "",
    }  # fmt: skip
    model = Subclassed()
    model(X)
    model.compile("sgd", {"a": "mse", "b": lambda y, p: p})
    assert model_facts.output(model) == ("", 0)
    behind = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3), keras.layers.Lambda(keras.ops.softmax)]
    )
    assert model_facts.output(behind) == ("", 3)  # it may do anything
    assert {fact.normalization for fact in facts.facts(model).values()} == {""}
    several = functional()
    for loss, name, logits in (
        ("mse", "mean_squared_error", None),
        ("binary_crossentropy", "binary_crossentropy", False),
    ):
        several.compile("sgd", loss)
        assert model_facts.loss(several) == (name, logits)


def test_a_fit_that_fails_is_told_whoever_catches_it(tmp_path):
    """In each hook of another callback, and the model is left as it was."""
    for hook in ("on_train_batch_end", "on_test_batch_end", "on_epoch_end"):
        for error in (ValueError, KeyboardInterrupt):
            model = sequential()
            model.compile("sgd", "mse")
            callback = keras.callbacks.Callback()

            def fail(*_, error=error, **__):
                raise error("planted")

            setattr(callback, hook, fail)
            monitor = tbgrad.GradientMonitor(tmp_path / hook / error.__name__, every=1)
            with pytest.raises(error):
                fit(model, monitor, callback, x=X, y=X[:, :3], validation_data=(X, X[:, :3]))
            assert "evaluate" not in vars(model)
            (run,) = tbgrad.read(monitor.directory).values()
            status = "failed" if error is ValueError else "interrupted"
            assert (run.state.status, run.state.exception) == (status, f"{error.__name__}: planted")
            assert run.state.epoch == 1


def test_how_a_loop_of_ones_own_ends(tmp_path):
    model = sequential()
    with tbgrad.GradientSummaryWriter(tmp_path / "closed", model.trainable_variables):
        pass
    with (
        pytest.raises(RuntimeError),
        tbgrad.GradientSummaryWriter(tmp_path / "failed", model.trainable_variables),
    ):
        raise RuntimeError("first line\nsecond")
    writer = tbgrad.GradientSummaryWriter(
        tmp_path / "left", model.trainable_variables, hparams={"rate": np.float32(0.5)}
    )
    del writer
    states = {name: run.state for name, run in tbgrad.read(tmp_path).items()}
    assert {name: state.status for name, state in states.items()} == {
        "closed": "finished", "failed": "failed", "left": "left",
    }  # fmt: skip
    assert states["failed"].exception == "RuntimeError: first line"
    assert states["left"].hparams == {"rate": 0.5}
    assert states["closed"].versions["keras"] == keras.__version__
    for wrong in ([1], {"a": [1]}, {1: 2}):
        with pytest.raises(TypeError, match="hparams is a mapping from names to numbers"):
            tbgrad.GradientMonitor(tmp_path, hparams=wrong)
