"""Draws with Plotly, for notebooks."""

from __future__ import annotations

import html
from typing import Any

import numpy as np

from tbgrad.figures.drawing import ALARM, NOTHING, Drawing, Heat, Line, Panel

_PIXELS = 96
"""An inch."""

_ABOVE, _BELOW = 60, 60
"""Pixels for the legend and for the label of the steps."""

_WIDTHS = {"faint": 0.7, "line": 2.0, "points": 1.5, "limit": 1.5, "path": 1.5}
_MODES = {
    "points": "lines+markers", "path": "lines+markers", "hollow": "markers", "scatter": "markers",
}  # fmt: skip
_SYMBOLS = {"x": "x-thin-open", "triangle": "triangle-down"}
_GRID = {"showgrid": True, "gridcolor": "#E5E5E5"}


def drawn(drawing: Drawing) -> Any:
    """A `plotly.graph_objects.Figure`.

    Raises:
        ImportError: plotly is not installed.
    """
    from plotly import graph_objects
    from plotly.subplots import make_subplots

    heights = [panel.height for panel in drawing.panels]
    titled = any(panel.title for panel in drawing.panels)
    between = (0.4 if titled else 0.2) + (0.0 if drawing.over_steps else 0.6)
    whole = sum(heights) + between * (len(heights) - 1)
    figure = make_subplots(
        rows=len(heights),
        cols=1,
        shared_xaxes=drawing.over_steps,
        row_heights=heights,
        vertical_spacing=between / whole,
        subplot_titles=[_plain(panel.title) for panel in drawing.panels] if titled else None,
    )
    figure.update_annotations(x=0, xanchor="left", font_size=13)
    named: set[str] = set()
    for row, panel in enumerate(drawing.panels, start=1):
        if panel.heat is not None:
            _add_heat(graph_objects, figure, panel, panel.heat, row)
        for line in panel.lines:
            figure.add_trace(_trace(graph_objects, line, named), row=row, col=1)
        _add_marks(graph_objects, figure, panel, row, named)
        _shape_axis(figure, panel, row)
    for row, label in enumerate(drawing.x_labels, start=1):
        figure.update_xaxes(title_text=_plain(label), row=row, col=1)
    figure.update_xaxes(zeroline=False, tickformat=",d" if drawing.over_steps else None)
    above = 1 + (24 if titled else 4) / (_PIXELS * whole)
    figure.update_layout(
        template="simple_white",
        height=_PIXELS * whole + _ABOVE + _BELOW,
        legend={"orientation": "h", "x": 0, "y": above, "xanchor": "left", "yanchor": "bottom"},
        margin={"l": 70, "r": 20, "t": _ABOVE, "b": _BELOW},
        hovermode="closest",
    )
    return figure


def _plain(text: str) -> str:
    """Text as it stands: Plotly takes tags, and formulas between dollars, for markup."""
    return html.escape(text).replace("$", "&#36;")


def _trace(graph_objects: Any, line: Line, named: set[str]) -> Any:
    marker: dict[str, Any] = {"color": line.colour, "size": 6}
    if line.style == "hollow":
        marker = {"color": "white", "size": 7, "line": {"color": line.colour, "width": 1.5}}
    if line.style == "path":  # from a hollow end to a full one
        last = len(line.x) - 1
        marker["symbol"] = ["circle-open"] + ["circle"] * last
        marker["size"] = [8] + [0] * (last - 1) + [8] * min(last, 1)
    width = _WIDTHS.get(line.style, 0)
    mode = _MODES.get(line.style, "lines")
    first = bool(line.label) and line.label not in named
    named.add(line.label)
    # One trace of WebGL a line would soon be more than a browser has: these are thinned.
    return graph_objects.Scatter(
        x=line.x,
        y=line.y,
        mode=mode,
        name=_plain(line.label),
        legendgroup=_plain(line.label) or None,
        showlegend=first,
        opacity=0.35 if line.style == "faint" else 1.0,
        line={
            "color": line.colour,
            "width": width,
            "dash": line.dash,
            "shape": "hv" if line.style == "limit" else "linear",
        },
        marker=marker,
        error_y=None if line.error is None else {"type": "data", "array": line.error, "width": 3},
    )


