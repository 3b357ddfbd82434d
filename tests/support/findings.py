"""Landscapes, critical points, a check of the gradient and trajectories of known content."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tbgrad.log import encode
from tbgrad.log.critical_point import CriticalPoint
from tbgrad.log.gradient_check import GradientCheck
from tbgrad.log.landscape import Axis, Landscape, PathPoint
from tbgrad.log.records import Manifest, Parameter
from tbgrad.log.share import Share
from tbgrad.log.weight_sketch import WeightSketch
from tests.support.events import PatientEventFileWriter as EventFileWriter
from tests.support.logs import EPOCH

LAST = 96


def plane() -> Landscape:
    """A valley, with a path that comes down into it; a corner is lost, a point interpolated."""
    x, y = np.linspace(-3, 1, 21), np.linspace(-1, 1, 15)
    loss = 0.01 + (x[:, np.newaxis] - y**2) ** 2 + 0.2 * y**2
    loss[-1, -1] = np.nan
    loss[0, 0] = np.inf
    evaluated = np.ones(loss.shape, bool)
    evaluated[-1, -1] = evaluated[3, 4] = False
    t = np.linspace(1, 0, 25)
    path = tuple(
        PathPoint(int(step), (-2.6 * s, 0.9 * np.sin(3 * s)), 0.1 * s)
        for step, s in zip(np.linspace(0, LAST, 25), t, strict=True)
    )
    axes = Axis("principal direction 1 of the training", x, 1.0), Axis("direction 2", y, 1.0)
    return Landscape(axes, loss, evaluated, 0.01, None, path, (0.8, 0.15), 640)


def line() -> Landscape:
    """Two basins with a barrier of 0.5 between them."""
    x = np.linspace(-0.25, 1.25, 31).round(12)
    loss = 0.1 + 8 * (x * (1 - x)) ** 2
    axis = Axis("from these weights (0) to those (1)", x, 12.5)
    norm = 1e-3 + np.abs(np.gradient(loss, x))
    return Landscape((axis,), loss, np.ones(31, bool), 0.1, norm, joins_two=True)


def critical_points() -> list[CriticalPoint]:
    """One of each kind; of the last only the extreme eigenvalues are known."""

    def point(kind, index, values, loss, *, exact=True, reason="converged"):
        values = np.array(values, float)
        share = float((values > 0).mean()) if len(values) else 0.0
        return CriticalPoint(
            kind=kind, index=index, index_is_exact=exact, gradient_norm=2e-8,
            norms=np.array([0.03, 1e-4, 2e-8]), loss=loss, eigenvalues=values,
            errors=np.full(len(values), 1e-6),
            minimum_ratio=Share.between(share - 0.01, share + 0.01) if len(values) else None,
            point=[], products=120, gradients=9, loss_steps=2, reason=reason, size=40,
        )  # fmt: skip

    falling = np.geomspace(20, 1e-4, 40)
    return [
        point("minimum", 0, falling, 0.012),
        point("saddle", 3, [*falling[:37], -0.01, -0.1, -0.5], 0.25),
        point("degenerate", 0, [*falling[:30], *np.zeros(10)], 0.02),
        point("not critical", None, [], 0.9, exact=False, reason="budget"),
        point("saddle", 1, [14.0, 3.0, 0.1, -2.0], 0.31, exact=False),
    ]


def gradient_check() -> GradientCheck:
    """Of two layers; a batch is ten times as far off as the gradient is long."""
    norms = {"dense/kernel": 0.03, "dense/bias": 0.004, "out/kernel": 0.04}
    layers = {"dense": float(np.hypot(0.03, 0.004)), "out": 0.04}
    noises = dict.fromkeys(norms, 0.3)
    return GradientCheck(0.012, 0.0502, norms, layers, 0.5, noises, 640, 32)


def write_findings(directory: Path, runs: int = 3) -> None:
    """Runs that went from one place to ends of their own; the first has all findings."""
    rows = (
        Parameter("dense/kernel", "dense", (6, 5), 30, "float32", "kernel"),
        Parameter("out/kernel", "out", (5, 2), 10, "float32", "kernel"),
    )
    sketch = WeightSketch(rows)
    rng = np.random.default_rng(0)
    start = rng.standard_normal(40)
    for number in range(runs):
        end, bend = rng.standard_normal((2, 40))
        with EventFileWriter(directory / f"seed{number}") as file:
            file.add(0, [encode.manifest(Manifest(rows))], EPOCH)
            for step in range(0, LAST + 1, 3):
                t = step / LAST
                weights = start * (1 - t) + (start + end) * t + bend * t * (1 - t)
                values = [encode.trajectory(sketch.of([weights[:30], weights[30:]]))]
                norms = np.full((2, 12), np.nan, np.float32)
                norms[:, 0] = 0.5 - 0.4 * t, 0.2
                values.append(encode.parameters(norms))
                for tag, value in (
                    ("loss", 2.3 * 0.1 ** (t * (number + 1))),
                    ("gradient/norm", 0.5),
                ):
                    values.append(encode.scalar(tag, value))
                file.add(step, values, EPOCH + step / 2)
            if number == 0:
                for name, found in (
                    ("line to seed1", line()),
                    ("plane of the path", plane()),
                    ("critical points", tuple(critical_points())),
                    ("gradient check", gradient_check()),
                ):
                    file.add(LAST, [encode.analysis(name, found)], EPOCH + LAST / 2)
