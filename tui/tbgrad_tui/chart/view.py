"""What all charts share: their kind of axis, the stretch of steps that is seen, the cursor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from tbgrad.reading.directory import Closer
from tbgrad_tui.chart.axis import KINDS, Clock, Kind, elapsed, time_of_day
from tbgrad_tui.chart.scale import Scale

SMOOTHINGS = (0.0, 0.6, 0.9, 0.98)
"""Weights of the exponential average, in the order of the key."""

FEWEST = 4
"""A stretch has room for so many usual intervals between records at least."""


@dataclass(frozen=True)
class View:
    """How charts are looked at. `first` and `last` are steps; None is the start, and the newest.

    A stretch that ends at the newest step goes on with it. `cursor` is a step, None where there is
    none. `closer` are runs, by name, with every value of the stretch, where the log was read in
    less detail.
    """

    kind: Kind = "step"
    log: bool = False
    first: int | None = None
    last: int | None = None
    cursor: int | None = None
    smoothing: float = 0.0
    closer: Mapping[str, Closer] = field(default_factory=dict, compare=False)

    @property
    def is_zoomed(self) -> bool:
        """Whether a part of the steps is seen."""
        return self.first is not None or self.last is not None

    def stretch(self, clock: Clock) -> tuple[int, int]:
        """The first and the last step that are seen of a run."""
        if not len(clock.steps):
            return 0, 0
        first, last = int(clock.steps[0]), int(clock.steps[-1])
        return (
            first if self.first is None else self.first,
            last if self.last is None else self.last,
        )

    def next_kind(self) -> View:
        """With the next kind of axis."""
        return replace(self, kind=KINDS[(KINDS.index(self.kind) + 1) % len(KINDS)])

    def next_smoothing(self) -> View:
        """With the next weight."""
        at = SMOOTHINGS.index(self.smoothing) + 1
        return replace(self, smoothing=SMOOTHINGS[at % len(SMOOTHINGS)])

    def zoomed(self, clock: Clock, factor: float, around: float | None = None) -> View:
        """With a stretch `factor` times as long: about a step, the cursor, or the newest step."""
        if len(clock.steps) < 2:
            return self
        scale = self._scale(clock)
        centre = self.cursor if around is None else around
        place = 1.0 if centre is None else float(scale.place(np.array([float(centre)]))[0])
        place = min(max(place, 0.0), 1.0)
        start, end = place - place * factor, place + (1 - place) * factor
        if factor > 1:  # what one side cannot grow by, the other does
            ends = self._ends(scale, clock)
            start, end = start - max(0.0, end - ends[1]), end + max(0.0, ends[0] - start)
        low, high = scale.value(start), scale.value(end)
        # The least: of a long run only some steps are held.
        shortest = FEWEST * float(np.diff(clock.steps).min())
        if high - low < shortest and factor < 1:
            return self
        return self._between(clock, low, high)

    def panned(self, clock: Clock, share: float) -> View:
        """Moved by a share of the stretch, no further than there are steps."""
        if not self.is_zoomed or len(clock.steps) < 2:
            return self
        scale = self._scale(clock)
        ends = self._ends(scale, clock)
        share = min(max(share, min(0.0, ends[0])), max(0.0, ends[1] - 1))
        return self._between(clock, scale.value(share), scale.value(1 + share))

    def whole(self) -> View:
        """With all steps."""
        return replace(self, first=None, last=None)

    def moved(self, clock: Clock, share: float) -> View:
        """With the cursor moved over a share of the records that are seen, at least to the next.

        It comes in at the newest record that is seen, and pulls the stretch along.
        """
        steps = clock.steps
        if not len(steps):
            return self
        first, last = (int(i) for i in np.searchsorted(steps, self.stretch(clock), "right"))
        stride = round(abs(share) * max(1, last - first)) or 1
        if self.cursor is None:
            at = last - 1
        elif share > 0:
            at = int(np.searchsorted(steps, self.cursor, "right")) - 1 + stride
        else:
            at = int(np.searchsorted(steps, self.cursor, "left")) - stride
        return replace(self, cursor=int(steps[min(max(at, 0), len(steps) - 1)])).following(clock)

    def following(self, clock: Clock) -> View:
        """Panned so that the cursor is seen."""
        first, last = self.stretch(clock)
        if self.cursor is None or not self.is_zoomed or first <= self.cursor <= last:
            return self
        scale = self._scale(clock)
        place = float(scale.place(np.array([float(self.cursor)]))[0])
        return self.panned(clock, place if place < 0 else place - 1)

    def cursor_labels(self, clock: Clock) -> tuple[str, ...]:
        """Step and time of the cursor, the longest first, by what is on the axis."""
        if self.cursor is None:
            return ()
        step = f"{self.cursor:,}"
        if not len(clock.steps):
            return (step,)
        at = np.array([self.cursor])
        since = elapsed(float(clock.x(at, "relative")[0]))
        moment = float(clock.x(at, "wall")[0])
        clocks = time_of_day(moment, date=True), time_of_day(moment)
        if self.kind == "wall":
            return f"{clocks[0]} · step {step}", f"{clocks[1]} · {step}", clocks[1], step
        if self.kind == "relative":
            return f"+{since} · step {step} · {clocks[1]}", f"+{since} · {step}", f"+{since}", step
        return f"step {step} · +{since} · {clocks[1]}", f"{step} · +{since}", step

    def _ends(self, scale: Scale, clock: Clock) -> tuple[float, float]:
        """The places of the first and the last step; of none on the axis that of its beginning."""
        first, last = scale.place(clock.steps[[0, -1]].astype(np.float64))
        return float(np.nan_to_num(first)), float(np.nan_to_num(last))

    def _scale(self, clock: Clock) -> Scale:
        first, last = self.stretch(clock)
        log = self.log and self.kind != "wall" and last > 0
        if log:
            first = max(first, 1)
        return Scale(first, max(last, first + 1), log)

    def _between(self, clock: Clock, low: float, high: float) -> View:
        first, last = int(clock.steps[0]), int(clock.steps[-1])
        return replace(
            self,
            first=None if low <= first else round(low),
            last=None if high >= last else round(high),
        )
