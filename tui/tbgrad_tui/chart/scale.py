"""Axes: from a value to its place between 0 and 1, and the values worth a tick."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tbgrad_tui.chart.text import number, step_label

FEW = 12
"""Of fewer values none is an outlier."""

FAR = 20.0
"""Values that are further apart than so many times are on a logarithmic axis."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear or logarithmic axis from `low` to `high`."""

    low: float
    high: float
    log: bool = False

    def place(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """0 at `low`, 1 at `high`; NaN for what has no place: not finite, or not positive on a log
        axis."""
        values = np.asarray(values, dtype=np.float64)
        low, high = self.low, self.high
        usable = np.isfinite(values)
        if self.log:
            usable &= values > 0
            values = np.log10(np.where(usable, values, 1.0))
            low, high = math.log10(low), math.log10(high)
        # halves keep the difference of two huge numbers finite
        places = (values / 2 - low / 2) / (high / 2 - low / 2)
        return np.where(usable, places, np.nan)

    def value(self, place: float) -> float:
        """What is at a place from 0 to 1."""
        if self.log:
            low, high = math.log10(self.low), math.log10(self.high)
            return float(10.0 ** (low + place * (high - low)))
        return self.low * (1 - place) + self.high * place

    def ticks(self, most: int) -> list[tuple[float, str]]:
        """At most about `most` round values inside, with labels that tell them apart."""
        values = _log_ticks(self, most) if self.log else _linear_ticks(self.low, self.high, most)
        return [(value, _label(value, values, self.log)) for value in values]


def robust_range(values: NDArray[np.float64], newest: Iterable[float] = ()) -> tuple[float, float]:
    """The range of finite `values` [N] without the few that would flatten all the others.

    Tukey's fences around the inner nine tenths instead of the inner half, because a loss that
    falls has a long tail that is no outlier: nothing further out than twice their range is held, so
    that they have at least a fifth of the axis. All is held where there are fewer than 12 values or
    the inner ones are all alike; and so are the `newest`: where a curve has gone is no outlier.

    >>> robust_range(np.append(np.linspace(1.0, 2.0, 99), 8000.0))[1] < 5
    True
    """
    low, high = float(values.min()), float(values.max())
    beyond = max(1, len(values) // 20)
    if len(values) < FEW:
        return low, high
    inner = np.partition(values, [beyond, len(values) - 1 - beyond])
    bottom, top = float(inner[beyond]), float(inner[-1 - beyond])
    room = 2 * top - 2 * bottom
    if not 0 < room < math.inf:
        return low, high
    return (
        min(max(low, bottom - room), *newest, high),
        max(min(high, top + room), *newest, low),
    )


def reaches_far(values: Sequence[NDArray[np.float64]]) -> bool:
    """Whether a logarithmic axis suits values better: all positive, and more than 20 times apart.

    Outliers that no axis would show do not count.
    """
    scale = robust_scale(values, [float(array[-1]) for array in values if len(array)], log=False)
    lowest = min((float(np.nanmin(a, initial=np.inf)) for a in values), default=0.0)
    return 0 < lowest < math.inf and scale.high > FAR * scale.low


def robust_scale(
    values: Sequence[NDArray[np.float64]], newest: Iterable[float], *, log: bool
) -> Scale:
    """An axis that a few outliers do not flatten: of the `robust_range` of all of `values`.

    On a logarithmic axis it is that of the logarithms.
    """
    pooled = np.concatenate([np.asarray(array, np.float64) for array in values] or [np.zeros(0)])
    usable = pooled[np.isfinite(pooled) & ((pooled > 0) | (not log))]
    last = [one for one in newest if math.isfinite(one) and (one > 0 or not log)]
    if not usable.size:
        return scale_for([], log=log)
    if log:
        ends = robust_range(np.log10(usable), [math.log10(one) for one in last])
        held = np.clip(usable, 10.0 ** ends[0], 10.0 ** min(ends[1], 308.0))
    else:
        held = np.clip(usable, *robust_range(usable, last))
    return scale_for([held], log=log)


def scale_for(values: Iterable[NDArray[np.float64]], *, log: bool) -> Scale:
    """An axis that holds all of `values` that have a place on it."""
    lows, highs = [], []
    for array in values:
        usable = array[np.isfinite(array) & ((array > 0) | (not log))]
        if usable.size:
            lows.append(float(usable.min()))
            highs.append(float(usable.max()))
    if not lows:
        return Scale(0.1, 10.0, log) if log else Scale(0.0, 1.0)
    low, high = min(lows), max(highs)
    if log:
        if high < low * 1.5:
            low, high = low / 1.5, high * 1.5
        return Scale(max(low, 5e-324), min(high, 1.7e308), log)
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        margin = abs(low) * 0.1 or 1.0
        low, high = low - margin, high + margin
    return Scale(low, high)


def _linear_ticks(low: float, high: float, most: int) -> list[float]:
    rough = (high / 2 - low / 2) / max(most, 1) * 2
    if not (math.isfinite(rough) and rough > 1e-300):
        return [low, high]
    power = 10.0 ** math.floor(math.log10(rough))
    spacings = [m * power for m in (10, 5, 2, 1, 0.5, 0.2) if m * power <= rough * 5]
    ticks: list[float] = []
    for spacing in spacings:
        first, last = math.ceil(low / spacing - 1e-9), math.floor(high / spacing + 1e-9)
        finer = [k * spacing for k in range(first, last + 1)]
        if len(ticks) >= 2 and len(finer) > most:
            break
        every = max(1, len(finer) // max(most, 2))
        ticks = finer[-first % every :: every]  # zero among them where it is inside
    return ticks


def _log_ticks(scale: Scale, most: int) -> list[float]:
    low, high = math.log10(scale.low), math.log10(scale.high)
    first, last = math.ceil(low - 1e-9), math.floor(high + 1e-9)
    if last > first:
        every = math.ceil((last - first + 1) / max(most, 1))
        return [10.0**e for e in range(first, last + 1) if e % every == 0] or [10.0**last]
    for mantissas in ((1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)):
        ticks = [
            m * 10.0**e
            for e in range(math.floor(low), math.floor(high) + 1)
            for m in mantissas
            if scale.low * 0.999 <= m * 10.0**e <= scale.high * 1.001
        ]
        if len(ticks) >= 2:
            every = math.ceil(len(ticks) / max(most, 1))
            powers = [i for i, t in enumerate(ticks) if math.log10(t) % 1 < 1e-9]
            return ticks[(powers[0] if powers else 0) % every :: every]
    return _linear_ticks(scale.low, scale.high, most)


def _label(value: float, values: list[float], log: bool) -> str:
    if log and value > 0:
        exponent = math.log10(value)
        if abs(exponent) >= 3 and abs(exponent - round(exponent)) < 1e-9:
            return f"1e{round(exponent)}"
    if len(values) > 1 and value:
        spacing = abs(values[1] - values[0])
        largest = max(abs(v) for v in values)
        digits = 1 + max(0, math.floor(math.log10(largest)) - math.floor(math.log10(spacing)))
        if 1e-3 <= largest < 1e5:
            decimals = max(0, -math.floor(math.log10(spacing * 1.000001)))
            return f"{value:.{decimals}f}" if not log else number(value)
        if 1e5 <= largest < 1e9 and not log:
            return step_label(value)  # 98k, 100k, 102k
        return number(value, max(2, digits))
    return number(value)
