"""What a run came to: its figures at the end, its extremes, its curvature, its alerts, its damage.

`build` is pure: a `Run` in, a `RunReport` out, which `to_json` and `tbgrad.report.print` tell.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tbgrad.diagnosis import AlertSettings
from tbgrad.judgement.overview import HEALTHY, Overview, healthy_words, overview_of
from tbgrad.judgement.replay import judge
from tbgrad.judgement.story import Story
from tbgrad.log.encode import to_jsonable
from tbgrad.log.records import FORMAT_VERSION, Alert, CurvatureEstimate, Damage
from tbgrad.log.state import RunState
from tbgrad.log.tags import CURVATURE, Kind
from tbgrad.reading.left_out import LeftOut
from tbgrad.reading.run import Run
from tbgrad.reading.series import Series
from tbgrad.reading.state import Condition, condition
from tbgrad.report.convergence import Convergence, convergence_of
from tbgrad.report.extremes import Extremes, extremes_of
from tbgrad.report.findings import Finding, findings_of
from tbgrad.report.parameters import ParameterSummary, layers_of, parameters_of

MAX_LISTED = 20
"""Notes and damages listed in full; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Point:
    """A value and the step at which it was logged."""

    step: int
    value: float


@dataclass(frozen=True)
class ScalarSummary:
    """One scalar series: its first and last value, its extremes, and how many are not finite."""

    count: int
    first: Point
    last: Point
    smallest: Point | None
    largest: Point | None
    nonfinite: int


@dataclass(frozen=True)
class CurvatureSummary:
    """The last curvature estimate, the last whose eigenvalues were counted, how many there are."""

    step: int
    estimates: int
    unconverged: int
    last: CurvatureEstimate
    counted_step: int | None
    counted: CurvatureEstimate | None


@dataclass(frozen=True)
class RunReport:
    """All that a report says about one run.

    `first_step` and `last_step` are None where nothing was logged. `others` counts the series that
    are no scalars, by what they hold; `left_out` says what is in no series, and `not_judged` what
    the rules did not look at, as `blind` does of rules that the run logs nothing for. `alerts` are
    those of the `story`, by their causes; `healthy` says by what a run without a grave one is well.
    `seconds` is the time between the first and the last value. `scalars` holds every scalar series
    of the run. `findings` are what was found around the weights. `parameters` come
    in the order of the model, `layers` likewise. `state` is what the writer said of the run, and
    `condition` what that means now; None where it does not say.
    """

    name: str
    monitored: bool
    format_version: int | None
    first_step: int | None
    last_step: int | None
    logged_steps: int
    seconds: float
    optimizer: Mapping[str, object]
    alerts: tuple[Alert, ...]
    story: Story | None
    not_judged: tuple[str, ...]
    blind: tuple[str, ...]
    scalars: Mapping[str, ScalarSummary]
    extremes: Extremes | None
    convergence: Convergence | None
    findings: tuple[Finding, ...]
    parameters: tuple[ParameterSummary, ...]
    layers: tuple[ParameterSummary, ...]
    parameters_step: int | None
    curvature: CurvatureSummary | None
    notes: tuple[tuple[int, str], ...]
    monitoring_ended: int | None
    damage: tuple[Damage, ...]
    left_out: tuple[LeftOut, ...]
    others: Mapping[str, int]
    healthy: str = ""
    state: RunState | None = None
    condition: Condition | None = None

    @property
    def newer_format(self) -> bool:
        """Whether the log was written by a newer version, which may say more than is shown."""
        return self.format_version is not None and self.format_version > FORMAT_VERSION


