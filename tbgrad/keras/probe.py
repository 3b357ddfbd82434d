"""The fixed batch that curvature is estimated on: taken from arrays or from a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

_ARRAYS = "give dense arrays, or a tf.data.Dataset of batches"


def probe_batch(data: Any, samples: int) -> tuple[tuple[Any, ...], int]:
    """x, y and, where there are, weights of `samples` samples, and how many they are.

    Of nested arrays a fixed random choice, of a dataset of batches the first ones; a dataset is
    left as it is: going through it would change the order in which it is shuffled next.

    Raises:
        TypeError: the data are of a kind that no batch can be made of.
        ValueError: the arrays have no rows, or differ in their number.
    """
    if is_dataset(data):
        return _first(data, samples)
    parts = tuple(keras.tree.map_structure(_array, part) for part in data)
    count = _length(parts)
    if count > samples:
        chosen = np.sort(np.random.default_rng(0).choice(count, samples, replace=False))
        parts = tuple(keras.tree.map_structure(lambda a: a[chosen], part) for part in parts)
    return parts, min(count, samples)


def is_dataset(data: Any) -> bool:
    """Whether this is a `tf.data.Dataset`."""
    return isinstance(data, tf.data.Dataset)


def check_fixed(model: Any, samples: int) -> None:
    """Check that the model takes a batch of this size.

    Raises:
        ValueError: it takes others alone.
    """
    inputs = keras.tree.flatten(getattr(model, "inputs", None) or [])
    fixed = {each.shape[0] for each in inputs if each.shape and each.shape[0]}
    if fixed and fixed != {samples}:
        size = min(fixed)
        raise ValueError(
            f"the model takes batches of {size} samples alone, and this is one of {samples}: "
            f"tbgrad.Curvature(data=…, samples={size})"
        )


def with_weights(
    batch: tuple[Any, ...], arguments: Mapping[str, Any]
) -> tuple[tuple[Any, ...], str]:
    """The batch weighted as `fit` weights its samples, from the arguments of that call.

    Also a sentence where that cannot be done, "" elsewhere.
    """
    classes, weights = arguments.get("class_weight"), arguments.get("sample_weight")
    spec = getattr(arguments.get("x"), "element_spec", None)
    weighted = weights is not None or (isinstance(spec, tuple) and len(spec) == 3)
    if len(batch) != 2 or (classes is None and not weighted):
        return batch, ""
    if classes is not None and isinstance(batch[1], np.ndarray):
        return (*batch, class_weights(batch[1], classes)), ""
    return batch, (
        "the curvature is that of the loss without the weights that fit gives to the samples: "
        "tbgrad.Curvature(data=(x, y, sample_weight)) takes them in"
    )


def class_weights(y: Any, weights: Mapping[int, float]) -> Any:
    """The weight of each sample, from that of its class: one-hot, or its number."""
    if y.ndim > 1:
        y = y.argmax(axis=-1) if y.shape[-1] > 1 else y[..., 0]
    return np.vectorize(lambda number: weights.get(int(number), 1.0), [np.float32])(np.round(y))


def _array(part: Any) -> Any:
    sparse = isinstance(part, tf.SparseTensor | tf.RaggedTensor) or hasattr(part, "toarray")
    array = None
    if not sparse:
        try:
            array = np.asarray(part)
        except ValueError:
            sparse = True  # lists of several lengths
    if array is None or array.ndim == 0 or array.dtype == np.dtype(object):
        raise TypeError(f"Curvature.data holds a {type(part).__name__}: {_ARRAYS}")
    return array


def _length(parts: Sequence[Any]) -> int:
    lengths = {len(array) for array in keras.tree.flatten(list(parts)) if array is not None}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(
            f"Curvature.data has arrays of {sorted(lengths)} samples: give x and y of one length"
        )
    return lengths.pop()


def _first(dataset: Any, samples: int) -> tuple[tuple[Any, ...], int]:
    batches: list[Any] = []
    count = 0
    for batch in _copy(dataset):
        parts = batch if isinstance(batch, tuple) else (batch,)
        if len(parts) not in (2, 3):
            raise TypeError("Curvature.data is a dataset of (x, y) or (x, y, sample_weight)")
        batches.append(tuple(keras.tree.map_structure(_array, part) for part in parts))
        count += _length(batches[-1])
        if count >= samples:
            break
    if not batches:
        raise ValueError("Curvature.data is a dataset without a batch")
    joined = keras.tree.map_structure(lambda *each: np.concatenate(each)[:samples], *batches)
    return joined, min(count, samples)


def _copy(dataset: Any) -> Any:
    """The dataset anew, with a state of its own where it shuffles."""
    variant = tf.data.experimental.to_variant(dataset)
    graph = tf.compat.v1.GraphDef.FromString(
        tf.raw_ops.DatasetToGraphV2(input_dataset=variant, external_state_policy=1).numpy()
    )
    for nodes in (graph.node, *(function.node_def for function in graph.library.function)):
        for node in nodes:
            if node.op == "ShuffleDatasetV3":  # the first version has no generator beside it
                node.op = "ShuffleDataset"
                del node.input[4:]
    return tf.data.experimental.from_variant(
        tf.raw_ops.DatasetFromGraph(graph_def=graph.SerializeToString()), dataset.element_spec
    )
