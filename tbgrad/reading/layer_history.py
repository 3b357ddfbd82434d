"""A measure of every parameter through the training, and which of several is the worst.

Both faces show layers by it: a row of a folded block is that of its worst member.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.tags import PARAMETERS, STEPS, Kind
from tbgrad.reading.series import one_each

if TYPE_CHECKING:
    from tbgrad.reading.run import Run

LOST, ABSENT, SILENT = 1e6, 1e5, 1e4
"""How bad it is that a gradient is not finite, that there is none, that it is zero: worse than any
number."""


@dataclass(frozen=True, slots=True)
class Measure:
    """What may be shown of every parameter.

    `worst` says which of several values is: the "largest", the "smallest", or the one "far" from
    `centre`. Where `zero_is_worse`, zero is worse than any other number, where `none_is_worse` none
    at all is worse still. `scale` is as that of a statistic.
    """

    name: str
    label: str
    scale: Literal["log", "unit", "correlation"]
    worst: Literal["largest", "smallest", "far"] = "largest"
    centre: float = 1.0
    zero_is_worse: bool = False
    none_is_worse: bool = False


MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        Measure("norm", "gradient norm", "log", zero_is_worse=True, none_is_worse=True),
        Measure("update_ratio", "update / weight", "log", "far", 1e-3, zero_is_worse=True),
        Measure("dead_fraction", "dead units", "unit"),
        Measure("zero_fraction", "zeros in the gradient", "unit"),
        Measure("cosine", "direction (cosine)", "correlation", "smallest"),
        Measure("snr", "signal to noise", "log", "smallest"),
        Measure("weight_norm", "weight norm", "log"),
        Measure(
            "norm_over_median",
            "norm / its median",
            "log",
            "far",
            zero_is_worse=True,
            none_is_worse=True,
        ),
    )
}
"""By name, in the order in which faces offer them."""


@dataclass(frozen=True)
class LayerHistory:
    """A measure of all parameters over time, each entry of the steps from `first_steps` to `steps`
    [T].

    `values` [T, P], of norms the largest of these steps, are NaN where there is none, and
    `nonfinite` [T, P] says where a gradient was not finite. `newest` and `lost` [P] are the same of
    the newest step.
    """

    first_steps: NDArray[np.int64]
    steps: NDArray[np.int64]
    values: NDArray[np.float32]
    nonfinite: NDArray[np.bool_]
    newest: NDArray[np.float32]
    lost: NDArray[np.bool_]


def history_of(run: Run, measure: Measure) -> LayerHistory | None:
    """A measure of every parameter; None where the log has nothing of parameters.

    >>> history_of(runs["a"], MEASURES["update_ratio"]).newest
    """
    if measure.name in ("norm", "norm_over_median"):
        norms = norm_history(run)
        return norms if norms is None or measure.name == "norm" else _over_median(norms)
    logged = _logged_norms(run)
    if logged is None:
        return None
    if measure.name == "update_ratio":
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            values = run.statistic("update_norm") / run.statistic("weight_norm")
        values = np.where(np.isinf(values), np.float32(np.nan), values)  # of weights that are zero
    else:
        values = run.statistic(measure.name)
    nonfinite = np.isinf(values)
    return replace(
        logged, values=values, nonfinite=nonfinite, newest=values[-1], lost=nonfinite[-1]
    )


def norm_history(run: Run) -> LayerHistory | None:
    """The norms of every step where the log has it, else of the logged ones; None without any."""
    logged = _logged_norms(run)
    if not has_every_step(run):
        return logged
    series = run[STEPS]
    whole = series.buckets or one_each(series)
    firsts, lasts, peaks = whole.first_steps, whole.last_steps, whole.maximum
    lost, newest = np.isinf(peaks), np.asarray(series.newest)
    if logged is not None and logged.steps[0] < firsts[0]:  # by a version before this one
        ahead = logged.steps < firsts[0]
        firsts = np.concatenate([logged.first_steps[ahead], firsts])
        lasts = np.concatenate([logged.steps[ahead], lasts])
        peaks = np.concatenate([logged.values[ahead], peaks])
        lost = np.concatenate([logged.nonfinite[ahead], lost])
    return LayerHistory(firsts, lasts, peaks, lost, newest, np.isinf(newest))


def has_every_step(run: Run) -> bool:
    """Whether the norms of every step are in the log."""
    steps = run.get(STEPS)
    return steps is not None and steps.kind is Kind.STEPS and len(steps) > 0


def _logged_norms(run: Run) -> LayerHistory | None:
    """Of the logged steps; a record stands for the steps since the one before it."""
    packed = run.get(PARAMETERS)
    if packed is None or not len(packed) or run.manifest is None:
        return None
    marks = nonfinite_marks(run)
    newest = run.statistic("norm")[-1]
    firsts = np.append(packed.steps[:1], packed.steps[:-1] + 1)
    return LayerHistory(firsts, packed.steps, peak_norms(run), marks, newest, marks[-1])


def nonfinite_marks(run: Run, rows: slice = slice(None)) -> NDArray[np.bool_]:
    """Where a gradient held NaN or infinity: [T, P]."""
    norm = run.statistic("norm")[:, rows]
    return (run.statistic("nonfinite")[:, rows] > 0) | np.isinf(norm)


def peak_norms(run: Run, rows: slice = slice(None)) -> NDArray[np.float32]:
    """The norm, or its peak since the record before where the log has one: [T, P]."""
    peaks: NDArray[np.float32] = np.fmax(
        run.statistic("norm")[:, rows], run.statistic("norm_max")[:, rows]
    )
    return peaks


def _over_median(norms: LayerHistory) -> LayerHistory:
    """Norms over the median of each parameter over time, which passes over zero."""
    usable = np.where(np.isfinite(norms.values) & (norms.values > 0), norms.values, np.nan)
    medians = np.full(usable.shape[1], np.nan)
    known = ~np.isnan(usable).all(axis=0)
    medians[known] = np.nanmedian(usable[:, known].astype(np.float64), axis=0)
    medians[np.isnan(medians)] = 1.0  # zero, or not finite, whatever it is divided by
    return replace(
        norms,
        values=(norms.values / medians).astype(np.float32),
        newest=(norms.newest / medians).astype(np.float32),
    )


def badness(
    values: NDArray[Any], measure: Measure, nonfinite: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """How bad values of a measure are beside one another, the larger the worse; any shape.

    -inf of what does not apply.
    """
    values = np.asarray(values, np.float64)
    lost = np.isinf(values) if nonfinite is None else nonfinite | np.isinf(values)
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.log10(values / measure.centre) if measure.scale == "log" else values
    if measure.worst == "far":
        size = np.abs(size)
    bad = -size if measure.worst == "smallest" else size
    bad = np.where(np.isnan(bad), ABSENT if measure.none_is_worse else -np.inf, bad)
    if measure.zero_is_worse:
        bad = np.where(values == 0, SILENT, bad)
    return np.where(lost, LOST, bad)


def change(history: LayerHistory, measure: Measure) -> NDArray[np.float64]:
    """How far each parameter went from the last quarter but one of a run to its last: [P].

    Of medians: in powers of ten where the scale is logarithmic, else their difference. `LOST` where
    it stopped being finite, `SILENT` where it became zero; -inf where one of the two is not known.
    """
    last, span = history.steps[-1], (history.steps[-1] - history.steps[0]) / 4
    now = history.steps > last - span
    before = (history.steps > last - 2 * span) & ~now
    with np.errstate(divide="ignore", invalid="ignore"):
        medians = [_medians(history.values[part]) for part in (before, now)]
        if measure.scale == "log":
            far = np.abs(np.log10(medians[1]) - np.log10(medians[0]))
        else:
            far = np.abs(medians[1] - medians[0])
    far = np.where(np.isnan(far), -np.inf, np.minimum(far, SILENT))
    return np.where(history.lost & ~history.nonfinite[before].any(axis=0), LOST, far)


def _medians(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Of each column, of what is finite; NaN where nothing is."""
    usable = np.where(np.isfinite(values), values, np.nan).astype(np.float64)
    medians = np.full(usable.shape[1], np.nan)
    known = ~np.isnan(usable).all(axis=0)
    if known.any():
        medians[known] = np.nanmedian(usable[:, known], axis=0)
    return medians
