"""The `fit` that a callback is called from: what it was given, whether it is over, and how."""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Any

import keras

from tbgrad.keras.fit_errors import overhear
from tbgrad.log.batches import Batches
from tbgrad.log.state import LEFT
from tbgrad.monitoring.state_log import Ending, Plan, ending_of

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
        self._frame = None if frame is None else (id(frame), frame.f_code)
        local_variables = {} if frame is None else frame.f_locals
        callbacks = local_variables.get("callbacks")
        self._callbacks = None if callbacks is None else weakref.ref(callbacks)
        self._errors_before = {id(error) for error in self._errors()}
        self._ending: Ending | None = None
        self.arguments = {name: local_variables.get(name) for name in _OF_USE}

    def overhear(self, model: Any) -> Callable[[], None]:
        """Learn of the exception that ends it, which calls no hook; returns what ends that."""
        frame = _frame()
        return _nothing if frame is None else overhear(frame, model, self._hear)

    def _hear(self, error: BaseException) -> None:
        self._ending = ending_of(error)

    @property
    def callbacks(self) -> Any:
        """Its list of callbacks; None where their hooks are called by hand."""
        return None if self._callbacks is None else self._callbacks()

    @property
    def over(self) -> bool:
        """Whether it has ended. Unknown, and so False, by hand and in other threads."""
        if threading.get_ident() != self._thread:
            return False
        return not self._is_on(sys._getframe(1))

    @property
    def ended(self) -> Ending | None:
        """How it has ended without saying so, None where it has not; asked in another thread."""
        if self._is_on(sys._current_frames().get(self._thread)):
            return None
        return self.ending

    @property
    def ending(self) -> Ending:
        """How it has ended without saying so.

        Where the exception was not heard on its way it may be one that its thread deals with, or
        that the interpreter has printed.
        """
        if self._ending is not None:
            return self._ending
        errors = [error for error in self._errors() if id(error) not in self._errors_before]
        if errors or self._frame is not None:
            return ending_of(errors[0] if errors else None)
        return Ending(LEFT)

    def plan(self, *, batches_per_update: int, steps_are_batches: bool) -> Plan:
        """What it sets out to do."""
        frame = _frame()
        if frame is None:
            return Plan()
        of_fit = frame.f_locals
        data = of_fit.get("epoch_iterator")
        epochs, per_epoch = int(of_fit.get("epochs", 0)), int(getattr(data, "num_batches", 0) or 0)
        coming = epochs - int(of_fit.get("initial_epoch", 0))
        return Plan(
            epochs=epochs,
            steps_per_epoch=per_epoch // batches_per_update,
            steps=coming * per_epoch // batches_per_update,
            batches=_batches(data, per_epoch) if steps_are_batches else None,
        )

    def _is_on(self, top: FrameType | None) -> bool:
        """Whether it is on this stack; so it is held to be where that cannot be known."""
        frame = top
        while frame is not None and self._frame is not None:
            if (id(frame), frame.f_code) == self._frame:
                return True
            frame = frame.f_back
        return self._frame is None

    def _errors(self) -> list[BaseException]:
        """The exception that its thread deals with, and the last one that nobody did."""
        handled: Any = sys._current_exceptions().get(self._thread)
        value = handled[1] if isinstance(handled, tuple) else handled  # up to Python 3.11
        found = (value, getattr(sys, "last_exc", None), getattr(sys, "last_value", None))
        return [error for error in found if error is not None]


def _nothing() -> None:
    pass


def _batches(data: Any, steps_per_epoch: int) -> Batches:
    """How the data of a `fit` come, as far as what it goes through tells."""
    adapter = getattr(data, "data_adapter", None)
    size = int(getattr(adapter, "batch_size", 0) or 0)
    count = int(getattr(adapter, "num_batches", 0) or 0)
    rest = int(getattr(adapter, "partial_batch_size", 0) or 0)
    samples = size * count - (size - rest if rest else 0)
    return Batches(1, batch_size=size, samples=samples, steps_per_epoch=steps_per_epoch)


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
