"""A run put together from what TensorBoard has stored of it, as a reader of the files would."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from operator import itemgetter
from typing import Any

import numpy as np

from tbgrad.diagnosis import SCALARS as RULE_SCALARS
from tbgrad.diagnosis.replay import unwatched
from tbgrad.log.decode import decode_json
from tbgrad.log.records import Manifest
from tbgrad.log.tags import (
    ALERT_PLUGIN_NAME,
    ALERTS,
    CURVATURE,
    MANIFEST,
    PARAMETERS,
    PLUGIN_NAME,
    FormatError,
    Kind,
)
from tbgrad.plugin import packed
from tbgrad.plugin.source import SCALARS, LogSource, Request, Samples
from tbgrad.reading.rows import PackedRows
from tbgrad.reading.run import Run
from tbgrad.reading.store import SeriesStore

Stored = tuple[int, float, str, Kind, Any]
"""Step, wall time, tag, kind and decoded value."""


def for_alerts(
    source: LogSource, request: Request, run: str, newest: Manifest | None, problems: list[str]
) -> Run:
    """The series of a run that its alerts are found in; those of the rules only where needed.

    `newest` is its newest manifest. Alerts that cannot be decoded go into `problems`; what is wrong
    with other series, their own views say.
    """
    values: list[Stored] = []
    for plugin in plugins_of(ALERTS):
        stored = source.tensors(request, run, plugin, ALERTS)
        values += _decoded(ALERTS, Kind.ALERTS, stored, problems)
    logged = [alert for *_, told in values for alert in told]
    if unwatched(newest, logged):
        values += _of_rules(source, request, run)
    # In the bounded memory that the other readers have, so that long series are judged alike.
    store = SeriesStore(bounded=True, runs=len(source.runs(request)))
    for step, wall_time, tag, kind, value in sorted(values, key=itemgetter(0)):
        with contextlib.suppress(FormatError):
            store.keep(tag, step, wall_time, kind, value)
    rows = store.groups.get("", PackedRows())
    series = store.by_group()[""]
    return Run(run, series, newest or rows.manifest, rows.parameters, rows.names)


def plugins_of(tag: str) -> tuple[str, ...]:
    """Under which plugin names TensorBoard may have a series: alerts once had that of the rest."""
    if tag == ALERTS:
        return PLUGIN_NAME, ALERT_PLUGIN_NAME
    return (SCALARS,) if tag in RULE_SCALARS else (PLUGIN_NAME,)


def _of_rules(source: LogSource, request: Request, run: str) -> Iterator[Stored]:
    """What rules look at: manifests ahead of the packed rows that they describe."""
    for tag, kind in ((MANIFEST, Kind.MANIFEST), (CURVATURE, Kind.CURVATURE)):
        stored = source.tensors(request, run, PLUGIN_NAME, tag)
        yield from _decoded(tag, kind, stored, [])
    stored = source.tensors(request, run, PLUGIN_NAME, PARAMETERS)
    for step, wall_time, value in _each(stored):
        if isinstance(value, np.ndarray) and value.ndim == 2 and value.dtype == np.float32:
            yield step, wall_time, PARAMETERS, Kind.PARAMETERS, value
    for tag, scalars in source.scalars(request, run, RULE_SCALARS).items():
        for step, wall_time, value in _each(scalars):
            yield step, wall_time, tag, Kind.SCALAR, float(value)


def _decoded(tag: str, kind: Kind, stored: Samples, problems: list[str]) -> Iterator[Stored]:
    for step, wall_time, value in _each(stored):
        try:
            yield step, wall_time, tag, kind, decode_json(tag, packed.text(value))
        except FormatError as error:  # noqa: PERF203 - one misfit must not hide the others
            problems.append(f"step {step}: {error}")


def _each(stored: Samples) -> Iterator[tuple[int, float, Any]]:
    return zip(stored.steps.tolist(), stored.wall_times.tolist(), stored.values, strict=True)
