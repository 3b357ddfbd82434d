"""Directions in the space of the weights along which a landscape is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad.hessian.errors import HessianError
from tbgrad.hessian.memory import require_free


@dataclass(frozen=True, eq=False)
class Direction:
    """A vector [n] through the weights, what it is, and how far along it to look.

    `low` and `high` are in multiples of the vector.
    """

    vector: NDArray[Any]
    label: str
    low: float = -1.0
    high: float = 1.0


def random_directions(
    weights: NDArray[Any],
    units: Sequence[tuple[int, int, int] | None],
    sizes: Sequence[int],
    count: int,
    seed: int,
) -> list[Direction]:
    """Directions at random, each filter of the length that it has in the weights.

    Biases, and what a normalization learns, stay as they are (Li, Xu, Taylor, Studer and Goldstein,
    "Visualizing the loss landscape of neural nets", NeurIPS 2018, section 4). Later ones are
    orthogonal to those before.

    Args:
        weights: [n].
        units: of each parameter the shape whose middle axis has one entry a filter, None for those
            that stay.
        sizes: entries of each parameter.

    Raises:
        HessianError: no parameter has two axes, or all of these are zero.
    """
    generator = np.random.default_rng(seed)
    ends = np.cumsum([0, *sizes])
    made: list[Direction] = []
    for number in range(1, count + 1):
        vector = np.zeros(len(weights))
        for shape, start, end in zip(units, ends[:-1], ends[1:], strict=True):
            if shape is None or start == end:
                continue
            drawn = generator.standard_normal(end - start).reshape(shape)
            length = np.linalg.norm(weights[start:end].reshape(shape), axis=(0, 2), keepdims=True)
            scale = np.linalg.norm(drawn, axis=(0, 2), keepdims=True)
            vector[start:end] = (drawn * length / np.where(scale > 0, scale, 1.0)).ravel()
        for other in made:
            vector -= other.vector * (other.vector @ vector) / (other.vector @ other.vector)
        if not np.linalg.norm(vector) > 0:
            raise HessianError(
                "A random direction has the length of the weights, and these have none: all "
                "parameters with two axes or more are zero. Give directions= of your own."
            )
        made.append(Direction(vector, f"random direction {number}"))
    return made


def given_directions(vectors: Sequence[NDArray[Any]]) -> list[Direction]:
    """Directions that a caller chose, as long as they are.

    Raises:
        HessianError: one has no length or is not finite, or two are parallel.
    """
    for number, vector in enumerate(vectors, start=1):
        if not np.isfinite(vector).all() or not np.linalg.norm(vector) > 0:
            raise HessianError(f"Direction {number} has no length, or is not finite.")
    if len(vectors) == 2:
        a, b = (vector / np.linalg.norm(vector) for vector in vectors)
        if abs(float(a @ b)) > 1 - 1e-6:
            raise HessianError("The two directions are parallel: a plane needs two that differ.")
    return [Direction(vector, f"direction {i}") for i, vector in enumerate(vectors, start=1)]


@dataclass(frozen=True, eq=False)
class Path:
    """A training as seen from its end: its main directions, and its places on them.

    `places` are [T, d], `distances` [T] how far it was off them, `explained` the share of all
    movement that lies along each.
    """

    directions: list[Direction]
    places: NDArray[np.float64]
    distances: NDArray[np.float64]
    explained: tuple[float, ...]


def path_directions(weights: NDArray[Any], snapshots: Sequence[NDArray[Any]], count: int) -> Path:
    """The directions of length 1 in which a training moved most, seen from `weights`.

    The principal components of the snapshots' distances from there (Li et al., section 7).

    Raises:
        HessianError: the snapshots are fewer than needed, or all in one place.
    """
    require_free(3.0 * len(snapshots) * weights.nbytes)
    away = np.array([snapshot - weights for snapshot in snapshots], np.float64)
    left, lengths, _ = np.linalg.svd(away @ away.T)
    values = np.sqrt(lengths)
    if len(away) < count or not values[count - 1] > 1e-7 * values[0] > 0:
        raise HessianError(
            f"The path spans fewer than {count} directions: give snapshots of {count} or more "
            "different places beside the present weights."
        )
    vectors = [away.T @ left[:, i] / values[i] for i in range(count)]
    places = np.column_stack([away @ vector for vector in vectors])
    rest = np.maximum(0.0, (away**2).sum(axis=1) - (places**2).sum(axis=1))
    total = float((away**2).sum())
    directions = []
    for i, vector in enumerate(vectors):
        low, high = min(0.0, places[:, i].min()), max(0.0, places[:, i].max())
        margin = 0.15 * (high - low)
        label = f"principal direction {i + 1} of the training"
        directions.append(Direction(vector, label, low - margin, high + margin))
    explained = tuple(float((places[:, i] ** 2).sum() / total) for i in range(count))
    return Path(directions, places, np.sqrt(rest), explained)
