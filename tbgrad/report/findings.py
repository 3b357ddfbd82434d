"""What was found around the weights, and how far a training went, in words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from tbgrad.log.analyses import Analysis
from tbgrad.log.gradient_check import GradientCheck
from tbgrad.log.landscape import Landscape
from tbgrad.log.tags import ANALYSES, TRAJECTORY
from tbgrad.log.text import number
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
        Finding(name, int(run[f"{ANALYSES}{name}"].steps[-1]), _words(analysis))
        for name, analysis in run.analyses.items()
    ]
    series = run.get(TRAJECTORY)
    if series is not None and len(series) > 1:
        try:
            moved = trajectories({run.name: run})
        except ValueError:
            return tuple(found)  # it was logged at one place alone
        error = f" ±{moved.error:.0%}" if moved.error else ""
        text = f"{series.total:,} places, the last {number(float(moved.from_start[0]))}{error}"
        found.append(Finding("trajectory", int(series.steps[-1]), f"{text} from the first"))
    return tuple(found)


def _words(analysis: Analysis) -> str:
    if isinstance(analysis, Landscape):
        words = str(analysis)
        ends = {0.0, 1.0} <= set(analysis.axes[0].coordinates.tolist())
        if len(analysis.axes) == 1 and ends:
            words += f"\nbarrier {number(analysis.barrier)}"
        if analysis.explained:
            words += f"\n{sum(analysis.explained):.0%} of the path is in the plane"
        return words
    if isinstance(analysis, GradientCheck):
        return str(analysis)
    kinds = Counter(point.kind for point in analysis)
    lines = [str(point) for point in sorted(analysis, key=lambda point: point.loss)[:LISTED]]
    if len(analysis) > LISTED:
        counted = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        lines.append(f"and {len(analysis) - LISTED:,} more; of all {counted}")
    return "\n".join(lines)
