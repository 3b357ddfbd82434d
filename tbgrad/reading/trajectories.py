"""Where trainings went: their weights on the axes along which these moved most, in one picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.records import Parameter
from tbgrad.log.tags import LOSS, TRAJECTORY
from tbgrad.log.weight_sketch import is_exact, layers_of, standard_error
from tbgrad.reading.run import Run


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Where one training was.

    Attributes:
        steps: int64 [T], rising.
        places: float64 [T, 2], in units of the weights.
        losses: float64 [T], of the steps that led there; NaN where none is known.
    """

    steps: NDArray[np.int64]
    places: NDArray[np.float64]
    losses: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Trajectories:
    """Several trainings of one architecture on the two axes along which they moved most.

    Attributes:
        layer: of which layer they are; "" for the whole model.
        runs: by name.
        explained: share of the variance of all places that lies along each axis.
        distances: float64 [R, R], between the last places of the runs, in their order, and
            `from_start` [R] from the first place of each to its last: of all weights, not in the
            picture alone.
        error: the standard error of a distance, as a share of it, where what was logged is a
            sketch of the weights; 0 where it is all of them.
        layers: what there is to choose from.
        left_out: why runs that were asked for are not in it, by name.
    """

    layer: str
    runs: dict[str, Trajectory]
    explained: tuple[float, float]
    distances: NDArray[np.float64]
    from_start: NDArray[np.float64]
    error: float
    layers: tuple[str, ...]
    left_out: dict[str, str]

    @cached_property
    def alike(self) -> bool:
        """Whether the runs ended nearer to one another than they are from where they began."""
        pairs = self.distances[np.triu_indices(len(self.runs), 1)]
        return bool(len(pairs)) and float(pairs.max()) < 0.1 * float(self.from_start.min())


def trajectories(runs: Mapping[str, Run], layer: str = "", like: str = "") -> Trajectories:
    """The principal components of the weights of trainings that logged them.

    Of all places of all runs together, about their mean; each run counts the same, and each of its
    places as long as the weights were there, in the logarithm of steps. Where a model has more
    than 4,096 weights these are told from sketches, which keep distances to within `error`.

    Args:
        runs: as `tbgrad.read` gives them. Those of another architecture than `like`, and those
            without a trajectory, are left out and named.
        layer: of one layer alone, by its path in the manifest.
        like: the name of a run; by default the first that has a trajectory.

    Raises:
        ValueError: none has a trajectory of two different places, or there is no such layer.

    >>> tbgrad.analysis.trajectories(tbgrad.read("runs")).explained
    """
    left_out: dict[str, str] = {}
    chosen: dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]] = {}
    having = [name for name, run in runs.items() if run.manifest and len(run.get(TRAJECTORY, ()))]
    if not having:
        raise ValueError(
            "No run has a trajectory: train with GradientMonitor(…, trajectory=True), or call "
            "writer.trajectory() between the steps of a loop of your own."
        )
    like = like if like in having else having[0]
    parameters, shape = _architecture(runs[like])
    exact = is_exact(shape, parameters)
    for name, run in runs.items():
        if name not in having:
            left_out[name] = "has no trajectory: train with trajectory=True"
            continue
        own, own_shape = _architecture(run)
        if own_shape != shape or _shapes(own) != _shapes(parameters):
            left_out[name] = f"is of another architecture than {like}"
            continue
        series = run[TRAJECTORY]
        same = np.array([value.shape == shape for value in series.values])
        places = [_part(value, parameters, exact, layer) for value in series.values[same]]
        chosen[name] = series.steps[same], np.array(places, np.float64)
    return _projected(runs, chosen, parameters, exact, layer, left_out)


def weights_of(run: Run) -> tuple[NDArray[np.int64], list[list[NDArray[np.float32]]]]:
    """The steps at which the weights were logged, and the weights: an array a parameter.

    For `tbgrad.analysis.plane(…, path=weights, steps=steps)`.

    Raises:
        ValueError: there are none, or sketches of them alone.
    """
    series, manifest = run.get(TRAJECTORY), run.manifest
    if series is None or not len(series) or manifest is None:
        raise ValueError(f"run {run.name!r} has no trajectory: train with trajectory=True")
    if not is_exact(series.values[-1].shape, manifest.parameters):
        raise ValueError(
            f"run {run.name!r} has sketches of its weights, and not these: train with "
            'trajectory="exact"'
        )
    ends = np.cumsum([parameter.size for parameter in manifest.parameters])[:-1]
    same = [value.shape == series.values[-1].shape for value in series.values]
    places = [
        [
            part.reshape(parameter.shape)
            for part, parameter in zip(np.split(value[0], ends), manifest.parameters, strict=True)
        ]
        for value in series.values[same]
    ]
    return series.steps[same], places


