"""Parameters and whole layers in a report: what was measured of each at the last logged step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tbgrad.log.tags import PARAMETERS
from tbgrad.reading.run import Run

_REPORTED = (
    "norm", "norm_max", "abs_max", "zero_fraction", "weight_norm", "update_norm", "nonfinite",
)  # fmt: skip
"""Statistics that have a figure of their own in a report."""


@dataclass(frozen=True)
class ParameterSummary:
    """A parameter, or a whole layer, at the last logged step. What was not logged is None.

    `state` is "trained", "no gradient" (the optimizer was handed none), or "not trained now" (it
    was in an earlier manifest and is not in the newest). `statistics` are all columns of the log by
    their names, of a layer none.
    """

    path: str
    layer: str
    state: str
    norm: float | None
    norm_max: float | None
    abs_max: float | None
    zero_fraction: float | None
    update_ratio: float | None
    nonfinite: int
    statistics: Mapping[str, float | None] = field(default_factory=dict)


def parameters_of(run: Run) -> tuple[tuple[ParameterSummary, ...], int | None]:
    """Every parameter at the last logged step, and which that is; None where there is none."""
    packed = run.get(PARAMETERS)
    if packed is None or not len(packed) or run.manifest is None:
        return (), None
    names = dict.fromkeys((*_REPORTED, *run.manifest.statistics))
    last = {name: run.statistic(name)[-1] for name in names}
    current = len(run.manifest.parameters)
    nonfinite = np.nan_to_num(last["nonfinite"], nan=0.0)
    rows = []
    for i, parameter in enumerate(run.parameters):
        norm, weight = last["norm"][i], last["weight_norm"][i]
        trained = "no gradient" if math.isnan(norm) and not nonfinite[i] > 0 else "trained"
        rows.append(
            ParameterSummary(
                path=run.names[i],
                layer=parameter.layer,
                state=trained if i < current else "not trained now",
                norm=_known(norm, nonfinite[i]),
                norm_max=_known(last["norm_max"][i], nonfinite[i]),
                abs_max=_known(last["abs_max"][i], nonfinite[i]),
                zero_fraction=_known(last["zero_fraction"][i]),
                update_ratio=_ratio(last["update_norm"][i], weight),
                nonfinite=int(nonfinite[i]),
                statistics={name: _known(last[name][i]) for name in run.manifest.statistics},
            )
        )
    return tuple(rows), int(packed.steps[-1])


def layers_of(run: Run, rows: Sequence[ParameterSummary]) -> tuple[ParameterSummary, ...]:
    """Whole layers: norms add up in squares, shares of zeros by size."""
    members: dict[str, list[int]] = {}
    for i, row in enumerate(rows):
        if row.state != "not trained now":
            members.setdefault(row.layer, []).append(i)
    return tuple(_layer(run, layer, rows, indices) for layer, indices in members.items())


def _layer(
    run: Run, layer: str, rows: Sequence[ParameterSummary], indices: Sequence[int]
) -> ParameterSummary:
    own = [rows[i] for i in indices]
    norms = [row.norm for row in own if row.norm is not None]
    maxima = [row.abs_max for row in own if row.abs_max is not None]
    zeros = [(rows[i].zero_fraction, run.parameters[i].size) for i in indices]
    sized = [(share, size) for share, size in zeros if share is not None]
    sizes = [(row.statistics.get("update_norm"), row.statistics.get("weight_norm")) for row in own]
    known = [(u, w) for u, w in sizes if u is not None and w is not None]
    return ParameterSummary(
        path=layer,
        layer=layer,
        state="trained" if norms else "no gradient",
        norm=math.hypot(*norms) if norms else None,
        norm_max=None,
        abs_max=float(np.max(maxima)) if maxima else None,
        zero_fraction=(
            sum(share * size for share, size in sized) / sum(size for _, size in sized)
            if any(size for _, size in sized)
            else None
        ),
        update_ratio=_ratio(math.hypot(*(u for u, _ in known)), math.hypot(*(w for _, w in known))),
        nonfinite=sum(row.nonfinite for row in own),
    )


def _known(value: Any, nonfinite: float = 0.0) -> float | None:
    """None for what does not apply; NaN stays where the gradient itself was not finite."""
    return None if math.isnan(value) and not nonfinite > 0 else float(value)


def _ratio(update: Any, weight: Any) -> float | None:
    return float(update / weight) if weight > 0 and not math.isnan(update) else None
