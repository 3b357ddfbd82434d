"""The horizontal axis that charts share: steps, time since the start, or time of day."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tbgrad_tui.chart import colours
from tbgrad_tui.chart.canvas import Box, Canvas
from tbgrad_tui.chart.scale import Scale
from tbgrad_tui.chart.text import step_label

Kind = Literal["step", "relative", "wall", "number"]
"""Of a horizontal axis; a number is of any kind, as an eigenvalue."""

KINDS: tuple[Kind, ...] = ("step", "relative", "wall")
"""What may be on the axis of values over steps, in the order of the key."""

SECONDS = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800,
    3_600, 7_200, 10_800, 21_600, 43_200, 86_400,
)  # fmt: skip
"""Round lengths of time, in seconds; beyond them whole days."""

DECADES = (1e-3, 0.01, 0.1, 1, 10, 60, 600, 3_600, 36_000, 86_400, 864_000, 8_640_000)
"""Ticks of a logarithmic axis of time, in seconds."""


@dataclass(frozen=True)
class Clock:
    """When the steps of a run were: `steps` [T] rise, `times` [T] in seconds since the epoch.

    Times never fall, whatever the clock of the writer did.

    >>> Clock(np.array([0, 10]), np.array([100.0, 120.0])).x(np.array([5]), "relative")
    array([10.])
    """

    steps: NDArray[np.int64]
    times: NDArray[np.float64]

    def x(self, steps: NDArray[Any], kind: Kind) -> NDArray[np.float64]:
        """Where `steps` are on an axis of a kind: steps, seconds since the first, or the epoch."""
        steps = np.asarray(steps, np.float64)
        if kind == "step" or not len(self.steps):
            return steps
        times: NDArray[np.float64] = np.interp(steps, self.steps, self.times)
        return times - self.times[0] if kind == "relative" else times

    def step(self, x: float, kind: Kind) -> float:
        """The step that is at `x`."""
        if kind == "step" or not len(self.steps):
            return x
        seconds = x + self.times[0] if kind == "relative" else x
        return float(np.interp(seconds, self.times, self.steps))


@dataclass(frozen=True)
class Axis:
    """A horizontal axis, what is marked on it, and the cursor.

    `alerts` are places with the severity of what began there. Of `cursor_labels` the first that
    fits is below the cursor.
    """

    scale: Scale
    kind: Kind = "step"
    cursor: float | None = None
    cursor_labels: Sequence[str] = ()
    alerts: Sequence[tuple[float, str]] = ()

    def ticks(self, most: int) -> list[tuple[float, str]]:
        """At most about `most` round values inside, with labels that tell them apart."""
        low, high = self.scale.low, self.scale.high
        if self.kind == "relative" and self.scale.log:
            return [(at, elapsed(at)) for at in DECADES if low <= at <= high]
        if self.kind == "relative" and high - low >= 4:
            return [(at, elapsed(at)) for at in _round_times(low, high, most, 0.0)]
        if self.kind == "wall":
            return _clock_ticks(low, high, most)
        ticks = self.scale.ticks(most)
        if self.kind == "relative":
            return [(value, f"{label}s" if value else label) for value, label in ticks]
        if self.kind == "number":
            return ticks
        return [(value, step_label(value)) for value, _ in ticks if value == int(value)]


def axis_over(low: float, high: float, *, log: bool = False, kind: Kind = "step") -> Axis:
    """An axis from `low` to `high`; one place has the axis around it. Logarithmic where it can be.

    >>> axis_over(0, 100).scale.place(np.array([25.0]))
    array([0.25])
    """
    if log and kind != "wall" and high > 0:
        low = low if low > 0 else min(1.0, high / 1e3)
        if high > low:
            return Axis(Scale(low, high, log=True), kind)
    return Axis(Scale(low, high) if high > low else Scale(low - 1, low + 1), kind)


def draw(canvas: Canvas, box: Box, plot: Box, axis: Axis) -> None:
    """What is below `plot`, in `box`: alerts, the cursor, and labels that touch neither.

    Alerts have a row of their own where there is one, and are on that of the labels otherwise.
    """
    bottom = box.y + box.height - 1
    own_row = bottom > plot.y + plot.height
    line = "─" if own_row else " "
    canvas.write(plot.x - 1, plot.y + plot.height, "└" if plot.height else " ", colours.AXIS)
    if own_row:
        canvas.fill(Box(plot.x, bottom - 1, plot.width, 1), line, colours.AXIS)
    taken = np.zeros(canvas.width + 1, dtype=np.bool_)
    rank = list(colours.SEVERITIES)
    for at, severity in sorted(axis.alerts, key=lambda alert: -rank.index(alert[1])):
        if (x := column(axis, plot, at)) is not None:
            canvas.write(x, bottom - own_row, *colours.SEVERITIES[severity])
            taken[x - 1 : x + 2] |= not own_row  # a mark touches no number
    if axis.cursor is not None and (x := column(axis, plot, axis.cursor)) is not None:
        canvas.line(x, plot.y, plot.height, "│", colours.CURSOR)
        room = box.x + box.width
        label = next((one for one in axis.cursor_labels if len(one) <= plot.width * 2 // 5), "")
        start = max(plot.x, min(x - len(label) // 2 - 1, room - len(label) - 2))
        canvas.write(start, bottom, f" {label} ", colours.CURSOR_LABEL)
        taken[max(0, start - 1) : start + len(label) + 3] = True
    end = plot.x - 1
    for value, label in axis.ticks(max(min(4, plot.width // 6), plot.width // 12, 1)):
        at_column = plot.x + round(float(axis.scale.place(np.array([value]))[0]) * (plot.width - 1))
        start = min(max(at_column - len(label) // 2, plot.x), box.x + box.width - len(label))
        if (start > end or start == plot.x) and not taken[start : start + len(label)].any():
            canvas.write(start, bottom, label, colours.QUIET)
            end = start + len(label)


def column(axis: Axis, plot: Box, x: float) -> int | None:
    """The column of cells in which `x` is; None where that is outside."""
    place = float(axis.scale.place(np.array([x]))[0])
    if not (0 <= place <= 1 and plot.width):
        return None
    return plot.x + round(place * (plot.width - 1))


def elapsed(seconds: float) -> str:
    """A length of time in its two largest units: 0, 0.1s, 30s, 2m30s, 1h10m, 3h, 2d6h."""
    if seconds < 60:
        return f"{seconds:.3g}s" if seconds else "0"
    rest = round(seconds)
    parts = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")):
        amount, rest = divmod(rest, size)
        parts.append((amount, unit))
    first = next(i for i, (amount, _) in enumerate(parts) if amount)
    return "".join(f"{amount}{unit}" for amount, unit in parts[first : first + 2] if amount)


def time_of_day(seconds: float, *, date: bool = False) -> str:
    """The local time of an instant in seconds since the epoch: 14:03:20, or with its date."""
    return time.strftime("%b %d %H:%M:%S" if date else "%H:%M:%S", time.localtime(seconds))


def _round_times(low: float, high: float, most: int, offset: float) -> list[float]:
    """Whole multiples of a round length of time, counted from `-offset`."""
    rough = (high - low) / max(most, 1)
    spacing: float = next((size for size in SECONDS if size >= rough), 86_400)
    if rough > 86_400:
        spacing = 86_400.0 * math.ceil(rough / 86_400)
    first, last = math.ceil((low + offset) / spacing), math.floor((high + offset) / spacing)
    return [k * spacing - offset for k in range(first, last + 1)]


def _clock_ticks(low: float, high: float, most: int) -> list[tuple[float, str]]:
    """Round times of day, by the local clock; dates where they are days apart."""
    offset = time.localtime(low).tm_gmtoff or 0
    at = _round_times(low, high, most, offset) or [low]
    spacing = at[1] - at[0] if len(at) > 1 else high - low
    pattern = "%b %d" if spacing >= 86_400 else "%H:%M" if spacing >= 60 else "%H:%M:%S"
    return [(value, time.strftime(pattern, time.localtime(value))) for value in at]
