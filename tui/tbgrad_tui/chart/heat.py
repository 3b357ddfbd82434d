"""A heat map of magnitudes: rows over time, colour by the logarithm of the largest in each bin."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.style import Style

from tbgrad.reading import thinning
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.canvas import Box, Canvas, ink
from tbgrad_tui.chart.text import number

NONFINITE_MARK = "!"
ABSENT_MARK = "·"
ZERO_MARK = "0"

NOTHING, ABSENT, FINITE, NONFINITE = 0, 1, 2, 3
"""What a bin holds, in rising order of what wins: no record, only NaN, a number, a non-finite."""

_LONGEST_GAP = 3
"""A record stands for the steps since the one before it, up to so many usual intervals."""


@dataclass(frozen=True)
class HeatScale:
    """Which values have the colours at the two ends, and whether those between follow the
    logarithm; `styles` are the colours, `middle` what is in the middle of them where that is a
    place of its own, and `marks_zero` says whether a zero has a mark of its own."""

    low: float
    high: float
    log: bool = True
    styles: Sequence[Style] = tuple(colours.HEAT)
    marks_zero: bool = True
    middle: str = ""

    def levels(self, values: NDArray[np.float64]) -> NDArray[np.intp]:
        """The number of the colour of each value."""
        low, high = self.low, self.high
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.log:
                values, low, high = np.log10(values), math.log10(low), math.log10(high)
            place = (values - low) / (high - low)
        place = np.nan_to_num(place, nan=0.0, posinf=1.0, neginf=0.0)
        return np.clip(place * len(self.styles), 0, len(self.styles) - 1).astype(np.intp)


@dataclass(frozen=True)
class Bins:
    """Maxima over equal stretches of steps.

    `values` [N, P] is the largest number of each bin and row, -inf where there is none; `states`
    [N, P] says what the bin holds. Bin i covers the steps from `start + i * width` on.
    """

    start: int
    width: int
    values: NDArray[np.float32]
    states: NDArray[np.uint8]

    def scale(self) -> HeatScale:
        """Powers of ten that enclose all positive finite values."""
        shown = self.values[(self.values > 0) & np.isfinite(self.values)]
        if shown.size == 0:
            return HeatScale(0.1, 1.0)
        low = math.floor(math.log10(float(shown.min())) + 1e-6)
        high = math.ceil(math.log10(float(shown.max())) - 1e-6)
        return HeatScale(10.0**low, 10.0 ** max(high, low + 1))


def bin_maxima(
    steps: NDArray[np.int64],
    values: NDArray[np.float32],
    nonfinite: NDArray[np.bool_],
    most: int,
    first_steps: NDArray[np.int64] | None = None,
) -> Bins:
    """At most `most` bins that keep the maximum of `values` [T, P] and every `nonfinite` mark.

    Where `first_steps` are given, a value is of all the steps from there to its own.
    """
    rows = values.shape[1]
    if len(steps) == 0 or most < 1:
        empty = np.zeros((0, rows))
        return Bins(0, 1, empty.astype(np.float32), empty.astype(np.uint8))
    if first_steps is not None and (first_steps[1:] > steps[:-1]).all():
        return _bins_of_stretches(first_steps, steps, values, nonfinite, most)
    start, width, at = thinning.stretches(steps, most)
    number_of_bins = int(at[-1]) + 1
    first = np.flatnonzero(np.concatenate([[True], np.diff(at) > 0]))

    finite, state = _states(values, nonfinite)
    peaks = np.full((number_of_bins, rows), -np.inf, dtype=np.float32)
    states = np.full((number_of_bins, rows), NOTHING, dtype=np.uint8)
    peaks[at[first]] = np.maximum.reduceat(np.where(finite, values, -np.inf), first, axis=0)
    states[at[first]] = np.maximum.reduceat(state, first, axis=0)

    filled = at[first]
    following = np.searchsorted(filled, np.arange(number_of_bins))
    source = filled[following]
    interval = thinning.usual_interval(steps)
    source[(source - np.arange(number_of_bins)) * width > _LONGEST_GAP * interval] = -1
    known = source >= 0
    peaks[known], states[known] = peaks[source[known]], states[source[known]]
    return Bins(start, width, peaks, states)


def _bins_of_stretches(
    first_steps: NDArray[np.int64],
    steps: NDArray[np.int64],
    values: NDArray[np.float32],
    nonfinite: NDArray[np.bool_],
    most: int,
) -> Bins:
    start, width, lows, highs = thinning.columns(first_steps, steps, most)
    finite, state = _states(values, nonfinite)
    peaks = thinning.over(np.where(finite, values, np.float32(np.nan)), lows, highs)
    states = thinning.over(state.astype(np.float32), lows, highs)
    return Bins(
        start,
        width,
        np.where(np.isnan(peaks), np.float32(-np.inf), peaks),
        np.where(np.isnan(states), NOTHING, states).astype(np.uint8),
    )


def _states(
    values: NDArray[np.float32], nonfinite: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
    """Which values are finite, and what every one is."""
    finite = np.isfinite(values) & ~nonfinite
    state = np.full(values.shape, ABSENT, dtype=np.uint8)
    state[finite] = FINITE
    state[nonfinite | np.isinf(values)] = NONFINITE
    return finite, state


def draw_heat(
    canvas: Canvas,
    box: Box,
    bins: Bins,
    rows: range,
    scale: HeatScale,
    *,
    tall: int = 1,
    shades: bool = False,
) -> None:
    """Draw the bins of `rows`, each `tall` cells high, stretched over the width of `box`.

    With `shades`, blocks of rising density say the level too: for terminals without colour.
    """
    count = len(bins.values)
    if count == 0 or box.width == 0:
        return
    across = np.arange(box.width) * count // max(count, box.width)
    values = bins.values[across][:, rows.start : rows.stop].T.astype(np.float64)
    states = bins.states[across][:, rows.start : rows.stop].T
    level = scale.levels(values)
    inks = np.array([ink(style) for style in scale.styles], dtype=np.int16)[level]
    codes = np.full(values.shape, ord(" "), dtype=np.uint32)
    if shades:
        shade = level * 5 // len(scale.styles)
        codes = np.array([ord(c) for c in " ░▒▓█"], dtype=np.uint32)[shade]
    for chosen, character, style in (
        (states == NOTHING, " ", colours.PLAIN),
        (states == ABSENT, ABSENT_MARK, colours.ABSENT),
        ((states == FINITE) & (values == 0) & scale.marks_zero, ZERO_MARK, colours.ZERO),
        (states == NONFINITE, NONFINITE_MARK, colours.NONFINITE),
    ):
        codes[chosen] = ord(character)
        inks[chosen] = ink(style)
    canvas.paint(box.x, box.y, codes.repeat(tall, axis=0), inks.repeat(tall, axis=0))


def draw_legend(canvas: Canvas, box: Box, scale: HeatScale, absent: str = "no gradient") -> None:
    """The colour scale with the numbers at its ends, and the marks for what is not a number.

    `absent` says what it means that there is none, "" where it means nothing.
    """
    low, high = (_end(end, scale.log) for end in (scale.low, scale.high))
    ramp = max(6, min(len(scale.styles), box.width // 4))
    x = canvas.write(box.x, box.y, low + " ", colours.QUIET, box.width)
    for column in range(ramp):
        style = scale.styles[column * len(scale.styles) // ramp]
        x = canvas.write(x, box.y, " ", style, 1)
    centre = scale.styles[len(scale.styles) // 2] + colours.QUIET
    canvas.write(x - (ramp + len(scale.middle)) // 2, box.y, scale.middle, centre)
    x = canvas.write(x, box.y, " " + high, colours.QUIET)
    marks = (
        (NONFINITE_MARK, colours.NONFINITE, "not finite"),
        (ABSENT_MARK, colours.ABSENT, absent),
        (ZERO_MARK, colours.ZERO, "zero" if scale.marks_zero else ""),
    )
    for character, style, meaning in marks:
        if not meaning:
            continue
        if x + 4 + len(meaning) > box.x + box.width:
            break
        x = canvas.write(x + 2, box.y, character, style)
        x = canvas.write(x, box.y, " " + meaning, colours.QUIET)


def _end(value: float, log: bool) -> str:
    return f"{value:.0e}".replace("e-0", "e-") if log and value < 9e-4 else number(value)
