"""Extreme eigenvalues of the Hessian over the steps, and the density of all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rich.style import Style

from tbgrad.log.records import CurvatureEstimate, Eigenvalue
from tbgrad.log.text import measured, percent_between, rounded
from tbgrad_tui import facts
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.canvas import Box, Canvas
from tbgrad_tui.chart.line import Curve, draw_chart
from tbgrad_tui.chart.text import number
from tbgrad_tui.widgets.chart_panel import ChartPanel, Words, write_legend, write_wrapped

TWO_CHARTS = 12
"""From so many rows on there is room for two charts of eigenvalues."""

DENSITY_ROWS = 20
"""From so many rows on there is room for the spectral density below the eigenvalues."""


class CurvaturePanel(ChartPanel):
    """Extreme Hessian eigenvalues with their error bounds, and the threshold of stability."""

    @property
    def titles(self) -> tuple[str, ...]:
        """Its name, with the kind of axis where there is room."""
        return self.with_axis("Curvature")

    def headline(self) -> tuple[str, Style]:
        """The newest largest eigenvalue."""
        newest = self._newest()
        if newest is None:
            return "", colours.TEXT
        value, _ = rounded(newest.lambda_max.value, newest.lambda_max.residual)
        return f"λmax {value}", colours.STRONG

    def _newest(self) -> CurvatureEstimate | None:
        estimates = facts.curvature_estimates(self.run)[1] if self.run else []
        return estimates[-1] if estimates else None

    def draw_content(self, canvas: Canvas, box: Box) -> None:
        """The newest estimate in words, then the chart."""
        if self.run is None:
            return
        steps, estimates = facts.curvature_estimates(self.run)
        if not estimates:
            _draw_absence(canvas, box)
            return
        density = facts.spectral_density(self.run)
        if density is not None and box.height >= DENSITY_ROWS:
            below = box.height * 2 // 5
            _draw_density(canvas, box.inside(0, box.height - below, 0, 0), *density)
            box = box.inside(0, 0, 0, below)
        used = _write_words(canvas, box, steps, estimates)
        chart = box.inside(0, used, 0, 0)
        doubtful = np.array([not e.converged for e in estimates])
        curves = [
            _eigenvalues(steps, [e.lambda_min for e in estimates], colours.SECOND, doubtful),
            _eigenvalues(steps, [e.lambda_max for e in estimates], colours.MAIN, doubtful),
        ]
        level = estimates[-1].stability_threshold
        if estimates[-1].preconditioned is not None:
            # Of an adaptive optimizer the threshold bounds the eigenvalues of another matrix.
            bounded = [e.preconditioned for e in estimates]
            chart = self._draw_bounded(canvas, chart, steps, bounded, doubtful, level)
            level = None
        self.chart(canvas, chart, curves, log=self.log_axis, level=level)

    def _draw_bounded(
        self,
        canvas: Canvas,
        box: Box,
        steps: NDArray[np.int64],
        values: Sequence[Eigenvalue | None],
        doubtful: NDArray[np.bool_],
        level: float | None,
    ) -> Box:
        """The preconditioned eigenvalues and their threshold in a chart of their own.

        What room is left for the others; where there is none, they are in the words above.
        """
        above = box.height // 2 if box.height >= TWO_CHARTS else 0
        below = box.inside(0, above, 0, 0)
        if below.height >= 5:
            names = [("preconditioned λmax", colours.PRECONDITIONED), ("limit", colours.THRESHOLD)]
            write_legend(canvas, below, names)
            below = below.inside(0, 1, 0, 0)
        curve = _eigenvalues(steps, values, colours.PRECONDITIONED, doubtful)
        self.chart(canvas, below, [curve], log=self.log_axis, level=level)
        return box.rows(0, above)


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


def _draw_density(
    canvas: Canvas,
    box: Box,
    step: int,
    grid: NDArray[np.float64],
    density: NDArray[np.float64],
) -> None:
    """How the eigenvalues are spread, on a logarithmic axis: outliers are a small share."""
    write_legend(canvas, box, [(f"spectral density at step {step:,} (log)", colours.MAIN)])
    # Below that there are only the tails of the Gaussians that stand for eigenvalues.
    density = np.where(density > 1e-6 * density.max(), density, np.nan)
    shown = np.isfinite(density)
    curve = Curve(grid[shown], density[shown])
    draw_chart(canvas, box.inside(0, 1, 0, 0), [curve], log=True, over_steps=False)


def _draw_absence(canvas: Canvas, box: Box) -> None:
    lines = (
        "no curvature logged:",
        "GradientMonitor(",
        "  curvature=Curvature(",
        "    data=(x, y)))",
    )
    for row, line in enumerate(lines[: box.height]):
        canvas.write(box.x, box.y + row, line, colours.QUIET, box.width)


def curvature_words(estimate: CurvatureEstimate, *, narrow: bool = False) -> Words:
    """An estimate in a few phrases: "λmax 41.2 ± 0.8", "threshold 76", "stability 0.54", …

    Where it is `narrow` and not all will fit, what the numbers mean comes before the threshold.
    """
    top, bottom = estimate.lambda_max, estimate.lambda_min
    words = [(f"λmax {measured(top.value, top.residual)}", colours.MAIN)]
    threshold: Words = [("no threshold known", colours.QUIET)]
    verdict: Words = []
    if estimate.stability_threshold is not None:
        threshold = [(f"threshold {number(estimate.stability_threshold)}", colours.THRESHOLD)]
        if estimate.preconditioned is not None:
            bounded = measured(estimate.preconditioned.value, estimate.preconditioned.residual)
            threshold.insert(0, (f"preconditioned λmax {bounded}", colours.PRECONDITIONED))
        place, meaning = facts.stability_words(estimate)
        if meaning:
            style = colours.STANDINGS[place]
            verdict = [(f"stability {estimate.stability:.2f}", style), (meaning, style)]
    words += verdict + threshold if narrow else threshold + verdict
    if not estimate.converged:
        words.insert(1 if narrow else len(words), ("○ not converged", colours.WARNING))
    words.append((f"λmin {measured(bottom.value, bottom.residual)}", colours.SECOND))
    return words


def _share_words(steps: NDArray[np.int64], estimates: list[CurvatureEstimate]) -> Words:
    """The newest count of eigenvalues above zero, which comes less often than an estimate."""
    for step, estimate in zip(steps[::-1].tolist(), reversed(estimates), strict=True):
        if estimate.minimum_ratio is not None:
            at = "" if estimate is estimates[-1] else f" at step {step:,}"
            share = percent_between(estimate.minimum_ratio)
            return [(f"above zero {share}{at}", colours.TEXT)]
    return []


def _write_words(
    canvas: Canvas, box: Box, steps: NDArray[np.int64], estimates: list[CurvatureEstimate]
) -> int:
    """Write the newest estimate over as many rows as the height allows; the rows used."""
    estimate, step = estimates[-1], int(steps[-1])
    words = curvature_words(estimate, narrow=box.width < 32) + _share_words(steps, estimates)
    if box.height >= 12:
        doubtful = sum(not e.converged for e in estimates)
        if doubtful:
            words.append((f"○ {doubtful} of {len(estimates)} not converged", colours.WARNING))
        if estimate.threshold_formula:
            words.append((f"threshold = {estimate.threshold_formula}", colours.QUIET))
        words.append((f"step {step:,}, {estimate.hvps} products", colours.QUIET))
        words.append((f"{number(estimate.seconds, 2)} s", colours.QUIET))
    return write_wrapped(canvas, box, words, max(1, min(5, (box.height - 1) // 3)), " · ")