def _add_heat(graph_objects: Any, figure: Any, panel: Panel, heat: Heat, row: int) -> None:
    low, high = heat.ends
    shades = heat.shades
    axis = figure.get_subplot(row, 1).yaxis
    where = "%{x:.3g}, %{y:.3g}" if panel.x_label else "step %{x}"
    figure.add_trace(
        graph_objects.Heatmap(
            x=heat.x_edges,
            y=heat.y_edges,
            z=np.where(np.isfinite(shades), shades, np.nan),
            customdata=heat.values,
            zmin=low,
            zmax=high,
            colorscale=heat.colours,
            reversescale=heat.colours == "RdBu",
            colorbar={
                "title": {"text": _plain(heat.label), "side": "right"},
                "tickvals": [at for at, _ in heat.ticks],
                "ticktext": [text for _, text in heat.ticks],
                "len": axis.domain[1] - axis.domain[0],
                "y": (axis.domain[0] + axis.domain[1]) / 2,
                "thickness": 12,
            },
            hovertemplate=f"{where}<br>%{{customdata:.3g}}<extra></extra>",
        ),
        row=row,
        col=1,
    )
    if heat.contours and high > low:
        _add_contours(graph_objects, figure, heat, row)
    _add_apart(graph_objects, figure, heat, row, where)


def _add_contours(graph_objects: Any, figure: Any, heat: Heat, row: int) -> None:
    """Lines of equal value over a heat map."""
    low, high = heat.ends
    shades = heat.shades
    across, up = heat.centres
    levels = heat.levels
    figure.add_trace(
        graph_objects.Contour(
            x=across,
            y=up,
            z=np.where(np.isfinite(shades), shades, np.nan),
            contours={
                "coloring": "none",
                "start": levels[0],
                "end": levels[-1],
                "size": (high - low) / (heat.contours + 1),
            },
            line={"color": "white", "width": 0.7},
            showscale=False,
            showlegend=False,
            hoverinfo="skip",
        ),
        row=row,
        col=1,
    )


def _add_apart(graph_objects: Any, figure: Any, heat: Heat, row: int, where: str) -> None:
    """Cells that have no colour of the bar."""
    apart = (
        (np.isnan(heat.values), NOTHING, "nothing"),
        (np.isinf(heat.values), ALARM, "not finite"),
    )
    for cells, colour, said in apart:
        if cells.any():
            figure.add_trace(
                graph_objects.Heatmap(
                    x=heat.x_edges,
                    y=heat.y_edges,
                    z=np.where(cells, 1.0, np.nan),
                    colorscale=[[0, colour], [1, colour]],
                    showscale=False,
                    hovertemplate=f"{where}<br>{said}<extra></extra>",
                ),
                row=row,
                col=1,
            )


def _add_marks(graph_objects: Any, figure: Any, panel: Panel, row: int, named: set[str]) -> None:
    """Crosses at the lower edge of a panel."""
    for marks in panel.marks:
        edge = _lower_edge(panel)
        figure.add_trace(
            graph_objects.Scatter(
                x=marks.x,
                y=np.full(len(marks.x), edge),
                mode="markers",
                name=_plain(marks.label),
                legendgroup=_plain(marks.label),
                showlegend=marks.label not in named,
                marker={"symbol": _SYMBOLS[marks.symbol], "color": "black", "size": 7},
                hovertemplate=f"step %{{x}}<extra>{_plain(marks.label)}</extra>",
            ),
            row=row,
            col=1,
        )
        named.add(marks.label)


def _lower_edge(panel: Panel) -> float:
    """A place below all that is drawn in a panel; at the edge of a heat map."""
    if panel.heat is not None:
        return float(panel.heat.y_edges[-1 if panel.falling else 0])
    values = np.concatenate([line.y[np.isfinite(line.y)] for line in panel.lines])
    if not len(values):
        return 1.0
    low, high = float(values.min()), float(values.max())
    return low * (low / high) ** 0.08 if panel.scale == "log" else low - 0.08 * (high - low)


def _shape_axis(figure: Any, panel: Panel, row: int) -> None:
    axis: dict[str, Any] = {"title_text": _plain(panel.label)}
    if panel.scale == "log":
        axis |= {"type": "log", "exponentformat": "power", **_GRID}
    elif panel.heat is None:
        axis |= {"zeroline": False, **_GRID}
    else:
        edges = panel.heat.y_edges[[0, -1]].tolist()
        axis |= {"range": edges[::-1] if panel.falling else edges, "ticks": ""}
    if panel.low is not None:
        axis |= {"rangemode": "tozero"}
    if panel.ticks is not None:
        axis |= {
            "tickvals": [at for at, _ in panel.ticks],
            "ticktext": [_plain(text) for _, text in panel.ticks],
        }
    if panel.square:
        axis |= {"scaleanchor": f"x{row if row > 1 else ''}"}
    figure.update_yaxes(**axis, row=row, col=1)
    if panel.heat is None:
        figure.update_xaxes(**_GRID, row=row, col=1)
