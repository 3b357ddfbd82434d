"""A run over the axis that all charts share: its clock, its alerts, its values at the cursor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.tags import Kind
from tbgrad.reading.directory import Closer
from tbgrad.reading.layer_history import LayerHistory
from tbgrad.reading.run import Run
from tbgrad_tui import facts
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.axis import Axis, Clock, axis_over
from tbgrad_tui.chart.canvas import Box, Canvas
from tbgrad_tui.chart.heat import Bins
from tbgrad_tui.chart.line import Curve, draw_chart
from tbgrad_tui.chart.view import View

NO_CLOCK = Clock(np.zeros(0, np.int64), np.zeros(0))


class Scalar(NamedTuple):
    """Values [T] of a scalar at rising steps [T]."""

    steps: NDArray[np.int64]
    values: NDArray[np.float64]


LATEST = 2.5e11
"""A time beyond which no calendar goes, in seconds since the epoch: in the year 9892."""

Timed = tuple[Clock, Curve]
"""A curve with the clock of its run."""


@dataclass(frozen=True)
class Plotted:
    """Where a chart is, and what is on its horizontal axis."""

    box: Box
    axis: Axis
    clock: Clock

    def step(self, x: int) -> int:
        """The logged step that is nearest to a column of cells."""
        place = (x - self.box.x) / max(1, self.box.width - 1)
        step = self.clock.step(self.axis.scale.value(min(max(place, 0.0), 1.0)), self.axis.kind)
        return int(self.clock.steps[nearest(self.clock.steps, step)])


@facts.OnceARun
def clock_of(run: Run) -> Clock:
    """When the steps of a run were, by its longest scalar, from its first step to its last."""
    scalars = [s for s in run.values() if s.kind is Kind.SCALAR and len(s)]
    if not scalars:
        return NO_CLOCK
    longest = max(scalars, key=len)
    ends = (
        min(scalars, key=lambda series: int(series.steps[0])),
        max(scalars, key=lambda series: int(series.steps[-1])),
    )
    steps, times = longest.steps, longest.wall_times
    if ends[0].steps[0] < steps[0]:
        steps = np.append(ends[0].steps[:1], steps)
        times = np.append(ends[0].wall_times[:1], times)
    if ends[1].steps[-1] > steps[-1]:
        steps = np.append(steps, ends[1].steps[-1:])
        times = np.append(times, ends[1].wall_times[-1:])
    known = np.clip(np.nan_to_num(times, nan=0.0), 0.0, LATEST)
    return Clock(steps, np.maximum.accumulate(known))


def seen_clock(run: Run, view: View) -> Clock:
    """The same, with every record of the stretch that is seen."""
    clock, closer = clock_of(run), view.closer.get(run.name)
    if closer is None:
        return clock
    near = clock_of(closer.run)
    return Clock(*_spliced(closer, clock.steps, clock.times, near.steps, near.times))


def seen_scalar(run: Run, tag: str, view: View) -> Scalar | None:
    """A scalar, with every value of the stretch that is seen; None where the run has none."""
    series = facts.scalar(run, tag)
    if series is None:
        return None
    steps, values = series.steps, np.asarray(series.values, np.float64)
    closer = view.closer.get(run.name)
    if closer is None or series.buckets is None:
        return Scalar(steps, values)
    near = facts.scalar(closer.run, tag)
    if near is None:
        return Scalar(steps, values)
    return Scalar(*_spliced(closer, steps, values, near.steps, near.values.astype(np.float64)))


def _spliced(
    closer: Closer,
    steps: NDArray[np.int64],
    values: NDArray[np.float64],
    near_steps: NDArray[np.int64],
    near_values: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Values with all of those of the closer look in place of what was merged there."""
    first, last = closer.first_step, closer.last_step
    inside = (near_steps >= first) & (near_steps <= last)
    if not inside.any():
        return steps, values
    before, after = steps < first, steps > last
    return (
        np.concatenate([steps[before], near_steps[inside], steps[after]]),
        np.concatenate([values[before], near_values[inside], values[after]]),
    )


@facts.OnceARun
def alert_steps(run: Run) -> tuple[tuple[int, str], ...]:
    """Where alerts began, closed ones too, with their severities: once each."""
    return tuple(sorted({(alert.first_step, alert.severity) for alert in facts.alerts(run)}))


