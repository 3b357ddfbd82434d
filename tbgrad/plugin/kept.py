"""What was made of a log is kept until the log changes, in a bounded number of bytes."""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import numpy as np

Made = TypeVar("Made")

LOOKED_AT = 64
"""Of longer lists so many entries, from all over, tell how large the others are."""


class Kept:
    """Values by key, the ones asked for last, in at most `room` bytes; safe from any thread.

    >>> kept = Kept(64 * 2**20)
    >>> kept.get(("manifests", "a"), revision, read)
    """

    def __init__(self, room: int) -> None:
        self.room = room
        self.bytes = 0
        self._entries: OrderedDict[tuple[Any, ...], tuple[str, Any, int]] = OrderedDict()
        self._gates: dict[tuple[Any, ...], threading.RLock] = {}
        self._lock = threading.Lock()

    def get(self, key: tuple[Any, ...], revision: str, make: Callable[[], Made]) -> Made:
        """What was made for this key at this revision, or else what `make` makes now.

        Two that ask for the same at once have it made once. What is larger than all the room is
        handed out and not kept.
        """
        with self._lock:
            gate = self._gates.setdefault(key, threading.RLock())
        with gate:
            with self._lock:
                if key in self._entries and self._entries[key][0] == revision:
                    self._entries.move_to_end(key)
                    found: Made = self._entries[key][1]
                    return found
            try:
                made = make()
                self._keep(key, revision, made)
            finally:
                with self._lock:
                    self._gates.pop(key, None)
        return made

    def _keep(self, key: tuple[Any, ...], revision: str, made: object) -> None:
        size = size_of(made)
        with self._lock:
            self._forget(key)
            if size <= self.room:
                self._entries[key] = revision, made, size
                self.bytes += size
            while self.bytes > self.room:
                self._forget(next(iter(self._entries)))

    def has(self, key: tuple[Any, ...], revision: str) -> bool:
        """Whether there is a value for this key at this revision."""
        with self._lock:
            return key in self._entries and self._entries[key][0] == revision

    def _forget(self, key: tuple[Any, ...]) -> None:
        if key in self._entries:
            self.bytes -= self._entries.pop(key)[2]


def size_of(value: Any) -> int:
    """About how many bytes a value takes with all that is in it.

    >>> size_of(np.zeros(1000)) >= 8000
    True
    """
    return _size(value, set())


def _size(value: Any, seen: set[int]) -> int:
    if id(value) in seen or value is None or isinstance(value, type):
        return 0
    seen.add(id(value))
    own = sys.getsizeof(value)
    if isinstance(value, np.ndarray):
        held = max(own, value.nbytes)  # a view holds what it is a view of
        return held + (_sizes(value.ravel().tolist(), seen) if value.dtype == object else 0)
    if isinstance(value, str | bytes | int | float):
        return own
    if isinstance(value, Mapping):
        return own + _sizes(list(value), seen) + _sizes([value[key] for key in value], seen)
    if isinstance(value, list | tuple | set | frozenset):
        return own + _sizes(list(value), seen)
    if is_dataclass(value):
        return own + _sizes([getattr(value, field.name) for field in fields(value)], seen)
    return own + _sizes(list(getattr(value, "__dict__", {}).values()), seen)


def _sizes(values: list[Any], seen: set[int]) -> int:
    """Of all of them; of many by some."""
    some = values[:: max(1, len(values) // LOOKED_AT)]
    total = sum(_size(value, seen) for value in some)
    return total * len(values) // max(1, len(some))
