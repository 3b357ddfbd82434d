"""What a tap on a training has to offer so that what it sees can be logged."""

from __future__ import annotations

from typing import Any, Protocol

from numpy.typing import NDArray

from tbgrad.log.records import HistogramBins, Parameter
from tbgrad.monitoring.cadence import Cadence
from tbgrad.monitoring.logged_step import Drained


class Tap(Protocol):
    """Sees the gradients of a training in any framework and keeps every step until drained.

    Steps are counted in updates of the parameters, from 1 on. Nothing here but `drain` and the
    properties may wait for the device, and none of it is called within a step.

    Attributes:
        parameters: what the rows of its tables are of, P in number.
        bins: what the columns of its histograms are.
    """

    parameters: tuple[Parameter, ...]
    bins: HistogramBins

    @property
    def count(self) -> int:
        """Updates seen so far, those before it was there included."""

    @property
    def skipped(self) -> bool:
        """Whether updates were left out since the last logged step."""

    def max_steps_between_drains(self, step: int) -> int:
        """Steps after `step` within which a drain is due, or steps may be lost."""

    def log_every(self, every: Cadence, histograms_every: Cadence) -> None:
        """Change how often steps and histograms are logged, from the next step on."""

    def resume(self, step: int) -> None:
        """Count on from here, and leave out what was seen since the last drain."""

    def drain(self) -> Drained:
        """What gathered since the last drain."""

    def weights(self) -> list[NDArray[Any]]:
        """Copies of the parameters as they are now, in row order; waits for the device."""
