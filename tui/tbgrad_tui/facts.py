"""What the panels say about a run, computed from the run alone."""

from __future__ import annotations

import functools
import math
import weakref
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from tbgrad.diagnosis.stability import STANDINGS, standing
from tbgrad.judgement.overview import Overview, overview_of
from tbgrad.judgement.story import Judgement, Story
from tbgrad.log.decode import decode_density
from tbgrad.log.records import Alert, CurvatureEstimate, Damage
from tbgrad.log.scalars import in_order
from tbgrad.log.tags import (
    CURVATURE,
    DENSITY,
    GRADIENT_NORM,
    PARAMETERS,
    FormatError,
    Kind,
)
from tbgrad.reading import rounding
from tbgrad.reading.layer_history import LayerHistory, Measure, history_of
from tbgrad.reading.run import Run
from tbgrad.reading.series import Series
from tbgrad.reading.state import SILENT, Condition, Pulse
from tbgrad.reading.state import condition as condition_of
from tbgrad_tui.chart.text import duration

LIVE_SECONDS = 30.0
"""A run that wrote within this time counts as live."""

STALE_SECONDS = 60.0

AHEAD_SECONDS = 60.0
"""Two clocks may differ by as much and nothing is said of it."""

Fact = TypeVar("Fact")


class OnceARun(Generic[Fact]):
    """A fact of a run, computed once, from any thread. A newer state of a run is another object.

    >>> first_step = OnceARun(lambda run: min(series.steps[0] for series in run.values()))
    >>> first_step(run)
    """

    def __init__(self, compute: Callable[[Run], Fact]) -> None:
        functools.update_wrapper(self, compute)
        self._compute = compute
        self._facts: dict[int, tuple[weakref.ref[Run], Fact]] = {}  # a run cannot be hashed

    def __call__(self, run: Run) -> Fact:
        """The fact of this run."""
        if not self.is_known(run):
            self.tell(run, self._compute(run))
        return self._facts[id(run)][1]

    def is_known(self, run: Run) -> bool:
        """Whether it was computed, so that asking for it takes no time."""
        entry = self._facts.get(id(run))
        return entry is not None and entry[0]() is run

    def tell(self, run: Run, fact: Fact) -> None:
        """Take it from who has computed it otherwise."""
        key = id(run)
        self._facts[key] = (weakref.ref(run, lambda _: self._facts.pop(key, None)), fact)


def _judge(run: Run) -> Judgement:
    from tbgrad.judgement.replay import Judge  # the rules are not needed for the first picture

    return Judge().judge(run)


_judged = OnceARun(_judge)

UNJUDGED = Judgement(None, ())


def judgement(run: Run) -> Judgement:
    """Every alert, and what of the run was not judged; of a run that is not judged yet nothing.

    So whoever draws never waits for the rules.
    """
    return _judged(run) if is_judged(run) else UNJUDGED


def tell_judgement(run: Run, found: Judgement) -> None:
    """What the rules say of this state of a run."""
    _judged.tell(run, found)


def is_judged(run: Run) -> bool:
    """Whether it is known what the rules say."""
    return _judged.is_known(run)


def overview(
    run: Run, former: tuple[Run, Overview] | None, pulses: Mapping[str, Pulse], now: float
) -> Overview:
    """The line of a run: the `former` one where nothing of it has changed."""
    stands, judged = condition(run, pulses, now), is_judged(run)
    if former is not None and former[0] is run:
        line = former[1]
        if line.condition == stands and (line.health or not judged):
            return line
    return overview_of(run, stands, story(run), judged=judged)


def alerts(run: Run) -> tuple[Alert, ...]:
    """Every alert by its cause, each fault ahead of what it brought about."""
    return judgement(run).alerts


def story(run: Run) -> Story | None:
    """What began it, what followed, what to change; None where nothing is wrong."""
    return judgement(run).story


def alerts_by_name(run: Run) -> Mapping[str, Alert]:
    """The open alert of each parameter that has one: that which began it."""
    return _alerts_by_name(run) if is_judged(run) else {}


@OnceARun
def _alerts_by_name(run: Run) -> Mapping[str, Alert]:
    worst: dict[str, Alert] = {}
    for alert in alerts(run):
        if alert.state == "open":
            for name in alert.parameters:
                worst.setdefault(name, alert)
    return worst


def damage(runs: Mapping[str, Run]) -> list[Damage]:
    """What could not be read of all files; several runs may be of the same ones."""
    return list(dict.fromkeys(place for run in runs.values() for place in run.damage))


def newest(run: Run, tag: str) -> float:
    """The newest value of a scalar, NaN where the run does not have it."""
    series = scalar(run, tag)
    return float(series.values[-1]) if series is not None else math.nan


def scalar(run: Run, tag: str) -> Series | None:
    """A scalar series that has values."""
    series = run.get(tag)
    return series if series is not None and series.kind is Kind.SCALAR and len(series) else None


def scalar_tags(run: Run) -> list[str]:
    """Tags of all scalars, the known ones first."""
    return in_order([tag for tag in run if scalar(run, tag) is not None])


