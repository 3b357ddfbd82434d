"""Draws with matplotlib, for paper: files of a fixed size, the same bytes for the same log."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import numpy as np

from tbgrad.figures.drawing import ALARM, NOTHING, Drawing, Heat, Line, Panel, power_of_ten, shown

_CHARACTERS = 12
"""So many are an inch wide, and more."""

_STYLE = {
    "font.size": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "text.parse_math": False,  # names are data
    "axes.unicode_minus": True,
    "pdf.fonttype": 42,
    "svg.hashsalt": "tbgrad",
    "savefig.dpi": 300,
}
_DASHES = {"solid": "-", "dash": (0, (5, 2)), "dot": (0, (1.5, 1.5))}
_METADATA: dict[str, dict[str, Any]] = {
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
    ".png": {},
}
FORMATS = tuple(_METADATA)
"""Suffixes of the files that are written."""


def save(drawing: Drawing, target: Path, suffix: str, width: float = 6.0) -> None:
    """Write a drawing into a file, as one of `FORMATS`, so many inches wide.

    Raises:
        ImportError: matplotlib is not installed.
        OSError: the file cannot be written.
    """
    import matplotlib as mpl

    with mpl.rc_context(_STYLE):
        drawn(drawing, width).savefig(target, format=suffix[1:], metadata=_METADATA[suffix])


def drawn(drawing: Drawing, width: float = 6.0) -> Any:
    """A `matplotlib.figure.Figure`, so many inches wide.

    Raises:
        ImportError: matplotlib is not installed.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    heights = [panel.height for panel in drawing.panels]
    named = _legend(drawing)
    # Legend, label of the steps and what is between the panels.
    height = sum(heights) + 0.45 + 0.2 * -(-len(named) // _columns(named, width))
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        grid = figure.subplots(
            len(heights), 1, sharex=drawing.over_steps, squeeze=False,
            gridspec_kw={"height_ratios": heights},
        )  # fmt: skip
        handles: dict[str, Any] = {}
        labels = drawing.x_labels
        for axes, panel, label in zip(grid[:, 0], drawing.panels, labels, strict=True):
            _draw(figure, axes, panel, handles)
            if panel.title:
                axes.set_title(_cut(panel.title, int((width - 1.5) * _CHARACTERS)), loc="left")
            lines = textwrap.wrap(label, int((width - 0.8) * _CHARACTERS), break_on_hyphens=False)
            axes.set_xlabel("\n".join(lines))
        figure.align_ylabels()
        if handles:
            figure.legend(
                list(handles.values()),
                [f" {label}" if label.startswith("_") else label for label in handles],
                loc="outside upper left",
                ncols=_columns(named, width),
                frameon=False,
            )
    return figure


def _cut(text: str, most: int) -> str:
    """The end of a text, in which names of runs differ, where it has no room."""
    return text if len(text) <= most else "…" + text[1 - most :]


def _legend(drawing: Drawing) -> list[str]:
    labels = [line.label for panel in drawing.panels for line in panel.lines]
    labels += [marks.label for panel in drawing.panels for marks in panel.marks]
    return list(dict.fromkeys(label for label in labels if label))


def _columns(labels: list[str], width: float) -> int:
    """So many labels have room beside each other."""
    longest = max((len(label) for label in labels), default=1)
    return max(1, min(len(labels), int(width / (0.45 + 0.07 * longest))))


def _draw(figure: Any, axes: Any, panel: Panel, handles: dict[str, Any]) -> None:
    if panel.heat is not None:
        _draw_heat(figure, axes, panel.heat)
    else:
        axes.grid(visible=True, color="#E5E5E5", linewidth=0.6)
    for line in panel.lines:
        drawn = _draw_line(axes, line)
        if line.label:
            handles.setdefault(line.label, drawn)
    for marks in panel.marks:
        (drawn,) = axes.plot(
            marks.x, np.zeros(len(marks.x)), "x" if marks.symbol == "x" else "v", color="black",
            markersize=5, clip_on=False, transform=axes.get_xaxis_transform(), zorder=5,
        )  # fmt: skip
        handles.setdefault(marks.label, drawn)
    axes.set_ylabel(panel.label)
    if not panel.x_label:
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.xaxis.get_major_locator().set_params(integer=True)
    if panel.square:
        axes.set_aspect("equal", adjustable="datalim")
    if panel.scale == "log":
        _scale_by_decades(axes)
    if panel.ticks is not None:
        axes.set_yticks([at for at, _ in panel.ticks], [text for _, text in panel.ticks])
        axes.tick_params(axis="y", length=0)
    if panel.low is not None:
        axes.set_ylim(bottom=panel.low)
    if panel.falling:
        axes.invert_yaxis()


def _draw_line(axes: Any, line: Line) -> Any:
    looks: dict[str, Any] = {"color": line.colour, "linestyle": _DASHES[line.dash]}
    if line.style == "faint":
        return axes.plot(line.x, line.y, color=line.colour, alpha=0.3, linewidth=0.5)[0]
    if line.style == "limit":
        looks["linewidth"] = 1.1
        return axes.plot(line.x, line.y, drawstyle="steps-post", zorder=2.5, **looks)[0]
    if line.style == "line":
        return axes.plot(line.x, line.y, linewidth=1.3, **looks)[0]
    if line.style == "hollow":
        hollow = {"markerfacecolor": "white", "markeredgecolor": line.colour, "zorder": 4}
        return axes.plot(line.x, line.y, "o", markersize=3.5, **hollow)[0]
    if line.style == "path":
        (way,) = axes.plot(line.x, line.y, linewidth=1.2, zorder=3, **looks)
        ends = {"markeredgecolor": line.colour, "markersize": 4, "zorder": 4}
        axes.plot(line.x[:1], line.y[:1], "o", markerfacecolor="none", **ends)
        axes.plot(line.x[-1:], line.y[-1:], "o", markerfacecolor=line.colour, **ends)
        return way
    if line.style == "scatter":
        looks |= {"linestyle": "none", "zorder": 5}
    return axes.errorbar(
        line.x, line.y, yerr=line.error, marker="o", markersize=3, linewidth=1.0,
        elinewidth=0.9, capsize=2.0, **looks,
    )  # fmt: skip


def _scale_by_decades(axes: Any) -> None:
    """A logarithmic axis, its ticks written in characters that need no typesetting."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axes.set_yscale("log")
    low, high = axes.get_ylim()
    decades = np.log10(high / low)
    axes.yaxis.set_major_locator(LogLocator(numticks=8))
    axes.yaxis.set_major_formatter(lambda value, _: power_of_ten(round(np.log10(value))))
    axes.yaxis.set_minor_formatter(NullFormatter())
    if decades < 2:
        axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
        axes.yaxis.set_minor_formatter(lambda value, _: shown(value))
        axes.yaxis.set_major_formatter(lambda value, _: shown(value))


def _draw_heat(figure: Any, axes: Any, heat: Heat) -> None:
    import matplotlib as mpl
    from matplotlib.colors import ListedColormap

    low, high = heat.ends
    shades = heat.shades
    colours = mpl.colormaps["RdBu_r" if heat.colours == "RdBu" else heat.colours]
    mesh = axes.pcolormesh(
        heat.x_edges, heat.y_edges, np.ma.masked_invalid(shades), vmin=low, vmax=high,
        cmap=colours.with_extremes(bad=NOTHING), rasterized=True,
    )  # fmt: skip
    if heat.contours and high > low:
        with mpl.rc_context({"contour.negative_linestyle": "solid"}):
            axes.contour(
                *heat.centres, np.ma.masked_invalid(shades), levels=heat.levels, colors="white",
                linewidths=0.5,
            )  # fmt: skip
    lost = np.isinf(heat.values)
    if lost.any():
        axes.pcolormesh(
            heat.x_edges, heat.y_edges, np.ma.masked_where(~lost, lost),
            cmap=ListedColormap([ALARM]), rasterized=True,
        )  # fmt: skip
    beyond = _beyond(heat)
    bar = figure.colorbar(mesh, ax=axes, label=heat.label, extend=beyond, pad=0.015, aspect=25)
    bar.set_ticks([at for at, _ in heat.ticks], labels=[text for _, text in heat.ticks])
    bar.outline.set_visible(False)


def _beyond(heat: Heat) -> str:
    """At which ends of the colours there are values beyond them."""
    finite = heat.values[np.isfinite(heat.values)]
    if not len(finite):
        return "neither"
    ends = bool(finite.min() < heat.low), bool(finite.max() > heat.high * (1 + 1e-9))
    return {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[ends]
