"""What a training has to be made of to be watched: Keras 3 on TensorFlow; a sentence elsewhere."""

from __future__ import annotations

import importlib
import os
from typing import Any

_READS = "Reading logs needs none of it."


def check_installed() -> None:
    """Check that TensorFlow is there, and Keras 3 on it.

    Raises:
        ImportError: they are not; it says what was found and what works.
    """
    try:
        importlib.import_module("tensorflow")
    except ModuleNotFoundError as error:
        raise ImportError(
            f"watching a training needs TensorFlow, and there is no module {error.name}: "
            f"pip install 'tbgrad[tensorflow]'. {_READS}"
        ) from error
    chosen = os.environ.get("KERAS_BACKEND", "tensorflow")
    try:
        keras = importlib.import_module("keras")
    except ModuleNotFoundError as error:
        raise ImportError(_backend(chosen, f"which needs {error.name}")) from error
    version = str(getattr(keras, "__version__", "?"))
    if version.startswith(("1.", "2.")):
        raise ImportError(
            f"tbgrad watches Keras 3, and this is Keras {version}: pip install 'keras>=3'. {_READS}"
        )
    if keras.backend.backend() != "tensorflow":
        raise ImportError(_backend(keras.backend.backend(), "which it cannot look into"))


def foreign(thing: Any, kind: str) -> str:
    """A sentence on a model or an optimizer that is none of Keras 3; "" where it is one."""
    keras = importlib.import_module("keras")
    known = keras.Model if kind == "model" else keras.optimizers.Optimizer
    if isinstance(thing, known):
        return ""
    if isinstance(thing, dict | list | tuple):
        return (
            f"this {kind} is a {type(thing).__name__}: give each {kind} a monitor or writer of its "
            'own, in one directory, with group="…"'
        )
    module = type(thing).__module__.partition(".")[0]
    what = f"this {kind} is of {module}, {type(thing).__name__}"
    if module in ("tf_keras", "keras"):
        what += " (as tf.keras is under TF_USE_LEGACY_KERAS=1)"
    return f"tbgrad watches Keras 3, and {what}: make it with `import keras`"


def _backend(name: str, trouble: str) -> str:
    return (
        f"tbgrad watches Keras on TensorFlow, and Keras is to run on {name}, {trouble}: set "
        f"KERAS_BACKEND=tensorflow before keras is imported. {_READS}"
    )
