"""The compiled loss of a Keras model on fixed data, evaluated without leaving a trace."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from tbgrad.hessian.batches import BatchedLoss, Loss
from tbgrad.hessian.errors import HessianError
from tbgrad.keras import internals
from tbgrad.keras.supported import foreign


def model_loss(
    model: Any,
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    batch_size: int | None = None,
    batch_statistics: bool = False,
) -> Loss | BatchedLoss:
    """The loss that `model` was compiled with, on fixed data.

    Everything that `compile` and the layers add up is in it: loss weights, regularisation losses,
    `add_loss`, sample weights, an own `compute_loss`. The forward pass is that of inference:
    dropout off, BatchNormalization with its moving statistics, and layers of mixed precision or
    float8 in the precision of their weights. Calling it changes nothing in the model: updates of
    metrics, moving statistics and seed generators are caught and dropped. An own `train_step` is
    not consulted.

    Args:
        model: a compiled and built Keras model.
        x: inputs as `fit` takes them, arrays or nested structures of arrays, [samples, …]; or a
            `tf.data.Dataset` of batches that can be gone through again and again.
        y: targets likewise; not with a dataset, which brings them.
        sample_weight: weights likewise, or None.
        batch_size: samples in memory at a time. The loss is then the mean over all samples, however
            many: that of each batch, weighted by the number of its samples. By default all at once.
        batch_statistics: let BatchNormalization take the statistics of the batch, as in training.

    Returns:
        A callable that returns the loss as a float32 scalar (float64 for a float64 model), or with
        a dataset or a `batch_size` a `BatchedLoss`; to be passed to HessianOperator with
        model.trainable_variables.

    Raises:
        HessianError: the model is not compiled or not built, or the data do not fit together.
    """
    require_compiled(model)
    loss = partial(_loss, model, batch_statistics)
    if isinstance(x, tf.data.Dataset):
        if y is not None or sample_weight is not None or batch_size is not None:
            raise HessianError(
                "The dataset brings targets, weights and batches: pass it as x and nothing else."
            )
        return _batched(loss, x.element_spec, lambda: x)
    data = keras.tree.map_structure(_tensor, (x, y, sample_weight))
    if batch_size is None:
        return partial(loss, *data)
    if batch_size < 1:
        raise HessianError(f"batch_size is a number of samples from 1 on, not {batch_size}.")
    lengths = {len(tensor) for tensor in keras.tree.flatten(data) if tensor is not None}
    if len(lengths) != 1:
        raise HessianError(f"The data have {sorted(lengths)} samples: give arrays of one length.")
    count = lengths.pop()

    def slices() -> Iterator[Any]:
        for start in range(0, count, batch_size):
            rows = slice(start, start + batch_size)
            yield tuple(keras.tree.map_structure(partial(_rows, rows), part) for part in data)

    return _batched(loss, data, slices)


def model_outputs(
    model: Any, x: Any, y: Any = None, sample_weight: Any = None
) -> tuple[Callable[[], Any], Callable[[Any], Any]]:
    """The outputs of `model` on fixed data and its compiled loss of them, for GaussNewtonOperator.

    Arguments and errors are those of `model_loss`, without batches.

    >>> GaussNewtonOperator(*model_outputs(model, x, y), model.trainable_variables)
    """
    require_compiled(model)
    x, y, sample_weight = (keras.tree.map_structure(_tensor, t) for t in (x, y, sample_weight))

    def outputs() -> Any:
        with as_it_is(model):
            return model(x, training=False)

    def loss(y_pred: Any) -> Any:
        with as_it_is(model):
            return compiled_loss(model, x, y, y_pred, sample_weight)

    return outputs, loss


def require_compiled(model: Any) -> None:
    """Raise HessianError where a model has no loss, or no weights yet."""
    if sentence := foreign(model, "model"):
        raise HessianError(sentence)
    if not getattr(model, "compiled", False):
        raise HessianError("The model is not compiled, so it has no loss: call model.compile(…).")
    if not model.built:
        raise HessianError(
            "The model has no weights yet: call model.build(…) or fit it for one step first."
        )


def _loss(model: Any, batch_statistics: bool, x: Any, y: Any = None, weight: Any = None) -> Any:
    """The compiled loss on one batch of tensors."""
    with as_it_is(model, batch_statistics):
        return compiled_loss(model, x, y, model(x, training=False), weight)


def compiled_loss(model: Any, x: Any, y: Any, y_pred: Any, weight: Any) -> Any:
    """The loss that a model was compiled with, of what it predicts for a batch."""
    takes_training = "training" in inspect.signature(model.compute_loss).parameters
    training = {"training": False} if takes_training else {}
    try:
        value = model.compute_loss(x, y, y_pred, weight, **training)
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


def _batched(loss: Callable[..., Any], like: Any, batches: Callable[[], Any]) -> BatchedLoss:
    """The loss over batches that are nested like `like`: x, (x, y) or (x, y, sample_weight)."""
    given = [item is not None for item in keras.tree.flatten(like)]
    signature = tuple(
        tf.TensorSpec([None, *item.shape[1:]], _dtype(item))
        for item in keras.tree.flatten(like)
        if item is not None
    )

    def of_tensors(*tensors: Any) -> Any:
        remaining = iter(tensors)
        leaves = [next(remaining) if has else None for has in given]
        nested = keras.tree.pack_sequence_as(like, leaves)
        return loss(*nested) if isinstance(nested, tuple) else loss(nested)

    def weighted() -> Iterator[tuple[tuple[Any, ...], float]]:
        for batch in batches():
            leaves = [_tensor(item) for item in keras.tree.flatten(batch) if item is not None]
            yield tuple(leaves), float(len(leaves[0]))

    return BatchedLoss(of_tensors, weighted, signature)


@contextlib.contextmanager
def as_it_is(model: Any, batch_statistics: bool = False) -> Iterator[None]:
    """Inside, the model forgets what is assigned to it, and computes as curvature wants it.

    Layers of mixed precision, and of float8, compute in that of their variables. With
    `batch_statistics` BatchNormalization behaves as in training, and all other layers do not.
    """
    shadows: list[tuple[Any, str, Any]] = []

    def shadow(layer: Any, name: str, value: Any) -> None:
        # Past __setattr__, which would make Keras track the attribute.
        shadows.append((layer, name, layer.__dict__.get(name)))
        layer.__dict__[name] = value

    try:
        for layer in internals.layers(model, itself=True):
            policy = layer.dtype_policy
            quantised = getattr(policy, "quantization_mode", None) == "float8"
            if policy.compute_dtype != policy.variable_dtype or quantised:
                shadow(layer, internals.DTYPE_POLICY, keras.DTypePolicy(policy.variable_dtype))
            if batch_statistics and isinstance(layer, keras.layers.BatchNormalization):
                shadow(layer, "call", partial(_call_in_training, layer))
        # An assignment to any Keras variable is kept by the scope and forgotten. Regularisers read
        # their weights from its mapping and from nowhere else.
        trainable = [(v, v) for v in model.trainable_variables]
        with keras.StatelessScope(trainable, collect_losses=True):
            yield
    finally:
        for layer, name, before in reversed(shadows):
            if before is None:
                del layer.__dict__[name]
            else:
                layer.__dict__[name] = before


def _call_in_training(layer: Any, *inputs: Any, **options: Any) -> Any:
    return type(layer).call(layer, *inputs, **options | {"training": True})


def _rows(rows: slice, tensor: Any) -> Any:
    return None if tensor is None else tensor[rows]


def _dtype(item: Any) -> Any:
    dtype = tf.as_dtype(item.dtype)
    return tf.as_dtype(keras.config.floatx()) if dtype.is_floating else dtype


def _tensor(value: Any) -> Any:
    if value is None:
        return None
    tensor = tf.convert_to_tensor(value)
    # As fit does: floats arrive in Keras' float type, whatever the array had.
    return tf.cast(tensor, keras.config.floatx()) if tensor.dtype.is_floating else tensor
