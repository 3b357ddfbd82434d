"""The compiled loss of a Keras model on a fixed batch, evaluated without leaving a trace."""

from __future__ import annotations

import inspect
from typing import Any

import keras
import tensorflow as tf

from tbgrad.training.hessian.operator import HessianError, Loss


def model_loss(model: Any, x: Any, y: Any = None, sample_weight: Any = None) -> Loss:
    """The loss that `model` was compiled with, on one batch, as a callable without arguments.

    Everything that `compile` and the layers add up is in it: loss weights, regularisation losses,
    `add_loss`, sample weights, an own `compute_loss`. The forward pass is that of inference:
    dropout off, BatchNormalization with its moving statistics. Calling it changes nothing in the
    model: updates of metrics, moving statistics and seed generators are caught and dropped. An own
    `train_step` is not consulted.

    Args:
        model: a compiled and built Keras model.
        x: inputs as `fit` takes them, arrays or nested structures of arrays, [batch, …].
        y: targets likewise.
        sample_weight: weights likewise, or None.

    Returns:
        A callable that returns the loss as a float32 scalar (float64 for a float64 model), to be
        passed to HessianOperator with model.trainable_variables.

    Raises:
        HessianError: the model is not compiled, has no loss, or is not built yet.

    >>> loss = model_loss(model, x[:128], y[:128])
    >>> eigenvalues(loss, model.trainable_variables).values
    """
    if not getattr(model, "compiled", False):
        raise HessianError("The model is not compiled, so it has no loss: call model.compile(…).")
    if not model.built:
        raise HessianError(
            "The model has no weights yet: call model.build(…) or fit it for one step first."
        )
    x, y, sample_weight = (keras.tree.map_structure(_tensor, t) for t in (x, y, sample_weight))
    takes_training = "training" in inspect.signature(model.compute_loss).parameters
    training = {"training": False} if takes_training else {}

    def loss() -> Any:
        # Inside the scope an assignment to any Keras variable is kept by the scope and forgotten.
        # Regularisers read their weights from its mapping and from nowhere else.
        trainable = [(v, v) for v in model.trainable_variables]
        with keras.StatelessScope(trainable, collect_losses=True):
            y_pred = model(x, training=False)
            try:
                value = model.compute_loss(x, y, y_pred, sample_weight, **training)
            except ValueError as error:
                if "No loss to compute" in str(error):
                    raise HessianError(
                        "The model is compiled without a loss: pass loss=… to model.compile(…), "
                        "or give the loss as a callable of your own."
                    ) from error
                raise
        # Keras divides by the replicas, for their sum; this batch is whole on every replica.
        value *= tf.cast(tf.distribute.get_strategy().num_replicas_in_sync, value.dtype)
        return value if value.dtype == tf.float64 else tf.cast(value, tf.float32)

    return loss


def _tensor(value: Any) -> Any:
    if value is None:
        return None
    tensor = tf.convert_to_tensor(value)
    # As fit does: floats arrive in Keras' float type, whatever the array had.
    return tf.cast(tensor, keras.config.floatx()) if tensor.dtype.is_floating else tensor
