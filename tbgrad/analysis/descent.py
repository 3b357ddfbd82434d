"""A descent on the norm of the gradient itself, which comes to saddles as to minima."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tbgrad.analysis.krylov import Krylov, Step
from tbgrad.hessian.computation import Computation
from tbgrad.hessian.errors import NotFiniteError

ACCEPTED, POOR, GOOD = 1e-4, 0.25, 0.75
"""Shares of the promised gain: below the first a step is not taken, below the second the trust
region shrinks, above the third it grows."""

REFUSALS = 30
"""Steps refused one after the other, each a quarter as long, after which there is none."""

GAIN = 1e-3
"""A step that promises less of ‖∇L‖ than this share is none."""

ROUNDING = 4.0
"""Rounding leaves a gradient of up to so many times what a rounding of the weights moves it."""

SLOW = 10
"""Steps that together leave more than half of ‖∇L‖ lead along a valley to nowhere."""

OUT = 0.5
"""Of the norm at which a descent was stuck, the share at which it is out of there."""

Move = Callable[[Any], NDArray[Any]]


class Place(NamedTuple):
    """Somewhere on the way: how far from where the weights were, the loss, ∇L and its norm."""

    offset: NDArray[Any]
    loss: float
    gradient: NDArray[Any]
    norm: float


class Descent:
    """From one start to where ‖∇L‖ gets no smaller.

    Where ‖∇L‖ has a minimum of its own, or runs off to one, the loss is made smaller for a while.

    Attributes:
        norms: ‖∇L‖ at the start and after each step.
        norm, loss: ‖∇L‖ and the loss where it ended, the smallest ‖∇L‖ on the way.
        loss_steps: steps that made the loss smaller instead.
        gradients: how many were computed.
        products_before: products of the operator ahead of this descent.
    """

    def __init__(
        self,
        operator: Any,
        move_by: Move,
        tol: float,
        max_products: int,
        max_basis: int,
        progress: bool | None,
    ) -> None:
        self._operator, self._move_by, self._tol = operator, move_by, tol
        self._max_products, self._max_basis = max_products, max_basis
        self._progress = progress
        self.norms: list[float] = []
        self.norm = self.loss = float("nan")
        self.gradients = self.loss_steps = 0
        self.products_before = operator.products
        self._last = self._best = Place(np.zeros(0), self.loss, np.zeros(0), np.inf)
        self._length = np.inf

    def run(self, offset: NDArray[Any]) -> str:
        """Descend from the weights at `offset` from where they were; why it ended.

        The variables are then where ‖∇L‖ was smallest.
        """
        try:
            with np.errstate(all="ignore"):
                reason = self._descend(offset)
        except KeyboardInterrupt:
            reason = "interrupted"
        if self.norms:
            self._move_by(self._best.offset)
        return reason

    def _at(self, offset: NDArray[Any]) -> Place:
        moved = self._move_by(offset)
        loss, gradient = self._operator.loss_and_gradient()
        self.gradients += 1
        return Place(moved, loss, gradient, float(np.linalg.norm(gradient.astype(np.float64))))

    def _descend(self, offset: NDArray[Any]) -> str:
        place = self._at(offset)
        self._reached(place)
        goal, floor = self._tol * place.norm, self._rounding(place)
        radius = {"norm": np.inf, "loss": np.inf}
        stuck_at, steps = 0.0, 0
        while place.norm > floor:  # beyond the goal, for the eigenvalues
            left = self._max_products - (self._operator.products - self.products_before)
            if left <= 0:
                return "budget" if self.norm > goal else "converged"
            krylov = self._krylov(place, min(left, self._max_basis))
            if place.norm < OUT * stuck_at:
                stuck_at, steps = 0.0, 0
            merit = "loss" if stuck_at else "norm"
            slow = steps >= SLOW and self.norms[-1] > self.norms[-1 - SLOW] / 2
            taken, radius[merit] = (
                (None, np.inf)
                if slow and merit == "norm"
                else self._step(krylov, place, radius[merit], merit)
            )
            if taken is None and merit == "norm":
                stuck_at, radius["loss"] = place.norm, self._first_radius(place)
                continue
            steps += 1
            if taken is None:
                break
            self.loss_steps += merit == "loss"
            place = taken
            self._reached(place)
            if place.norm <= max(goal, floor):
                floor = self._rounding(place)
        if self.norm <= goal:
            return "converged"
        return "rounding" if self.norm <= floor else "stuck"

    def _reached(self, place: Place) -> None:
        self.norms.append(place.norm)
        if place.norm < self._best.norm:
            if len(self.norms) > 1:
                self._length = float(np.linalg.norm(place.offset - self._last.offset))
            self._best, self.norm, self.loss = place, place.norm, place.loss
        self._last = place

    @contextlib.contextmanager
    def ahead(self) -> Iterator[None]:
        """Inside, the variables are one more of Newton's steps ahead, taken or not."""
        place = self._best
        if place.norm > 0:  # no further than the last step, which was one of many nearer and nearer
            step = self._krylov(place, self._max_basis).norm_step(self._length)
            self._move_by(place.offset + step.vector)
        yield
        self._move_by(place.offset)

    def _krylov(self, place: Place, size: int) -> Krylov:
        enough = min(0.1, np.sqrt(place.norm / self.norms[0]))
        with Computation(self._operator, None, "Critical point", self._progress) as computed:

            def product(vector: NDArray[Any]) -> NDArray[Any]:
                return np.asarray(computed.product(vector))

            return Krylov(product, place.gradient, enough, size)

    def _step(
        self, krylov: Krylov, place: Place, radius: float, merit: str
    ) -> tuple[Place | None, float]:
        """A step that is taken, or None; and the next radius."""
        for _ in range(REFUSALS):
            step: Step = getattr(krylov, f"{merit}_step")(radius)
            length = float(np.linalg.norm(step.vector))
            if not length or (merit == "norm" and step.gain < GAIN * place.norm):
                return None, np.inf
            try:
                coming = self._at(place.offset + step.vector)
            except NotFiniteError:
                radius = length / 4
                continue
            promised, got = step.gain, place.loss - coming.loss
            if merit == "norm":
                promised = place.norm**2 - (place.norm - step.gain) ** 2
                got = place.norm**2 - coming.norm**2
            if np.isfinite(coming.norm) and got > ACCEPTED * promised > 0:
                if got < POOR * promised:
                    return coming, length / 2
                return coming, max(radius, 2 * length) if got > GOOD * promised else radius
            radius = length / 4
        return None, np.inf

    def _first_radius(self, place: Place) -> float:
        """As long as the weights are, or 1 where they are zero."""
        self._move_by(place.offset)
        return float(np.linalg.norm(self._weights(place))) or 1.0

    def _weights(self, place: Place) -> NDArray[Any]:
        variables = self._operator.variables.variables
        return np.concatenate([v.numpy().astype(place.offset.dtype).ravel() for v in variables])

    def _rounding(self, place: Place) -> float:
        """How far a rounding of every weight moves the gradient."""
        self._move_by(place.offset)
        weights = self._weights(place)
        eps = np.finfo(weights.dtype).eps
        signs = np.random.default_rng(0).choice(np.array([-eps, eps], weights.dtype), len(weights))
        moved = self._at(place.offset + signs * weights)
        self._move_by(place.offset)
        return ROUNDING * float(np.linalg.norm(moved.gradient - place.gradient))
