"""The first second: what is loaded then stays, and is not looked through for garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collection() -> Iterator[None]:
    """Nothing is collected inside, until `loaded` at the latest: what the start makes stays."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def loaded() -> None:
    """Collect from now on, and leave alone what is there: modules, classes, widgets."""
    gc.freeze()
    gc.enable()
