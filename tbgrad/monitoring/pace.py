"""How fast a training is, and how fast it was of late."""

from __future__ import annotations

import math
from collections import deque

from tbgrad.log.median import median

RECENT_SECONDS = 20.0
"""So long back "of late" reaches at least."""

KNOWN_AFTER = 5
"""A pace is that of so many stretches at least: the first one compiles."""

MOST = 256


class Pace:
    """Seconds a step, from when steps were seen to be done."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque(maxlen=MOST)
        self._rates: list[float] = []

    def stepped(self, step: int, now: float) -> None:
        """So many steps are done at this time (in seconds, of a clock that is never set)."""
        if self._seen:
            before, last = self._seen[-1]
            if step == last:
                return
            if step < last:
                self._seen.clear()
            elif now > before:
                self._rates.append((now - before) / (step - last))
        self._seen.append((now, step))
        if len(self._rates) > MOST:
            del self._rates[::2]  # of all of the training

    @property
    def usual(self) -> float:
        """Seconds a step in this training, NaN as long as that is not known."""
        return median(self._rates) if len(self._rates) >= KNOWN_AFTER else math.nan

    def recent(self, now: float) -> float:
        """Seconds a step of late, the wait for the next one included; NaN where not known."""
        if len(self._seen) < 2 or math.isnan(self.usual):
            return math.nan
        gaps = sorted(b[0] - a[0] for a, b in zip(self._seen, list(self._seen)[1:], strict=False))
        start = now - max(RECENT_SECONDS, 4 * gaps[len(gaps) // 2])
        then, step = next((s for s in reversed(self._seen) if s[0] <= start), self._seen[0])
        return (now - then) / max(1, self._seen[-1][1] - step)
