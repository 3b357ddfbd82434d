"""Estimates of the curvature, and densities of the Hessian's eigenvalues."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from tbgrad.diagnosis import standing
from tbgrad.log.decode import decode_density
from tbgrad.log.records import CurvatureEstimate
from tbgrad.log.tags import (
    CURVATURE,
    DENSITY,
    GRADIENT_NORM,
    LOSS,
    MANIFEST,
    PLUGIN_NAME,
    STEPS_PLUGIN_NAME,
    FormatError,
    Kind,
)
from tbgrad.plugin.answer import listed, numbers
from tbgrad.plugin.source import SCALARS_PLUGIN, Snapshot
from tbgrad.plugin.stored_run import read_run
from tbgrad.reading.estimates import EstimateAge, age_of_estimate
from tbgrad.reading.run import Run
from tbgrad.reading.series import Series

MAX_ESTIMATES = 2000
"""The newest: a training that estimates every 500 steps has as many after a million."""


def curvature(snapshot: Snapshot, run: str) -> dict[str, Any]:
    """Every curvature estimate; of the densities the first and the newest."""
    stored = read_run(snapshot, run, (MANIFEST, CURVATURE, DENSITY))
    problems = list(stored.problems)
    series = stored.run.get(CURVATURE)
    densities = stored.run.get(DENSITY)
    age = _age(snapshot, run, stored.run) if series else None
    return {
        "run": run,
        "estimates": _estimates(series) if series else [],
        "age": age._asdict() if age is not None else None,
        "densities": _densities(densities, problems) if densities else [],
        "stored": len(series) if series else 0,
        "problems": listed(problems),
    }


def _age(snapshot: Snapshot, name: str, run: Run) -> EstimateAge | None:
    """How old the newest estimate is, by the newest step and values of the run."""
    place = snapshot.place(name)
    plugins = (SCALARS_PLUGIN, PLUGIN_NAME, STEPS_PLUGIN_NAME)
    ends = [end for plugin in plugins for end in snapshot.extents(plugin, place).values()]
    newest = snapshot.read([place], SCALARS_PLUGIN, (LOSS, GRADIENT_NORM), 1)[0]
    scalars = {
        tag: Series(Kind.SCALAR, one.steps, one.wall_times, np.array(one.values, np.float64))
        for tag, one in newest.items()
    }
    whole = replace(run, series={**run.series, **scalars})
    return age_of_estimate(whole, max(end.last_step for end in ends))


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
