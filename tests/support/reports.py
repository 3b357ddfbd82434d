"""Runs of a few events and what a report says about them."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
from tensorboard.compat.proto import event_pb2, summary_pb2

from tbgrad.log import encode
from tbgrad.log.records import Manifest, Parameter
from tbgrad.reading.directory import read
from tbgrad.report.print import print_reports
from tbgrad.report.summary import RunReport, build
from tests.support.events import NAME, write_events
from tests.support.logs import EPOCH

PARAMETERS = (
    Parameter("a/kernel", "a", (3, 1), 3, "float32", "kernel"),
    Parameter("a/bias", "a", (1,), 1, "float32", "bias"),
    Parameter("b/kernel", "b", (2,), 2, "float32", "kernel"),
    Parameter("c/kernel", "c", (2,), 2, "float32", "kernel"),
)
COLUMNS = (
    "norm",
    "norm_max",
    "abs_max",
    "zero_fraction",
    "nonfinite",
    "weight_norm",
    "update_norm",
)
NAN = math.nan


def at(step: int, *values) -> event_pb2.Event:
    """An event with these values, a second a step."""
    summary = summary_pb2.Summary(value=values)
    return event_pb2.Event(step=step, wall_time=EPOCH + step, summary=summary)


def manifest(*, parameters=PARAMETERS, version: int = 1) -> Manifest:
    """Three layers, four parameters."""
    return Manifest(
        parameters=parameters,
        statistics=COLUMNS,
        optimizer={"name": "SGD", "learning_rate": 0.1},
        format_version=version,
    )


def statistics(*rows):
    """Packed statistics, one row a parameter."""
    return encode.parameters(np.array(rows, dtype=np.float32))


SOUND = (3.0, 3.5, 2.0, 0.5, 0, 10.0, 0.1)
BIAS = (4.0, 5.0, 4.0, 0.1, 0, 0.0, 0.2)
NO_GRADIENT = (NAN, NAN, NAN, NAN, 0, 1.0, 0.0)
BROKEN = (NAN, math.inf, NAN, 0.0, 7, 1.0, NAN)


def report_of(tmp_path: Path, *events) -> RunReport:
    """The report of a run of these events."""
    write_events(tmp_path / NAME, list(events))
    (run,) = read(tmp_path).values()
    return build(run)


def text_of(*reports: RunReport, problems=None) -> str:
    """The reports as they are piped."""
    file = io.StringIO()
    print_reports(reports, problems or {}, file)
    return file.getvalue()


def cells(text: str, path: str) -> str:
    """The row of a table, without its first cell and its padding."""
    return " ".join(line_of(text, path).split()[1:])


def line_of(text: str, beginning: str) -> str:
    """The one line that begins so."""
    (line,) = [line for line in text.splitlines() if line.startswith(beginning)]
    return line