def nearest(steps: NDArray[Any], step: float) -> int:
    """The index of the one of rising `steps` [T], at least one, that is nearest to `step`."""
    after = int(np.searchsorted(steps, step))
    if after == 0:
        return 0
    if after == len(steps):
        return after - 1
    return after if steps[after] - step < step - steps[after - 1] else after - 1


def value_at(run: Run | None, tag: str, view: View) -> tuple[int, float] | None:
    """Step and value of the record of a scalar nearest to the cursor, the newest without one.

    None where the run has no such scalar, or none at the time of the cursor.
    """
    found = seen_scalar(run, tag, view) if run is not None else None
    if found is None:
        return None
    steps, values = found
    at = len(steps) - 1
    if view.cursor is not None:
        if not steps[0] <= view.cursor <= steps[-1]:
            return None
        at = nearest(steps, view.cursor)
    return int(steps[at]), float(values[at])


def draw_timed(
    canvas: Canvas,
    box: Box,
    curves: Sequence[Timed],
    view: View,
    *,
    log: bool = False,
    level: float | None = None,
    band: tuple[float, float] | None = None,
    alerts: Sequence[tuple[int, str]] = (),
    own: bool = False,
) -> Plotted | None:
    """Draw what `view` shows of curves over steps; where they are, None where there is no room.

    The curve in front is the last one, whose clock is that of the cursor and the alerts; smooth
    lines are in front of all values. Of one that has its `own` axis, all of it is seen unless the
    view is zoomed: steps of another kind than the others', as epochs.
    """
    curves = sorted(curves, key=lambda timed: timed[1].smooth)
    clocks = [clock for clock, _ in curves if len(clock.steps)]
    if not clocks:
        draw_chart(canvas, box, [curve for _, curve in curves], log=log, level=level)
        return None
    x = [clock.x(curve.steps, view.kind) for clock, curve in curves]
    ends = [clock.x(np.array(view.stretch(clock)), view.kind) for clock in clocks]
    if own and not view.is_zoomed and any(len(each) for each in x):
        ends = [each[[0, -1]] for each in x if len(each)]
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    axis = axis_over(float(low), float(high), log=view.log, kind=view.kind)
    seen = [
        curve.over(at, axis.scale.low, axis.scale.high)
        for (_, curve), at in zip(curves, x, strict=True)
    ]
    if view.cursor is not None:
        at = float(clocks[-1].x(np.array([view.cursor]), view.kind)[0])
        axis = replace(axis, cursor=at, cursor_labels=view.cursor_labels(clocks[-1]))
    if alerts:
        places = clocks[-1].x(np.array([step for step, _ in alerts]), view.kind).tolist()
        marks = [(at, severity) for at, (_, severity) in zip(places, alerts, strict=True)]
        axis = replace(axis, alerts=[mark for mark in marks if low <= mark[0] <= high])
    plot = draw_chart(canvas, box, seen, log=log, level=level, band=band, axis=axis)
    return Plotted(plot, axis, clocks[-1]) if plot is not None else None


def seen_history(history: LayerHistory, view: View, clock: Clock) -> LayerHistory:
    """The measure in the stretch that is seen; `newest` and `lost` are those at the cursor.

    Where the log has none in the stretch, all of them.
    """
    first, last = view.stretch(clock)
    inside = (history.steps >= first) & (history.first_steps <= last)
    if view.is_zoomed and inside.any():
        history = replace(
            history,
            first_steps=history.first_steps[inside],
            steps=history.steps[inside],
            values=history.values[inside],
            nonfinite=history.nonfinite[inside],
        )
    if view.cursor is not None:
        at = nearest(history.steps, view.cursor)
        history = replace(history, newest=history.values[at], lost=history.nonfinite[at])
    return history


def draw_cursor(canvas: Canvas, plot: Box, bins: Bins, cursor: int | None) -> None:
    """The column of a heat map in which the cursor is."""
    amount = len(bins.values)
    if cursor is None or not amount or not plot.width:
        return
    columns = np.arange(plot.width) * amount // max(amount, plot.width)
    there = np.flatnonzero(columns == (cursor - bins.start) // bins.width)
    if len(there):
        x = plot.x + int(there[len(there) // 2])
        canvas.line(x, plot.y, plot.height, "│", colours.CURSOR)
