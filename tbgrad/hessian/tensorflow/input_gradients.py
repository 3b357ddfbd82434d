"""The derivative of each sample's loss with respect to what goes in, or to what a layer makes."""

from __future__ import annotations

from collections.abc import Mapping
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
        model: a compiled and built Keras model.
        layer: the name of a layer whose output takes the place of the inputs; "" for the inputs,
            or, where one is of integers, the embedding of it: of a model of one input the first.

    Attributes:
        embedded: of inputs of integers the name of the embedding that takes their place, by the
            name of the input; "" is that of the only input.

    Raises:
        HessianError: the model is not compiled or not built, has no such layer, or is no functional
            or sequential one and a layer was asked for; all its inputs are of integers, and none
            has an embedding.
    """

    def __init__(self, model: Any, layer: str = "") -> None:
        require_compiled(model)
        self._model, self._layer = model, layer
        inputs = getattr(model, "inputs", None) or []
        self._names = [each.name for each in inputs] if len(inputs) > 1 else [""] * len(inputs)
        whole = [
            name
            for name, each in zip(self._names, inputs, strict=True)
            if not tf.as_dtype(each.dtype).is_floating
        ]
        self.embedded = {} if layer else self._embeddings(whole, inputs)
        if whole and len(whole) == len(inputs) and not layer and not self.embedded:
            raise HessianError(
                "The input is of integers, which no loss is differentiable in, and the model "
                "has no embedding: name a layer=."
            )
        through = [layer] if layer else list(self.embedded.values())
        self._inner = self._through(through) if through else None
        self._function = tf.function(self._gradients, autograph=False, reduce_retracing=True)

    def _embeddings(self, names: list[str], inputs: list[Any]) -> dict[str, str]:
        """Of inputs of integers the embeddings that they go into."""
        embeddings = [each for each in _layers(self._model) if isinstance(each, _EMBEDDING)]
        if names == [""]:
            return {"": str(embeddings[0].name)} if embeddings else {}
        of = {}
        for name in names:
            tensor = inputs[self._names.index(name)]
            into = [each for each in embeddings if getattr(each, "input", None) is tensor]
            if into:
                of[name] = str(into[0].name)
        return of

    def _through(self, names: list[str]) -> Any:
        """A model of the same weights that gives the outputs of layers, too."""
        layers = {each.name: each for each in _layers(self._model)}
        for name in names:
            if name not in layers:
                raise HessianError(f"There is no layer {name!r}; there are {', '.join(layers)}.")
        try:
            outputs = self._model.outputs
            predicted = outputs[0] if len(outputs) == 1 else outputs
            between = [layers[name].output for name in names]
            inputs = self._model.input if len(self._names) > 1 else self._model.inputs
            return keras.Model(inputs, [between, predicted])
        except (AttributeError, ValueError) as error:
            raise HessianError(
                f"The output of {names[0]!r} can be had of functional and sequential models alone, "
                f"not of {type(self._model).__name__}."
            ) from error

    def parts(self, x: Any) -> dict[str, Any]:
        """The inputs of a model by name, [samples, …] each; the only one is called ""."""
        if isinstance(x, Mapping):
            return {str(name): part for name, part in x.items()}
        several = isinstance(x, tuple) or (isinstance(x, list) and len(self._names) > 1)
        if not several:
            return {"": x}
        names = self._names if len(self._names) > 1 else [str(i) for i in range(len(x))]
        if len(names) != len(x):
            raise HessianError(f"x has {len(x)} parts, and the model {len(names)} inputs.")
        return dict(zip(names, x, strict=True))

    def joined(self, parts: Mapping[str, Any], like: Any) -> Any:
        """What `parts` took apart, as `like` was."""
        if isinstance(like, Mapping):
            return dict(parts)
        return parts[""] if "" in parts else list(parts.values())

    def __call__(self, x: Any, y: Any) -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
        """Gradients, and what they are with respect to, both [samples, …], by input.

        Those of a layer have its name. Inputs of integers that have no embedding have none.
        """
        given = {name: _tensor(part) for name, part in self.parts(x).items()}
        found = self._function(self.joined(given, x), _tensor(y))
        return {name: (slope.numpy(), at.numpy()) for name, (slope, at) in found.items()}

    def _gradients(self, x: Any, y: Any) -> dict[str, tuple[Any, Any]]:
        parts = self.parts(x)
        at = {name: part for name, part in parts.items() if part.dtype.is_floating}
        with as_it_is(self._model), tf.GradientTape() as tape:
            tape.watch(list(at.values()))
            if self._inner is None:
                predicted = self._model(x, training=False)
            else:
                between, predicted = self._inner(x, training=False)
                at = at if self.embedded else {}
                at |= dict(zip(self.embedded or [self._layer], between, strict=True))
            loss = compiled_loss(self._model, x, y, predicted, None)
            loss *= tf.cast(tf.shape(next(iter(parts.values())))[0], loss.dtype)
        slopes = tape.gradient(loss, at)
        found = {name: (slope, at[name]) for name, slope in slopes.items() if slope is not None}
        if not found:
            raise HessianError("The loss does not depend on it: there is nothing to be sensitive.")
        return found


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