def histogram_tags(run: Run) -> list[str]:
    """Tags of all of TensorBoard's own histograms, sorted."""
    return sorted(t for t, series in run.items() if series.kind is Kind.HISTOGRAM and len(series))


def has_gradients(run: Run) -> bool:
    """Whether a GradientMonitor or a writer of ours logged this run."""
    return run.manifest is not None or GRADIENT_NORM in run or PARAMETERS in run


def has_begun(run: Run) -> bool:
    """Whether there is a value in it, whatever its step and its time."""
    return any(len(series) for series in run.values())


def followed(runs: Mapping[str, Run], former: Mapping[str, Run], shown: str) -> str:
    """The run to show: the one that is shown, until another begins to write values."""
    before = {name for name, run in former.items() if has_begun(run)}
    begun = {name for name, run in runs.items() if name not in before and has_begun(run)}
    if shown in runs and not begun:
        return shown
    candidates = begun | ({shown} & runs.keys()) or runs.keys()
    return max(candidates, key=lambda name: runs[name].last_wall_time, default="")


def age(run: Run, now: float) -> float:
    """Seconds since the newest value was written; infinite where its time is not known.

    Below zero where the clock that wrote it is ahead of this one.
    """
    return now - run.last_wall_time if run.last_wall_time else math.inf


def state_words(run: Run, found: Condition, now: float) -> str:
    """How a run stands, in words; of one that is over also for how long."""
    over = now - run.last_sign
    if found.alive or found.status == SILENT or not 0 <= over < math.inf:
        return found.words
    return f"{found.words}, {duration(over)} ago"


def condition(run: Run, pulses: Mapping[str, Pulse], now: float) -> Condition | None:
    """How the run stands; None where its log does not say."""
    pulse = pulses.get(run.name)
    if pulse is None:
        return condition_of(run.state, now - run.last_sign)
    return condition_of(run.state, pulse.silence(now), disk_is_full=pulse.disk_is_full)


def is_live(run: Run, now: float, pulses: Mapping[str, Pulse] = MappingProxyType({})) -> bool:
    """Whether it goes on; where its log does not say, whether it was written a moment ago."""
    if (found := condition(run, pulses, now)) is not None:
        return found.alive
    return -AHEAD_SECONDS <= age(run, now) < LIVE_SECONDS


def steps_per_second(run: Run) -> float:
    """Speed over the last records, NaN where it cannot be told."""
    series = max((s for s in run.values() if s.kind is Kind.SCALAR), key=len, default=None)
    if series is None or len(series) < 2:
        return math.nan
    back = min(len(series), 20)
    seconds = float(series.wall_times[-1] - series.wall_times[-back])
    steps = int(series.steps[-1] - series.steps[-back])
    return steps / seconds if seconds > 0 else math.nan


def curvature_estimates(run: Run) -> tuple[NDArray[np.int64], list[CurvatureEstimate]]:
    """Steps and estimates."""
    series = run.get(CURVATURE)
    if series is None or series.kind is not Kind.CURVATURE:
        return np.zeros(0, np.int64), []
    return series.steps, list(series.values)


def spectral_density(run: Run) -> tuple[int, NDArray[np.float64], NDArray[np.float64]] | None:
    """The step of the newest density of the Hessian's eigenvalues, these, and the density."""
    series = run.get(DENSITY)
    if series is None or series.kind is not Kind.TENSOR or not len(series.steps):
        return None
    try:
        return int(series.steps[-1]), *decode_density(series.values[-1])
    except FormatError:
        return None


def common_scope(names: Sequence[str]) -> str:
    """What all names begin with and need not be repeated on every row: `sequential/`.

    Of every name at least two parts are left.
    """
    if len(names) < 2:
        return ""
    shared = ""
    first, last = min(names), max(names)
    for part in first.split("/")[: max(0, min(name.count("/") for name in names) - 1)]:
        longer = f"{shared}{part}/"
        if not last.startswith(longer):
            break
        shared = longer
    return shared


def row_values(run: Run, row: int) -> dict[str, float]:
    """The newest value of every statistic of one parameter, by name."""
    packed = run.get(PARAMETERS)
    if packed is None or run.manifest is None or not len(packed):
        return {}
    last = packed.newest[row]
    return {name: float(v) for name, v in zip(run.manifest.statistics, last, strict=True)}


is_rounding = OnceARun(rounding.is_rounding)
"""Which gradients never were more than rounding: [P]."""


def layer_history(run: Run, measure: Measure) -> LayerHistory | None:
    """A measure of every parameter through the training; of a run those asked for are kept."""
    kept = _histories(run)
    if measure.name not in kept:
        kept[measure.name] = history_of(run, measure)
    return kept[measure.name]


@OnceARun
def _histories(_: Run) -> dict[str, LayerHistory | None]:
    return {}


def stability_words(estimate: CurvatureEstimate) -> tuple[str, str]:
    """What lambda_max over the threshold means: as `standing`, and in words."""
    place = standing(estimate.stability)
    return place, {"beyond": "unstable", "at": "at the edge"}.get(place, STANDINGS[place])
