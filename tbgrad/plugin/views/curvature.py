"""Estimates of the curvature, and densities of the Hessian's eigenvalues, one at a time."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

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
from tbgrad.plugin.answer import evenly, listed, numbers
from tbgrad.plugin.samples import SCALARS_PLUGIN
from tbgrad.plugin.source import Snapshot
from tbgrad.plugin.stored_run import read_run
from tbgrad.reading import thinning
from tbgrad.reading.estimates import EstimateAge, age_of_estimate
from tbgrad.reading.run import Run
from tbgrad.reading.series import Series

MAX_ESTIMATES = 2000
"""The newest: a training that estimates every 500 steps has as many after a million."""


MAX_DENSITIES = 2000
"""Of which the steps are told: more than a slider has places."""

MAX_GRID = 2000
"""Points of a density: more than a screen has pixels across a chart."""

_SERIES = (MANIFEST, CURVATURE, DENSITY)

Curve: TypeAlias = NDArray[np.float64]


def curvature(snapshot: Snapshot, run: str, times: str = "0") -> dict[str, Any]:
    """Every curvature estimate, and the steps at which there are densities."""
    stored = read_run(snapshot, run, _SERIES)
    problems = list(stored.problems)
    series = stored.run.get(CURVATURE)
    age = _age(snapshot, run, stored.run) if series else None
    steps = list(_densities(stored.run, problems))
    return {
        "run": run,
        "estimates": _estimates(series, times == "1") if series else [],
        "age": age._asdict() if age is not None else None,
        "density_steps": [steps[i] for i in evenly(len(steps), MAX_DENSITIES)],
        "stored": len(series) if series else 0,
        "problems": listed(problems),
    }


def density(
    snapshot: Snapshot, run: str, step: int | None = None, times: str = "0"
) -> dict[str, Any]:
    """The density that is nearest to a step, the newest without one; null where there is none."""
    read = read_run(snapshot, run, _SERIES).run
    found = _densities(read, [])
    if not found:
        return {"run": run, "density": None}
    steps = np.array(list(found))
    nearest = int(steps[-1] if step is None else steps[np.argmin(np.abs(steps - step))])
    at, grid, values = found[nearest]
    keep = thinning.extremes(values, MAX_GRID)
    time = {"wall_time": float(read[DENSITY].wall_times[at])} if times == "1" else {}
    # They are float32 in the log, and shorter so.
    curve = {
        "grid": numbers(grid[keep].astype(np.float32)),
        "density": numbers(values[keep].astype(np.float32)),
    }
    return {"run": run, "density": {"step": nearest, **time, **curve}}


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


def _estimates(series: Series, timed: bool) -> list[dict[str, Any]]:
    return [
        {
            "step": step,
            **({"wall_time": wall_time} if timed else {}),
            **asdict(estimate),
            "stability": estimate.stability,
            "standing": standing(estimate.stability),
        }
        for step, wall_time, estimate in zip(
            series.steps.tolist(), series.wall_times.tolist(), series.values, strict=True
        )
        if isinstance(estimate, CurvatureEstimate)
    ][-MAX_ESTIMATES:]


def _densities(run: Run, problems: list[str]) -> dict[int, tuple[int, Curve, Curve]]:
    """By step where it stands in the series, eigenvalues and density; of all that can be read."""
    found: dict[int, tuple[int, Curve, Curve]] = {}
    series = run.get(DENSITY)
    if series is None:
        return found
    for i, step in enumerate(series.steps.tolist()):
        try:
            found[step] = (i, *decode_density(series.values[i]))
        except FormatError as error:  # noqa: PERF203 - one misfit must not hide the others
            problems.append(f"step {step}: {error}")
    return found
