"""The spectral density of the Hessian by stochastic Lanczos quadrature."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad.hessian.batches import BatchedLoss, Loss
from tbgrad.hessian.computation import Computation
from tbgrad.hessian.errors import HessianError, Interrupted
from tbgrad.hessian.iteration import Reason, run
from tbgrad.hessian.operator import SymmetricOperator
from tbgrad.hessian.quadrature import NOISE_FACTOR, LanczosQuadrature, Quadrature, gaussians
from tbgrad.log.share import Share, rest_of

GRID_POINTS = 512

DEVIATIONS = 2.2
"""Standard deviations of a random vector's share that its interval contains on either side."""


@dataclass(frozen=True, eq=False)
class SpectralDensity:
    """How the n eigenvalues of a Hessian are spread.

    Attributes:
        grid: [G] float64, eigenvalues, rising.
        density: [G], their density: integrates to 1 where the grid covers the spectrum.
        standard_error: [G], of the density: what another random vector would have made of it.
        broadening: standard deviation of the Gaussian that stands for each node.
        nodes, weights: [probes × steps], of all quadratures; the weights sum to 1.
        zero: eigenvalues of a magnitude up to this count as zero: the rounding error of a product.
        minimum_ratio: share of eigenvalues above zero, which is 1 at a strict minimum (the
            "minimal ratio" of deep-learning courses' exercises on critical points).
        negative_fraction: share of eigenvalues below zero.
        zero_fraction: share of those that count as zero. A more precise loss would tell their sign.
        reason: why there are no more nodes: "converged" where they are all the eigenvalues that the
            random vectors see, "budget" (steps) or "interrupted".
        hvps: Hessian–vector products spent, with those that an operator spends once.
        seconds: wall-clock time spent.
        loss: value of the loss at the weights of the estimate.
    """

    grid: NDArray[np.float64]
    density: NDArray[np.float64]
    standard_error: NDArray[np.float64]
    broadening: float
    nodes: NDArray[np.float64]
    weights: NDArray[np.float64]
    zero: float
    minimum_ratio: Share
    negative_fraction: Share
    zero_fraction: Share
    reason: Reason
    hvps: int
    seconds: float
    loss: float


