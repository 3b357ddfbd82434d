"""What every face says of landscapes, critical points, checks of the gradient and trajectories."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.analyses import Analysis
from tbgrad.log.brief import count, number, percent
from tbgrad.log.critical_point import CriticalPoint
from tbgrad.log.gradient_check import GradientCheck
from tbgrad.log.landscape import Landscape
from tbgrad.reading.trajectories import Trajectories

NOTHING = (
    "Nothing was logged of the surface around the weights.",
    "GradientMonitor(…, trajectory=True) logs where the training goes;",
    "tbgrad.analysis.plane, line and find_critical_point look around once it has ended,",
    "and tbgrad.analysis.log_analysis brings what they find into this log.",
)

TRAJECTORIES = "trajectories"
"""What the paths of all runs are called among the findings."""

WIDE = 20.0
"""What ranges over more than so many times its lowest is drawn on a logarithmic scale."""

CONTOURS = 10
"""Steps between contour lines, from the lowest loss to the highest."""

COLUMNS = (
    "", "kind", "index", "loss", "‖∇L‖", "above zero", "λmax", "λmin", "‖∇L‖ at start", "ended by",
)  # fmt: skip
"""Of the table of critical points, from what is dropped last to what is dropped first."""


class Phrase(NamedTuple):
    """Some words, and how they are meant."""

    text: str
    look: Literal["plain", "quiet", "warning"] = "plain"


def kind_of(found: Analysis) -> str:
    """What a finding is: "line", "plane", "critical points" or "gradient check"."""
    if isinstance(found, Landscape):
        return "line" if len(found.axes) == 1 else "plane"
    return "gradient check" if isinstance(found, GradientCheck) else "critical points"


def is_wide(values: NDArray[np.float64]) -> bool:
    """Whether a logarithmic scale shows these better than a linear one."""
    finite = values[np.isfinite(values)]
    return bool(finite.size) and 0 < float(finite.min()) < float(finite.max()) / WIDE


def landscape_headline(found: Landscape) -> str:
    """The loss at the weights."""
    return f"loss {number(found.centre_loss, 4)} at the weights"


def landscape_words(found: Landscape) -> list[Phrase]:
    """Where it is lowest, how much of a path it shows, what is not known, how high a barrier is."""
    words = []
    if found.evaluated.any():
        value, where = found.lowest
        place = ", ".join(number(each) for each in where)
        words.append(Phrase(f"lowest {number(value, 4)} at ({place})"))
    if found.explained:
        words.append(Phrase(f"{percent(sum(found.explained))} of the path is in the plane"))
    missing = int((~found.evaluated).sum())
    if missing:
        words.append(Phrase(f"{missing:,} of {found.loss.size:,} interpolated", "warning"))
    if found.has_barrier:
        words.append(Phrase(f"barrier {number(found.barrier)}"))
    return words


def point_cells(number_of: int, point: CriticalPoint) -> tuple[str, ...]:
    """What the table says of a critical point, in `COLUMNS`; the first of them is number 0."""
    values = point.eigenvalues
    index = "–" if point.index is None else f"{'' if point.index_is_exact else '≥'}{point.index:,}"
    ratio = point.minimum_ratio
    return (
        f"{number_of + 1:,}",
        point.kind,
        index,
        number(point.loss, 4),
        number(point.gradient_norm),
        "–" if ratio is None else percent(ratio.value) if ratio.known else "unknown",
        number(float(values[0])) if len(values) else "–",
        number(float(values[-1])) if len(values) else "–",
        number(float(point.norms[0])) if len(point.norms) else "–",
        point.reason,
    )


def spectrum_title(number_of: int, point: CriticalPoint) -> str:
    """What the spectrum of a critical point is of."""
    whole = "" if point.index_is_exact else ", the extreme ones alone"
    return f"|eigenvalues| of {number_of + 1}, {point.size:,} weights{whole}"


def check_words(check: GradientCheck) -> tuple[str, str]:
    """The norm of the gradient, and how it compares with the noise of a batch."""
    times = check.noise / check.norm if check.norm else math.inf
    noise = (
        f"a batch of {check.batch_size:,} is {number(check.noise)} off it, {number(times)} times "
        "its norm"
    )
    return (
        f"norm {number(check.norm)} over {count(check.samples, 'sample')}, loss "
        f"{number(check.loss, 4)}",
        noise if math.isfinite(check.noise) else "one batch alone: its noise is not known",
    )


def layers_by_norm(check: GradientCheck) -> list[tuple[str, float, float]]:
    """Name, gradient norm and noise of a batch of each layer, the largest norm first.

    The noise is that of the parameters whose names begin with the layer's; NaN where none does.
    """
    squares = dict.fromkeys(check.layer_norms, math.nan)
    for name, noise in check.noises.items():
        parents = [layer for layer in squares if name == layer or name.startswith(f"{layer}/")]
        if parents:
            layer = max(parents, key=len)
            squares[layer] = np.nansum([squares[layer]]) + noise**2
    return [
        (name, norm, math.sqrt(squares[name]))
        for name, norm in sorted(check.layer_norms.items(), key=lambda item: -item[1])
    ]


def path_words(told: Trajectories, row: int) -> str:
    """Where a run ended: its loss, and how far it is from the first place that is known."""
    path = list(told.runs.values())[row]
    loss = f"loss {number(float(path.losses[-1]), 4)}, " if len(path.losses) else ""
    first = int(path.steps[0])
    begun = "its start" if first == 0 else f"step {first:,}"
    return f"{loss}{number(float(told.from_start[row]))} from {begun}"


def axis_words(told: Trajectories) -> tuple[str, str]:
    """What the two axes of trajectories show."""
    first, second = (percent(share) for share in told.explained)
    return f"first axis, {first} of the variance", f"second axis, {second}"


def trajectory_words(told: Trajectories) -> list[Phrase]:
    """How far apart the runs ended, how well that is known, and how many runs are left out."""
    words = []
    if len(told.runs) > 1:
        apart = told.distances[np.triu_indices(len(told.runs), 1)]
        near, far = number(float(apart.min())), number(float(apart.max()))
        between = near if near == far else f"{near} to {far}"
        words.append(Phrase(f"ends {between} apart"))
    if told.error:
        words.append(Phrase(f"distances ±{percent(told.error)}", "quiet"))
    if told.left_out:
        words.append(Phrase(f"{len(told.left_out):,} runs without, or of others", "quiet"))
    return [*words, Phrase("○ start", "quiet")]
