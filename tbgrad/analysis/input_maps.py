"""Which inputs move the loss: maps of the sensitivity of single samples."""

from __future__ import annotations

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
) -> NDArray[np.float32]:
    """How much each input moves the loss of its sample.

    Args:
        model: a compiled and built Keras model of one input; the loss is that of
            `tbgrad.hessian.model_loss`.
        x, y: chosen samples as for `fit`, [samples, …].
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
        draws, noise, points, baseline, seed: see `method`.

    Returns:
        float32 of the shape of x; of "grad_cam" [samples, height, width], stretched to that of the
        input; of integers, as words, [samples, length]: the length of the gradient with respect to
        what their embedding is.

    Raises:
        HessianError: the model has several inputs, is not compiled, or an argument does not fit it.

    >>> maps = tbgrad.analysis.sensitivity(model, x[:8], y[:8], method="smoothgrad")
    """
    if draws < 1 or points < 1:
        raise HessianError("draws and points are at least 1.")
    gradients = gradients_for(model, method, layer)
    return maps_from(gradients, x, y, method, draws, noise, points, baseline, seed)


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
    if gradients.embedded and method != "gradient":
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
) -> NDArray[np.float32]:
    """The same from what was prepared."""
    if method == "grad_cam":
        return _grad_cam(gradients, x, y)
    if method == "gradient":
        found = gradients(x, y)[0]
        return _single(np.linalg.norm(found, axis=-1) if gradients.embedded else found)
    x = np.asarray(x, np.float32)
    total = np.zeros(x.shape, np.float64)
    if method == "smoothgrad":
        rng = np.random.default_rng(seed)
        inside = tuple(range(1, x.ndim))
        spread = noise * (x.max(axis=inside, keepdims=True) - x.min(axis=inside, keepdims=True))
        for _ in range(draws):
            moved = x + spread * rng.standard_normal(x.shape)
            total += gradients(moved.astype(np.float32), y)[0]
        return _single(total / draws)
    start = np.broadcast_to(np.asarray(baseline, np.float32), x.shape)
    places, weights = np.polynomial.legendre.leggauss(points)
    for place, weight in zip((places + 1) / 2, weights / 2, strict=True):
        total += weight * gradients((start + place * (x - start)).astype(np.float32), y)[0]
    return _single(total * (x - start))


def _single(values: NDArray[Any]) -> NDArray[np.float32]:
    single: NDArray[np.float32] = np.asarray(values, np.float32)
    return single


def _grad_cam(gradients: hessian.InputGradients, x: Any, y: Any) -> NDArray[np.float32]:
    slopes, active = gradients(x, y)
    if active.ndim not in (3, 4):
        raise HessianError(
            '"grad_cam" is of convolutions; the output of this layer has the shape '
            f"{active.shape[1:]} a sample."
        )
    inside = tuple(range(1, active.ndim - 1))
    channels = -slopes.mean(axis=inside, keepdims=True)  # the score is minus the loss
    maps = np.maximum((channels * active).sum(axis=-1), 0.0)
    for axis, length in enumerate(np.asarray(x).shape[1 : active.ndim - 1], start=1):
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
    pairs = zip(before.reshape(len(before), -1), after.reshape(len(after), -1), strict=True)
    return float(np.mean([_rank_correlation(np.abs(a), np.abs(b)) for a, b in pairs]))


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
