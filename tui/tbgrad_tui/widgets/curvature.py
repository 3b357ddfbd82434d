"""Extreme eigenvalues of the Hessian over the steps, beside their limit, and how all are spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.style import Style

from tbgrad.diagnosis.settings import AlertSettings
from tbgrad.diagnosis.stability import NEAR
from tbgrad.log.records import CurvatureEstimate, Eigenvalue
from tbgrad.log.share import Share
from tbgrad.log.tags import LAMBDA_MAX, LAMBDA_MIN, NEGATIVE_FRACTION, STABILITY, TRACE
from tbgrad.log.text import rounded
from tbgrad.reading.estimates import age_of_estimate
from tbgrad.reading.run import Run
from tbgrad_tui import facts
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.canvas import Box, Canvas
from tbgrad_tui.chart.line import Curve, draw_chart
from tbgrad_tui.widgets.chart_panel import ChartPanel, Words, write_legend, write_wrapped
from tbgrad_tui.widgets.curvature_words import (
    NOW,
    cost_words,
    curvature_words,
    spread_words,
)
from tbgrad_tui.widgets.timeline import nearest

ROWS = 5
"""A chart beside others takes at least so many rows, its name among them."""

COLUMN = 60
"""From twice as many columns on charts stand beside one another."""


@dataclass(frozen=True)
class Chart:
    """One chart of the panel: names of its curves, these, a level that matters to them, and a band
    about it."""

    names: Words
    curves: Sequence[Curve]
    level: float | None = None
    band: tuple[float, float] | None = None
    over_steps: bool = True


class CurvaturePanel(ChartPanel):
    """Eigenvalues over their limit, with error bars; where there is room, all that is known."""

    def tags(self) -> tuple[str, ...]:
        """All that is known of the curvature."""
        return LAMBDA_MAX, LAMBDA_MIN, STABILITY, TRACE, NEGATIVE_FRACTION

    @property
    def titles(self) -> tuple[str, ...]:
        """Its name, with the kind of axis where there is room."""
        known = self._newest()
        if known is None or not np.isfinite(known.stability):
            return self.with_axis("Curvature")
        return (*self.with_axis("Curvature: λ/limit"), "Curvature", "λ/limit")

    def headline(self) -> tuple[str, Style]:
        """λ over its limit, else the largest eigenvalue: the newest, or that at the cursor.

        Grey where the newest is stale.
        """
        newest, cursor = self._newest(), self.view.cursor
        if newest is None or self.run is None:
            return "", colours.TEXT
        age = age_of_estimate(self.run)
        style = colours.QUIET if age is not None and age.stale else colours.STRONG
        where = ""
        if cursor is not None:
            steps, estimates = facts.curvature_estimates(self.run)
            at = nearest(steps, cursor)
            newest, where, style = estimates[at], f" @{int(steps[at]):,}", colours.STRONG
        if np.isfinite(newest.stability):
            return f"{newest.stability:.2f}{where}", style
        value, _ = rounded(newest.lambda_max.value, newest.lambda_max.residual)
        return f"λmax {value}{where}", style

    def _newest(self) -> CurvatureEstimate | None:
        estimates = facts.curvature_estimates(self.run)[1] if self.run else []
        return estimates[-1] if estimates else None

    def draw_content(self, canvas: Canvas, box: Box) -> None:
        """The newest estimate in words, then as many charts as there is room for."""
        if self.run is None:
            return
        steps, estimates = facts.curvature_estimates(self.run)
        if not estimates:
            _draw_absence(canvas, box)
            return
        used = _write_words(canvas, box, self.run, steps, estimates)
        body = box.inside(0, used, 0, 0)
        charts = charts_of(self.run, steps, estimates)
        across = 2 if body.width >= 2 * COLUMN and len(charts) > 1 else 1
        down = max(1, min(-(-len(charts) // across), body.height // ROWS))
        charts = charts[: across * down]
        width = body.width // across
        for i, chart in enumerate(charts):
            row, column = divmod(i, across)
            top, bottom = body.height * row // down, body.height * (row + 1) // down
            alone = i == len(charts) - 1 and column == 0  # the last one has the row for itself
            place = Box(
                body.x + column * width,
                body.y + top,
                body.width if alone else width - (2 if column + 1 < across else 0),
                bottom - top,
            )
            self._draw(canvas, place, chart, named=len(charts) > 1)

    def _draw(self, canvas: Canvas, box: Box, chart: Chart, *, named: bool) -> None:
        if named:
            write_legend(canvas, box, chart.names)
            box = box.inside(0, 1, 0, 0)
        log = self.log_axis or not chart.over_steps
        if chart.over_steps:
            level, band = chart.level, chart.band
            self.chart(canvas, box, chart.curves, log=log, level=level, band=band)
        else:
            draw_chart(canvas, box, chart.curves, log=log, over_steps=False)


def charts_of(
    run: Run, steps: NDArray[np.int64], estimates: Sequence[CurvatureEstimate]
) -> list[Chart]:
    """All that the estimates of a run give to see, what matters most ahead.

    λ over its limit; the eigenvalues; the spectral density; the share below zero; the trace.
    """
    doubtful = np.array([not e.converged for e in estimates])
    charts = []
    ratio = np.array([e.stability for e in estimates])
    if np.isfinite(ratio).any():
        bounded = [e.preconditioned or e.lambda_max for e in estimates]
        limits = np.array([e.stability_threshold or np.nan for e in estimates])
        errors = np.array([value.residual for value in bounded]) / limits
        style = colours.PRECONDITIONED if estimates[-1].preconditioned else colours.MAIN
        what = "preconditioned λmax" if estimates[-1].preconditioned else "λmax"
        names = [(f"{what} / limit", style), ("╌ unstable above 1", colours.THRESHOLD)]
        names.append((" at the edge ", colours.BAND + colours.THRESHOLD))
        known = np.isfinite(ratio)
        curve = Curve(steps[known], ratio[known], style, errors[known], doubtful[known], True)
        charts.append(Chart(names, [curve], 1.0, (NEAR, AlertSettings.stability)))
    extremes = [
        _eigenvalues(steps, [e.lambda_min for e in estimates], colours.SECOND, doubtful),
        _eigenvalues(steps, [e.lambda_max for e in estimates], colours.MAIN, doubtful),
    ]
    charts.append(Chart([("λmax", colours.MAIN), ("λmin", colours.SECOND)], extremes))
    if (density := facts.spectral_density(run)) is not None:
        charts.append(_density(*density))
    below = [(step, e.negative_fraction) for step, e in zip(steps, estimates, strict=True)]
    shares = [(step, share) for step, share in below if share is not None]
    if shares:
        names = [("share of eigenvalues below zero", colours.SECOND)]
        charts.append(Chart(names, [_shares(shares)]))
    traces = np.array([e.trace for e in estimates])
    if (there := np.isfinite(traces)).any():
        errors = np.array([e.trace_error for e in estimates])[there]
        curve = Curve(steps[there], traces[there], errors=np.nan_to_num(errors), show_points=True)
        charts.append(Chart([("trace", colours.MAIN)], [curve]))
    return charts


def _shares(shares: Sequence[tuple[int, Share]]) -> Curve:
    """Shares with the intervals that hold them."""
    return Curve(
        np.array([step for step, _ in shares]),
        np.array([share.value for _, share in shares]),
        colours.SECOND,
        errors=np.array([(share.high - share.low) / 2 for _, share in shares]),
        show_points=True,
    )


def _eigenvalues(
    steps: NDArray[np.int64],
    values: Sequence[Eigenvalue | None],
    style: Style,
    doubtful: NDArray[np.bool_],
) -> Curve:
    """A curve with error bars, of the estimates that have this eigenvalue."""
    there = np.array([value is not None for value in values], dtype=np.bool_)
    known = [value for value in values if value is not None]
    return Curve(
        steps[there],
        np.array([value.value for value in known]),
        style,
        errors=np.array([value.residual for value in known]),
        doubtful=doubtful[there],
        show_points=True,
    )


def _density(step: int, grid: NDArray[np.float64], density: NDArray[np.float64]) -> Chart:
    """How the eigenvalues are spread, on a logarithmic axis: outliers are a small share."""
    # Below that there are only the tails of the Gaussians that stand for eigenvalues.
    density = np.where(density > 1e-6 * density.max(), density, np.nan)
    shown = np.isfinite(density)
    names = [(f"spectral density at step {step:,} (log)", colours.MAIN)]
    return Chart(names, [Curve(grid[shown], density[shown])], over_steps=False)


def _draw_absence(canvas: Canvas, box: Box) -> None:
    lines = (
        "no curvature logged:",
        "GradientMonitor(",
        "  curvature=Curvature(",
        "    data=(x, y)))",
    )
    for row, line in enumerate(lines[: box.height]):
        canvas.write(box.x, box.y + row, line, colours.QUIET, box.width)


def _write_words(
    canvas: Canvas,
    box: Box,
    run: Run,
    steps: NDArray[np.int64],
    estimates: list[CurvatureEstimate],
) -> int:
    """Write the newest estimate over as many rows as the height allows; the rows used."""
    estimate, step = estimates[-1], int(steps[-1])
    age = age_of_estimate(run) or NOW
    words = curvature_words(estimate, age=age, narrow=box.width < 40)
    words += spread_words(steps.tolist(), estimates)
    if box.height >= 12:
        doubtful = sum(not e.converged for e in estimates)
        if doubtful:
            words.append((f"○ {doubtful} of {len(estimates)} not converged", colours.WARNING))
        if estimate.threshold_formula:
            words.append((f"limit = {estimate.threshold_formula}", colours.QUIET))
        words.append((f"step {step:,}", colours.QUIET))
        words += cost_words(run, estimates)
    return write_wrapped(canvas, box, words, max(1, min(5, (box.height - 1) // 3)), " · ")
