"""What was found around the weights, and how far a training went, in words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from tbgrad.log.analyses import Analysis
from tbgrad.log.gradient_check import GradientCheck
from tbgrad.log.landscape import Landscape
from tbgrad.log.tags import ANALYSES, TRAJECTORY
from tbgrad.log.text import number
from tbgrad.reading.findings import (
    check_words,
    kind_of,
    landscape_headline,
    landscape_words,
    layers_by_norm,
    path_words,
)
from tbgrad.reading.run import Run
from tbgrad.reading.trajectories import trajectories

LISTED = 5
"""So many critical points are named, those of the smallest loss."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found: its name in the log, the step of the weights, and what it says."""

    name: str
    step: int
    text: str


def findings_of(run: Run) -> tuple[Finding, ...]:
    """All of a run, by name."""
    found = [
        Finding(name, int(run[f"{ANALYSES}{name}"].steps[-1]), "\n".join(_lines(analysis)))
        for name, analysis in run.analyses.items()
    ]
    series = run.get(TRAJECTORY)
    if series is not None and len(series) > 1:
        try:
            moved = trajectories({run.name: run})
        except ValueError:
            return tuple(found)  # it was logged at one place alone
        text = f"{series.total:,} places, {path_words(moved, 0)}"
        found.append(Finding("trajectory", int(series.steps[-1]), text))
    return tuple(found)


def _lines(analysis: Analysis) -> list[str]:
    if isinstance(analysis, Landscape):
        points = " × ".join(str(len(axis.coordinates)) for axis in analysis.axes)
        first = f"{kind_of(analysis)} of {points} points, {landscape_headline(analysis)}"
        return [first, *(phrase.text for phrase in landscape_words(analysis))]
    if isinstance(analysis, GradientCheck):
        layers = layers_by_norm(analysis)
        return [*check_words(analysis), *(f"{number(norm, 3)}  {name}" for name, norm, _ in layers)]
    lines = [str(point) for point in sorted(analysis, key=lambda point: point.loss)[:LISTED]]
    if len(analysis) > LISTED:
        kinds = Counter(point.kind for point in analysis).most_common()
        counted = ", ".join(f"{count} {kind}" for kind, count in kinds)
        lines.append(f"and {len(analysis) - LISTED:,} more; of all {counted}")
    return lines
