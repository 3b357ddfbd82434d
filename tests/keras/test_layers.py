"""What a model says of its layers: activations behind them, and which are held as they are."""

from __future__ import annotations

import keras
import pytest

import tbgrad
from tbgrad.diagnosis import RULE_NAMES
from tbgrad.keras import model_facts
from tbgrad.keras.layers import activations, centred, frozen

pytestmark = pytest.mark.tensorflow
layers = keras.layers


def by_name(found):
    return {path.rpartition("/")[2]: name for path, name in found.items()}


def test_activations_of_their_own_belong_to_the_layer_before():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, activation="tanh", name="a"),
            layers.Conv2D(4, 3, name="b"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(4, name="c"),
            layers.Dropout(0.5),
            layers.Activation("sigmoid"),
            layers.Dense(2, activation="softmax", name="d"),
            layers.Dense(2, name="e"),
        ]
    )
    found = {"a": "tanh", "b": "relu", "c": "sigmoid", "d": "softmax", "e": "linear"}
    assert by_name(activations(model)) == found


def test_layers_within_models_and_of_models_without_an_order():
    inner = keras.Sequential([layers.Dense(4, activation="gelu", name="inner")])
    entry = keras.Input((4,))
    outer = keras.Model(entry, layers.Dense(1, name="outer")(inner(entry)))
    assert by_name(activations(outer)) == {"inner": "gelu", "outer": "linear"}

    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.first = layers.Dense(4, name="first")
            self.act = layers.ReLU()  # called wherever call() likes
            self.last = layers.Dense(1, activation="tanh", name="last")

        def call(self, x):
            return self.act(self.last(self.first(x)))

    model = Own()
    model(keras.ops.ones((2, 4)))
    assert by_name(activations(model)) == {"first": "linear", "last": "tanh"}
    assert activations(None) == {}


def test_layers_within_models_are_listed_in_their_order():
    entry = keras.Input((4,))
    inner = keras.Model(entry, layers.ReLU()(layers.Dense(4, name="b")(entry)))
    block = keras.Sequential([layers.Dense(4, name="a"), layers.Activation("tanh"), inner])
    model = keras.Sequential([keras.Input((4,)), block, layers.Dense(1, name="c")])
    assert by_name(activations(model)) == {"a": "tanh", "b": "relu", "c": "linear"}


def test_an_activation_within_a_layer_of_ones_own_says_nothing_of_those_before_it():
    class Block(layers.Layer):
        def __init__(self):
            super().__init__()
            self.act = layers.ReLU()  # called wherever call() likes
            self.dense = layers.Dense(4, name="dense")

        def call(self, x):
            return self.act(self.dense(x))

    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(4, name="before"), Block(), layers.ReLU()]
    )
    assert by_name(activations(model)) == {"before": "linear", "dense": "linear"}


def test_a_dropout_behind_the_last_layer_is_what_the_loss_gets():
    classifier = [keras.Input((4,)), layers.Dense(3, "softmax")]
    assert model_facts.output(keras.Sequential(classifier)) == ("softmax", 3)
    for rate, last in ((0.5, "dropout"), (0.0, "softmax")):
        behind = keras.Sequential([*classifier, layers.Dropout(rate)])
        assert model_facts.output(behind) == (last, 3)


def test_recurrent_layers_have_several():
    model = keras.Sequential(
        [
            keras.Input((5, 3)),
            layers.Dense(4, name="in"),
            layers.LSTM(4),
            layers.ReLU(),  # of what the LSTM gives
            layers.Dense(1, name="out"),
        ]
    )
    assert by_name(activations(model)) == {"in": "linear", "out": "linear"}


def test_layers_that_do_not_train_are_in_the_manifest(tmp_path):
    model = keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(4, name="base", trainable=False),
            layers.BatchNormalization(trainable=False),
            layers.Dense(4, activation="tanh", name="head"),
            layers.Dense(1),
        ]
    )
    assert [path.rpartition("/")[2] for path in frozen(model)] == ["base"]
    model.compile("sgd", "mse")
    x = keras.random.normal((32, 3))
    monitor = tbgrad.GradientMonitor(tmp_path, every=1)
    model.fit(x, x[:, :1], verbose=0, callbacks=[monitor])
    manifest = tbgrad.read(tmp_path)["."].manifest
    assert [path.rpartition("/")[2] for path in manifest.frozen] == ["base"]
    assert {p.layer.rpartition("/")[2]: p.activation for p in manifest.parameters}["head"] == "tanh"
    assert manifest.rules == RULE_NAMES


def test_biases_that_a_batch_normalization_takes_away():
    dense, normalization = keras.layers.Dense, keras.layers.BatchNormalization
    inputs = keras.Input((4,))
    bare = dense(4, name="bare")(inputs)
    bent = normalization()(dense(4, "relu", name="bent")(normalization()(bare)))
    skipped = dense(4, name="skipped")(bent)
    branched = keras.layers.add([normalization()(skipped), skipped])
    other = keras.layers.LayerNormalization()(dense(4, name="other")(branched))
    frozen = normalization(trainable=False)(dense(4, name="frozen")(other))
    last = dense(4, name="last")(frozen)
    model = keras.Model(inputs, [normalization()(last), last])
    assert centred(model) == {"bare"}
    assert centred(keras.Sequential([keras.Input((4,)), dense(2), normalization()]))
