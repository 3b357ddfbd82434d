"""Ritz pairs: which of them are wanted, how precisely, and what was found."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tbgrad.hessian.iteration import Reason

Which = Literal["LA", "SA", "LM", "BE"]

MIX = 1.0
"""Length of the random direction that is added to a unit warm start. Lanczos takes it out again at
no cost in products (0.01 to 1.0 cost the same on networks), and it lets a new extreme be seen."""

AHEAD = 0.3
"""A warm start follows the extreme it was given, and looks only for a new one this much further out
(relatively). Looking for all that is further out than `tol`, as a cold start does, costs what a
cold start costs."""

UNSEEN = 0.1
"""How small a share of the expected size an extreme's part in a random direction may be before it
goes unseen: a normal variate is smaller with a probability of 8 %."""

SCALE_FLOOR = 0.01
"""Below this share of the largest |Ritz value| an eigenvalue counts as zero in `tol`."""


class RitzPairs(NamedTuple):
    """What Lanczos found: `values` [k] falling, `residuals` [k], `vectors` [k, n] unit rows.

    An eigenvalue lies within values ± residuals, and of the extreme ones on a cold start none lies
    beyond. `reason` is why it ended. After Ctrl-C there may be fewer than k.
    """

    values: NDArray[np.float64]
    residuals: NDArray[np.float64]
    vectors: NDArray[Any]
    reason: Reason


@dataclass(frozen=True)
class Wanted:
    """Which `k` eigenvalues of an operator of `size` n are wanted, to a relative `tol`.

    `which` is as for `eigenvalues`; `warm` tells whether the start is the answer to a similar
    question.
    """

    k: int
    which: Which
    tol: float
    size: int
    warm: bool

    @property
    def block(self) -> int:
        """How many values are wanted at one end at most: so wide a start finds multiple ones."""
        return max(self._at_ends(self.k))

    @property
    def unseen(self) -> float:
        """How small the part of an eigenvector in the start may be and go unseen."""
        return UNSEEN * (MIX / math.hypot(1.0, MIX) if self.warm else 1.0) / math.sqrt(self.size)

    @property
    def extremes(self) -> list[tuple[int, float]]:
        """Index of the values that claim to be extreme, and in which direction they are."""
        top = [(0, 1.0)] if self.which in ("LA", "BE") else []
        return top + ([(-1, -1.0)] if self.which in ("SA", "BE") else [])

    def indices(self, values: NDArray[np.float64], k: int | None = None) -> NDArray[np.intp]:
        """Indices of the wanted among the rising `values`, in falling order of the values.

        Not more than there are, and k of them if given.
        """
        k = min(self.k if k is None else k, len(values))
        if self.which == "LM":
            chosen = np.argsort(-np.abs(values), kind="stable")[:k]
            return np.sort(chosen)[::-1]
        top, bottom = self._at_ends(k)
        rising: NDArray[np.intp] = np.r_[:bottom, len(values) - top : len(values)]
        return rising[::-1]

    def allowed(self, values: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
        """Residuals of `values` with which they have converged; `scale` is the largest |value|."""
        limits: NDArray[np.float64] = self.tol * np.maximum(np.abs(values), SCALE_FLOOR * scale)
        return limits

    def levels_beyond(self, values: NDArray[np.float64]) -> list[float]:
        """A missed eigenvalue beyond one of these levels would make the answer wrong.

        They lie outward of all the rising `values`.
        """
        if not values.any():
            return []  # a random direction in the null space means that there is nothing else
        ahead = AHEAD if self.warm else self.tol
        if self.which == "LM":
            level = (1 + ahead) * float(np.abs(values).max())
            return [level, -level]
        top, bottom = float(values[-1]), float(values[0])
        scale = max(abs(top), abs(bottom))
        above = top + ahead * max(abs(top), SCALE_FLOOR * scale)
        below = bottom - ahead * max(abs(bottom), SCALE_FLOOR * scale)
        return {"LA": [above], "SA": [below], "BE": [above, below]}[self.which]

    def _at_ends(self, k: int) -> tuple[int, int]:
        """How many of k are wanted at the top and at the bottom; LM may want all at either."""
        return {"LA": (k, 0), "SA": (0, k), "LM": (k, k), "BE": (k - k // 2, k // 2)}[self.which]


def start_directions(
    start: NDArray[Any] | None, block: int, size: int, rng: np.random.Generator
) -> list[NDArray[Any]]:
    """`block` random directions [n], not zero, mixed with the vectors of a warm start [any, n]."""
    given: list[NDArray[Any]] = []
    for vector in () if start is None else np.asarray(start, dtype=np.float64):
        length = float(np.linalg.norm(vector))
        if 0 < length < math.inf:
            given.append(vector / length)
    directions = []
    for i in range(block):
        direction = rng.standard_normal(size)
        # Dealt out: one direction carries a vector of the top and one of the bottom, which part
        # after one more product, while a direction of its own would cost a product for each.
        if own := given[i::block]:
            direction = sum(own) / math.sqrt(len(own)) + MIX * direction / np.linalg.norm(direction)
        directions.append(direction)
    return directions
