"""What was found of the loss around some weights: the record of a line or a plane through them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.text import number


@dataclass(frozen=True, eq=False)
class Axis:
    """A direction in the space of the weights, and where along it the loss was asked for.

    Attributes:
        label: what the direction is: "random direction 1", "eigenvector 1, λ 12.3", …
        coordinates: [m], rising, in multiples of the direction; the weights themselves are at 0.
        length: of the direction, in units of the weights.
    """

    label: str
    coordinates: NDArray[np.float64]
    length: float


class PathPoint(NamedTuple):
    """Where a training was at a step: its place on the axes, and how far it was off them.

    `distance` is in units of the weights.
    """

    step: int
    place: tuple[float, ...]
    distance: float


@dataclass(frozen=True, eq=False)
class Landscape:
    """The loss on a line or a plane through the weights.

    Attributes:
        axes: one of a line, two of a plane.
        loss: float64 [m] or [m, k], one entry a point, in the order of the axes; NaN where it was
            not computed, infinite or NaN where the loss is.
        evaluated: bool, of the same shape: where it is the loss itself. Elsewhere it is
            interpolated between neighbours, or NaN where the computation was ended before.
        gradient_norm: ‖∇L‖ likewise; None where it was not asked for.
        centre_loss: the loss at the weights themselves.
        path: places of a training, where the plane is that of its path.
        explained: share of the movement of the path that lies along each axis, () where there is
            none.
        samples: what the loss is a mean over; 0 where that is not known.
        joins_two: whether it is the line from one set of weights, at 0, to another, at 1.
    """

    axes: tuple[Axis, ...]
    loss: NDArray[np.float64]
    evaluated: NDArray[np.bool_]
    centre_loss: float
    gradient_norm: NDArray[np.float64] | None = None
    path: tuple[PathPoint, ...] = ()
    explained: tuple[float, ...] = ()
    samples: int = 0
    joins_two: bool = False

    @property
    def complete(self) -> bool:
        """Whether every point has a loss, evaluated or interpolated."""
        return bool((self.evaluated | np.isfinite(self.loss)).all())

    @property
    def lowest(self) -> tuple[float, tuple[float, ...]]:
        """The smallest loss that was evaluated, and where."""
        finite = np.where(self.evaluated & np.isfinite(self.loss), self.loss, np.inf)
        place = np.unravel_index(int(np.argmin(finite)), finite.shape)
        where = (float(a.coordinates[i]) for a, i in zip(self.axes, place, strict=True))
        return float(finite[place]), tuple(where)

    @property
    def has_barrier(self) -> bool:
        """Whether it joins two sets of weights and the loss was computed at both."""
        if not self.joins_two or len(self.axes) != 1:
            return False
        place = self.axes[0].coordinates
        return all(bool(self.evaluated[place == end].any()) for end in (0.0, 1.0))

    @property
    def barrier(self) -> float:
        """How far the loss rises above the straight line between its values at 0 and 1.

        Of a line from one set of weights to another: are they of one basin? The largest rise over
        the evaluated points between, 0 where there is none (Frankle, Dziugaite, Roy and Carbin,
        "Linear mode connectivity and the lottery ticket hypothesis", ICML 2020).

        Raises:
            ValueError: it joins no two sets of weights, or was ended before both were evaluated.
        """
        if not self.has_barrier:
            raise ValueError(
                "A barrier is of a line from one set of weights to another, evaluated at both: "
                "tbgrad.analysis.line(…, to=other_weights)."
            )
        place = self.axes[0].coordinates
        start, stop = (float(self.loss[place == end][0]) for end in (0.0, 1.0))
        between = (place >= 0) & (place <= 1) & self.evaluated
        rise = self.loss[between] - (start + place[between] * (stop - start))
        return float(np.max(np.where(np.isnan(rise), math.inf, rise), initial=0.0))

    def __repr__(self) -> str:
        lines = [
            f"{'line' if len(self.axes) == 1 else 'plane'} of "
            f"{' × '.join(str(len(axis.coordinates)) for axis in self.axes)} points, loss "
            f"{number(self.centre_loss, 6)} at the weights"
        ]
        if self.evaluated.any():
            value, where = self.lowest
            at = ", ".join(number(place, 3) for place in where)
            lines.append(f"  lowest {number(value, 6)} at ({at})")
        missing = self.evaluated.size - int(self.evaluated.sum())
        if missing:
            lines.append(f"  {missing:,} points are not evaluated")
        return "\n".join(lines)
