"""What a figure shows, in no framework's terms: panels of lines or of heat maps.

A module a figure decides what is drawn; `notebook` and `paper` draw it. Texts are data: whoever
draws them takes them without markup.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.text import number

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""One a run, told apart by all kinds of colour vision.

Okabe and Ito, Color Universal Design (2008), without the yellow, which is too pale on paper.
"""

ALARM = "#D55E00"
NOTHING = "#D9D9D9"

Dash = Literal["solid", "dash", "dot"]
DASHES: tuple[Dash, ...] = ("solid", "dash", "dot")
"""Of the runs that come after as many as there are colours."""

Numbers = NDArray[np.float64]


class NothingToDrawError(ValueError):
    """The runs lack what a figure shows; one sentence says what, and how to have it."""


@dataclass(frozen=True)
class Line:
    """Values over the steps: `x` [T] and `y` [T], NaN where the line is broken.

    `style` is "faint" for every step behind a clearer line, "line", "points" for values that are
    far apart, "hollow" for those among them that are not certain, and "limit" for what holds until
    the next. "path" is a way through the plane of the axes, "scatter" places in it without any.
    `error` [T] is how far a value may be off either way. A `label` of "" is in no legend.
    """

    label: str
    x: NDArray[Any]
    y: Numbers
    style: Literal["faint", "line", "points", "hollow", "limit", "path", "scatter"]
    colour: str
    dash: Dash = "solid"
    error: Numbers | None = None


@dataclass(frozen=True)
class Marks:
    """Steps [N] at which there is something that has no place on the axis, as a value of NaN."""

    label: str
    x: NDArray[Any]
    symbol: Literal["x", "triangle"] = "x"


@dataclass(frozen=True)
class Heat:
    """Cells `values` [R, C] between `x_edges` [C + 1] and `y_edges` [R + 1], both rising.

    NaN is nothing at all, an infinity what is not finite. Colours go from `low` to `high`, by their
    logarithm where the `scale` is "log"; what lies beyond has the colour of the end. `colours` is
    "viridis", whose lightness rises all the way, "Blues" from white on, or "RdBu" for values on
    both sides of zero. `contours` are as many lines of equal value.
    """

    label: str
    x_edges: NDArray[Any]
    y_edges: Numbers
    values: Numbers
    low: float
    high: float
    scale: Literal["linear", "log"] = "linear"
    colours: Literal["viridis", "Blues", "RdBu"] = "viridis"
    contours: int = 0

    @property
    def centres(self) -> tuple[Numbers, Numbers]:
        """Where the middles of the cells are, [C] and [R]."""
        across, up = np.asarray(self.x_edges, np.float64), self.y_edges
        return (across[:-1] + across[1:]) / 2, (up[:-1] + up[1:]) / 2

    @property
    def levels(self) -> Numbers:
        """The shades at which the contours are, evenly from the lowest to the highest."""
        low, high = self.ends
        return np.linspace(low, high, self.contours + 2)[1:-1] if self.contours else np.array([])

    @property
    def shades(self) -> Numbers:
        """What the colours go by: values, or their logarithms to base 10, [R, C]."""
        if self.scale == "linear":
            return self.values
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.log10(np.where(self.values >= 0, np.maximum(self.values, self.low), np.nan))

    @property
    def ends(self) -> tuple[float, float]:
        """The shades with the first and the last of the colours."""
        if self.scale == "linear":
            return self.low, self.high
        return math.log10(self.low), math.log10(self.high)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Where the bar of the colours has a tick, in shades, and what that says."""
        low, high = self.ends
        if self.scale == "linear":
            return [(value, shown(value)) for value in _round(low, high)]
        exponents = range(math.ceil(low), math.floor(high) + 1)
        if len(exponents) > 2:
            stride = -(-len(exponents) // 7)
            return [(float(k), power_of_ten(k)) for k in exponents[::stride]]
        decades = range(math.floor(low), math.ceil(high) + 1)
        values = [m * 10.0**k for k in decades for m in (1, 2, 5)]
        inside = [value for value in values if self.low <= value <= self.high]
        if len(inside) < 2:
            inside = [self.low, self.high]
        return [(math.log10(value), shown(value)) for value in inside]


@dataclass(frozen=True)
class Panel:
    """One pair of axes: `lines`, or a `heat` map; `marks` stand at its lower edge.

    `ticks` are places on the upright axis and what they are called, where these are no numbers;
    `falling` says that it begins at the top, and `low` where it begins at the least. `height` is in
    inches. With an `x_label` it is not over the steps but has an axis of its own; `square` says
    that a unit is as long on both.
    """

    label: str
    scale: Literal["linear", "log"] = "linear"
    lines: tuple[Line, ...] = ()
    heat: Heat | None = None
    marks: tuple[Marks, ...] = ()
    title: str = ""
    ticks: tuple[tuple[float, str], ...] | None = None
    falling: bool = False
    low: float | None = None
    height: float = 2.1
    x_label: str = ""
    square: bool = False


@dataclass(frozen=True)
class Drawing:
    """Panels above each other, over the same steps or each over an axis of its own.

    `note` explains the lines where it must.
    """

    panels: tuple[Panel, ...]
    note: str = ""

    @property
    def over_steps(self) -> bool:
        """Whether all panels share the axis of steps."""
        return not any(panel.x_label for panel in self.panels)

    @property
    def x_labels(self) -> list[str]:
        """What is written below each panel, the note below the last."""
        labels = [panel.x_label for panel in self.panels]
        if self.over_steps:
            labels[-1] = "step"
        if self.note:
            labels[-1] += f"  ({self.note})"
        return labels


def colour_of(place: int) -> tuple[str, Dash]:
    """Colour and dashes of the run at a place."""
    return COLOURS[place % len(COLOURS)], DASHES[place // len(COLOURS) % len(DASHES)]


def power_of_ten(exponent: int) -> str:
    """Such as "10⁻³", in characters that need no typesetting."""
    return "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def shown(value: float) -> str:
    """A number on an axis, to two digits: "0.02", "−5", "6.1×10⁻⁵"."""
    text = number(float(f"{value:.2g}"), 6)
    mantissa, _, exponent = text.partition("e")
    mantissa = mantissa.replace("-", "−")
    return f"{mantissa}×{power_of_ten(int(exponent))}" if exponent else mantissa


def edges_of(first_steps: NDArray[Any], last_steps: NDArray[Any]) -> Numbers:
    """Edges [C + 1] of columns that cover these steps each: half-way to their neighbours."""
    between = (last_steps[:-1] + first_steps[1:]) / 2
    return np.concatenate([[first_steps[0] - 0.5], between, [last_steps[-1] + 0.5]])


def _round(low: float, high: float) -> list[float]:
    """About five round numbers from `low` to `high`."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    stride = power * next(m for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first, last = math.ceil(low / stride), math.floor(high / stride + 1e-9)
    return [k * stride for k in range(first, last + 1)]
