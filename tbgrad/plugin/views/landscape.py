"""What was found around the weights of a run: landscapes, critical points, the gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.analyses import CriticalPoints
from tbgrad.log.gradient_check import GradientCheck
from tbgrad.log.landscape import Axis, Landscape
from tbgrad.log.tags import ANALYSES, PLUGIN_NAME
from tbgrad.plugin.answer import digest, evenly, listed, numbers
from tbgrad.plugin.samples import UnknownNameError
from tbgrad.plugin.source import Snapshot
from tbgrad.plugin.stored_paths import has_path, revision_of
from tbgrad.plugin.stored_run import StoredRun, read_run
from tbgrad.reading.findings import (
    COLUMNS,
    CONTOURS,
    NOTHING,
    check_words,
    is_wide,
    kind_of,
    landscape_headline,
    landscape_words,
    layers_by_norm,
    point_cells,
    spectrum_title,
)

MAX_FINDINGS = 200
MAX_SIDE = 150
"""Points of a plane along an axis: a screen shows no more, and so an answer is below 300 kB."""

MAX_LINE = 4000
MAX_PATH = 1000
MAX_ROWS = 1000
MAX_LAYERS = 500


def findings(snapshot: Snapshot, run: str) -> dict[str, Any]:
    """What there is to be seen of a run, by name."""
    stored = _stored(snapshot, run)
    has_own = has_path(snapshot, run)
    found = stored.run.analyses
    return {
        "run": run,
        "findings": [
            {"name": name, "kind": kind_of(one), **_last(stored, name)}
            for name, one in list(found.items())[:MAX_FINDINGS]
        ],
        "stored": len(found),
        "trajectories": digest([revision_of(snapshot, [run])]) if has_own else "",
        "nothing": list(NOTHING),
        "problems": listed(stored.problems),
    }


def finding(snapshot: Snapshot, run: str, name: str, point: int = 1) -> dict[str, Any]:
    """One finding; of critical points with the spectrum of that of this number."""
    stored = _stored(snapshot, run)
    found = stored.run.analyses.get(name)
    if found is None:
        known = ", ".join(stored.run.analyses) or "none at all"
        raise UnknownNameError(f"run {run!r} has no finding {name[:80]!r}; it has {known[:300]}")
    shown: dict[str, Any]
    if isinstance(found, Landscape):
        shown = _landscape(found)
    elif isinstance(found, GradientCheck):
        shown = _check(found)
    elif point > len(found):
        raise UnknownNameError(f"{name!r} has {len(found):,} points, and none of number {point:,}")
    else:
        shown = _points(found, point - 1)
    return {"run": run, "name": name, "kind": kind_of(found), **_last(stored, name), **shown}


def _stored(snapshot: Snapshot, run: str) -> StoredRun:
    tags = snapshot.extents(PLUGIN_NAME, snapshot.place(run))
    return read_run(snapshot, run, sorted(tag for tag in tags if tag.startswith(ANALYSES)))


def _last(stored: StoredRun, name: str) -> dict[str, Any]:
    series = stored.run[ANALYSES + name]
    return {"step": int(series.steps[-1]), "wall_time": float(series.wall_times[-1])}


# ------------------------------------------------------------------------ lines and planes


def _landscape(found: Landscape) -> dict[str, Any]:
    most = MAX_SIDE if len(found.axes) == 2 else MAX_LINE
    keep = tuple(evenly(len(axis.coordinates), most) for axis in found.axes)

    def part(values: NDArray[Any]) -> NDArray[Any]:
        return values[np.ix_(*keep)]

    norm = found.gradient_norm
    value, where = found.lowest if found.evaluated.any() else (None, None)
    return {
        "headline": landscape_headline(found),
        "words": [phrase._asdict() for phrase in landscape_words(found)],
        "axes": [_axis(axis, kept) for axis, kept in zip(found.axes, keep, strict=True)],
        "points": [len(axis.coordinates) for axis in found.axes],
        "loss": numbers(part(found.loss).astype(np.float32)),
        "gradient_norm": None if norm is None else numbers(part(norm).astype(np.float32)),
        "interpolated": np.argwhere(~part(found.evaluated)).tolist(),
        "log": {
            "loss": is_wide(found.loss),
            "gradient_norm": norm is not None and is_wide(norm),
        },
        "contours": CONTOURS,
        "centre_loss": found.centre_loss,
        "lowest": None if where is None else {"loss": value, "place": list(where)},
        "barrier": found.barrier if found.has_barrier else None,
        "path": _path(found),
        "explained": list(found.explained),
        "samples": found.samples,
    }


def _axis(axis: Axis, keep: list[int]) -> dict[str, Any]:
    coordinates = numbers(axis.coordinates[keep])
    return {"label": axis.label, "coordinates": coordinates, "length": axis.length}


def _path(found: Landscape) -> dict[str, Any]:
    path = [found.path[i] for i in evenly(len(found.path), MAX_PATH)]
    return {
        "steps": [point.step for point in path],
        "places": [list(point.place) for point in path],
        "distances": [point.distance for point in path],
    }


# ------------------------------------------------------------------------ tables


def _points(found: CriticalPoints, chosen: int) -> dict[str, Any]:
    point = found[chosen]
    return {
        "columns": list(COLUMNS),
        "rows": [
            {
                "cells": list(point_cells(i, one)),
                "loss": one.loss,
                "minimum_ratio": _share(one.minimum_ratio),
            }
            for i, one in enumerate(found[:MAX_ROWS])
        ],
        "stored": len(found),
        "chosen": chosen + 1,
        "spectrum": {
            "title": spectrum_title(chosen, point),
            "eigenvalues": numbers(point.eigenvalues),
            "errors": numbers(point.errors),
        },
    }


def _share(share: Any) -> dict[str, float] | None:
    """A share that is known well enough to be drawn."""
    if share is None or not share.known:
        return None
    return {"value": share.value, "low": share.low, "high": share.high}


def _check(found: GradientCheck) -> dict[str, Any]:
    layers = layers_by_norm(found)
    return {
        "words": [{"text": text, "look": "plain"} for text in check_words(found)],
        "layers": [
            {"name": name, "norm": norm, "noise": noise}
            for name, norm, noise in layers[:MAX_LAYERS]
        ],
        "stored": len(layers),
        "norm": found.norm,
        "noise": found.noise,
    }
