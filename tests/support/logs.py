"""Event files with known content, from the real writer: no TensorFlow, the same every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tbgrad.log import encode
from tbgrad.log.records import STATISTICS, CurvatureEstimate, Eigenvalue, Manifest, Parameter
from tbgrad.log.tags import (
    GRADIENT_NORM,
    GRADIENT_NORM_MAX,
    HISTOGRAM_PREFIX,
    LAMBDA_MAX,
    LAMBDA_MIN,
    LEARNING_RATE,
    LOSS,
    STABILITY,
    UPDATE_RATIO,
    in_group,
)
from tests.support.events import PatientEventFileWriter as EventFileWriter

EPOCH = 1_790_000_000.0


def manifest(layers: int = 4) -> Manifest:
    """Dense layers of falling width, kernel and bias each."""
    parameters = []
    for i in range(layers):
        width = 64 >> min(i, 4)
        for role, shape in (("kernel", (width, width // 2)), ("bias", (width // 2,))):
            parameters.append(
                Parameter(
                    path=f"dense_{i}/{role}",
                    layer=f"dense_{i}",
                    shape=shape,
                    size=int(np.prod(shape)),
                    dtype="float32",
                    role=role,
                )
            )
    return Manifest(
        parameters=tuple(parameters),
        optimizer={"name": "SGD", "learning_rate": 0.05, "momentum": 0.9},
        cadences={"every": 10, "histograms_every": 100, "curvature_every": 500},
    )


def write_groups(directory: Path) -> None:
    """Two groups of parameters in one run; the critic writes later."""
    write_run(directory, group="generator", layers=2)
    write_run(directory, group="critic", layers=3, every=20, at=EPOCH + 60, adaptive=True)


class _Named:
    """Puts the name of a group before the tags that it writes."""

    def __init__(self, file: EventFileWriter, group: str) -> None:
        self._file, self._group = file, group

    def add(self, step: int, values: list, wall_time: float) -> None:
        for value in values:
            value.tag = in_group(self._group, value.tag)
        self._file.add(step, values, wall_time)


def spectral_density(top: float) -> tuple[np.ndarray, np.ndarray]:
    """Nearly all eigenvalues about zero, one of a hundred at `top`, and some between."""
    grid = np.linspace(-0.1 * top, 1.1 * top, 201)
    centres, shares = (0.0, 0.4 * top, top), (0.97, 0.02, 0.01)
    width = 0.02 * top
    bumps = [
        share * np.exp(-0.5 * ((grid - centre) / width) ** 2) / (width * np.sqrt(2 * np.pi))
        for centre, share in zip(centres, shares, strict=True)
    ]
    return grid, np.sum(bumps, axis=0)


def write_run(
    directory: Path,
    *,
    steps: int = 1000,
    every: int = 10,
    layers: int = 4,
    at: float = EPOCH,
    group: str = "",
    adaptive: bool = False,
    density: bool = False,
) -> Manifest:
    """A run that trains well: falling loss and norms, curvature that rises to its threshold.

    It starts at the wall time `at`. The threshold of an `adaptive` optimizer is of the
    preconditioned Hessian. With `density` there are spectral densities too.
    """
    m = manifest(layers)
    rng = np.random.default_rng(7)
    with EventFileWriter(directory, start_step=None if group else 0) as file:
        writer = _Named(file, group)
        writer.add(0, [encode.manifest(m)], at)
        for step in range(every, steps + 1, every):
            progress = step / steps
            norm = 3.0 * np.exp(-4 * progress) * (1 + 0.1 * rng.standard_normal())
            columns = _columns(m, norm, progress)
            values = _scalars(norm, progress)
            values.append(encode.parameters(_table(m, columns)))
            if step % (every * 10) == 0:
                values += _histograms(m, columns, rng)
            if step % (every * 20) == 0:
                converged = step % (every * 60) != 0
                values += _curvature(20 + 50 * progress, converged, adaptive, density)
            writer.add(step, values, at + step * 0.05)
    return m


def _columns(m: Manifest, norm: float, progress: float) -> dict[str, np.ndarray]:
    """Statistics by name: the deeper a layer, the larger its gradient."""
    layers = len(m.parameters) // 2
    depth = np.repeat(np.arange(layers), 2)
    norms = norm * 10.0 ** (-0.7 * (layers - 1 - depth)) * np.tile([1.0, 0.3], layers)
    return {
        "norm": norms,
        "norm_max": norms * 1.2,
        "mean": norms * 1e-3,
        "std": norms / np.sqrt([p.size for p in m.parameters]),
        "abs_max": norms * 0.5,
        "zero_fraction": np.full(len(norms), 0.1),
        "dead_fraction": np.full(len(norms), 0.05),
        "nonfinite": np.zeros(len(norms)),
        "weight_norm": np.full(len(norms), 5.0),
        "update_norm": norms * 0.05,
        "cosine": np.full(len(norms), 0.5 - 0.4 * progress),
    }


def _table(m: Manifest, columns: dict[str, np.ndarray]) -> np.ndarray:
    table = np.full((len(m.parameters), len(STATISTICS)), np.nan, dtype=np.float32)
    for name, column in columns.items():
        table[:, m.column(name)] = column
    return table


def _scalars(norm: float, progress: float) -> list:
    return [
        encode.scalar(LOSS, 2.3 * np.exp(-3 * progress) + 0.02),
        encode.scalar(LEARNING_RATE, 0.05),
        encode.scalar(GRADIENT_NORM, norm),
        encode.scalar(GRADIENT_NORM_MAX, norm * 1.2),
        encode.scalar(UPDATE_RATIO, norm * 0.01),
    ]


def _histograms(m: Manifest, columns: dict[str, np.ndarray], rng: np.random.Generator) -> list:
    """Of normal gradients: all packed in one value, and one native value a parameter."""
    bins = m.histogram_bins
    counts = np.zeros((len(m.parameters), bins.columns), dtype=np.int32)
    for row, parameter in enumerate(m.parameters):
        sample = rng.standard_normal(parameter.size) * columns["std"][row]
        left = np.searchsorted(bins.bounds[:, 1], sample, side="right")
        np.add.at(counts[row], left, 1)
    native = [
        encode.histogram(
            HISTOGRAM_PREFIX + p.path,
            encode.native_buckets(counts[row], bins, columns["abs_max"][row]),
        )
        for row, p in enumerate(m.parameters)
    ]
    return [encode.histograms(counts), *native]


def _curvature(top: float, converged: bool, adaptive: bool, density: bool) -> list:
    """An estimate whose largest eigenvalue is `top`."""
    estimate = CurvatureEstimate(
        eigenvalues=(Eigenvalue(top, 0.02 * top), Eigenvalue(-1.5, 0.05)),
        converged=converged,
        hvps=9,
        seconds=0.2,
        loss=1.0,
        samples=256,
        stability_threshold=76.0,
        threshold_formula="(2 + 2 β) / η",
        preconditioned=Eigenvalue(top / 2, 0.01) if adaptive else None,
    )
    values = [
        encode.curvature(estimate),
        encode.scalar(LAMBDA_MAX, top),
        encode.scalar(LAMBDA_MIN, -1.5),
        encode.scalar(STABILITY, estimate.stability),
    ]
    if density:
        values.append(encode.density(*spectral_density(top)))
    return values
