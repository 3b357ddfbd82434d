"""The derivative of each sample's loss with respect to what goes in, or to what a layer makes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tbgrad.hessian.errors import HessianError
from tbgrad.hessian.tensorflow.losses import as_it_is, compiled_loss, require_compiled
from tbgrad.keras import internals


class InputGradients:
    """Gradients of the compiled loss of single samples; the function is traced once.

    The forward pass is that of inference, in which no sample depends on another, so that the
    gradient of the sum over samples has that of each. Regularisation does not depend on inputs.

    Args:
        model: a compiled and built Keras model of one input.
        layer: the name of a layer whose output takes the place of the input; "" for the input, or,
            where that is of integers, the first embedding.

    Attributes:
        embedded: the name of the embedding that takes the place of integers, "" for none.

    Raises:
        HessianError: the model is not compiled or not built, has several inputs, has no such layer,
            or is no functional or sequential one and a layer was asked for.
    """

    def __init__(self, model: Any, layer: str = "") -> None:
        require_compiled(model)
        self._model = model
        inputs = getattr(model, "inputs", None) or []
        if len(inputs) > 1:
            raise HessianError(f"sensitivity is of models with one input; this has {len(inputs)}.")
        self.embedded = ""
        if not layer and inputs and not tf.as_dtype(inputs[0].dtype).is_floating:
            embeddings = [each for each in _layers(model) if isinstance(each, _EMBEDDING)]
            if not embeddings:
                raise HessianError(
                    "The input is of integers, which no loss is differentiable in, and the model "
                    "has no embedding: name a layer=."
                )
            layer = self.embedded = embeddings[0].name
        self._inner = None if not layer else self._through(layer)
        self._function = tf.function(self._gradients, autograph=False, reduce_retracing=True)

    def _through(self, name: str) -> Any:
        """A model of the same weights that gives the output of a layer, too."""
        names = [each.name for each in _layers(self._model)]
        if name not in names:
            raise HessianError(f"There is no layer {name!r}; there are {', '.join(names)}.")
        try:
            layer = next(each for each in _layers(self._model) if each.name == name)
            outputs = self._model.outputs
            predicted = outputs[0] if len(outputs) == 1 else outputs
            return keras.Model(self._model.inputs, [layer.output, predicted])
        except (AttributeError, ValueError) as error:
            raise HessianError(
                f"The output of {name!r} can be had of functional and sequential models alone, not "
                f"of {type(self._model).__name__}."
            ) from error

    def __call__(self, x: Any, y: Any) -> tuple[NDArray[Any], NDArray[Any]]:
        """Gradients and what they are with respect to, both [samples, …]."""
        gradients, values = self._function(_tensor(x), _tensor(y))
        return gradients.numpy(), values.numpy()

    def _gradients(self, x: Any, y: Any) -> tuple[Any, Any]:
        with as_it_is(self._model), tf.GradientTape() as tape:
            tape.watch(x)
            if self._inner is None:
                at, predicted = x, self._model(x, training=False)
            else:
                at, predicted = self._inner(x, training=False)
            loss = compiled_loss(self._model, x, y, predicted, None)
            loss *= tf.cast(tf.shape(x)[0], loss.dtype)
        gradient = tape.gradient(loss, at)
        if gradient is None:
            raise HessianError("The loss does not depend on it: there is nothing to be sensitive.")
        return gradient, at


_EMBEDDING = keras.layers.Embedding
_CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)


def last_convolution(model: Any) -> str:
    """The name of the last convolution of a model.

    Raises:
        HessianError: it has none.
    """
    names = [layer.name for layer in _layers(model) if isinstance(layer, _CONVOLUTIONS)]
    if not names:
        raise HessianError('"grad_cam" is of convolutions, and the model has none: name a layer=.')
    return str(names[-1])


def _layers(model: Any) -> list[Any]:
    return list(internals.layers(model))


def _tensor(value: Any) -> Any:
    tensor = tf.convert_to_tensor(np.asarray(value) if isinstance(value, list) else value)
    return tf.cast(tensor, keras.config.floatx()) if tensor.dtype.is_floating else tensor
