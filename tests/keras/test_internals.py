"""A canary: the private names of Keras and TensorFlow that are relied on are there."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.backend.tensorflow.trainer import TFEpochIterator

from tbgrad.keras import internals
from tbgrad.keras.graph import in_xla

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def model() -> keras.Model:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile(keras.optimizers.Adam(), "mse")
    model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    return model


def built(optimizer: keras.optimizers.Optimizer, model: keras.Model) -> keras.optimizers.Optimizer:
    optimizer.build(model.trainable_variables)
    return optimizer


def test_every_name_is_where_it_is_relied_on(model: keras.Model) -> None:
    graph = tf.Graph()
    with graph.as_default():
        operation = tf.constant(1).op
    epochs = TFEpochIterator(tf.distribute.get_strategy(), x=np.ones((4, 3)), batch_size=2)
    owners = [
        (model.optimizer, internals.OPTIMIZER),
        (model.optimizer, internals.ADAM),
        (built(keras.optimizers.Adam(amsgrad=True), model), internals.AMSGRAD),
        (built(keras.optimizers.RMSprop(centered=True), model), internals.RMSPROP),
        (
            keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD()),
            internals.LOSS_SCALE_OPTIMIZER,
        ),
        (model.layers[0], internals.LAYER),
        (model, internals.MODEL),
        (epochs, (internals.EPOCH,)),
        (tf.distribute.get_strategy().extended, internals.STRATEGY),
        (graph, internals.GRAPH),
        (operation, internals.OPERATION),
    ]
    missing = [name for owner, names in owners for name in names if not hasattr(owner, name)]
    assert missing == []
    known = {name for _, names in owners for name in names}
    private = {
        value
        for name, value in vars(internals).items()
        if isinstance(value, str) and not name.startswith("__")
    }
    assert private - known == {"_lower_using_switch_merge"}  # an attribute, tried below


def test_what_they_give(model: keras.Model) -> None:
    optimizer = model.optimizer
    kernel = model.layers[0].kernel
    assert [v.path for v in internals.variables(optimizer)] == [v.path for v in model.weights]
    assert int(internals.calls(optimizer)) == 1
    assert internals.keeps_moments(optimizer)
    assert not internals.keeps_moments(keras.optimizers.SGD())
    assert internals.index(optimizer, kernel) == 0
    first, second = internals.moments(optimizer, kernel)
    assert first.shape == second.shape == kernel.shape
    assert internals.moments(optimizer, keras.Variable(1.0)) is None
    assert model.layers[0] in list(internals.layers(model))
    assert list(internals.layers(object())) == []
    assert not internals.several_workers(tf.distribute.get_strategy())


def test_a_conditional_is_kept_as_a_call() -> None:
    @tf.function
    def function(x: tf.Tensor) -> tf.Tensor:
        return tf.cond(x > 0, lambda: x, lambda: -x)

    graph = function.get_concrete_function(tf.TensorSpec([])).graph
    (conditional,) = [op for op in graph.get_operations() if op.type == "StatelessIf"]
    internals.keep_as_call(conditional)
    assert conditional.get_attr("_lower_using_switch_merge") is False


@pytest.mark.parametrize("compiled", [True, False])
def test_a_function_for_xla_tells_so(compiled: bool) -> None:
    found = []

    @tf.function(jit_compile=compiled, autograph=False)
    def function() -> tf.Tensor:
        found.append(in_xla())
        return tf.constant(1)

    function()
    assert found == [compiled]
