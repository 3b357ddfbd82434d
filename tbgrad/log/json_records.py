"""From the JSON of a packed series to its record; what does not fit the format is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tbgrad.log.analyses import analysis_of
from tbgrad.log.batches import Batches
from tbgrad.log.json_numbers import number, share
from tbgrad.log.records import (
    FORMAT_VERSION,
    SEVERITIES,
    Alert,
    CurvatureEstimate,
    Eigenvalue,
    HistogramBins,
    Manifest,
    Parameter,
)
from tbgrad.log.state import RUNNING, STATUSES, Hyperparameter, RunState
from tbgrad.log.tags import ALERTS, ANALYSES, CURVATURE, HEARTBEAT, MANIFEST, STATE, Kind

MAX_PARAMETERS = 1_000_000
"""More rows than this in a manifest are taken for damage, not for a model."""

MAX_DEPTH = 16
"""Settings nested deeper than this are taken for damage, not for an optimizer."""


def holds_json(tag: str) -> bool:
    """Whether a series is one of JSON."""
    return tag in JSON_TAGS or tag.startswith(ANALYSES)


def record_of(tag: str, text: str | bytes) -> tuple[Kind, Any]:
    """What a series of JSON holds.

    Raises:
        ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError: it is not
            what the format says.
    """
    kind, build = JSON_TAGS.get(tag, (Kind.ANALYSIS, analysis_of))
    return kind, build(json.loads(text))


def _manifest(content: Any) -> Manifest:
    rows, statistics = content["parameters"], content["statistics"]
    if not isinstance(rows, list) or len(rows) > MAX_PARAMETERS:
        raise ValueError("the list of parameters is missing or too long")
    if not isinstance(statistics, list):
        raise TypeError("the statistics are not a list")
    return Manifest(
        parameters=tuple(
            Parameter(
                path=str(row["path"]),
                layer=str(row.get("layer", "")),
                shape=tuple(int(length) for length in row.get("shape", ())),
                size=_size(row.get("size", 0)),
                dtype=str(row.get("dtype", "")),
                role=str(row.get("role", "other")),
                activation=str(row.get("activation", "")),
                full_path=str(row.get("full_path", "")),
                initializer=str(row.get("initializer", "")),
                regularizer=str(row.get("regularizer", "")),
                normalization=str(row.get("normalization", "")),
            )
            for row in rows
        ),
        statistics=tuple(str(name) for name in statistics),
        histogram_bins=_bins(content.get("histogram_edges", ())),
        optimizer=_settings(content.get("optimizer", {})),
        cadences={str(k): int(v) for k, v in content.get("cadences", {}).items()},
        frozen=tuple(str(layer) for layer in content.get("frozen", ())),
        rules=tuple(str(rule) for rule in content.get("rules", ())),
        group=str(content.get("group", "")),
        first_step=int(content.get("first_step", 0)),
        loss=str(content.get("loss", "")),
        logits=_flag(content.get("logits")),
        output_activation=str(content.get("output_activation", "")),
        output_units=int(content.get("output_units", 0)),
        dropout=float(content.get("dropout", 0.0)),
        dropout_of=str(content.get("dropout_of", "")),
        batches=tuple(_batches(stretch) for stretch in content.get("batches", ())),
        format_version=int(content.get("format_version", FORMAT_VERSION)),
    )


def _flag(content: Any) -> bool | None:
    return content if isinstance(content, bool) else None


def _batches(content: Any) -> Batches:
    names = ("batch_size", "samples", "steps_per_epoch")
    return Batches(int(content["first_step"]), *(_size(content.get(name, 0)) for name in names))


def _size(content: Any) -> int:
    size = int(content)
    if not 0 <= size < 2**63:
        raise ValueError("a size is out of range")
    return size


def _bins(content: Any) -> HistogramBins:
    edges = np.array(content, dtype=np.float64)
    if edges.ndim != 1 or not np.isfinite(edges).all() or (np.diff(edges, prepend=0.0) <= 0).any():
        raise ValueError("histogram edges are not positive and rising")
    return HistogramBins(tuple(edges.tolist()))


def _settings(content: Any) -> dict[str, object]:
    if not isinstance(content, dict) or not _shallow(content, MAX_DEPTH):
        raise ValueError("the settings of the optimizer are not an object, or nested too deep")
    return content


def _shallow(content: Any, depth: int) -> bool:
    if not isinstance(content, dict | list):
        return True
    items = content.values() if isinstance(content, dict) else content
    return depth > 0 and all(_shallow(item, depth - 1) for item in items)


def _curvature(content: Any) -> CurvatureEstimate:
    if not content["eigenvalues"]:
        raise ValueError("no eigenvalues")
    threshold = content.get("stability_threshold")
    preconditioned = content.get("preconditioned")
    return CurvatureEstimate(
        eigenvalues=tuple(_eigenvalue(e) for e in content["eigenvalues"]),
        converged=bool(content["converged"]),
        hvps=int(content.get("hvps", 0)),
        seconds=number(content.get("seconds")),
        loss=number(content.get("loss")),
        samples=int(content.get("samples", 0)),
        stability_threshold=None if threshold is None else float(threshold),
        threshold_formula=str(content.get("threshold_formula", "")),
        preconditioned=None if preconditioned is None else _eigenvalue(preconditioned),
        trace=number(content.get("trace")),
        trace_error=number(content.get("trace_error")),
        method=str(content.get("method", "")),
        minimum_ratio=share(content.get("minimum_ratio")),
        negative_fraction=share(content.get("negative_fraction")),
        zero_fraction=share(content.get("zero_fraction")),
    )


def _eigenvalue(content: Any) -> Eigenvalue:
    return Eigenvalue(number(content["value"]), number(content["residual"]))


def _alerts(content: Any) -> tuple[Alert, ...]:
    if not isinstance(content, list):
        raise TypeError("the alerts are not a list")
    return tuple(_alert(row) for row in content)


def _alert(row: Any) -> Alert:
    if row["severity"] not in SEVERITIES:
        raise ValueError("an alert has an unknown severity")
    if row["state"] not in ("open", "closed"):
        raise ValueError("an alert is neither open nor closed")
    return Alert(
        rule=str(row["rule"]),
        severity=row["severity"],
        parameters=tuple(str(path) for path in row.get("parameters", ())),
        first_step=int(row["first_step"]),
        last_step=int(row["last_step"]),
        state=row["state"],
        evidence=str(row.get("evidence", "")),
        causes=tuple(str(cause) for cause in row.get("causes", ())),
        advice=str(row.get("advice", "")),
        next_advice=str(row.get("next_advice", "")),
        headline=str(row.get("headline", "")),
        threshold=_threshold(row.get("threshold")),
    )


def _threshold(value: Any) -> float | None:
    found = number(value)
    return found if math.isfinite(found) else None


def _state(content: Any) -> RunState:
    if content.get("status", RUNNING) not in STATUSES:
        raise ValueError("a state is none that is known")
    kinds: dict[str, Callable[[Any], Any]] = {
        "status": str,
        "started": float,
        "heartbeat": float,
        "doing": str,
        "exception": str,
        "pace": number,
        "recent": number,
        "host": str,
        "hparams": _hparams,
        "versions": lambda versions: {str(k): str(v) for k, v in versions.items()},
        "resources": lambda numbers: {str(k): number(v) for k, v in numbers.items()},
        **dict.fromkeys(("step", "epoch", "steps", "epochs", "steps_per_epoch", "pid"), int),
    }
    return RunState(
        **{name: read(content[name]) for name, read in kinds.items() if name in content}
    )


def _hparams(content: Any) -> dict[str, Hyperparameter]:
    for value in content.values():
        if not isinstance(value, str | bool | int | float | None):
            raise TypeError("a hyperparameter is neither text nor a number")
    return {name: math.nan if value is None else value for name, value in content.items()}


JSON_TAGS: dict[str, tuple[Kind, Callable[[Any], Any]]] = {
    MANIFEST: (Kind.MANIFEST, _manifest),
    CURVATURE: (Kind.CURVATURE, _curvature),
    ALERTS: (Kind.ALERTS, _alerts),
    STATE: (Kind.STATE, _state),
    HEARTBEAT: (Kind.HEARTBEAT, _state),
}
