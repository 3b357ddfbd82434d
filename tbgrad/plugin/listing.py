"""What there is, as a data provider lists it: listed once a look, and ahead of who asks for it.

A provider lists one plugin name a call, of all runs. While somebody asks, a thread lists anew what
is asked for, so that no request waits for it, however many there are. The first of them say what a
look needs, and wait for the thread: none lists what another is listing.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

Made = TypeVar("Made")

FRESH_SECONDS = 3.0
"""So long a listing serves; longer in proportion where a look takes more than `SLOW_SECONDS`."""

SLOW_SECONDS = 0.25

WATCH_SECONDS = 1.5
"""Between two looks of the thread; infinite where there is to be none."""

REST = 4
"""Between two looks the thread rests so many times as long as a look takes, if that is longer."""

PROMISED_SECONDS = 20.0
"""Who waits longer than that for the thread lists by himself."""

UNASKED_SECONDS = 12.0
"""What nobody has asked for so long is not looked at any more."""


@dataclass(frozen=True)
class _Listing:
    made: Any
    at: float


class Listings:
    """Listings by key, each made by a function; safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gates: dict[Any, threading.Lock] = {}
        self._listed: dict[Any, _Listing] = {}
        self._asked: dict[Any, tuple[float, Callable[[], Any]]] = {}
        self._promised: dict[Any, threading.Event] = {}
        self._woken = threading.Event()
        self._watching = False
        self._took = 0.0

    def expect(self, makes: Mapping[Any, Callable[[], Any]]) -> None:
        """All of these will be asked for: what is not listed yet the thread lists at once."""
        if not math.inf > WATCH_SECONDS:
            return
        with self._lock:
            for key, make in makes.items():
                self._asked[key] = time.monotonic(), make
                if key not in self._listed and key not in self._promised:
                    self._promised[key] = threading.Event()
                    self._woken.set()
            self._start()

    def get(self, key: Any, make: Callable[[], Made]) -> Made:
        """What `make` lists, or has listed a moment ago. It is called again by another thread."""
        with self._lock:
            self._asked[key] = time.monotonic(), make
            gate = self._gates.setdefault(key, threading.Lock())
            promised = self._promised.get(key)
            self._start()
        if promised is not None:
            promised.wait(PROMISED_SECONDS)
        with gate:  # two that ask for the same list it once
            listing = self._listed.get(key)
            if listing is None or not self._is_fresh(listing):
                listing = self._list(key, make)
        made: Made = listing.made
        return made

    def _start(self) -> None:
        """Begin to watch, where nobody does."""
        if not self._watching and math.inf > WATCH_SECONDS:
            self._watching = True
            threading.Thread(target=self._watch, name="tbgrad-listing", daemon=True).start()

    def _list(self, key: Any, make: Callable[[], Any]) -> _Listing:
        made, before = make(), self._listed.get(key)
        # Where nothing is new it is the same object, so that nobody has to look through it again.
        made = before.made if before is not None and before.made == made else made
        self._listed[key] = _Listing(made, time.monotonic())
        return self._listed[key]

    def _is_fresh(self, listing: _Listing) -> bool:
        served = FRESH_SECONDS * max(1.0, self._took / SLOW_SECONDS)
        return time.monotonic() - listing.at < served

    def _watch(self) -> None:
        """List anew what was asked for lately, until nothing was."""
        while True:
            if self._woken.wait(min(max(WATCH_SECONDS, REST * self._took), UNASKED_SECONDS)):
                self._woken.clear()
                self._keep_promises()
                continue
            began = time.monotonic()
            with self._lock:
                late = [k for k, (at, _) in self._asked.items() if began - at > UNASKED_SECONDS]
                for key in late:
                    for table in (self._asked, self._listed, self._gates):
                        table.pop(key, None)
                asked = list(self._asked.items())
                if not asked:
                    self._watching = False
                    return
            for key, (_, make) in asked:
                # What fails here fails again where it is asked for, and is told there.
                with contextlib.suppress(Exception):
                    self._list(key, make)
            self._took = time.monotonic() - began

    def _keep_promises(self) -> None:
        """List what is waited for."""
        with self._lock:
            promised = [(key, self._asked[key][1]) for key in self._promised if key in self._asked]
        for key, make in promised:
            with contextlib.suppress(Exception):
                self._list(key, make)
            with self._lock:
                self._promised.pop(key).set()
