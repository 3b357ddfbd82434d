"""Keeps what is done again and again at a share of the time."""

from __future__ import annotations

import time
from collections.abc import Callable

SHARE = 0.05
"""Of the time of the app for bringing panels up to date; sending them takes about as much again."""

LONGEST = 1.0
"""Seconds that something new may wait to be seen."""


class Pace:
    """Does something at once where it has rested long enough, else once as soon as it has.

    Args:
        action: what is done.
        later: calls something after so many seconds.
    """

    def __init__(
        self,
        action: Callable[[], object],
        later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._action, self._later = action, later
        self._rests_until = 0.0
        self._waiting = False

    def ask(self) -> None:
        """Do it, now or soon."""
        wait = self._rests_until - time.monotonic()
        if wait <= 0:
            self._do()
        elif not self._waiting:
            self._waiting = True
            self._later(wait, self._do)

    def _do(self) -> None:
        begun = time.monotonic()
        self._waiting = False
        self._action()
        now = time.monotonic()
        self._rests_until = now + min(LONGEST, (now - begun) / SHARE)
