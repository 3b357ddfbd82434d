"""Histories by hand: what a run logs record by record, and what the rules say of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from tbgrad.diagnosis import AlertSettings, Diagnosis, Record
from tbgrad.log.records import STATISTICS, Alert, Manifest, Parameter

LAYERS = 4


def made(activation: str = "relu", layers: int = LAYERS) -> Manifest:
    """Dense layers of 16 units, kernel and bias each."""
    rows = []
    for i in range(layers):
        for role, shape in (("kernel", (16, 16)), ("bias", (16,))):
            layer = f"dense_{i}"
            size = int(np.prod(shape))
            rows.append(
                Parameter(f"{layer}/{role}", layer, shape, size, "float32", role, activation)
            )
    return Manifest(parameters=tuple(rows))


RELU, TANH = made(), made("tanh")


def table(**columns: Any) -> np.ndarray:
    """A healthy record: norms of 1, weights of 4 (one a column), updates of a thousandth."""
    rows = max((len(v) for v in columns.values() if np.ndim(v)), default=2 * LAYERS)
    found = np.zeros((rows, len(STATISTICS)), np.float32)
    usual = {"norm": 1, "norm_max": 1, "weight_norm": 4, "update_norm": 4e-3, "cosine": 0.4}
    for name, values in (usual | columns).items():
        found[:, STATISTICS.index(name)] = values
    return found


def of_kernels(*values: float) -> list[float]:
    """These values in the rows of the kernels, and in those of the biases behind them."""
    return [value for value in values for _ in range(2)]


def alerts(
    steps: Any, scalars: Any = None, columns: Any = None, manifest: Manifest = RELU,
    settings: AlertSettings | None = None, curvature: Any = None,
) -> list[Alert]:  # fmt: skip
    """Those that open; scalars, columns and curvature are functions of the step."""
    diagnosis, opened = Diagnosis(settings), {}
    for step in steps:
        usual = {"loss": 2.0 * 0.98**step, "gradient/norm_max": 1.0, "learning_rate": 0.1}
        record = Record(
            step,
            usual | (scalars(step) if scalars else {}),
            table(**(columns(step) if columns else {})),
            manifest,
            curvature(step) if curvature else None,
        )
        for alert in diagnosis.update(record):
            opened.setdefault((alert.rule, alert.parameters), alert)
    assert diagnosis.failures == []
    return list(opened.values())


def one(found: list[Alert], rule: str) -> Alert:
    (alert,) = found
    assert alert.rule == rule
    assert alert.causes
    assert alert.advice
    return alert


def of(found: list[Alert], rule: str) -> Alert:
    """The one of a rule, among others."""
    (alert,) = [alert for alert in found if alert.rule == rule]
    assert alert.causes
    assert alert.advice
    assert alert.headline
    assert "; " not in alert.advice
    return alert


def noise(step: int) -> float:
    return float(np.random.default_rng(step).normal())
