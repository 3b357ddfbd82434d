"""Estimates of the curvature, and densities of the Hessian's eigenvalues."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from tbgrad.diagnosis import standing
from tbgrad.log.decode import decode_density
from tbgrad.log.records import CurvatureEstimate
from tbgrad.log.tags import CURVATURE, DENSITY, FormatError
from tbgrad.plugin.answer import listed, numbers
from tbgrad.plugin.source import Snapshot
from tbgrad.plugin.stored_run import read_run
from tbgrad.reading.series import Series

MAX_ESTIMATES = 2000
"""The newest: a training that estimates every 500 steps has as many after a million."""


def curvature(snapshot: Snapshot, run: str) -> dict[str, Any]:
    """Every curvature estimate; of the densities the first and the newest."""
    stored = read_run(snapshot, run, (CURVATURE, DENSITY))
    problems = list(stored.problems)
    series = stored.run.get(CURVATURE)
    densities = stored.run.get(DENSITY)
    return {
        "run": run,
        "estimates": _estimates(series) if series else [],
        "densities": _densities(densities, problems) if densities else [],
        "stored": len(series) if series else 0,
        "problems": listed(problems),
    }


def _estimates(series: Series) -> list[dict[str, Any]]:
    return [
        {
            "step": step,
            "wall_time": wall_time,
            **asdict(estimate),
            "stability": estimate.stability,
            "standing": standing(estimate.stability),
        }
        for step, wall_time, estimate in zip(
            series.steps.tolist(), series.wall_times.tolist(), series.values, strict=True
        )
        if isinstance(estimate, CurvatureEstimate)
    ][-MAX_ESTIMATES:]


def _densities(series: Series, problems: list[str]) -> list[dict[str, Any]]:
    densities = []
    for i in sorted({0, len(series) - 1}):
        step = int(series.steps[i])
        try:
            grid, density = decode_density(series.values[i])
        except FormatError as error:
            problems.append(f"step {step}: {error}")
            continue
        densities.append(
            {
                "step": step,
                "wall_time": float(series.wall_times[i]),
                "grid": numbers(grid),
                "density": numbers(density),
            }
        )
    return densities