def build(
    run: Run,
    settings: AlertSettings | None = None,
    now: float | None = None,
    *,
    disk_is_full: bool = False,
) -> RunReport:
    """The report of one run; with settings its alerts are found anew.

    `now` is in seconds since the epoch, the present time unless given.
    """
    silence = (time.time() if now is None else now) - run.last_sign
    stands = condition(run.state, silence, disk_is_full=disk_is_full)
    logged = [series for series in run.values() if len(series)]
    parameters, step = parameters_of(run)
    judgement = judge(run, settings)
    times = [t for s in logged for t in (s.wall_times[0], s.wall_times[-1])]
    steps = np.unique(np.concatenate([s.steps for s in logged])) if logged else np.zeros(0, int)
    return RunReport(
        name=run.name,
        monitored=run.manifest is not None,
        format_version=run.manifest.format_version if run.manifest is not None else None,
        first_step=int(steps[0]) if steps.size else None,
        last_step=int(steps[-1]) if steps.size else None,
        # Of a long run not all steps are in memory; its longest series has most of them.
        logged_steps=max([int(steps.size), *(s.total for s in logged)]),
        seconds=float(max(times) - min(times)) if times else 0.0,
        optimizer=run.manifest.optimizer if run.manifest is not None else {},
        alerts=judgement.alerts,
        story=judgement.story,
        not_judged=judgement.not_judged,
        blind=judgement.blind,
        scalars={
            tag: _scalar(series)
            for tag, series in sorted(run.items())
            if series.kind is Kind.SCALAR and len(series)
        },
        extremes=extremes_of(run),
        convergence=convergence_of(run),
        findings=findings_of(run),
        parameters=parameters,
        layers=layers_of(run, parameters),
        parameters_step=step,
        curvature=_curvature(run.get(CURVATURE)),
        notes=tuple(run.notes),
        monitoring_ended=run.monitoring_ended,
        damage=run.damage,
        left_out=run.left_out,
        others=Counter(s.kind.value for s in logged if s.kind is not Kind.SCALAR),
        state=run.state,
        healthy=_healthy(overview_of(run, stands, judgement.story)),
        condition=stands,
    )


def _healthy(row: Overview) -> str:
    known = not math.isnan(row.norm) or len(row.losses) > 0
    return healthy_words(row) if known and row.health == HEALTHY else ""


def _scalar(series: Series) -> ScalarSummary:
    def point(index: int) -> Point:
        return Point(int(series.steps[index]), series.values[index].item())

    finite = np.flatnonzero(np.isfinite(series.values))
    return ScalarSummary(
        count=series.total,
        first=point(0),
        last=point(-1),
        smallest=point(int(finite[np.argmin(series.values[finite])])) if finite.size else None,
        largest=point(int(finite[np.argmax(series.values[finite])])) if finite.size else None,
        nonfinite=series.nonfinite,
    )


def _curvature(series: Series | None) -> CurvatureSummary | None:
    if series is None or not len(series):
        return None
    pairs = zip(series.steps.tolist(), series.values, strict=True)
    counted = [(step, estimate) for step, estimate in pairs if estimate.minimum_ratio is not None]
    counted_step, counted_last = counted[-1] if counted else (None, None)
    return CurvatureSummary(
        step=int(series.steps[-1]),
        estimates=series.total,
        unconverged=sum(not estimate.converged for estimate in series.values),
        last=series.values[-1],
        counted_step=counted_step,
        counted=counted_last,
    )


def to_json(reports: Mapping[str, RunReport]) -> dict[str, Any]:
    """`{"runs": {name: {…, "story": {…}, "alerts": […]}}}`: NaN is null, infinities are "inf"."""
    runs = {}
    for name, report in reports.items():
        content = asdict(report)
        content["notes"] = [{"step": step, "text": text} for step, text in report.notes]
        content["damage"] = {"count": len(report.damage), "listed": content["damage"][:MAX_LISTED]}
        left_out = sum(entry.count for entry in report.left_out)
        content["left_out"] = {"count": left_out, "listed": content["left_out"][:MAX_LISTED]}
        found = content.pop("condition")
        if found is not None:
            content["state"] |= found  # what is so now, and in words
        if report.curvature is not None:
            content["curvature"]["last"]["stability"] = report.curvature.last.stability
        runs[name] = content
    return {"runs": to_jsonable(runs)}
