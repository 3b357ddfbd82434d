"""The `fit` that a callback is called from, and whether that is over."""

from __future__ import annotations

import sys
import threading
import weakref
from types import FrameType
from typing import Any

import keras

_OF_USE = ("x", "class_weight", "sample_weight", "validation_data")


class Callback(keras.callbacks.Callback):  # type: ignore[misc]
    """A callback that ends no training of Keras 2, which it is of no use to."""

    def __getattr__(self, name: str) -> Any:
        # Keras 2 asks its callbacks what they implement.
        if name.startswith("_implements_") and name.endswith("_hooks"):
            return lambda: False
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


class Fit:
    """The call of `model.fit` in which this is made.

    A `fit` that ends by an exception calls no hook. Its local variables may live on in the
    traceback, as that which a notebook keeps, so that not even their end tells; its frame on the
    stack does.

    Attributes:
        arguments: what the call was given, by name, as far as it is of use.
    """

    def __init__(self) -> None:
        frame = _frame()
        self._thread = threading.get_ident()
        self._frame = None if frame is None else id(frame)
        local_variables = {} if frame is None else frame.f_locals
        callbacks = local_variables.get("callbacks")
        self._callbacks = None if callbacks is None else weakref.ref(callbacks)
        self.arguments = {name: local_variables.get(name) for name in _OF_USE}

    @property
    def callbacks(self) -> Any:
        """Its list of callbacks; None where their hooks are called by hand."""
        return None if self._callbacks is None else self._callbacks()

    @property
    def over(self) -> bool:
        """Whether it has ended. Unknown, and so False, by hand and in other threads."""
        if self._frame is None or threading.get_ident() != self._thread:
            return False
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if id(frame) == self._frame:
                return False
            frame = frame.f_back
        return True


def callback_list() -> Any:
    """The list of callbacks of the `fit` that is running; None where there is none."""
    frame = _frame()
    return None if frame is None else frame.f_locals["callbacks"]


def _frame() -> FrameType | None:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if isinstance(frame.f_locals.get("callbacks"), keras.callbacks.CallbackList):
            return frame
        frame = frame.f_back
    return None
