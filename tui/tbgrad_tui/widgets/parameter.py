"""The selected parameter: its statistics, its norm over the steps, its histogram."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from rich.style import Style

from tbgrad.log.records import Parameter
from tbgrad.log.statistics import statistic_of
from tbgrad.log.tags import HISTOGRAMS, PARAMETERS
from tbgrad.reading.layer_history import MEASURES, has_every_step, nonfinite_marks, peak_norms
from tbgrad.reading.run import Run
from tbgrad_tui import facts
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.canvas import Box, Canvas
from tbgrad_tui.chart.histogram import draw_histogram
from tbgrad_tui.chart.line import Curve
from tbgrad_tui.chart.text import clean, number, percent
from tbgrad_tui.widgets.chart_panel import ChartPanel, Words, write_wrapped


class ParameterPanel(ChartPanel):
    """Everything that is known of one parameter."""

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.log_axis = True
        self.row = 0

    def show_row(self, run: Run | None, row: int) -> None:
        """Show parameter number `row` of a run."""
        self.run, self.row = run, row
        self.redraw()

    def _parameter(self) -> Parameter | None:
        rows = self.run.parameters if self.run else ()
        return rows[self.row] if self.row < len(rows) else None

    @property
    def titles(self) -> tuple[str, ...]:
        """Its name, whole where there is room."""
        names = self.run.names if self.run else ()
        if self.row >= len(names):
            return ("Parameter",)
        return names[self.row], names[self.row][len(facts.common_scope(names)) :]

    def headline(self) -> tuple[str, Style]:
        """Its shape."""
        parameter = self._parameter()
        if parameter is None or not parameter.shape:
            return "", colours.QUIET
        return "×".join(str(length) for length in parameter.shape), colours.TEXT

    def draw_content(self, canvas: Canvas, box: Box) -> None:
        """Statistics in words, curve, histogram, counts in words."""
        run, parameter = self.run, self._parameter()
        if run is None or parameter is None or facts.layer_history(run, MEASURES["norm"]) is None:
            canvas.write(box.x, box.y, "no parameter to show yet", colours.QUIET, box.width)
            return
        words = statistics_words(facts.row_values(run, self.row), parameter)
        rows = max(1, min(4, box.height // 5))
        if facts.is_rounding(run)[self.row]:
            words.insert(0, ("gradient is zero but for rounding", colours.QUIET))
        if (alert := facts.alerts_by_name(run).get(run.names[self.row])) is not None:
            mark, style = colours.SEVERITIES[alert.severity]
            words.insert(0, (f"{mark} {clean(alert.rule)} (a)", style))
            rows += 1
        used = write_wrapped(canvas, box, words, rows)
        rest = box.inside(0, used, 0, 0)
        with_histogram = rest.height >= 8 and _has_histogram(run, self.row)
        share = (rest.height + 1) // 2 if with_histogram else rest.height
        self._draw_norm(canvas, rest.rows(0, share), run)
        if with_histogram:
            self._draw_histogram(canvas, rest.inside(0, share, 0, 0), run)

    def _draw_norm(self, canvas: Canvas, box: Box, run: Run) -> None:
        curves = self._curves(run)
        label = "gradient norm (log)" if self.log_axis else "gradient norm"
        if box.height >= 5:
            canvas.write(box.x, box.y, label, colours.TITLE, box.width)
            box = box.inside(0, 1, 0, 0)
        if not len(curves[-1].steps):
            canvas.write(box.x, box.y, "no gradient reaches it", colours.WARNING, box.width)
            return
        self.chart(canvas, box, curves, log=self.log_axis)

    def _curves(self, run: Run) -> list[Curve]:
        """The norm where there was a gradient; of a log without every step its peaks behind it."""
        if has_every_step(run):
            series = run.norm(run.names[self.row])
            present = ~np.isnan(series.values)
            return [Curve(series.steps[present], series.values[present], colours.MAIN)]
        steps = run[PARAMETERS].steps
        row = slice(self.row, self.row + 1)
        norm = run.statistic("norm")[:, self.row].astype(np.float64)
        peak = peak_norms(run, row)[:, 0].astype(np.float64)
        lost = nonfinite_marks(run, row)[:, 0]
        present = lost | ~np.isnan(norm)
        norm[lost] = np.inf
        return [
            Curve(steps[present], np.where(lost, np.nan, peak)[present], colours.BEHIND),
            Curve(steps[present], norm[present], colours.MAIN),
        ]

    def _draw_histogram(self, canvas: Canvas, box: Box, run: Run) -> None:
        series = run[HISTOGRAMS]
        assert run.manifest is not None
        # A parameter that is not trained any more has its newest histogram further back.
        newest = int(np.flatnonzero(series.values[:, self.row].any(axis=1))[-1])
        counts = series.values[newest, self.row]
        name = "gradient values" if box.width >= 32 else "values"
        x = canvas.write(box.x, box.y, name, colours.TITLE, box.width)
        step = f" at step {int(series.steps[newest]):,}"
        canvas.write(x, box.y, step, colours.QUIET, box.x + box.width - x)
        edges = run.manifest.histogram_bins.edges
        bottom = 1 if box.height >= 5 else 0
        draw_histogram(canvas, box.inside(0, 1, 0, bottom), counts, edges)
        if bottom:
            words = histogram_words(counts, edges)
            write_wrapped(canvas, box.inside(0, box.height - 1, 0, 0), words, 1)


def _has_histogram(run: Run, row: int) -> bool:
    series = run.get(HISTOGRAMS)
    return series is not None and run.manifest is not None and bool(series.values[:, row].any())


def statistics_words(values: Mapping[str, float], parameter: Parameter) -> Words:
    """The newest statistics in short phrases, in the order of the log; what is NaN is left out."""
    ratio = values.get("update_norm", math.nan) / (values.get("weight_norm") or math.nan)
    phrases: list[tuple[str, str]] = []
    lost: Words = []
    for name, value in values.items():
        statistic = statistic_of(name)
        if statistic.scale == "count":
            if value > 0:
                lost.append((f"{int(value):,} {statistic.label}", colours.ALERT))
        elif statistic.scale == "unit":
            phrases.append((statistic.label, percent(value)))
        else:
            phrases.append((statistic.label, number(value)))
    phrases.insert(1, ("update/weight", number(ratio, 2)))
    words: Words = [
        (f"{name} {value}", colours.TEXT) for name, value in phrases if value not in ("nan", "–")
    ]
    described = f"{parameter.size:,} {parameter.role} {parameter.dtype}"
    return [*lost, *words, (described, colours.QUIET)]


def histogram_words(counts: np.ndarray, edges: tuple[float, ...]) -> Words:
    """The columns of a histogram that have no place on its axis, in words."""
    middle = len(edges) + 1
    total = max(1, int(counts.sum()))
    lost = int(counts[-1])
    beyond = int(counts[0]) + int(counts[-2])
    tiny = int(counts[middle - 1]) + int(counts[middle + 1])
    words: Words = [(f"zero {percent(int(counts[middle]) / total)}", colours.WARNING)]
    if lost:
        words.insert(0, (f"not finite {lost:,}", colours.ALERT))
    if tiny:
        words.append((f"below {edges[0]:.0e}: {tiny:,}", colours.TEXT))
    if beyond:
        words.append((f"above {edges[-1]:,.0f}: {beyond:,}", colours.ALERT))
    words.append((f"{total:,} values", colours.QUIET))
    return words
