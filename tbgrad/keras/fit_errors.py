"""The exception that ends a `fit`, which calls no hook of its callbacks then.

Whoever catches it may be done with it before anything of `fit` is gone. So it is seen on its way:
out of the loop over batches, out of a validation, out of the hooks of an epoch.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import FrameType
from typing import Any, TypeAlias

from tbgrad.keras import internals

_HOOKS = ("on_epoch_begin", "on_epoch_end", "on_train_end")

_Tell: TypeAlias = Callable[[BaseException], None]


def overhear(frame: FrameType, model: Any, tell: _Tell) -> Callable[[], None]:
    """Have `tell` called with what is raised into the `fit` of this frame; returns what ends that.

    It is for those who wait for the end of `fit` alone: the exception goes its way.
    """
    of_fit = id(frame)
    local_variables = frame.f_locals
    for hook in _HOOKS:
        _shadow(local_variables["callbacks"], hook, of_fit, tell)
    data = local_variables.get("epoch_iterator")
    if hasattr(data, internals.EPOCH):
        _shadow_epoch(data, tell)
    return _shadow(model, "evaluate", of_fit, tell)


def _shadow(owner: Any, name: str, of_fit: int, tell: _Tell) -> Callable[[], None]:
    """Have exceptions told that a method raises into a frame."""
    before, method = owner.__dict__.get(name), _method(owner, name)
    told = [tell]
    if (others := getattr(before, "tbgrad_told", None)) is not None:
        others.append(tell)
        told = others
    else:

        def shadow(*args: Any, **kwargs: Any) -> Any:
            try:
                return method(*args, **kwargs)
            except BaseException as error:
                if id(sys._getframe(1)) == of_fit:
                    for each in tuple(told):
                        each(error)
                raise

        shadow.tbgrad_told = told  # type: ignore[attr-defined]
        # Past __setattr__, which would make Keras track the attribute.
        owner.__dict__[name] = shadow

    def end() -> None:
        if tell in told:
            told.remove(tell)
        own = getattr(owner.__dict__.get(name), "tbgrad_told", None) is told
        if own and not told:
            owner.__dict__.pop(name)
            if before is not None:
                owner.__dict__[name] = before

    return end


def _method(owner: Any, name: str) -> Callable[..., Any]:
    """A method of an object that it does not keep alive: what it shadows would, in a circle."""
    own = owner.__dict__.get(name)
    if own is not None:
        return own  # type: ignore[no-any-return]
    function, reference = getattr(type(owner), name), weakref.ref(owner)
    return lambda *args, **kwargs: function(reference(), *args, **kwargs)


def _shadow_epoch(data: Any, tell: _Tell) -> None:
    """Have exceptions told that end the loop over the batches of an epoch."""
    epoch = _method(data, internals.EPOCH)
    data.__dict__[internals.EPOCH] = lambda: _Epoch(epoch(), tell)


class _Epoch(AbstractContextManager[Any]):
    """What encloses the loop over batches, with what it lets pass told."""

    def __init__(self, inner: AbstractContextManager[Any], tell: _Tell) -> None:
        self._inner, self._tell = inner, tell

    def __enter__(self) -> Any:
        return self._inner.__enter__()

    def __exit__(self, *exception: Any) -> bool | None:
        try:
            handled = self._inner.__exit__(*exception)
        except BaseException as error:
            self._tell(error)
            raise
        if exception[1] is not None and not handled:
            self._tell(exception[1])
        return handled
