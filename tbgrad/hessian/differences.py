"""The derivative of the gradient along a direction by finite differences, with their error."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

TRIES = 6
"""Lengths of a step that are tried at most."""

VAGUE = 0.1
"""A difference of which a larger share may be error could be anything."""

LEAP = 30.0
"""A step is at most so many times longer or shorter than the best before it."""


@dataclass(frozen=True, eq=False)
class Difference:
    """The derivative of the gradient along a unit direction, from five gradients.

    Attributes:
        direction: [n], of length one: where the weights went, rounded as they are.
        product: [n], the derivative, of the fourth order in the step.
        step: distance between two gradients.
        rounding: 2-norm of the error of one gradient.
        bend: by how much the central difference of two gradients differs from `product`.
    """

    direction: NDArray[Any]
    product: NDArray[Any]
    step: float
    rounding: float
    bend: float

    @property
    def size(self) -> float:
        """2-norm of the product."""
        return float(np.linalg.norm(self.product))

    @property
    def share(self) -> float:
        """How much of the central difference of two gradients may be error."""
        error = self.two_point_error
        if not math.isfinite(error):  # over the edge of what the loss is defined for
            return math.inf
        return error / self.size if self.size else math.inf if error else 0.0

    @property
    def vague(self) -> bool:
        """Whether it tells little: gradients are rounded that much, or bend within the step."""
        return self.share > VAGUE

    @property
    def error(self) -> float:
        """How far the product may be off (2-norm).

        Two standard deviations of its rounding; and where two gradients are off by a share r of it,
        by a term of the second order, five are off by r² or so.
        """
        rest = self.bend**2 / self.size if self.size else self.bend
        return 2 * (math.sqrt(130) / 12 * self.rounding / self.step + rest)

    @property
    def two_point_error(self) -> float:
        """How far the central difference of two gradients may be off, at this step."""
        return 2 * (self.rounding / (math.sqrt(2) * self.step) + self.bend)


def difference(
    gradient_at: Callable[[NDArray[Any]], tuple[NDArray[Any], NDArray[Any]]],
    direction: NDArray[Any],
    step: float,
    enough: float,
) -> Difference:
    """The derivative of the gradient along a direction, with the step that leaves least error.

    The fourth difference of five gradients is their rounding alone where the step is short, and
    jumps where the gradient jumps: its norm over √70 is that of one (Moré and Wild, "Estimating
    computational noise", SIAM Journal on Scientific Computing 33, 2011).

    Args:
        gradient_at: the gradient at the weights plus a vector, and the vector that it was in truth:
            weights are rounded.
        direction: [n], not zero, of any length.
        step: length to begin with.
        enough: relative error of two points with which no other length is tried.
    """
    unit = direction / np.linalg.norm(direction)
    best: Difference | None = None
    others = iter([step / LEAP, step * LEAP, step / LEAP**2, step * LEAP**2])
    for _ in range(TRIES):
        tried = _at_step(gradient_at, unit, step)
        if best is None or tried.share < best.share:
            best = tried
        if best.share <= enough:
            break
        if best.vague:
            # Too short, or too long: rounding and waves of the gradient look alike.
            step = next(others, step)
            continue
        # Rounding falls as 1 / step and the bend rises as its square: where the two are equal.
        ratio = best.rounding / best.step / max(best.bend, np.finfo(np.float64).tiny)
        factor = float(np.clip(ratio ** (1 / 3), 1 / LEAP, LEAP))
        if best is not tried or 0.5 < factor < 2:
            break
        step = best.step * factor
    assert best is not None
    return best


def _at_step(gradient_at: Callable[..., Any], unit: NDArray[Any], step: float) -> Difference:
    # One gradient at a time: each is as large as the weights.
    after, moved = gradient_at(step * unit)
    near, fourth = after.copy(), -4 * after
    del after
    before, back = gradient_at(-step * unit)
    near -= before
    fourth -= 4 * before
    del before
    moved = (moved - back) / 2
    del back
    length = float(np.linalg.norm(moved))
    if not length:  # shorter than the rounding of the weights
        return Difference(unit, np.zeros_like(unit), step, math.inf, 0.0)
    far, _ = gradient_at(2 * step * unit)
    fourth += far
    other, _ = gradient_at(-2 * step * unit)
    fourth += other
    far = (far - other) / (4 * length)
    fourth += 6 * gradient_at(0 * unit)[0]
    near /= 2 * length
    bend = (near - far) / 3
    return Difference(
        direction=moved / length,
        product=near + bend,
        step=length,
        rounding=float(np.linalg.norm(fourth)) / math.sqrt(70),
        bend=float(np.linalg.norm(bend)),
    )