def spectral_density(
    loss: Loss | BatchedLoss | SymmetricOperator,
    variables: Sequence[Any] | None = None,
    *,
    probes: int = 1,
    steps: int = 300,
    grid: NDArray[Any] | Sequence[float] | None = None,
    broadening: float | None = None,
    zero: float | None = None,
    max_bytes: int | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> SpectralDensity:
    """The density of the eigenvalues of the Hessian of `loss`, outliers and bulk.

    Lanczos from a random vector gives nodes and weights of a Gauss quadrature of the eigenvalues,
    seen through that vector; the mean over several vectors sees all of them alike (Golub and
    Meurant, "Matrices, Moments and Quadrature", 1994; Lin, Saad and Yang, SIAM Review 58, 2016;
    Ghorbani, Krishnan and Xiao, ICML 2019, on networks). It takes probes · steps products, at most
    n for each probe. One long probe tells more about what is near zero than several short ones: one
    of n dimensions is off by a standard deviation of √(2 p (1 − p) / (n + 2)) in a share p.

    Args:
        loss: as for `eigenvalues`.
        variables: likewise.
        probes: random vectors.
        steps: of Lanczos for each.
        grid: eigenvalues at which to give the density; by default 512 over the whole spectrum.
        broadening: standard deviation of the Gaussians; by default 1 % of the spectrum's width.
        zero: what counts as zero; by default the rounding error of a product, as the asymmetry of
            the products shows it.
        max_bytes: memory for vectors; by default that of 10 vectors of n entries, or 64 MiB if that
            is more. With more, up to that of `steps` vectors, nodes are fewer times the same.
        seed: of the random vectors.
        progress: as for `eigenvalues`.

    Returns:
        SpectralDensity. Ctrl-C ends the computation with the steps it has.

    Raises:
        HessianError: as for `eigenvalues`.

    >>> w = tf.Variable([1.0, 2.0, 3.0])
    >>> round(spectral_density(lambda: tf.reduce_sum(w**3), [w]).minimum_ratio.value, 4)
    1.0
    """
    if probes < 1 or steps < 1:
        raise HessianError(f"probes and steps are from 1 on, not {probes} and {steps}.")
    if broadening is not None and not broadening > 0:
        raise HessianError(f"broadening must be above 0, got {broadening}.")
    with Computation(loss, variables, "spectral density", progress) as computation:
        quadratures, reason = _quadratures(computation, probes, steps, max_bytes, seed)
        return _density(computation, quadratures, reason, grid, broadening, zero)


def _quadratures(
    computation: Computation, probes: int, steps: int, max_bytes: int | None, seed: int
) -> tuple[list[Quadrature], Reason]:
    """One a random vector, and why there are no more, or no longer ones."""
    operator = computation.operator
    computation.total = probes * min(steps, operator.size)
    quadratures: list[Quadrature] = []
    try:
        for probe in range(probes):
            rng = np.random.default_rng((seed, probe))
            quadratures.append(
                run(LanczosQuadrature(computation.product, operator, steps, rng, max_bytes))
            )
    except Interrupted:
        if not quadratures:
            raise
        return quadratures, "interrupted"
    if quadratures[-1].reason == "interrupted":
        return quadratures, "interrupted"
    return quadratures, "converged" if all(q.complete for q in quadratures) else "budget"


def _density(
    computation: Computation,
    quadratures: Sequence[Quadrature],
    reason: Reason,
    grid: NDArray[Any] | Sequence[float] | None,
    broadening: float | None,
    zero: float | None,
) -> SpectralDensity:
    pairs = [q.nodes_and_weights for q in quadratures]
    nodes = np.concatenate([nodes for nodes, _ in pairs])
    weights = np.concatenate([weights for _, weights in pairs]) / len(pairs)
    points, width = grid_over(nodes, broadening)
    if grid is not None:
        points = np.asarray(grid, dtype=np.float64)
    noise = max(q.noise for q in quadratures)
    zero = noise if zero is None else zero
    first, second = (
        np.mean([gaussians(*pair, points, width, power) for pair in pairs], axis=0)
        for power in (1, 2)
    )
    size = computation.operator.size
    variance = 2 * np.maximum(second - first**2, 0) / (size + 2) / len(pairs)
    mirrored = [replace(q, diagonal=-q.diagonal) for q in quadratures]
    above, below = (
        _share_above(zero, side, noise / NOISE_FACTOR, size) for side in (quadratures, mirrored)
    )
    return SpectralDensity(
        grid=points,
        density=first,
        standard_error=np.sqrt(variance),
        broadening=width,
        nodes=nodes,
        weights=weights,
        zero=zero,
        minimum_ratio=above,
        negative_fraction=below,
        zero_fraction=rest_of(above, below),
        reason=reason,
        hvps=computation.hvps,
        seconds=computation.seconds,
        loss=computation.loss,
    )


def grid_over(
    nodes: NDArray[np.float64], broadening: float | None
) -> tuple[NDArray[np.float64], float]:
    """A grid over all nodes, and how wide the Gaussians on it are."""
    low, high = float(nodes.min()), float(nodes.max())
    width = broadening or 0.01 * (high - low) or 0.01 * max(abs(low), abs(high)) or 1.0
    return np.linspace(low - 4 * width, high + 4 * width, GRID_POINTS), width


def _share_above(
    level: float, quadratures: Sequence[Quadrature], uncertain: float, size: int
) -> Share:
    """The share of eigenvalues above a level; nodes are known up to what is `uncertain`."""
    least = float(np.mean([q.above(level + uncertain)[0] for q in quadratures]))
    most = float(np.mean([q.above(level - uncertain)[1] for q in quadratures]))
    if all(len(q.diagonal) == size for q in quadratures):
        nodes = quadratures[0].nodes_and_weights[0]
        return Share.between(np.mean(nodes > level + uncertain), np.mean(nodes > level - uncertain))
    # A random vector's part in p n dimensions of n is of a beta distribution of mean p.
    deviations = []
    for share in (least, most):
        spread = 2 * (share + 2 / size) * (1 - share + 2 / size) / (size + 2) / len(quadratures)
        deviations.append(DEVIATIONS * math.sqrt(spread))
    return Share.between(least - deviations[0], most + deviations[1])