def _architecture(run: Run) -> tuple[tuple[Parameter, ...], tuple[int, ...]]:
    """The parameters of a run that has a trajectory, and the shape of what is logged of them."""
    assert run.manifest is not None
    return run.manifest.parameters, run[TRAJECTORY].values[-1].shape


def _shapes(parameters: tuple[Parameter, ...]) -> list[tuple[str, tuple[int, ...]]]:
    return [(parameter.path, parameter.shape) for parameter in parameters]


def _part(
    value: NDArray[np.float32], parameters: tuple[Parameter, ...], exact: bool, layer: str
) -> NDArray[np.float32]:
    """Of what was logged at a step, that of a layer, or of all, as one vector."""
    if not layer:
        return value.ravel()
    layers = layers_of(parameters)
    if layer not in layers:
        raise ValueError(f"no layer {layer!r}; there are {', '.join(layers)}")
    if not exact:
        row: NDArray[np.float32] = value[layers.index(layer)]
        return row
    sizes = [parameter.size for parameter in parameters]
    mine = [(parameter.layer or parameter.path) == layer for parameter in parameters]
    part: NDArray[np.float32] = value[0][np.repeat(mine, sizes)]
    return part


def _projected(
    runs: Mapping[str, Run],
    chosen: Mapping[str, tuple[NDArray[np.int64], NDArray[np.float64]]],
    parameters: tuple[Parameter, ...],
    exact: bool,
    layer: str,
    left_out: dict[str, str],
) -> Trajectories:
    everything = np.concatenate([places for _, places in chosen.values()])
    weights = np.concatenate([_weights(*own) for own in chosen.values()])
    if not weights.any():
        raise ValueError("No place of these trajectories is finite: there is no way to show.")
    known = weights > 0
    centre = weights[known] @ everything[known] / weights.sum()
    centred = np.where(known[:, np.newaxis], everything - centre, 0.0)
    places, explained = _principal(centred, weights)
    places = np.where(known[:, np.newaxis], places, np.nan)
    placed, begun = {}, 0
    for name, (steps, own) in chosen.items():
        part = places[begun : begun + len(own)]
        begun += len(own)
        placed[name] = Trajectory(steps, part, _losses(runs[name], steps))
    ends = np.array([own[-1] for _, own in chosen.values()])
    starts = np.array([own[0] for _, own in chosen.values()])
    layers = layers_of(parameters)
    width = everything.shape[1] if layer else everything.shape[1] // max(1, len(layers))
    return Trajectories(
        layer=layer,
        runs=placed,
        explained=explained,
        distances=np.linalg.norm(ends[:, np.newaxis] - ends[np.newaxis], axis=2),
        from_start=np.linalg.norm(ends - starts, axis=1),
        error=0.0 if exact else standard_error(width),
        layers=layers,
        left_out=left_out,
    )


def _weights(steps: NDArray[np.int64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """What each place of a run counts: 1 in all, as long as it was there in the logarithm of steps.

    So the axes are the same whether a reader holds all places or some. A place that is not finite
    counts nothing.
    """
    finite = np.isfinite(places).all(axis=1)
    weights = np.zeros(len(steps))
    at = np.log1p(np.maximum(steps[finite], 0).astype(np.float64))
    if len(at) == 1:
        weights[finite] = 1.0
    elif len(at):
        apart = np.diff(at)
        weights[finite] = (np.append(apart, 0.0) + np.insert(apart, 0, 0.0)) / (2 * apart.sum())
    return weights


def _principal(
    centred: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """Places on the first two principal axes, and the share of the variance along each.

    By the products of all places with one another: there are hundreds of these, and thousands of
    coordinates.

    Raises:
        ValueError: all places are the same.
    """
    root = np.sqrt(weights)
    products = centred @ centred.T
    values, vectors = np.linalg.eigh(root[:, np.newaxis] * products * root)
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    if not values[0] > 0:
        raise ValueError("The weights were logged at one place alone: there is no way to show.")
    if len(values) < 2:
        values, vectors = np.append(values, 0.0), np.pad(vectors, ((0, 0), (0, 1)))
    lengths = np.sqrt(values[:2])
    along = products @ (root[:, np.newaxis] * vectors[:, :2])
    places = along / np.where(lengths > 0, lengths, 1.0)
    signs = np.sign(places[np.abs(places).argmax(axis=0), [0, 1]])
    shares = values[:2] / values.sum()
    return places * np.where(signs == 0, 1.0, signs), (float(shares[0]), float(shares[1]))


def _losses(run: Run, steps: NDArray[np.int64]) -> NDArray[np.float64]:
    """The loss of the newest step at or before each; the first known one before there is any."""
    series = run.get(LOSS)
    if series is None or not len(series):
        return np.full(len(steps), np.nan)
    places = np.maximum(0, np.searchsorted(series.steps, steps, side="right") - 1)
    return np.asarray(series.values, np.float64)[places]
