"""A run as rows of one long table, and as JSON: what an export writes, whatever the file is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.analyses import content_of
from tbgrad.log.decode import decode_density
from tbgrad.log.encode import to_jsonable
from tbgrad.log.records import CurvatureEstimate
from tbgrad.log.tags import DENSITY, FormatError, Kind
from tbgrad.reading.histogram import bins_in_use
from tbgrad.reading.run import Run
from tbgrad.reading.series import Norms, Series

COLUMNS = {
    "run": str,
    "tag": str,
    "step": int,
    "wall_time": float,
    "parameter": str,
    "statistic": str,
    "left": float,
    "right": float,
    "value": float,
    "text": str,
}
"""Columns of the long table and their types. `value` is the number; `parameter` and `statistic` say
of what, where a series holds several; `left` and `right` are the edges of a histogram's bin, or the
place on the axis of a density; `text` is what is no number (notes, and alerts as JSON), and all
digits of integers that a float64 does not hold."""

MAX_ROWS = 100_000

Block = dict[str, Any]
"""Rows: an array, or one value for all, by the name of the column; `step` is always an array."""


def blocks(run: Run, tag: str) -> Iterator[Block]:
    """The rows of a series, at most about MAX_ROWS at a time."""
    series = run[tag]
    kind = _DENSITY if tag == DENSITY else series.kind
    for part in _parts(series):
        for block in _MAKERS.get(kind, _tensors)(run, series, part):
            if len(block["step"]):
                yield {"run": run.name, "tag": tag, **block}


def records(run: Run, tag: str) -> Iterator[dict[str, Any]]:
    """The values of a series one by one, as JSON holds them: NaN is null, infinities are words."""
    series = run[tag]
    values = series.values
    for i, (step, wall_time) in enumerate(
        zip(series.steps.tolist(), series.wall_times.tolist(), strict=True)
    ):
        value = to_jsonable(_as_json(run, series, values[i]))
        yield {"run": run.name, "tag": tag, "step": step, "wall_time": wall_time, "value": value}


def arrays(run: Run, tag: str) -> Iterator[tuple[str, NDArray[Any]]]:
    """A series as named arrays without Python objects in them; records are JSON texts."""
    series = run[tag]
    yield "steps", series.steps
    yield "wall_times", series.wall_times
    values = series.values
    if values.dtype == object:
        texts = [json.dumps(to_jsonable(_as_json(run, series, value))) for value in values]
        values = np.array(texts, dtype=np.str_)
    yield "values", values
    if series.kind is Kind.STEPS and series.buckets is not None:
        yield "first_steps", series.buckets.first_steps
        yield "minimum", series.buckets.minimum
        yield "mean", series.buckets.mean
    if series.kind is Kind.STEPS:
        yield "parameters", np.array(run.names, dtype=np.str_)
    if series.kind in (Kind.PARAMETERS, Kind.HISTOGRAMS):
        yield "parameters", np.array(run.names, dtype=np.str_)
        assert run.manifest is not None
        if series.kind is Kind.PARAMETERS:
            yield "statistics", np.array(run.manifest.statistics, dtype=np.str_)
        else:
            yield "bins", run.manifest.histogram_bins.bounds


def _parts(series: Series) -> Iterator[slice]:
    """Parts of a series that make about MAX_ROWS rows each."""
    first = series.first_value
    numbers = max(1, first.size if isinstance(first, np.ndarray) else 1)
    stride = max(1, MAX_ROWS // numbers)
    for start in range(0, len(series), stride):
        yield slice(start, min(start + stride, len(series)))


def _scalars(_: Run, series: Series, part: slice) -> Iterator[Block]:
    values = series.values[part]
    whole = {}
    if values.dtype.kind in "iu":  # their digits, where a column of float64 rounds them
        whole["text"] = np.array([str(value) for value in values.tolist()], dtype=object)
    yield {
        "step": series.steps[part],
        "wall_time": series.wall_times[part],
        "value": values,
        **whole,
    }


def _parameters(run: Run, series: Series, part: slice) -> Iterator[Block]:
    assert run.manifest is not None
    values = series.values[part]
    count, rows, width = values.shape
    yield {
        "step": np.repeat(series.steps[part], rows * width),
        "wall_time": np.repeat(series.wall_times[part], rows * width),
        "parameter": np.tile(np.repeat(np.array(run.names, dtype=object), width), count),
        "statistic": np.tile(np.array(run.manifest.statistics, dtype=object), count * rows),
        "value": values.reshape(-1),
    }


def _steps(run: Run, series: Series, part: slice) -> Iterator[Block]:
    """The norm of every parameter at every step; of windows their extremes and their mean."""
    points = series.points
    if series.buckets is None:
        norms = points.part(part) if isinstance(points, Norms) else series.values[part]
        shown = {"norm": norms}
    else:
        shown = {
            name: getattr(series.buckets, name)[part] for name in ("minimum", "mean", "maximum")
        }
    for statistic, norms in shown.items():
        count, rows = norms.shape
        yield {
            "step": np.repeat(series.steps[part], rows),
            "wall_time": np.repeat(series.wall_times[part], rows),
            "parameter": np.tile(np.array(run.names, dtype=object), count),
            "statistic": statistic,
            "value": norms.reshape(-1),
        }


def _histograms(run: Run, series: Series, part: slice) -> Iterator[Block]:
    at, row, left, right, counts = bins_in_use(run, series, part)
    yield {
        "step": series.steps[part][at],
        "wall_time": series.wall_times[part][at],
        "parameter": np.array(run.names, dtype=object)[row],
        "statistic": "count",
        "left": left,
        "right": right,
        "value": counts,
    }


def _histogram(_: Run, series: Series, part: slice) -> Iterator[Block]:
    parts = series.values[part]
    lengths = [len(part) for part in parts]
    buckets = np.concatenate(parts) if sum(lengths) else np.zeros((0, 3))
    yield {
        "step": np.repeat(series.steps[part], lengths),
        "wall_time": np.repeat(series.wall_times[part], lengths),
        "statistic": "count",
        "left": buckets[:, 0],
        "right": buckets[:, 1],
        "value": buckets[:, 2],
    }


def _curvature(_: Run, series: Series, part: slice) -> Iterator[Block]:
    for i in range(part.start, part.stop):
        said = _numbers(series.values[i])
        yield {
            "step": np.full(len(said), series.steps[i]),
            "wall_time": series.wall_times[i],
            "statistic": np.array(list(said), dtype=object),
            "value": np.array(list(said.values()), dtype=np.float64),
        }


def _numbers(estimate: CurvatureEstimate) -> dict[str, float]:
    said: dict[str, float] = {}
    for i, eigenvalue in enumerate(estimate.eigenvalues, start=1):
        said |= {f"eigenvalue {i}": eigenvalue.value, f"residual {i}": eigenvalue.residual}
    if estimate.preconditioned is not None:
        said["preconditioned eigenvalue"] = estimate.preconditioned.value
        said["preconditioned residual"] = estimate.preconditioned.residual
    if estimate.stability_threshold is not None:
        said["stability threshold"] = estimate.stability_threshold
    for name in ("minimum_ratio", "negative_fraction", "zero_fraction"):
        if (share := getattr(estimate, name)) is not None:
            words = name.replace("_", " ")
            said |= {words: share.value, f"{words} low": share.low, f"{words} high": share.high}
    said |= {name: float(getattr(estimate, name)) for name in ("converged", "hvps", "seconds")}
    return said | {"loss": estimate.loss, "samples": float(estimate.samples)}


def _texts(run: Run, series: Series, part: slice) -> Iterator[Block]:
    texts = series.values[part].tolist()
    if series.kind in (Kind.ALERTS, Kind.ANALYSIS):
        texts = [json.dumps(to_jsonable(_as_json(run, series, value))) for value in texts]
    yield {
        "step": series.steps[part],
        "wall_time": series.wall_times[part],
        "text": np.array(texts, dtype=object),
    }


def _density(_: Run, series: Series, part: slice) -> Iterator[Block]:
    for i in range(part.start, part.stop):
        try:
            grid, density = decode_density(series.values[i])
        except FormatError:
            continue
        yield {
            "step": np.full(len(grid), series.steps[i]),
            "wall_time": series.wall_times[i],
            "statistic": "density",
            "left": grid,
            "right": grid,
            "value": density,
        }


def _tensors(_: Run, series: Series, part: slice) -> Iterator[Block]:
    for i in range(part.start, part.stop):
        tensor = np.asarray(series.values[i])
        places = [",".join(map(str, place)) for place in np.ndindex(tensor.shape)]
        yield {
            "step": np.full(tensor.size, series.steps[i]),
            "wall_time": series.wall_times[i],
            "statistic": np.array([f"[{place}]" for place in places], dtype=object),
            "value": tensor.reshape(-1),
        }


_DENSITY = "density"
_MAKERS: dict[Kind | str, Callable[[Run, Series, slice], Iterator[Block]]] = {
    _DENSITY: _density,
    Kind.SCALAR: _scalars,
    Kind.PARAMETERS: _parameters,
    Kind.STEPS: _steps,
    Kind.HISTOGRAMS: _histograms,
    Kind.HISTOGRAM: _histogram,
    Kind.CURVATURE: _curvature,
    Kind.TEXT: _texts,
    Kind.ALERTS: _texts,
    Kind.ANALYSIS: _texts,
}


def _as_json(run: Run, series: Series, value: Any) -> Any:
    """One value of a series as lists, objects, numbers and texts."""
    if series.kind is Kind.PARAMETERS:
        assert run.manifest is not None
        statistics = run.manifest.statistics
        return {
            name: dict(zip(statistics, row, strict=True))
            for name, row in zip(run.names, value.tolist(), strict=True)
        }
    if series.kind is Kind.STEPS:
        return dict(zip(run.names, value.tolist(), strict=True))
    if series.kind is Kind.HISTOGRAMS:
        assert run.manifest is not None
        bounds = np.vstack([run.manifest.histogram_bins.bounds, [np.nan, np.nan]])
        return {
            name: [[*bounds[i].tolist(), int(counts[i])] for i in np.flatnonzero(counts)]
            for name, counts in zip(run.names, value, strict=True)
        }
    if series.kind is Kind.CURVATURE:
        return asdict(value)
    if series.kind is Kind.ALERTS:
        return [asdict(alert) for alert in value]
    if series.kind is Kind.ANALYSIS:
        return content_of(value)
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
