"""The spectral density of the Hessian by stochastic Lanczos quadrature."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad.hessian.batches import BatchedLoss, Loss
from tbgrad.hessian.computation import Computation
from tbgrad.hessian.errors import HessianError, Interrupted
from tbgrad.hessian.quadrature import NOISE_FACTOR, Quadrature, gaussians, quadrature
from tbgrad.hessian.tensorflow.linear import SymmetricOperator
from tbgrad.log.records import Share, rest_of

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
        found: list[Quadrature] = []
        length = min(steps, computation.operator.size)
        try:
            for probe in range(probes):
                rng, done = np.random.default_rng((seed, probe)), probe * length
                found.append(quadrature(computation, length, rng, max_bytes, done, probes * length))
        except Interrupted:
            if not found:
                raise
        both = [q.nodes_and_weights for q in found]
        nodes = np.concatenate([nodes for nodes, _ in both])
        weights = np.concatenate([weights for _, weights in both]) / len(found)
        points, width = grid_over(nodes, broadening)
        if grid is not None:
            points = np.asarray(grid, dtype=np.float64)
        noise = max(q.noise for q in found)
        zero = noise if zero is None else zero
        first, second = (
            np.mean([gaussians(*q.nodes_and_weights, points, width, power) for q in found], axis=0)
            for power in (1, 2)
        )
        size = computation.operator.size
        variance = 2 * np.maximum(second - first**2, 0) / (size + 2) / len(found)
        mirrored = [Quadrature(-q.diagonal, q.beside, q.noise) for q in found]
        above, below = (
            _share(each, zero, noise / NOISE_FACTOR, size) for each in (found, mirrored)
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


def _share(found: Sequence[Quadrature], level: float, off: float, size: int) -> Share:
    """The share of eigenvalues above a level, of which they may be `off` in the quadratures."""
    least = float(np.mean([q.above(level + off)[0] for q in found]))
    most = float(np.mean([q.above(level - off)[1] for q in found]))
    if all(len(q.diagonal) == size for q in found):
        nodes = found[0].nodes_and_weights[0]
        return Share.between(np.mean(nodes > level + off), np.mean(nodes > level - off))
    # A random vector's part in p n dimensions of n is of a beta distribution of mean p.
    deviations = []
    for share in (least, most):
        spread = 2 * (share + 2 / size) * (1 - share + 2 / size) / (size + 2) / len(found)
        deviations.append(DEVIATIONS * math.sqrt(spread))
    return Share.between(least - deviations[0], most + deviations[1])
