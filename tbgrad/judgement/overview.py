"""What a face says of each of many runs in one line, and which run comes first."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tbgrad.diagnosis.stability import STANDINGS, standing
from tbgrad.judgement.history import scalar
from tbgrad.judgement.story import Story
from tbgrad.log.brief import count, number, percent
from tbgrad.log.median import median
from tbgrad.log.records import SEVERITIES
from tbgrad.log.short_names import natural
from tbgrad.log.state import FAILED, Hyperparameter, RunState
from tbgrad.log.tags import CURVATURE, GRADIENT_NORM, LOSS, UPDATE_RATIO, VALIDATION_LOSS, Kind
from tbgrad.reading.estimates import age_of_estimate
from tbgrad.reading.run import Run
from tbgrad.reading.series import Series
from tbgrad.reading.state import SILENT, SLOW, Condition

TREND = 12
"""Losses in the trend of a row: medians of as many equal stretches of the run."""

HEALTHY = "healthy"

UNWATCHED = "monitoring ended"

STEADY = "steady"

COURSE = 1.5
"""A gradient norm that changes by less from one quarter of a run to the next is steady."""

FALLING = 0.1
"""A loss that fell by less in the last quarter of a run has come to rest."""


@dataclass(frozen=True)
class Overview:
    """One run among many.

    `step`, of `steps` planned (0 where not known), with `seconds_left` at its present pace, NaN
    where that is not known. Numbers are NaN where the log does not have them; `stability` is λ over
    its threshold as of `stability_age` steps ago, which may be `stale`. `losses` are its trend,
    `norm_course` is that of the gradient norm in a word, and `monitoring_ended` the step at which
    the monitoring did after a failure of its own. `severity` is that of the
    open story, "" of a run without one; `health` is its rule in words, or "healthy", or
    "monitoring ended", or "" where nothing was judged yet, `since` the step where it began.
    """

    name: str
    condition: Condition | None
    step: int
    steps: int
    seconds_left: float
    pace: float
    loss: float
    validation_loss: float
    losses: NDArray[np.float64]
    norm: float
    norm_course: str
    stability: float
    stability_age: int
    stale: bool
    update_ratio: float
    severity: str
    health: str
    since: int | None
    story: Story | None
    hparams: Mapping[str, Hyperparameter]
    last_sign: float
    monitoring_ended: int | None = None

    @property
    def badness(self) -> tuple[int, ...]:
        """What sorts the worst run first: what is wrong, how it stands, and which is newer."""
        status = self.condition.status if self.condition is not None else ""
        worry = {FAILED: 0, SILENT: 2, SLOW: 2}.get(status, 4)
        said = {"error": 1, "warning": 3}.get(self.severity, 4)
        return min(worry, said), worry, said


def overview_of(
    run: Run, condition: Condition | None, story: Story | None, *, judged: bool = True
) -> Overview:
    """The line of a run; `judged` says whether its `story` is known."""
    age = age_of_estimate(run)
    row = Overview(
        name=run.name,
        condition=None,
        step=max(0, run.last_step),
        steps=0,
        seconds_left=math.nan,
        pace=math.nan,
        loss=_newest(run, LOSS),
        validation_loss=_newest(run, VALIDATION_LOSS),
        losses=_trend(run),
        norm=_newest(run, GRADIENT_NORM),
        norm_course=_course(run),
        stability=float(run[CURVATURE].values[-1].stability) if age is not None else math.nan,
        stability_age=age.steps if age is not None else 0,
        stale=age is not None and age.stale,
        update_ratio=_newest(run, UPDATE_RATIO),
        severity="",
        health="",
        since=None,
        story=None,
        hparams=run.state.hparams if run.state is not None else {},
        last_sign=run.last_sign,
        monitoring_ended=run.monitoring_ended,
    )
    return as_judged(as_of(row, run.state, condition), story, judged=judged)


def as_of(row: Overview, state: RunState | None, condition: Condition | None) -> Overview:
    """The same line, of a run that its writer says is in this state, and that stands so now."""
    alive = condition is not None and condition.alive
    steps = state.steps if state is not None else 0
    recent = state.recent if state is not None else math.nan
    if not recent > 0 and state is not None:
        recent = state.pace
    return replace(
        row,
        condition=condition,
        steps=steps,
        seconds_left=recent * max(0, steps - row.step) if alive and steps else math.nan,
        pace=1 / recent if alive and recent > 0 else math.nan,
    )


def as_judged(row: Overview, story: Story | None, *, judged: bool = True) -> Overview:
    """The same line, of a run that has this story."""
    is_open = story is not None and story.is_open
    severity = story.severity if story is not None and is_open else ""
    health = _health(story, judged)
    since = story.root.first_step if story is not None and is_open else None
    if health == HEALTHY and row.monitoring_ended is not None:
        severity, health, since = severity or "warning", UNWATCHED, row.monitoring_ended
    return replace(row, severity=severity, health=health, since=since, story=story)


def healthy_words(row: Overview) -> str:
    """What is meant by a run being well, in its own numbers.

    >>> healthy_words(row)
    'loss still falling: by 26% in the last quarter, norm steady at 0.41, update/weight 1.0e-3'
    """
    words = []
    if fell := _fell(row.losses):
        words.append(f"loss still falling: by {percent(fell)} in the last quarter")
    if not math.isnan(row.norm):
        at = "at" if row.norm_course == STEADY else "to"
        course = f" {row.norm_course} {at}" if row.norm_course else ""
        words.append(f"norm{course} {number(row.norm)}")
    if not math.isnan(row.update_ratio):
        words.append(f"update/weight {number(row.update_ratio, 2)}")
    if not math.isnan(row.stability):
        edge = f", {STANDINGS['at']}" if standing(row.stability) == "at" else ""
        ago = f", estimated {count(row.stability_age, 'step')} ago" if row.stability_age else ""
        words.append(f"λ/limit {number(row.stability, 2)}{edge}{ago}")
    return ", ".join(words) or "as far as its loss tells: no gradients in the log"


def _fell(losses: NDArray[np.float64]) -> float:
    """By what share of it the loss fell in the last quarter; 0 where that is less than `FALLING`.

    It is of a loss above zero, of which all of the `TREND` is known.
    """
    if len(losses) < TREND or not losses[-1] > 0:
        return 0.0
    fell = 1 - losses[-1] / losses[-1 - TREND // 4]
    return float(fell) if fell >= FALLING else 0.0


def worst_first(rows: Iterable[Overview]) -> list[Overview]:
    """In the order in which they need to be looked at."""
    return sorted(rows, key=lambda row: (*row.badness, natural(row.name)))


def _health(story: Story | None, judged: bool) -> str:
    if not judged:
        return ""
    if story is None or not story.is_open or story.severity not in SEVERITIES[:2]:
        return HEALTHY
    return story.root.rule.replace("_", " ")


def _course(run: Run) -> str:
    """Where the gradient norm goes: medians of the last two quarters of the run beside each other.

    "" of fewer than eight norms, or where one of the quarters has none that is finite.
    """
    series = run.get(GRADIENT_NORM)
    if series is None or series.kind is not Kind.SCALAR or len(series) < 8:
        return ""
    last = int(series.steps[-1])
    span = (last - int(series.steps[0])) / 4
    values = np.asarray(series.values, np.float64)
    before, now = (
        _median(values[(series.steps > last - span * far) & (series.steps <= last - span * near)])
        for far, near in ((2, 1), (1, 0))
    )
    if not (before > 0 and now > 0):
        return ""
    if max(before, now) < COURSE * min(before, now):
        return STEADY
    return "rising" if now > before else "falling"


def _newest(run: Run, tag: str) -> float:
    series = _scalar(run, tag)
    return float(series.values[-1]) if series is not None else math.nan


def _scalar(run: Run, tag: str) -> Series | None:
    """A scalar by its own tag; the loss and the norm also by what other writers call them."""
    series = run.get(tag)
    if series is None and tag in (LOSS, GRADIENT_NORM):
        series = scalar(run, tag)
    found = series is not None and series.kind is Kind.SCALAR and len(series) > 0
    return series if found else None


def _trend(run: Run) -> NDArray[np.float64]:
    series = _scalar(run, LOSS)
    if series is None:
        return np.zeros(0)
    values = np.asarray(series.values, np.float64)
    parts = np.array_split(values, min(TREND, len(values)))
    return np.array([_median(part) for part in parts])


def _median(part: NDArray[np.float64]) -> float:
    return median(part[np.isfinite(part)])
