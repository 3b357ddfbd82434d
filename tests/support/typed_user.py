"""A user's program, all in types: mypy reads it, nobody runs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tbgrad


def told(alert: tbgrad.Alert) -> None:
    """What an alert has."""
    step: int = alert.first_step
    print(alert.rule, alert.severity, alert.parameters, step, alert.evidence, alert.advice)


def watched(model: Any, x: NDArray[np.float32], y: NDArray[np.float32]) -> None:
    """A `fit` with all arguments."""
    curvature = tbgrad.Curvature(data=(x, y), every=500, k=2, trace=True, density_every=5000)
    monitor = tbgrad.GradientMonitor(
        "runs/a",
        every={0: 1, 1000: 10},
        curvature=curvature,
        include="*/kernel",
        on_alert=told,
        alerts=tbgrad.AlertSettings(dead_units=0.9),
        stop_on={"nonfinite"},
        sensitivity=tbgrad.Sensitivity((x[:8], y[:8]), every=500),
    )
    stopping = tbgrad.GradientNormEarlyStopping(threshold=1e-3, patience=200, monitor=monitor)
    model.fit(x, y, callbacks=[monitor, stopping])
    print(monitor.latest, monitor.directory, stopping.stopped_step)


def looped(model: Any, loss: Callable[[], Any]) -> tbgrad.CurvatureEstimate | None:
    """A loop of one's own."""
    with tbgrad.GradientSummaryWriter("runs/b", model.trainable_variables) as writer:
        writer.observe([], loss=1.0)
        writer.validation_loss(0.5)
        return writer.curvature(loss)


def read() -> float:
    """Logs."""
    runs: dict[str, tbgrad.Run] = tbgrad.read("runs")
    series: tbgrad.Series = runs["a"]["gradient/norm"]
    window: tbgrad.Buckets = series.window(1, 10)
    manifest: tbgrad.Manifest | None = runs["a"].manifest
    first: tbgrad.Parameter | None = manifest.parameters[0] if manifest else None
    log = tbgrad.LogDirectory("runs")
    changed: set[str] = log.poll()
    print(first, changed)
    run = runs["a"]
    points: list[tbgrad.Extreme] = run.smallest("gradient/norm", 5)
    layer: tbgrad.Layer = run.layer("conv_1")
    histogram: tbgrad.Histogram = run.histogram("conv_1/kernel", points[0].step)
    alerts: tuple[tbgrad.Alert, ...] = run.alerts
    print(layer.norm.values, histogram.counts, alerts, run.threshold.values, points[0].loss)
    tbgrad.figure(runs, "scalars", tags=["loss"]).show()
    return float(window.maximum.max())


def curved(loss: Callable[[], Any], variables: list[Any]) -> NDArray[np.float64]:
    """The Hessian."""
    operator = tbgrad.hessian.HessianOperator(loss, variables)
    top = tbgrad.hessian.eigenvalues(operator, k=3, which="LA")
    print(top.residuals, top.converged, tbgrad.hessian.trace(operator).standard_error)
    return top.values


def stopped(loss: Callable[[], Any], variables: list[Any]) -> str:
    """Where training stopped."""
    found: tbgrad.CriticalPoint = tbgrad.find_critical_point(loss, variables)
    more = tbgrad.analysis.find_critical_points(loss, variables, starts=[found.point])
    return f"{found.kind} {found.index} {more[0].eigenvalues}"


def small(model: Any, x: Any, y: Any) -> float:
    """The gradient over all samples."""
    check: tbgrad.GradientCheck = tbgrad.gradient_check(model, x, y)
    return check.norm / check.noise
