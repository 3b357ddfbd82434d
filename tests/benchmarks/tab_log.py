"""The log that the tab is measured on: runs of a transformer that never was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from tbgrad.diagnosis import RULE_NAMES
from tbgrad.log import encode
from tbgrad.log.append import EventFileWriter
from tbgrad.log.records import (
    STATISTICS,
    Alert,
    CurvatureEstimate,
    Eigenvalue,
    Manifest,
    Parameter,
)
from tbgrad.log.state import FINISHED, RunState
from tbgrad.log.tags import (
    GRADIENT_NORM_MAX,
    LAMBDA_MAX,
    STABILITY,
    UPDATE_RATIO,
    VALIDATION_LOSS,
)
from tbgrad.monitoring.step_log import StepLog
from tests.support.logs import EPOCH
from tests.support.steps import part, synthetic

DISTINCT = 4
"""Runs with values of their own; the others have the same, and settings of their own."""

PARTS = ("attention/query", "attention/key", "attention/value", "attention/output", "mlp/in")
HISTOGRAMS_EVERY = 50
ESTIMATES_EVERY = 100
VALIDATIONS_EVERY = 25
PACE = 0.01


def write_log(root: Path, runs: int, parameters: int, logged: int, every: int = 10) -> list[str]:
    """Write so many runs of so many parameters, each with `logged` steps out of `every` times more.

    Every step is on file too, as the monitor writes it. Returns the names of the runs.
    """
    names = []
    for i in range(runs):
        name = f"sweep/lr{0.1 / (1 + i):.4g}-width64-seed{i % 3}"
        names.append(name)
        if i < DISTINCT:
            _write_training(root / name, parameters, logged, every, seed=i)
        else:
            (root / name).mkdir(parents=True)
            first = min((root / names[i % DISTINCT]).iterdir())
            (root / name / first.name).hardlink_to(first)
        _write_rest(root / name, i, logged * every)
    return names


def manifest_of(parameters: int, every: int = 10) -> Manifest:
    """Blocks of layers, kernel and bias each, by a writer that watches all rules."""
    described = []
    for i in range(parameters):
        block, place = divmod(i, 2 * len(PARTS))
        layer = f"decoder_block_{block}/{PARTS[place // 2]}"
        role, shape = (("kernel", (64, 64)), ("bias", (64,)))[place % 2]
        described.append(
            Parameter(f"{layer}/{role}", layer, shape, int(np.prod(shape)), "float32", role)
        )
    return Manifest(
        tuple(described),
        optimizer={"name": "Adam", "learning_rate": 1e-3},
        cadences={"every": every, "curvature_every": every * ESTIMATES_EVERY},
        rules=tuple(RULE_NAMES),
    )


def _write_training(root: Path, parameters: int, logged: int, every: int, seed: int) -> None:
    described = manifest_of(parameters, every)
    steps = synthetic(logged * every, parameters, seed=seed)
    rng = np.random.default_rng(seed)
    log = StepLog()
    with EventFileWriter(root, start_step=0) as file:
        file.add(0, [encode.manifest(described)], EPOCH)
        for at in range(0, len(steps), 250):
            drained = part(steps, at, at + 250)
            times = [EPOCH + step * PACE for step in (drained.first_step, drained.last_step)]
            for step, values in log.values(drained, *times):
                file.add(step, values, EPOCH + step * PACE)
            for i, step in enumerate(range(drained.first_step, drained.last_step + 1)):
                if step % every == 0:
                    scalars = [encode.scalar(t, float(v[i])) for t, v in drained.scalars.items()]
                    values = _logged(described, drained.norms[i], step // every, rng)
                    file.add(step, scalars + values, EPOCH + step * PACE)
        for step, values in log.finish():
            file.add(step, values, EPOCH + step * PACE)


def _logged(
    described: Manifest, norms: np.ndarray, number: int, rng: np.random.Generator
) -> list[encode.Value]:
    """What is logged of a step besides loss, rate and norm."""
    rows = len(norms)
    table = rng.lognormal(-3, 1, (rows, len(STATISTICS))).astype(np.float32)
    table[:, STATISTICS.index("norm")] = norms
    table[:, STATISTICS.index("nonfinite")] = 0
    table[:, STATISTICS.index("cosine")] = rng.uniform(-1, 1, rows)
    values = [
        encode.scalar(GRADIENT_NORM_MAX, float(norms.max())),
        encode.scalar(UPDATE_RATIO, float(rng.lognormal(-7, 0.3))),
        encode.parameters(table),
    ]
    if number % VALIDATIONS_EVERY == 0:
        values.append(encode.scalar(VALIDATION_LOSS, 1 + 1 / number))
    if number % HISTOGRAMS_EVERY == 0:
        counts = rng.poisson(3, (rows, described.histogram_bins.columns)).astype(np.int32)
        values.append(encode.histograms(counts))
    if number % ESTIMATES_EVERY == 0:
        top = 20 + 5 * rng.standard_normal()
        estimate = CurvatureEstimate(
            (Eigenvalue(top, 0.2), Eigenvalue(-1.5, 0.05)),
            True, 9, 0.2, 1.0, 256, 76.0, "(2 + 2 β) / η",
        )  # fmt: skip
        values.append(encode.curvature(estimate))
        values.append(encode.scalar(LAMBDA_MAX, top))
        values.append(encode.scalar(STABILITY, estimate.stability))
    return values


def _write_rest(root: Path, number: int, last: int) -> None:
    """The settings of a run, how it went, and of one in four what was wrong with it."""
    rate = 0.1 / (1 + number)
    state = RunState(
        FINISHED, EPOCH, 5.0, last, steps=last, hparams={"lr": rate, "seed": number % 3}
    )
    with EventFileWriter(root) as file:
        if number % 4 == 1:
            severity = "error" if number % 8 == 1 else "warning"
            told = Alert(
                "loss_diverging", severity, (), last // 2, last, "open",
                "the loss is twice what it was", ("the learning rate is too large",),
                "lower the learning rate",
            )  # fmt: skip
            file.add(last, [encode.alerts([replace(told, headline="the loss diverges")])], EPOCH)
        file.add(last, [encode.state(state)], EPOCH + last * PACE)
