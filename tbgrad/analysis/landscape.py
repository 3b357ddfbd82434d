"""The loss on lines and planes through the weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tbgrad import hessian
from tbgrad.analysis.directions import (
    Direction,
    Path,
    given_directions,
    path_directions,
    random_directions,
)
from tbgrad.analysis.grid import Grid
from tbgrad.hessian.batches import BatchedLoss, Loss
from tbgrad.hessian.errors import HessianError
from tbgrad.log.landscape import Axis, Landscape, PathPoint
from tbgrad.log.text import number

Directions = Literal["random", "eigenvectors"] | Sequence[Any]


def line(
    loss: Loss | BatchedLoss,
    variables: Sequence[Any],
    direction: Literal["random", "eigenvectors"] | Any = "random",
    *,
    to: Sequence[Any] | None = None,
    points: int = 101,
    extent: float | tuple[float, float] | None = None,
    gradient: bool = False,
    tolerance: float | None = None,
    start: Landscape | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> Landscape:
    """The loss on a straight line through the present weights.

    Args:
        loss, variables: as for `tbgrad.hessian.eigenvalues`, n entries in all.
        direction: "random" (filter-normalised: Li et al. 2018), "eigenvectors" (that of the largest
            eigenvalue of the Hessian), or an array a variable.
        to: other weights, an array a variable, in place of a direction: the line goes from the
            present ones at 0 to these at 1. `barrier` of the result tells whether they lie in one
            basin.
        points: how many, evenly; with `to` a few more beyond either end.
        extent: how far to look in multiples of the direction, either way or (from, to).
        gradient, tolerance, start, seed, progress: as for `plane`.

    Returns:
        Landscape of one axis.

    Raises:
        HessianError: as `plane` says.

    >>> tbgrad.analysis.line(loss, model.trainable_variables, to=other_weights).barrier
    """
    at = hessian.LossPoints(loss, variables)
    if to is not None:
        vector = at.flatten(to, "to") - at.weights
        directions = given_directions([vector])
        low, high = -0.25, 1.25
        directions = [Direction(vector, "from these weights (0) to those (1)", low, high)]
    elif isinstance(direction, str):
        directions = _named(direction, 1, at, loss, variables, seed, progress)
    else:
        directions = given_directions([at.flatten(direction, "direction")])
    axes = _axes(directions, points, [extent], whole=to is not None)
    found = _evaluated(at, directions, axes, gradient, tolerance, start, progress)
    return replace(found, joins_two=to is not None)


def plane(
    loss: Loss | BatchedLoss,
    variables: Sequence[Any],
    directions: Directions = "random",
    *,
    path: Sequence[Any] | None = None,
    steps: Sequence[int] | None = None,
    points: int = 51,
    extent: float | tuple[float, float] | None = None,
    gradient: bool = False,
    tolerance: float | None = None,
    start: Landscape | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> Landscape:
    """The loss on a plane through the present weights.

    The points are evaluated from coarse to fine, in one compiled function, so that what there is
    after Ctrl-C shows the whole plane; `start` goes on from there.

    Args:
        loss, variables: as for `tbgrad.hessian.eigenvalues`, n entries in all.
        directions: "random" (two, filter-normalised: Li et al. 2018), "eigenvectors" (those of the
            two largest eigenvalues of the Hessian), or two of your own, each an array a variable.
        path: weights that a training went through, each an array a variable, in place of
            directions: the plane is then that of their two principal components as seen from the
            present weights, and they are drawn on it. Of a model of up to 4,096 weights a log with
            `trajectory=True` has them (`weights_of`), of others one with "exact".
        steps: of each place of the path, for those who look at it.
        points: along either axis.
        extent: how far to look in multiples of the directions, either way or (from, to). By default
            1 for random ones, which are as long as the weights; for eigenvectors as far as it takes
            along the first one to double the loss, by its eigenvalue; for a path a little more than
            it.
        gradient: whether to compute ‖∇L‖, too; takes about three times as long, and the memory of
            some gradients.
        tolerance: where a point is known from its neighbours to this share of the range of the
            loss, or of the loss itself, it is interpolated and `evaluated` says so. By default all
            are evaluated.
        start: what the same call has found before; only the points that it lacks are evaluated.
        seed: of random directions.
        progress: whether to show on standard error how far it is; by default on a terminal.

    Returns:
        Landscape of two axes.

    Raises:
        HessianError: the loss is no scalar or not deterministic, weights are of another
            architecture, a direction has no length, or `start` is of other axes or weights.

    >>> tbgrad.analysis.plane(loss, model.trainable_variables, "eigenvectors", points=31)
    """
    at = hessian.LossPoints(loss, variables)
    walked: Path | None = None
    if path is not None:
        snapshots = [at.flatten(place, "path") for place in path]
        if steps is not None and len(steps) != len(snapshots):
            raise HessianError(
                f"steps has {len(steps)} entries and path {len(snapshots)}: give one a place."
            )
        walked = path_directions(at.weights, snapshots, 2)
        chosen = walked.directions
    elif isinstance(directions, str):
        chosen = _named(directions, 2, at, loss, variables, seed, progress)
    else:
        if len(directions) != 2:
            raise HessianError(f"directions are two for a plane, not {len(directions)}.")
        chosen = given_directions([at.flatten(each, "directions") for each in directions])
    axes = _axes(chosen, points, [extent, extent])
    return _evaluated(at, chosen, axes, gradient, tolerance, start, progress, walked, steps)


def _named(
    name: str,
    count: int,
    at: hessian.LossPoints,
    loss: Any,
    variables: Sequence[Any],
    seed: int,
    progress: bool | None,
) -> list[Direction]:
    if name == "random":
        sizes = [parameter.size for parameter in at.parameters]
        return random_directions(at.weights, at.units, sizes, count, seed)
    if name != "eigenvectors":
        raise HessianError(
            f'directions are "random", "eigenvectors" or arrays of your own, not {name!r}.'
        )
    if at.size < count:
        raise HessianError(f"{at.size} weight has no plane: ask for a line.")
    top = hessian.eigenvalues(loss, variables, k=count, seed=seed, progress=progress)
    steepest = max(abs(float(top.values[0])), float(np.finfo(np.float32).tiny))
    reach = float(np.sqrt(2 * max(abs(float(top.loss)), 1e-6) / steepest))
    return [
        Direction(
            np.asarray(top.vectors[i]), f"eigenvector {i + 1}, λ {number(value)}", -reach, reach
        )
        for i, value in enumerate(top.values.tolist())
    ]


def _axes(
    directions: Sequence[Direction],
    points: int,
    extents: Sequence[float | tuple[float, float] | None],
    *,
    whole: bool = False,
) -> tuple[Axis, ...]:
    """Where along each direction the loss is asked for; with `whole` 0 and 1 are among it."""
    if points < 3:
        raise HessianError(f"points are at least 3, not {points}.")
    axes = []
    for direction, extent in zip(directions, extents, strict=True):
        low, high = direction.low, direction.high
        if extent is not None:
            low, high = (-extent, extent) if isinstance(extent, int | float) else extent
        if not low < high:
            raise HessianError(f"extent rises from its first to its second number, not {extent}.")
        coordinates = np.linspace(low, high, points)
        if whole:
            coordinates = np.union1d(coordinates, [0.0, 1.0])
        axes.append(Axis(direction.label, coordinates, float(np.linalg.norm(direction.vector))))
    return tuple(axes)


def _evaluated(
    at: hessian.LossPoints,
    directions: Sequence[Direction],
    axes: tuple[Axis, ...],
    gradient: bool,
    tolerance: float | None,
    start: Landscape | None,
    progress: bool | None,
    walked: Path | None = None,
    steps: Sequence[int] | None = None,
) -> Landscape:
    if tolerance is not None and not 0 < tolerance < 1:
        raise HessianError(f"tolerance is a share between 0 and 1, not {tolerance}.")
    grid = Grid([axis.coordinates for axis in axes], tolerance, gradient)
    vectors: list[NDArray[Any]] = [direction.vector for direction in directions]
    with at.along(vectors, gradient=gradient) as losses:
        first, again = (losses(np.zeros((1, len(axes))))[0][0] for _ in range(2))
        if abs(first - again) > 1e3 * np.finfo(at.dtype).eps * abs(first):
            raise HessianError(
                f"The loss is not deterministic: at the same weights it was "
                f"{number(first, 9)} and then {number(again, 9)}. Turn dropout off and keep the "
                "data as they are."
            )
        if start is not None:
            grid.go_on(start, axes, float(first), losses)
        most = max(1, (64 << 20) // (4 * at.size)) if gradient else 1 << 20
        grid.fill(losses, most, progress)
    path: tuple[PathPoint, ...] = ()
    if walked is not None:
        numbers = range(len(walked.places)) if steps is None else steps
        path = tuple(
            PathPoint(int(step), tuple(place), float(distance))
            for step, place, distance in zip(
                numbers, walked.places.tolist(), walked.distances, strict=True
            )
        )
    return Landscape(
        axes=axes,
        loss=grid.loss,
        evaluated=grid.evaluated,
        centre_loss=float(first),
        gradient_norm=grid.norm if gradient else None,
        path=path,
        explained=walked.explained if walked is not None else (),
        samples=round(at.samples) if at.samples > 1 else 0,
    )
