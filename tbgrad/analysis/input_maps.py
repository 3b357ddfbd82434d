"""Which inputs move the loss: maps of the sensitivity of single samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from tbgrad import hessian
from tbgrad.hessian.errors import HessianError

Method: TypeAlias = Literal["gradient", "smoothgrad", "integrated_gradients", "grad_cam"]


def sensitivity(
    model: Any,
    x: Any,
    y: Any,
    *,
    method: Method = "gradient",
    layer: str = "",
    draws: int = 32,
    noise: float = 0.15,
    points: int = 32,
    baseline: Any = 0.0,
    seed: int = 0,
) -> Any:
    """How much each input moves the loss of its sample.

    Args:
        model: a compiled and built Keras model; the loss is that of `tbgrad.hessian.model_loss`.
        x, y: chosen samples as for `fit`, [samples, …]; of a model of several inputs a list or a
            dict of them.
        method:
            "gradient": ∂L/∂x (Simonyan, Vedaldi and Zisserman, "Deep inside convolutional
            networks", 2013).
            "smoothgrad": its mean over `draws` inputs with noise, of `noise` times the range of the
            sample (Smilkov et al., "SmoothGrad", 2017).
            "integrated_gradients": (x − b) · ∫ ∂L/∂x along the line from the `baseline` b, by
            `points` of Gauss and Legendre; the entries of a sample add up to L(x) − L(b)
            (Sundararajan, Taly and Yan, "Axiomatic attribution for deep networks", 2017).
            "grad_cam": where the channels of a convolution that make the loss smaller are active,
            positive numbers without sign of the input (Selvaraju et al., "Grad-CAM", 2017).
        layer: for "grad_cam" which convolution, by default the last; for "gradient" what stands for
            the input.
        draws, noise, points, baseline, seed: see `method`. Of several inputs all have noise, or
            are moved from the baseline, at once; those of integers stay as they are.

    Returns:
        float32 of the shape of x; of "grad_cam" [samples, height, width], stretched to that of the
        input; of integers, as words, [samples, length]: the length of the gradient with respect to
        what their embedding is. Of several inputs a dict of these by the names of the inputs,
        without those of integers that have no embedding, as masks.

    Raises:
        HessianError: the model is not compiled, or an argument does not fit it.

    >>> maps = tbgrad.analysis.sensitivity(model, x[:8], y[:8], method="smoothgrad")
    """
    if draws < 1 or points < 1:
        raise HessianError("draws and points are at least 1.")
    gradients = gradients_for(model, method, layer)
    maps = maps_from(gradients, x, y, method, draws, noise, points, baseline, seed)
    return maps[""] if list(maps) == [""] else maps


def gradients_for(model: Any, method: str, layer: str = "") -> hessian.InputGradients:
    """What `maps_from` needs of a model, traced once however often that is called.

    Raises:
        HessianError: as `sensitivity` says.
    """
    if method not in get_args(Method):
        raise HessianError(f"method is one of {', '.join(get_args(Method))}, not {method!r}.")
    if method == "grad_cam":
        return hessian.InputGradients(model, layer or hessian.last_convolution(model))
    gradients = hessian.InputGradients(model, layer)
    if "" in gradients.embedded and method != "gradient":
        raise HessianError(f'{method!r} is not of integers: method="gradient" is.')
    if layer and method != "gradient":
        raise HessianError(f'{method!r} is of inputs, not of a layer: leave layer="".')
    return gradients


def maps_from(
    gradients: hessian.InputGradients,
    x: Any,
    y: Any,
    method: str,
    draws: int = 32,
    noise: float = 0.15,
    points: int = 32,
    baseline: Any = 0.0,
    seed: int = 0,
) -> dict[str, NDArray[np.float32]]:
    """The same from what was prepared, by input; the only one is called ""."""
    parts = {name: np.asarray(part) for name, part in gradients.parts(x).items()}
    if method == "grad_cam":
        ((slopes, active),) = gradients(x, y).values()
        return {"": _grad_cam(slopes, active, next(iter(parts.values())))}
    if method == "gradient":
        return {
            name: _single(np.linalg.norm(slope, axis=-1) if name in gradients.embedded else slope)
            for name, (slope, _) in gradients(x, y).items()
        }
    moving = {
        name: part.astype(np.float32) for name, part in parts.items() if name not in _whole(parts)
    }
    total = {name: np.zeros(part.shape, np.float64) for name, part in moving.items()}

    def add(weight: float, moved: dict[str, NDArray[Any]]) -> None:
        given = {name: np.asarray(part, np.float32) for name, part in moved.items()}
        found = gradients(gradients.joined(parts | given, x), y)
        for name in total:
            if name in found:
                total[name] += weight * found[name][0]

    if method == "smoothgrad":
        rng = np.random.default_rng(seed)
        spreads = {name: noise * _ranges(part) for name, part in moving.items()}
        for _ in range(draws):
            add(1 / draws, {
                name: part + spreads[name] * rng.standard_normal(part.shape)
                for name, part in moving.items()
            })  # fmt: skip
        return {name: _single(part) for name, part in total.items()}
    starts = _baselines(baseline, moving)
    places, weights = np.polynomial.legendre.leggauss(points)
    for place, weight in zip((places + 1) / 2, weights / 2, strict=True):
        add(weight, {
            name: starts[name] + place * (part - starts[name]) for name, part in moving.items()
        })  # fmt: skip
    return {name: _single(part * (moving[name] - starts[name])) for name, part in total.items()}


def _whole(parts: Mapping[str, NDArray[Any]]) -> list[str]:
    """Inputs of integers, when there are others; the only one may be written as integers."""
    return [name for name, part in parts.items() if len(parts) > 1 and part.dtype.kind not in "fc"]


def _ranges(part: NDArray[Any]) -> NDArray[Any]:
    """From the smallest to the largest entry of each sample."""
    ranges: NDArray[Any] = np.ptp(part, axis=tuple(range(1, part.ndim)), keepdims=True)
    return ranges


def _baselines(baseline: Any, moving: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
    """One for each input, from one for all or a dict by name."""
    starts = {}
    for name, part in moving.items():
        own = baseline.get(name, 0.0) if isinstance(baseline, Mapping) else baseline
        starts[name] = np.broadcast_to(np.asarray(own, np.float32), part.shape)
    return starts


def _single(values: NDArray[Any]) -> NDArray[np.float32]:
    single: NDArray[np.float32] = np.asarray(values, np.float32)
    return single


def _grad_cam(slopes: NDArray[Any], active: NDArray[Any], x: NDArray[Any]) -> NDArray[np.float32]:
    if active.ndim not in (3, 4):
        raise HessianError(
            '"grad_cam" is of convolutions; the output of this layer has the shape '
            f"{active.shape[1:]} a sample."
        )
    inside = tuple(range(1, active.ndim - 1))
    channels = -slopes.mean(axis=inside, keepdims=True)  # the score is minus the loss
    maps = np.maximum((channels * active).sum(axis=-1), 0.0)
    for axis, length in enumerate(x.shape[1 : active.ndim - 1], start=1):
        maps = _stretched(maps, axis, length)
    return _single(maps)


def _stretched(maps: NDArray[Any], axis: int, length: int) -> NDArray[Any]:
    """Linear along an axis, the middles of pixels on those of pixels."""
    count = maps.shape[axis]
    places = np.clip((np.arange(length) + 0.5) * count / length - 0.5, 0, count - 1)
    low = np.floor(places).astype(int)
    share = (places - low).reshape([-1 if i == axis else 1 for i in range(maps.ndim)])
    below, above = (
        np.take(maps, index, axis=axis) for index in (low, np.minimum(low + 1, count - 1))
    )
    stretched: NDArray[Any] = below * (1 - share) + above * share
    return stretched


def randomisation_check(
    model: Any, x: Any, y: Any, *, method: Method = "gradient", seed: int = 0
) -> float:
    """How alike the maps are with the weights and with weights that are shuffled.

    A map that says something of the model changes with it (Adebayo et al., "Sanity checks for
    saliency maps", NeurIPS 2018). The weights of every variable are put in random order, and back.

    Returns:
        The mean over samples of the rank correlation of magnitudes: near 0 where the map depends
        on what was learned, near 1 where it shows the input alone.

    Raises:
        HessianError: as `sensitivity` says.
    """
    gradients = gradients_for(model, method)
    before = maps_from(gradients, x, y, method, seed=seed)
    weights = model.get_weights()
    rng = np.random.default_rng(seed)
    try:
        model.set_weights([rng.permuted(w.ravel()).reshape(w.shape) for w in weights])
        after = maps_from(gradients, x, y, method, seed=seed)
    finally:
        model.set_weights(weights)
    pairs = zip(_rows(before), _rows(after), strict=True)
    return float(np.mean([_rank_correlation(np.abs(a), np.abs(b)) for a, b in pairs]))


def _rows(maps: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """All that is known of a sample in a row, [samples, entries]."""
    return np.concatenate([part.reshape(len(part), -1) for part in maps.values()], axis=1)


def _rank_correlation(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Spearman's; 0 where one of them is the same everywhere."""
    ranks = [_ranks(values) for values in (a, b)]
    spreads = [np.std(each) for each in ranks]
    if not all(spreads):
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    """Of equal values the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: NDArray[np.float64] = (last - (counts - 1) / 2)[inverse.reshape(-1)]
    return ranks
