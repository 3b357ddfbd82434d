"""The spectral density of the Hessian by stochastic Lanczos quadrature."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad.training.hessian.basis import Basis
from tbgrad.training.hessian.batches import BatchedLoss, Loss
from tbgrad.training.hessian.computation import Computation
from tbgrad.training.hessian.errors import HessianError, Interrupted
from tbgrad.training.hessian.linear import SymmetricOperator
from tbgrad.training.hessian.rows import Vector

GRID_POINTS = 512


@dataclass(frozen=True, eq=False)
class Share:
    """A share of all eigenvalues: `value`, surely between `low` and `high` but for the probes.

    `standard_error` is that of the mean over random probes. `low` and `high` bound what a
    quadrature of so few nodes can tell: the share lies between them, give or take the error.
    """

    value: float
    low: float
    high: float
    standard_error: float


@dataclass(frozen=True, eq=False)
class SpectralDensity:
    """How the n eigenvalues of a Hessian are spread.

    Attributes:
        grid: [G] float64, eigenvalues, rising.
        density: [G], their density: integrates to 1 where the grid covers the spectrum.
        standard_error: [G], of the density, from the spread of the probes.
        broadening: standard deviation of the Gaussian that stands for each node.
        nodes, weights: [probes × steps], of all quadratures; the weights sum to 1.
        zero: eigenvalues of a magnitude up to this count as zero: the rounding error of a product.
        minimum_ratio: share of eigenvalues above zero, which is 1 at a strict minimum (the
            "minimal ratio" of deep-learning courses' exercises on critical points).
        negative_fraction: share of eigenvalues below zero.
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
    hvps: int
    seconds: float
    loss: float


def spectral_density(
    loss: Loss | BatchedLoss | SymmetricOperator,
    variables: Sequence[Any] | None = None,
    *,
    probes: int = 5,
    steps: int = 60,
    grid: NDArray[Any] | Sequence[float] | None = None,
    broadening: float | None = None,
    zero: float | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> SpectralDensity:
    """The density of the eigenvalues of the Hessian of `loss`, outliers and bulk.

    Lanczos from a random vector gives nodes and weights of a Gauss quadrature of the eigenvalues,
    seen through that vector; the mean over several vectors sees all of them alike (Golub and
    Meurant, "Matrices, Moments and Quadrature", 1994; Lin, Saad and Yang, SIAM Review 58, 2016;
    Ghorbani, Krishnan and Xiao, ICML 2019, on networks). It takes probes · steps products.

    Args:
        loss: as for `eigenvalues`.
        variables: likewise.
        probes: random vectors; the standard errors come from their spread.
        steps: of Lanczos for each; memory is 2 · steps · n numbers.
        grid: eigenvalues at which to give the density; by default 512 over the whole spectrum.
        broadening: standard deviation of the Gaussians; by default 1 % of the spectrum's width.
        zero: what counts as zero; by default the rounding error of a product, as the asymmetry of
            the products shows it.
        seed: of the random vectors.
        progress: as for `eigenvalues`.

    Returns:
        SpectralDensity. Ctrl-C ends the computation with the probes it has.

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
        quadratures: list[_Quadrature] = []
        try:
            for probe in range(probes):  # not as a list: Ctrl-C keeps what there is
                quadratures += [_quadrature(computation, steps, seed, probe, probes)]
        except Interrupted:
            if not quadratures:
                raise
        nodes = np.concatenate([q.nodes for q in quadratures])
        weights = np.concatenate([q.weights for q in quadratures]) / len(quadratures)
        low, high = float(nodes.min()), float(nodes.max())
        scale = max(abs(low), abs(high))
        width = broadening or 0.01 * (high - low) or 0.01 * scale or 1.0
        points = np.asarray(
            np.linspace(low - 4 * width, high + 4 * width, GRID_POINTS) if grid is None else grid,
            dtype=np.float64,
        )
        zero = max(q.noise for q in quadratures) if zero is None else zero
        densities = np.array([q.density(points, width) for q in quadratures])
        mean, error = _mean(densities)
        return SpectralDensity(
            grid=points,
            density=mean,
            standard_error=error,
            broadening=width,
            nodes=nodes,
            weights=weights,
            zero=zero,
            minimum_ratio=_share([q.above(zero) for q in quadratures]),
            negative_fraction=_share([q.mirrored().above(zero) for q in quadratures]),
            hvps=computation.hvps,
            seconds=computation.seconds,
            loss=computation.loss,
        )


@dataclass(frozen=True, eq=False)
class _Quadrature:
    """Nodes, rising, and weights, which sum to 1, as one random vector sees the spectrum."""

    nodes: NDArray[np.float64]
    weights: NDArray[np.float64]
    noise: float
    complete: bool  # the nodes are all eigenvalues that the vector sees

    def density(self, points: NDArray[np.float64], width: float) -> NDArray[np.float64]:
        """A Gaussian in place of each node."""
        away = (points[:, None] - self.nodes) / width
        found: NDArray[np.float64] = np.exp(-0.5 * away**2) @ self.weights
        return found / (width * math.sqrt(2 * math.pi))

    def mirrored(self) -> _Quadrature:
        """That of the negative operator."""
        return _Quadrature(-self.nodes[::-1], self.weights[::-1], self.noise, self.complete)

    def above(self, level: float) -> tuple[float, float, float]:
        """The share above a level: that of the nodes, and what it is at least and at most.

        The measure below node k lies between the sums of the weights before it and up to it
        (Chebyshev, Markov and Stieltjes).
        """
        first = int(np.searchsorted(self.nodes, level, side="right"))
        beyond = np.append(np.cumsum(self.weights[::-1])[::-1], 0.0)
        if self.complete:
            return beyond[first], beyond[first], beyond[first]
        return beyond[first], beyond[min(first + 1, len(self.nodes))], beyond[max(first - 1, 0)]


def _quadrature(
    computation: Computation, steps: int, seed: int, probe: int, probes: int
) -> _Quadrature:
    """Lanczos with full re-orthogonalisation from one random vector."""
    operator = computation.operator
    rng = np.random.default_rng((seed, probe))
    steps = min(steps, operator.size)
    basis = Basis(operator.size, operator.dtype, steps, operator.on_device, operator.error)
    proposal: Vector = rng.standard_normal(operator.size)
    while not basis.full and (q := basis.rows.outside(proposal)) is not None:
        proposal = computation.product(q)
        basis.append(q, proposal)
        computation.show(probe * steps + basis.count, probes * steps)
    values, vectors = basis.ritz()
    noise = basis.noise(float(np.abs(values).max()))
    complete = not basis.full or basis.count == operator.size
    return _Quadrature(values, vectors[0] ** 2, noise, complete)


def _share(found: Sequence[tuple[float, float, float]]) -> Share:
    (value, low, high), (error, *_) = _mean(np.array(found))
    return Share(float(value), float(low), float(high), float(error))


def _mean(samples: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean over the first axis and its standard error, NaN for one sample."""
    mean = samples.mean(axis=0)
    if len(samples) < 2:
        return mean, np.full_like(mean, np.nan)
    return mean, samples.std(axis=0, ddof=1) / math.sqrt(len(samples))
