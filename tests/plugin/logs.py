"""Logs that a well-behaved training would not write."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from tbgrad.diagnosis import RULE_NAMES
from tbgrad.log import encode
from tbgrad.log.gradient_check import GradientCheck
from tbgrad.log.records import (
    STATISTICS,
    Alert,
    CurvatureEstimate,
    Eigenvalue,
    HistogramBins,
    Manifest,
    Parameter,
)
from tbgrad.log.tags import GRADIENT_NORM, GRADIENT_NORM_MAX, LOSS
from tests.support import findings
from tests.support.events import PatientEventFileWriter as EventFileWriter
from tests.support.logs import EPOCH, manifest, write_run

EVIL = "<img src=x onerror=window.hacked=1>"
EVIL_PARAMETERS = (
    Parameter(f"{EVIL}/kernel", EVIL, (4, 3), 12, "float32", "kernel"),
    Parameter("a&lt;<b>b</b>\x1b[31m\u202e/bias", "b", (3,), 3, "float32", EVIL),
    Parameter("same", "", (), 1, "float32", "other"),
    Parameter("same", "", (), 1, "float32", "other"),
)


ALERTS = "alerts"
RULES = RULE_NAMES
"""All were watched: what such a log does not say is not there."""


def alert(
    rule: str,
    severity: Literal["info", "warning", "error"],
    first: int,
    *,
    last: int | None = None,
    state: Literal["open", "closed"] = "open",
    parameters: tuple[str, ...] = ("dense_2/kernel",),
) -> Alert:
    """An alert that is seen from `first` to `last`."""
    return Alert(
        rule=rule,
        severity=severity,
        parameters=parameters,
        first_step=first,
        last_step=first if last is None else last,
        state=state,
        evidence=f"what was measured at step {first}: {', '.join(parameters)}",
        causes=("the first cause", "the second cause"),
        advice=f"what to do about {rule}",
    )


def write_alerts(directory: Path) -> None:
    """A run with one alert of each severity: open, open and told of again, closed."""
    m = write_run(directory)
    small = alert("edge_of_stability", "info", 20, parameters=())
    slow = alert(
        "no_gradient", "warning", 40, parameters=("dense_1/kernel", "dense_1/bias", "gone")
    )
    bad = alert("nonfinite", "error", 300, last=320)
    with EventFileWriter(directory) as writer:
        writer.add(0, [encode.manifest(replace(m, rules=RULES))], EPOCH)
        for step, told in (
            (20, [small]),
            (40, [slow]),
            (60, [replace(small, last_step=50, state="closed"), replace(slow, last_step=60)]),
            (300, [replace(bad, last_step=300)]),
            (320, [bad]),
            (700, [replace(slow, last_step=700)]),
        ):
            writer.add(step, [encode.alerts(told)], EPOCH + step * 0.05)


def table(parameters: int, **columns: object) -> np.ndarray:
    """Packed statistics with these columns, NaN elsewhere."""
    result = np.full((parameters, len(STATISTICS)), np.nan, dtype=np.float32)
    for name, column in columns.items():
        result[:, STATISTICS.index(name)] = column
    return result


def evil_alert(step: int) -> Alert:
    """An alert whose every word is markup, of two parameters that are there and one that is not."""
    names = (EVIL_PARAMETERS[0].path, "same (2)", f"gone {EVIL}")
    return Alert(
        EVIL, "error", names, step, step, "open", f"seen {EVIL}", (f"for {EVIL}",), f"mend {EVIL}"
    )


def write_hostile(directory: Path) -> None:
    """Names that are markup, one name used twice, values that are not finite, damaged records."""
    manifest = Manifest(EVIL_PARAMETERS)
    bins = manifest.histogram_bins
    with EventFileWriter(directory, start_step=0) as writer:
        writer.add(0, [encode.manifest(manifest)], EPOCH)
        for step in range(1, 61):
            bad = step % 20 == 0
            values = [
                encode.scalar(LOSS, np.nan if bad else 1 / step),
                encode.scalar(GRADIENT_NORM, np.inf if bad else 3.0),
                encode.scalar(GRADIENT_NORM_MAX, np.inf if bad else 4.0),
                encode.parameters(
                    table(
                        4,
                        norm=[0.0, 1e-6 * step, np.nan if bad else 1.0, np.inf if bad else 5.0],
                        nonfinite=[0, 0, 3 * bad, bad],
                        cosine=np.sin(step),
                    )
                ),
            ]
            if bad:
                counts = np.zeros((4, bins.columns), dtype=np.int32)
                counts[0, bins.zero_column] = 12
                counts[1, [0, 40, bins.zero_column - 1, bins.columns - 2, bins.columns - 1]] = 1
                counts[2, -1] = 1
                values += [
                    encode.histograms(counts),
                    encode.curvature(
                        CurvatureEstimate(
                            (Eigenvalue(3.0, np.inf), Eigenvalue(np.nan, 0.1)),
                            step != 40, 9, 0.2, np.nan, 64, 400.0, f"2 / η {EVIL}",
                        )
                    ),
                    encode.note(f"disk full {EVIL} at {step}"),
                ]  # fmt: skip
            if step == 5:
                values.append(encode.alerts([evil_alert(step)]))
            if step in (10, 15):
                damaged = encode.alerts([evil_alert(step)])
                text = damaged.tensor.string_val[0]
                damaged.tensor.string_val[0] = text[:-9] if step == 10 else b'[{"rule": 1}, 2]'
                values.append(damaged)
            if step == 30:
                values[-1] = encode.parameters(np.ones((3, 2), dtype=np.float32))
            writer.add(step, values, EPOCH + step)


def write_changing(directory: Path) -> None:
    """A layer is frozen and another thawed, and a statistic appears, in the middle of a run."""

    def parameter(name: str) -> Parameter:
        return Parameter(name, name, (2,), 2, "float32", "bias")

    bins = HistogramBins.powers_of_two(-2, 2)
    before = Manifest((parameter("a"), parameter("b")), ("norm",), bins)
    after = Manifest((parameter("b"), parameter("c")), ("mean", "norm"), bins)
    with EventFileWriter(directory, start_step=0) as writer:
        writer.add(0, [encode.manifest(before)], EPOCH)
        for step in range(1, 10):
            values = [encode.scalar(LOSS, 1.0)]
            if step == 5:
                values.append(encode.manifest(after))
            rows = [[10 + step], [20 + step]] if step < 5 else [[-1, 20 + step], [-2, 30 + step]]
            counts = np.full((2, bins.columns), step, dtype=np.int32)
            counts[1] += 100
            values += [
                encode.parameters(np.array(rows, dtype=np.float32)),
                encode.histograms(counts),
            ]
            writer.add(step, values, EPOCH + step)


def write_plain(directory: Path) -> None:
    """Scalars only, as any other tool writes them."""
    with EventFileWriter(directory) as writer:
        for step in range(50):
            values = [
                encode.scalar("acc <b>uracy</b>", step / 50),
                encode.scalar("loss", 1 / (step + 1)),
            ]
            writer.add(step, values, EPOCH + step)


def write_evil_findings(directory: Path) -> None:
    """Findings whose every name is markup."""
    found = findings.plane()
    axes = tuple(replace(axis, label=f"{EVIL}{i}") for i, axis in enumerate(found.axes))
    check = GradientCheck(1.0, 0.5, {EVIL: 0.5}, {EVIL: 0.5}, 2.0, {EVIL: 2.0}, 8, 4)
    points = tuple(replace(p, reason=EVIL) for p in findings.critical_points())
    name = EVIL.replace("/", "")
    with EventFileWriter(directory, start_step=0) as file:
        file.add(0, [encode.manifest(manifest())])
        for i, one in enumerate((replace(found, axes=axes), check, points)):
            file.add(1, [encode.analysis(f"{name}{i}", one)])
