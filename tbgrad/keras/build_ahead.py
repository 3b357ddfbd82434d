"""What the first step of a `fit` creates is created ahead of it, so that the step is traced once.

TensorFlow traces a function anew whose first trace has created variables, as an optimizer and
metrics do in their first step: the whole step, and all that a monitor adds to it. Under a
distribution strategy Keras itself creates them ahead, by the method that is used here.
"""

from __future__ import annotations

import random
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tbgrad.keras import internals
from tbgrad.monitoring.sentences import logger


def build_ahead(model: Any, iterator: Any) -> None:
    """Have a model create all that its first step with this data creates.

    Only where Keras' own step trains all of a built model, and its data are tensors: a step of
    somebody else may hand its optimizer other variables. A failure leaves it to the first step.
    """
    try:
        specs = getattr(iterator, "element_spec", None)
        if specs is not None and _may_be_built(model, specs):
            _build(model, specs)
    except Exception as error:  # noqa: BLE001 - whatever it is, the first step says it or does without
        logger.debug("tbgrad: nothing is built ahead of the first step", exc_info=error)


def _may_be_built(model: Any, specs: Any) -> bool:
    return (
        not model.run_eagerly
        and type(model).train_step is keras.Model.train_step
        and "train_step" not in vars(model)
        and all(layer.built for layer in internals.layers(model, itself=True))
        and all(type(spec) is tf.TensorSpec for spec in tf.nest.flatten(specs))
    )


def _build(model: Any, specs: Any) -> None:
    before, drawn, drawn_by_numpy = _count(model), random.getstate(), np.random.get_state()
    try:
        internals.build(model, specs)
    finally:
        if _count(model) == before:
            # Then there is one trace without us: what a layer draws in it stays the same.
            random.setstate(drawn)
            np.random.set_state(drawn_by_numpy)


def _count(model: Any) -> int:
    """How many variables its optimizer and its metrics have."""
    return len(getattr(model.optimizer, "variables", ())) + len(model.metrics_variables)
